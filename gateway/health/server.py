"""The local HTTP endpoint: listens, with TLS where it should, and has every room answer for its own paths."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gateway.health import guest, operations, signals
from gateway.health.answers import Refusal, refused
from gateway.health.guard import Guard
from gateway.health.sources import Sources
from gateway.health.stream import Stream
from gateway.history import routes as history
from gateway.page import routes as page
from gateway.samples import routes as samples
from protocols.dial import load_own, server_context
from protocols.driver import ConfigError
from protocols.worker import in_daemon_thread

RETRY_S = 10.0
BACKLOG = 64
ROOMS: tuple[Callable[[Sources], Sequence[BaseRoute]], ...] = (
    operations.routes,
    signals.routes,
    history.routes,
    page.routes,
    samples.routes,
)
"""Each gives the routes of what it knows; they refuse by raising `Refusal`."""

log = structlog.get_logger("health")


class HealthServer:
    """Serves until cancelled; an address in use is said and tried again, since the line matters more than its page."""

    def __init__(self, sources: Sources) -> None:
        self._config = sources.config.health
        self._sources = sources
        self._stream = Stream(sources)

    def end_streams(self) -> None:
        """The daemon stops: what has no end of its own ends now."""
        self._stream.end("stop")

    async def run(self) -> None:
        """Listen, and listen again."""
        if self._config.address is None:
            return
        token, context = await self._secrets()
        app = Starlette(
            routes=[self._stream.route, *(route for room in ROOMS for route in room(self._sources))],
            middleware=[Middleware(Guard, token=token, local=self._config.is_local)],
            exception_handlers={Refusal: refused, HTTPException: refused},
        )
        tls = None if context is None else lambda _config, _default: context
        settings = uvicorn.Config(app, ssl_context_factory=tls, **guest.OPTIONS)
        server = guest.GuestServer(settings, partial(self._renew, context), self.end_streams)
        listening = await self._listen(*self._config.address)
        try:
            await server.serve([listening])
        finally:
            if server.started:
                await server.shutdown([listening])
            listening.close()

    async def _secrets(self) -> tuple[str | None, ssl.SSLContext | None]:
        """Token and TLS, as soon as they can be read: without them nobody is let in."""
        said = ""
        while True:
            try:
                return await in_daemon_thread("secrets", self._read_secrets)
            except ConfigError as error:
                if error.why != said:
                    log.error("endpoint_not_listening", why=error.why, remedy=error.remedy)
                said = error.why
                await asyncio.sleep(RETRY_S)

    def _read_secrets(self) -> tuple[str | None, ssl.SSLContext | None]:
        config = self._config
        token = None if config.token is None else config.token.resolve()
        return token, None if config.tls is None else server_context(config.tls)

    async def _renew(self, context: ssl.SSLContext | None) -> None:
        tls = self._config.tls
        if tls is None or context is None:
            return
        try:
            await in_daemon_thread("certificate", lambda: load_own(context, tls))
        except ConfigError as error:
            log.error("certificate_not_renewed", why=error.why, remedy=error.remedy)

    async def _listen(self, host: str, port: int) -> socket.socket:
        said = False
        while True:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
                guest.bound(listening)
            except OSError as error:
                if not said:
                    remedy = "set health.listen to a free port"
                    log.error("endpoint_not_listening", address=f"{host}:{port}", why=error.strerror, remedy=remedy)
                said = True
                await asyncio.sleep(RETRY_S)
                continue
            host, port = listening.getsockname()[:2]
            scheme = "http" if self._config.tls is None else "https"
            log.info("endpoint_listening", url=f"{scheme}://{host}:{port}/health")
            return listening
