"""What every request must be before it is looked at: for this endpoint, from somebody known, of a form that is read."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config.uplinks import LOOPBACK
from gateway.health.answers import Refusal, refused
from gateway.health.doorkeeper import BASIC, BEARER, Doorkeeper

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
OPEN = "/livez"
"""For whoever watches the process: it says nothing of the line."""
WRONG_S = 0.5
"""How long whoever brings a wrong key waits for the answer."""
MOST_BYTES = 16_000
"""Of what a request brings."""
OTHERS = Refusal(403, "this endpoint answers to its own address only", "ask it by the address that it listens on")
EMBEDDED = Refusal(403, "another site's page may not ask this endpoint", "open it by its own address")


class Guard:
    """Refuses, or has the request answered with who asks in its state as `visitor`."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, local: bool) -> None:
        """`local`: it listens on loopback, where another name is a page's that makes its browser ask here."""
        self._app = app
        self._doorkeeper = doorkeeper
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] += [header for header in ALWAYS if header[0] not in given]
            await send(message)

        headers = Headers(scope=scope)
        answer = self._app
        try:
            self._check_site(scope["method"], headers)
            if scope["path"] != OPEN:
                remote = (scope["client"] or ("",))[0]
                scope["state"]["visitor"] = self._doorkeeper.admit(headers.get("Authorization", ""), remote)
            if scope["method"] == "POST":
                _check_form(headers)
        except Refusal as refusal:
            if "Authorization" in headers and refusal.status in (401, 429):
                await asyncio.sleep(WRONG_S)
            answer = refused(None, _offered(refusal, headers))
        await answer(scope, receive, send_with)

    def _check_site(self, method: str, headers: Headers) -> None:
        """Raises Refusal where a page of another site, or a name that is made to lead here, may be behind it.

        Browsers say by Sec-Fetch-Site (Fetch Metadata) whose page asks; a link that a person follows is no harm.
        """
        host, origin = headers.get("Host", ""), headers.get("Origin")
        site = None if origin is None else origin.partition("://")[2] or "null"
        if self._local and not (_is_loopback(host) and (site is None or _is_loopback(site))):
            raise OTHERS
        if site is not None and site.lower() != host.lower() and (method == "POST" or not self._local):
            raise OTHERS
        if headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
            return
        is_link = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        if method != "GET" or not is_link:
            raise EMBEDDED


def _check_form(headers: Headers) -> None:
    """Raises Refusal. What is no JSON another site's form could have sent without asking first."""
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "what is sent must be JSON", "send it with Content-Type: application/json")
    length = headers.get("Content-Length", "0")
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise too_long()


def too_long() -> Refusal:
    """More than is read."""
    return Refusal(413, f"a request has at most {MOST_BYTES} bytes", "send less", {"Connection": "close"})


def _offered(refusal: Refusal, headers: Headers) -> Refusal:
    """A browser is to ask for name and key where a person opened a page, not where a page itself asks."""
    if refusal.status != 401 or headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return refusal
    return Refusal(401, refusal.why, refusal.remedy, {"WWW-Authenticate": f"{BASIC}, {BEARER}"})


def _is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is loopback's, or none was given."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return not name or name.strip("[]") in LOOPBACK
