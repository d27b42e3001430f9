"""The local HTTP endpoint: /livez, /readyz, /health, /metrics and /api/line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.config.model import HealthConfig
from gateway.health.sources import Check, Sources

RETRY_S = 10.0
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
WORST = ("pass", "warn", "fail")

log = structlog.get_logger("health")


class HealthServer:
    """Serves until cancelled; an address in use is said and tried again, since the line matters more than its page."""

    def __init__(self, config: HealthConfig, sources: Sources) -> None:
        self._config = config
        self._sources = sources

    async def run(self) -> None:
        """Listen, and listen again."""
        if self._config.address is None:
            return
        app = web.Application(middlewares=[_only_for_us])
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/api/line", self._line),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await self._listen(runner, *self._config.address)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner, host: str, port: int) -> None:
        said = False
        while True:
            site = web.TCPSite(runner, host, port)
            try:
                await site.start()
            except OSError as error:
                if not said:
                    remedy = "set health.listen to a free port"
                    log.error("endpoint_not_listening", address=f"{host}:{port}", why=error.strerror, remedy=remedy)
                said = True
                await asyncio.sleep(RETRY_S)
                continue
            host, port = runner.addresses[0][:2]
            log.info("endpoint_listening", url=f"http://{host}:{port}/health")
            return

    async def _livez(self, _: web.Request) -> web.Response:
        alive = self._sources.alive()
        return web.Response(
            text="ok\n" if alive else "the store task makes no progress\n", status=200 if alive else 503
        )

    async def _readyz(self, request: web.Request) -> web.Response:
        store = self._sources.checks()[0]
        states = {"stopping": not self._sources.stopping(), "store": store.status != "fail"}
        ready = all(states.values())
        text = "ok\n" if ready else f"not ready: {store.output or 'stopping'}\n"
        if "verbose" in request.query:
            text = "".join(f"[{'+' if good else '-'}] {name}\n" for name, good in states.items()) + text
        return web.Response(text=text, status=200 if ready else 503)

    async def _health(self, _: web.Request) -> web.Response:
        checks = self._sources.checks()
        status = max((check.status for check in checks), key=WORST.index)
        body = {
            "status": status,
            "version": "1",
            "releaseId": self._sources.version,
            "serviceId": self._sources.config.source,
            "description": self._sources.summary(),
            "checks": {check.name: [_shown(check)] for check in checks},
        }
        return _json(body, 503 if status == "fail" else 200, "application/health+json")

    async def _metrics(self, _: web.Request) -> web.Response:
        from gateway.health.metrics import CONTENT_TYPE, exposition  # its library is for those who ask

        return web.Response(body=exposition(self._sources), headers={"Content-Type": CONTENT_TYPE})

    async def _line(self, request: web.Request) -> web.Response:
        return _json(self._sources.line("signals" in request.query))


def _shown(check: Check) -> dict[str, Any]:
    shown: dict[str, Any] = {"status": check.status, "observedValue": dict(check.values)}
    if check.output:
        shown["output"] = check.output
    if check.remedy:
        shown["remedy"] = check.remedy
    return shown


def _json(body: Any, status: int = 200, content_type: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type=content_type)


@web.middleware
async def _only_for_us(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a page that another site makes a browser ask for: the Host must be ours, and so must an Origin."""
    for given in (request.host, request.headers.get("Origin", "").partition("://")[2]):
        name = given.rsplit(":", 1)[0] if given.rpartition(":")[2].isdigit() else given
        if name and name.strip("[]") not in LOOPBACK_NAMES:
            raise web.HTTPForbidden(text="this endpoint answers to its own address only\n")
    if request.method not in ("GET", "HEAD"):
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
    response = await handler(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
