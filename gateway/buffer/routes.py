"""GET /api/buffer: what the running daemon's buffer holds, and how long an outage it has room for."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.buffer.estimate import estimate
from gateway.buffer.operations import Operations
from gateway.health.answers import json_answer
from gateway.health.sources import Sources
from gateway.outbox.bounds import disk_left
from gateway.outbox.errors import BufferError

COUNTED_FOR_S = 300.0
"""So long a count of the events stored serves: of millions it takes the store task seconds, in small steps."""


def routes(sources: Sources) -> Sequence[Route]:
    """Asked by GET."""
    return [Route("/api/buffer", _Buffer(sources).answer, methods=["GET"])]


class _Buffer:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._counting = asyncio.Lock()
        self._stored = self._counted_to = 0
        self._counted_at = float("-inf")

    async def answer(self, _: Request) -> Response:
        """Sizes in bytes; `hours_left` is null before a rate is known, and `why_not` says so."""
        config = self._sources.config
        operations = Operations(self._sources.outbox, list(self._sources.uplinks), config.source)
        (stats,) = [item async for item in operations.handlers["buffer.stats"]({})]
        kept = ("oldest", "oldest_time", "size_bytes", "free_bytes", "log_bytes", "quarantined", "backlog")
        found: dict[str, Any] = {name: stats[name] for name in kept} | {"max_size": config.buffer.max_size}
        try:
            stored = await self._count(operations)
            free = await self._sources.outbox.inspect(_disk_free)
            fits = estimate(stats, stored, free, config.buffer)
        except BufferError as error:
            return json_answer(found | {"hours_left": None, "why_not": str(error)})
        figures = {"events_per_hour": fits.events_per_hour, "bytes_per_event": fits.bytes_per_event}
        return json_answer(found | {"hours_left": fits.hours, "bound": fits.bound, "stored": stored} | figures)

    async def _count(self, operations: Operations) -> int:
        """Events stored: counted now and then, and those that came since."""
        async with self._counting:
            if time.monotonic() - self._counted_at > COUNTED_FOR_S:
                self._counted_to = self._sources.outbox.last_seq
                stretches = operations.handlers["buffer.classes"]({})
                self._stored = sum([of["events"] async for item in stretches for of in item["classes"].values()])
                self._counted_at = time.monotonic()
        return self._stored + self._sources.outbox.last_seq - self._counted_to


def _disk_free(db: sqlite3.Connection) -> int:
    """What the disk under the buffer's file has left; 0 where it does not say."""
    _, _, path = next(db.execute("PRAGMA database_list"))
    return disk_left(Path(path).parent) or 0
