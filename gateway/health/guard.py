"""Who may ask the endpoint: on loopback only those who call it so, and everywhere those who bring its token."""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.config.uplinks import LOOPBACK
from gateway.health.answers import Refusal, refused

ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of every answer that does not say it otherwise."""
OPEN = "/livez"
"""For whoever watches the process: it says nothing of the line."""
WRONG_TOKEN_S = 0.5
"""How long whoever brings a wrong token waits for the answer."""

OTHERS = Refusal(403, "this endpoint answers to its own address only", "ask it by the address that it listens on")
UNKNOWN = Refusal(
    401,
    "this endpoint wants its token",
    "send it as `Authorization: Bearer TOKEN`",
    {"WWW-Authenticate": 'Bearer realm="linegate"'},
)


class Guard:
    """Refuses before anything is looked up. An Origin must be the endpoint's own: no other site's page may ask it."""

    def __init__(self, app: ASGIApp, token: str | None, local: bool) -> None:
        """`local`: it listens on loopback, where another name is a page's that makes its browser ask here."""
        self._app = app
        self._token = None if token is None else token.encode()
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] += [header for header in ALWAYS if header[0] not in said]
            await send(message)

        headers = Headers(scope=scope)
        host, origin = headers.get("Host", ""), headers.get("Origin", "").partition("://")[2]
        if not (_is_loopback(host) and _is_loopback(origin) if self._local else origin in ("", host)):
            answer: ASGIApp = refused(None, OTHERS)
        elif scope["path"] != OPEN and not self._is_known(headers.get("Authorization", "")):
            await asyncio.sleep(WRONG_TOKEN_S)
            answer = refused(None, UNKNOWN)
        else:
            answer = self._app
        await answer(scope, receive, send_with)

    def _is_known(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if self._token is None:
            return True
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)


def _is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is loopback's, or none was given."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return not name or name.strip("[]") in LOOPBACK
