"""The local HTTP endpoint: listens, with TLS where it should, and has every room answer for its own paths."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from gateway.config.health import OperatorConfig
from gateway.health import entries, guest, me, operations, signals
from gateway.health.answers import Refusal, refused
from gateway.health.doorkeeper import Doorkeeper, Keys
from gateway.health.guard import Guard
from gateway.health.sources import Sources
from gateway.health.stream import Stream
from protocols.dial import load_own, server_context
from protocols.driver import ConfigError
from protocols.worker import in_daemon_thread

RETRY_S = 10.0
Room: TypeAlias = Callable[[Sources], Sequence[BaseRoute]]
"""Gives the routes of what it knows; they refuse by raising `Refusal`."""
OWN: tuple[Room, ...] = (operations.routes, signals.routes, me.routes, entries.routes)

log = structlog.get_logger("health")


class HealthServer:
    """Serves until cancelled; an address in use is said and tried again, since the line matters more than its page."""

    def __init__(self, sources: Sources, rooms: Sequence[Room] = ()) -> None:
        """`rooms` beside the endpoint's own."""
        self._config = sources.config.health
        self._sources = sources
        self._rooms = (*OWN, *rooms)
        self._stream = Stream(sources)

    def end_streams(self) -> None:
        """What has no end of its own ends now: the daemon stops, or listens anew."""
        self._stream.end("stop" if self._sources.stopping() else "reload")

    async def run(self) -> None:
        """Listen, and listen again."""
        if self._config.address is None:
            return
        keys, context = await self._secrets()
        doorkeeper = Doorkeeper(keys)
        app = Starlette(
            routes=[self._stream.route, *(route for room in self._rooms for route in room(self._sources))],
            middleware=[Middleware(Guard, doorkeeper=doorkeeper, local=self._config.is_local)],
            exception_handlers={Refusal: refused, HTTPException: refused},
        )
        app.router.redirect_slashes = False
        tls = None if context is None else lambda _config, _default: context
        settings = uvicorn.Config(app, ssl_context_factory=tls, **guest.OPTIONS)
        server = guest.GuestServer(settings, partial(self._renew, doorkeeper, context), self.end_streams)
        listening = await self._listen(*self._config.address)
        try:
            await server.serve([listening])
        finally:
            if server.started:
                await server.shutdown([listening])
            listening.close()

    async def _secrets(self) -> tuple[Keys, ssl.SSLContext | None]:
        """Token, PINs and TLS, as soon as token and TLS can be read: without them nobody is let in."""
        said = ""
        while True:
            try:
                return await in_daemon_thread("secrets", self._read_secrets)
            except ConfigError as error:
                if error.why != said:
                    log.error("endpoint_not_listening", why=error.why, remedy=error.remedy)
                said = error.why
                await asyncio.sleep(RETRY_S)

    def _read_secrets(self) -> tuple[Keys, ssl.SSLContext | None]:
        return self._read_keys(), None if self._config.tls is None else server_context(self._config.tls)

    def _read_keys(self) -> Keys:
        config = self._config
        token = None if config.token is None else config.token.resolve()
        return Keys(token, {one.name: (self._read_pin(one), one.role) for one in config.operators})

    def _read_pin(self, operator: OperatorConfig) -> str | None:
        try:
            return operator.pin.resolve()
        except ConfigError as error:
            log.error("operator_without_pin", who=operator.name, why=error.why, remedy=error.remedy)
            return None

    async def _renew(self, doorkeeper: Doorkeeper, context: ssl.SSLContext | None) -> None:
        """Read again what may have been replaced; what cannot be read stays as it was."""
        tls = self._config.tls
        with self._said():
            doorkeeper.renew(await in_daemon_thread("secrets", self._read_keys))
        if tls is not None and context is not None:
            with self._said():
                await in_daemon_thread("certificate", lambda: load_own(context, tls))

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            log.error("certificate_not_renewed", why=error.why, remedy=error.remedy)

    async def _listen(self, host: str, port: int) -> socket.socket:
        said = False
        while True:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listen = partial(socket.create_server, (host, port), family=family, backlog=guest.BACKLOG)
            try:
                listening = await in_daemon_thread("listen", listen, discard=lambda late: late.close())
            except OSError as error:
                if not said:
                    remedy = "set health.listen to a free port of an address that this computer has"
                    why = os.strerror(error.errno) if error.errno else str(error)
                    log.error("endpoint_not_listening", address=f"{host}:{port}", why=why, remedy=remedy)
                said = True
                await asyncio.sleep(RETRY_S)
                continue
            host, port = listening.getsockname()[:2]
            scheme = "http" if self._config.tls is None else "https"
            log.info("endpoint_listening", url=f"{scheme}://{host}:{port}/health")
            return listening
