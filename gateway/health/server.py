"""The local HTTP endpoint: listens, with TLS where it should, and has every room answer for its own paths."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gateway.health import operations
from gateway.health.answers import Refusal, refused
from gateway.health.guard import Guard
from gateway.health.sources import Sources
from gateway.history import routes as history
from gateway.page import routes as page
from protocols.dial import load_own, server_context
from protocols.driver import ConfigError
from protocols.worker import in_daemon_thread

RETRY_S = 10.0
RENEW_S = 3600
"""How often the certificate's files are read again: they are replaced before they expire, and nobody restarts us."""
BACKLOG = 64
ROOMS: tuple[Callable[[Sources], Sequence[BaseRoute]], ...] = (operations.routes, history.routes, page.routes)
"""Each gives the routes of what it knows; they refuse by raising `Refusal`."""

log = structlog.get_logger("health")


class HealthServer:
    """Serves until cancelled; an address in use is said and tried again, since the line matters more than its page."""

    def __init__(self, sources: Sources) -> None:
        self._config = sources.config.health
        self._sources = sources

    async def run(self) -> None:
        """Listen, and listen again."""
        if self._config.address is None:
            return
        token, context = await self._secrets()
        app = Starlette(
            routes=[route for room in ROOMS for route in room(self._sources)],
            middleware=[Middleware(Guard, token=token, local=self._config.is_local)],
            exception_handlers={Refusal: refused, HTTPException: refused},
        )
        server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                ssl_context_factory=None if context is None else lambda _config, _default: context,
            )
        )
        if context is not None:
            server.renew = partial(self._renew, context)  # type: ignore[method-assign]
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

    async def _renew(self, context: ssl.SSLContext) -> None:
        tls = self._config.tls
        assert tls is not None
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


class _Server(uvicorn.Server):
    """uvicorn's server as a guest in the daemon: signals are the daemon's, and so is the end, by cancelling."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while True:
            for _ in range(RENEW_S):
                await self.on_tick(0)  # writes the headers' date; uvicorn wakes up for it ten times as often
                await asyncio.sleep(1)
            await self.renew()

    async def renew(self) -> None:
        """Nothing to do; a server with a certificate looks for a newer one."""
