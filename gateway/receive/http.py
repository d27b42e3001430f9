"""Events posted to us: an HTTP server that answers with success only when the events were taken."""

from __future__ import annotations

import base64
import hmac
import socket
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.config.uplinks import LOOPBACK, resolved
from gateway.health.guest import OPTIONS, GuestServer
from gateway.receive.decode import CODINGS, MOST_BYTES, decode, decompress
from gateway.receive.follower import NotAnEvent
from gateway.receive.source import Enough, Receiver, Settings
from protocols.dial import server_context
from protocols.driver import ConfigError
from protocols.settings import TlsConfig
from protocols.worker import in_daemon_thread


class HttpSource:
    """`http://127.0.0.1:8080/path`, or `https://` with --certificate and --private-key; `/` takes any path."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = settings.host or "127.0.0.1"
        self._port = settings.port(443 if settings.is_secure else 80)
        self._path = urlsplit(settings.url).path or "/"
        self._expected = b""
        if settings.is_secure and (settings.tls is None or settings.tls.certificate is None):
            raise ConfigError("an https:// server needs a certificate", "give --certificate and --private-key")

    async def run(self, receiver: Receiver) -> None:
        """See `Source`."""
        settings = self._settings
        user, password = await in_daemon_thread("secrets", lambda: resolved(settings.user, settings.password))
        _, token = await in_daemon_thread("secrets", lambda: resolved(None, settings.token))
        if token is not None:
            self._expected = f"Bearer {token}".encode()
        elif user is not None:
            self._expected = b"Basic " + base64.b64encode(f"{user}:{password or ''}".encode())
        context = None
        if settings.is_secure:
            context = await in_daemon_thread("certificates", lambda: server_context(settings.tls or TlsConfig()))
        listening = self._listen()

        async def post(request: Request) -> Response:
            return await self._answer(request, receiver)

        config = uvicorn.Config(
            Starlette(routes=[Route("/{path:path}", post, methods=["POST"])]),
            ssl_context_factory=None if context is None else lambda _config, _default: context,
            **OPTIONS,
        )
        server = GuestServer(config)
        host, port = listening.getsockname()[:2]
        is_open = not self._expected and host not in LOOPBACK
        receiver.ready(f"{host}:{port}{self._path}{', open to everybody: give --token-env' if is_open else ''}")
        try:
            await server.serve([listening])
        finally:
            if server.started:
                await server.shutdown([listening])
            listening.close()

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            words = f"{self._host}:{self._port} cannot be listened at: {error.strerror or error}"
            raise ConfigError(words, "choose an address of this machine and a free port") from None

    async def _answer(self, request: Request, receiver: Receiver) -> Response:
        if (
            not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._expected)
            and self._expected
        ):
            scheme = self._expected.partition(b" ")[0].decode()
            return _say(401, "the credentials are missing or others", **{"WWW-Authenticate": scheme})
        if self._path not in ("/", request.url.path):
            return _say(404, f"events go to {self._path}")
        coding = request.headers.get("Content-Encoding", "").strip().lower()
        if coding not in CODINGS:
            return _say(415, f"no {coding} here", **{"Accept-Encoding": ", ".join(filter(None, CODINGS))})
        try:
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return _say(413, f"at most {MOST_BYTES} bytes")
            receiver.take(decode(decompress(coding, bytes(body))))
        except NotAnEvent as error:
            receiver.strange(request.client.host if request.client else "", str(error))
            return _say(400, str(error))
        except ClientDisconnect:
            return _say(400, "the request ended early")
        except Enough:
            return _say(503, "this receiver ends")
        except OSError as error:
            return _say(503, f"the events could not be stored: {error.strerror}")
        return Response(status_code=204)


def _say(status: int, words: str, **headers: str) -> Response:
    return PlainTextResponse(f"{words}\n", status, headers=headers)
