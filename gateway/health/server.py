"""The local HTTP endpoint: /livez, /readyz, /health, /metrics, /api/line and /api/events."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import orjson
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.health.guard import Guard
from gateway.health.sources import Sources
from protocols.dial import load_own, server_context
from protocols.driver import ConfigError
from protocols.worker import in_daemon_thread

RETRY_S = 10.0
RENEW_S = 3600
"""How often the certificate's files are read again: they are replaced before they expire, and nobody restarts us."""
MOST_EVENTS = 1000
BACKLOG = 64

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
        paths = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/health": self._health,
            "/metrics": self._metrics,
            "/api/line": self._line,
            "/api/events": self._events,
        }
        routes = [Route(path, answer, methods=["GET"]) for path, answer in paths.items()]
        server = _Server(
            uvicorn.Config(
                Starlette(routes=routes, middleware=[Middleware(Guard, token=token, local=self._config.is_local)]),
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

    async def _livez(self, _: Request) -> Response:
        alive = self._sources.alive()
        return PlainTextResponse("ok\n" if alive else "the store task makes no progress\n", 200 if alive else 503)

    async def _readyz(self, request: Request) -> Response:
        store = self._sources.checks()[0]
        states = {"stopping": not self._sources.stopping(), "store": store.status != "fail"}
        ready = all(states.values())
        text = "ok\n" if ready else f"not ready: {store.output or 'stopping'}\n"
        if "verbose" in request.query_params:
            text = "".join(f"[{'+' if good else '-'}] {name}\n" for name, good in states.items()) + text
        return PlainTextResponse(text, 200 if ready else 503)

    async def _health(self, _: Request) -> Response:
        report = self._sources.report()
        return _json(report, 503 if report["status"] == "fail" else 200, "application/health+json")

    async def _metrics(self, _: Request) -> Response:
        from gateway.health.metrics import CONTENT_TYPE, exposition  # its library is for those who ask

        return Response(exposition(self._sources), headers={"Content-Type": CONTENT_TYPE})

    async def _events(self, request: Request) -> Response:
        """Stored events behind `after`, at most `limit`; of one `type` and `subject` those among the next 20,000."""
        asked = request.query_params
        try:
            after, limit = int(asked.get("after", "0")), int(asked.get("limit", "100"))
        except ValueError:
            return PlainTextResponse("after and limit are whole numbers\n", 400)
        if not (0 <= after < 2**63 and 1 <= limit <= MOST_EVENTS):
            return PlainTextResponse(f"after is at least 0, and limit 1 to {MOST_EVENTS}\n", 400)
        return Response(
            await self._sources.events(after, limit, asked.get("type"), asked.get("subject")),
            media_type="application/json",
        )

    async def _line(self, request: Request) -> Response:
        return _json(self._sources.line("signals" in request.query_params))


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


def _json(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    return Response(orjson.dumps(body), status, media_type=content_type)
