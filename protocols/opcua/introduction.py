"""What a server shows of itself before anything is proven, for a person who decides whether to trust it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asyncua import ua

from protocols.driver import ConfigError
from protocols.opcua.facts import described, fingerprint, printable
from protocols.opcua.pki import Pki
from protocols.opcua.security import as_configured, endpoints, offer, shown_by, strongest
from protocols.opcua.trust import Refused, Shown, TrustList
from protocols.worker import in_daemon_thread


@dataclass(frozen=True, slots=True)
class Introduction:
    """One server's endpoints, and the certificate of the strongest one."""

    url: str
    offered: tuple[ua.EndpointDescription, ...]
    endpoint: ua.EndpointDescription
    """The strongest that the gateway can use."""
    shown: Shown

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate."""
        return fingerprint(self.shown.certificate)

    @property
    def trouble(self) -> Refused | None:
        """Why the certificate would be refused though it was trusted, if it would be."""
        try:
            TrustList(pinned=self.shown.certificate).check(self.shown)
        except Refused as refused:
            return refused
        return None

    def lines(self) -> Iterator[tuple[str, str]]:
        """What to compare with what the server says of itself at its own panel or in its own tool."""
        server = self.endpoint.Server
        yield "server", f"{printable(server.ApplicationName.Text or 'without a name')} at {self.url}"
        yield "calls itself", printable(server.ApplicationUri or "nothing")
        yield "offers", ", ".join(dict.fromkeys(offer(one) for one in self.offered))
        yield from described(self.shown.certificate)


async def introduced(url: str, timeout_s: float) -> Introduction:
    """Ask a server who it is. Raises ConnectFailed, or ConfigError where it offers no security that can be used."""
    offered = await endpoints(url, timeout_s)
    endpoint = strongest(offered)
    if endpoint is None:
        lists = ", ".join(dict.fromkeys(offer(one) for one in offered)) or "nothing"
        remedy = "switch on Basic256Sha256 with sign_and_encrypt in the server, or a stronger policy"
        raise ConfigError(f"the server offers no security that the gateway can use, but {lists}", remedy)
    return Introduction(url, tuple(offered), endpoint, shown_by(endpoint, url))


async def pin(introduction: Introduction, pki: Pki) -> tuple[Path, str]:
    """Trust the certificate from now on: its file in `pki/trusted`, and the device's `security:` for it.

    Call it only after a person has compared the fingerprint. Raises ConfigError where it cannot be written.
    """
    path = await in_daemon_thread("certificates", partial(_trust, pki, introduction))
    return path, as_configured(introduction.endpoint, path)


def _trust(pki: Pki, introduction: Introduction) -> Path:
    return pki.trust(introduction.shown.certificate).absolute()
