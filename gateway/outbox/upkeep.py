"""Retention: what every uplink has and is older than `retain` goes, in bounded steps."""

from __future__ import annotations

import aiosqlite

from gateway.outbox.database import fetch

DROP_LIMIT = 1000
"""Most events that one step deletes."""
VACUUM_PAGES = 256
"""Most pages that one step gives back to the file system (1 MB)."""

_OLDEST = "(SELECT seq, stored_at FROM event WHERE seq <= :settled ORDER BY seq LIMIT :limit)"
_DROP = (
    f"DELETE FROM event WHERE seq IN (SELECT seq FROM {_OLDEST})"
    f" AND seq < coalesce((SELECT min(seq) FROM {_OLDEST} WHERE stored_at >= :before), :settled + 1)"
)
"""Never one behind an event that stays, though it is older by a clock that was set: what is kept has no holes."""

_STAMP = "SELECT seq, stored_at FROM event WHERE seq >= ? ORDER BY seq LIMIT 1"
_ALWAYS = 1 << 62


async def drop_settled(connection: aiosqlite.Connection, settled: int, now_ms: int, retain_ms: int) -> int:
    """Delete the oldest events up to seq `settled`, stored longer ago than `retain_ms`; how many, at most one step's.

    A stamp in the future says nothing, for a clock was wrong, then or now: such events go with the first one behind
    them that has a stamp of the past, and so is younger than they are.
    """
    before_ms = now_ms - retain_ms
    oldest = await _stamp(connection, 0)
    if oldest is None or oldest[0] > settled:
        return 0
    if oldest[1] > now_ms:
        witness = await _first_of_the_past(connection, oldest[0], settled, now_ms)
        if witness is None or witness[1] >= before_ms:
            return 0
        settled, before_ms = witness[0], _ALWAYS
    async with connection.execute(_DROP, {"settled": settled, "before": before_ms, "limit": DROP_LIMIT}) as cursor:
        return cursor.rowcount


async def _first_of_the_past(
    connection: aiosqlite.Connection, low: int, high: int, now_ms: int
) -> tuple[int, int] | None:
    """Seq and stamp of the event after a run of future stamps that begins at `low`, by bisection; None without one."""
    found = await _stamp(connection, high)
    if found is None or found[1] > now_ms:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        stamp = await _stamp(connection, middle)
        if stamp is not None and stamp[1] > now_ms:
            low = middle
        else:
            high, found = middle, stamp
    return found


async def _stamp(connection: aiosqlite.Connection, seq: int) -> tuple[int, int] | None:
    """Seq and stamp of the event `seq`, or of the next one that is stored."""
    rows = await fetch(connection, _STAMP, (seq,))
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


async def give_back(connection: aiosqlite.Connection) -> bool:
    """Return free pages to the file system, a step at most; whether more of them are free."""
    free = await _free_pages(connection)
    if free:
        # a script, because `execute` steps once, and each step of this statement gives back one page only
        await connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    return free > VACUUM_PAGES


async def _free_pages(connection: aiosqlite.Connection) -> int:
    ((free,),) = await fetch(connection, "PRAGMA freelist_count")
    return int(free)


async def measure(connection: aiosqlite.Connection) -> int:
    """Bytes that the buffer's pages take, without the write-ahead log."""
    ((pages,),) = await fetch(connection, "PRAGMA page_count")
    ((size,),) = await fetch(connection, "PRAGMA page_size")
    return int(pages) * int(size)
