"""From a URL and options to what is looked at, and what will be asked of it, in words; wrong use ends here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from protocols.opcua.address import parse_node
from protocols.settings import shown

PASSWORD_ENV = "LINEGATE_DISCOVER_PASSWORD"
"""The environment variable in which a password that was typed is kept while the command runs."""
SCHEMES = {
    "opc.tcp": "an OPC UA server, opc.tcp://192.168.0.10:4840",
    "eip": "a Logix controller, eip://192.168.0.10 or eip://192.168.0.10/SLOT",
}
"""What can be looked at, by the URL's scheme."""


class WrongUse(Exception):
    """Options that cannot be meant; the text says why."""


@dataclass(frozen=True, slots=True)
class Security:
    """How an OPC UA server is entered."""

    policy: str = "none"
    mode: str | None = None
    server_certificate: str | None = None
    user: str | None = None
    password_env: str | None = None
    allow_plain_password: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the URL and the wishes."""

    rate: float
    state_dir: Path
    root: str | None = None
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class Target:
    """A device: its protocol and its section without signals; for OPC UA also where to begin."""

    url: str
    section: dict[str, Any]
    root: str | None = None
    state_dir: Path | None = None

    @property
    def is_opcua(self) -> bool:
        """Whether it is an OPC UA server."""
        return bool(self.section["protocol"] == "opcua")


def target_of(url: str, options: Options) -> Target:
    """What a URL leads to. Raises WrongUse."""
    parts = _split(url)
    if parts.scheme == "opc.tcp":
        return _opcua(url, options)
    if parts.scheme == "eip":
        return _ethernet_ip(url, parts, options)
    raise WrongUse(f"{shown(url)} is nothing that discover can look at; there is {' and '.join(SCHEMES.values())}")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise WrongUse(f"{shown(url)} is not a URL: {error}") from None
    return parts


def _opcua(url: str, options: Options) -> Target:
    from protocols.opcua.config import OpcuaDevice

    security = options.security
    secured = {"policy": security.policy}
    if security.mode is not None:
        secured["mode"] = security.mode
    if security.server_certificate is not None:
        secured["server_certificate"] = str(Path(security.server_certificate).absolute())
    section: dict[str, Any] = {"protocol": "opcua", "endpoint": url, "security": secured}
    if security.user is not None:
        section["user"] = {"name": security.user, "password": {"env": security.password_env}}
        if security.allow_plain_password:
            section["user"]["allow_plain_password"] = True
    _check(OpcuaDevice, {**section, "signals": {"state": {"node": "i=2259"}}})
    try:
        if options.root is not None:
            parse_node(options.root)
    except ValueError as error:
        raise WrongUse(f"--root: {error}") from None
    return Target(url, section, options.root, options.state_dir)


def _ethernet_ip(url: str, parts: SplitResult, options: Options) -> Target:
    from protocols.ethernet_ip.config import EthernetIpDevice

    if options.root is not None or options.security != Security():
        raise WrongUse("--root, --policy, --mode, --user and certificates are for OPC UA servers")
    section: dict[str, Any] = {"protocol": "ethernet_ip", "host": parts.hostname or ""}
    if parts.port is not None:
        section["port"] = parts.port
    *route, slot = [piece for piece in parts.path.split("/") if piece] or ["0"]
    if len(route) % 2:
        if route[-1].lower() not in ("backplane", "bp", "1"):
            example = "eip://10.0.0.5/backplane/2/ip/10.1.1.5/0"
            raise WrongUse(f"{shown(url)}: a route is port and address in turn, and the slot behind it: {example}")
        route.pop()
    if route:
        section["route"] = "/".join(route)
    if not (slot == "none" or (slot.isascii() and slot.isdigit())):
        raise WrongUse(
            f"{shown(url)} ends with {shown(slot)}, which is no slot: a number, or none for what has no chassis"
        )
    section["slot"] = slot if slot == "none" else int(slot)
    _check(EthernetIpDevice, {**section, "signals": {"mode": {"tag": "identity:mode"}}})
    return Target(url, section)


def _check(kind: Any, section: dict[str, Any]) -> None:
    """Raise WrongUse where a section is not one."""
    try:
        kind.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise WrongUse(f"{where}: {words}" if where else words) from None


def asks(target: Target, options: Options) -> str:
    """What will be asked, said before anything is."""
    slowly = f"at most {options.rate:g} requests a second; nothing is written"
    if target.is_opcua:
        return f"{target.url} will be asked for its endpoints, then browsed and read over one session, {slowly}"
    return (
        f"{target.url} will be asked who it is, then for its tags, their types and values over one session with one "
        f"connection, {slowly}"
    )
