"""An HTTP server that takes batches of events, on aiohttp: it keeps what came, and answers as a test tells it."""

from __future__ import annotations

import asyncio
import gzip
import io
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import orjson
import zstandard
from aiohttp import web

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "gzip": gzip.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read(),
}


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    """As it came, compressed or not."""
    events: list[dict[str, Any]]

    @property
    def seqs(self) -> list[int]:
        return [int(event["seq"]) for event in self.events]


Answer = Callable[[Post], Awaitable[web.StreamResponse]]


async def take(_: Post) -> web.StreamResponse:
    return web.Response(status=202)


def say(status: int, text: str = "", **headers: str) -> Answer:
    """Always the same answer."""

    async def answer(_: Post) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return answer


class Collector:
    """Listens on a loopback port."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.taken: list[dict[str, Any]] = []
        """Events of the requests that were answered with 2xx."""
        self.answer: Answer = take
        self.connections = 0
        self.port = 0
        self._runner: web.ServerRunner | None = None

    async def start(self, context: ssl.SSLContext | None = None, port: int = 0, **options: Any) -> None:
        server = web.Server(self._serve, auto_decompress=False, **options)
        made = server.connection_made

        def count(*arguments: Any) -> None:
            self.connections += 1
            made(*arguments)

        server.connection_made = count  # type: ignore[method-assign, assignment]
        self._runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        plain = DECODERS[request.headers.get("Content-Encoding", "")](body)
        events = orjson.loads(plain) if "json" in request.headers["Content-Type"] else msgpack.unpackb(plain)
        post = Post(request.path_qs, dict(request.headers), body, events)
        self.posts.append(post)
        answer = await self.answer(post)
        if 200 <= answer.status < 300:
            self.taken += events
        return answer

    async def until(self, what: Callable[[], Any], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():  # noqa: ASYNC110 - several things may make it true
                await asyncio.sleep(0.005)
