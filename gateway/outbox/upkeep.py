"""Retention: what every uplink has and is older than `retain` goes, in bounded steps."""

from __future__ import annotations

import aiosqlite

from gateway.outbox.database import fetch

DROP_LIMIT = 1000
"""Most events that one step deletes."""
VACUUM_PAGES = 256
"""Most pages that one step gives back to the file system (1 MB)."""

_DROP = (
    "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <= :settled ORDER BY seq LIMIT :limit)"
    " AND stored_at < :before"
)


async def drop_settled(connection: aiosqlite.Connection, settled: int, before_ms: int) -> int:
    """Delete the oldest events up to seq `settled`, stored before `before_ms`; how many, at most one step's."""
    async with connection.execute(_DROP, {"settled": settled, "before": before_ms, "limit": DROP_LIMIT}) as cursor:
        return cursor.rowcount


async def give_back(connection: aiosqlite.Connection) -> None:
    """Return free pages to the file system, a step at most."""
    await fetch(connection, f"PRAGMA incremental_vacuum({VACUUM_PAGES})")


async def measure(connection: aiosqlite.Connection) -> int:
    """Bytes that the buffer's pages take, without the write-ahead log."""
    ((pages,),) = await fetch(connection, "PRAGMA page_count")
    ((size,),) = await fetch(connection, "PRAGMA page_size")
    return int(pages) * int(size)
