"""Retention: what every uplink has and is older than `retain` goes, in bounded steps."""

from __future__ import annotations

import math
import sqlite3

from gateway.outbox.classes import FIRST, TABLES, merged
from gateway.outbox.database import atomic

DROP_LIMIT = 1000
"""Most events that one step deletes."""

_OLDEST = merged("seq, stored_at", "seq <= :settled") + " LIMIT :limit"
_STAMP = merged("seq, stored_at", "seq >= ?1") + " LIMIT 1"


def drop_settled(db: sqlite3.Connection, settled: int, now_ms: int, retain_ms: int) -> int:
    """Delete the oldest events up to seq `settled`, stored longer ago than `retain_ms`; how many, at most one step's.

    A stamp in the future says nothing, for a clock was wrong, then or now: such events go with the first one behind
    them that has a stamp of the past, and so is younger than they are. No event goes before one that stays, though it
    is older by a clock that was set: what is kept has no holes.
    """
    before_ms: float = now_ms - retain_ms
    oldest = _stamp(db, FIRST)
    if oldest is None or oldest[0] > settled:
        return 0
    if oldest[1] > now_ms:
        witness = _first_of_the_past(db, oldest[0], settled, now_ms)
        if witness is None or witness[1] >= before_ms:
            return 0
        settled, before_ms = witness[0], math.inf
    upto = None
    for seq, stored_at in db.execute(_OLDEST, {"settled": settled, "limit": DROP_LIMIT}):
        if stored_at >= before_ms:
            break
        upto = seq
    return 0 if upto is None else drop_upto(db, upto)


def drop_upto(db: sqlite3.Connection, seq: int) -> int:
    """Delete all events up to a number; how many they were."""
    with atomic(db):
        return sum(db.execute(f"DELETE FROM {table} WHERE seq <= ?", (seq,)).rowcount for table in TABLES)


def _first_of_the_past(db: sqlite3.Connection, low: int, high: int, now_ms: int) -> tuple[int, int] | None:
    """Seq and stamp of the event after a run of future stamps that begins at `low`, by bisection; None without one."""
    found = _stamp(db, high)
    if found is None or found[1] > now_ms:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        stamp = _stamp(db, middle)
        if stamp is not None and stamp[1] > now_ms:
            low = middle
        else:
            high, found = middle, stamp
    return found


def _stamp(db: sqlite3.Connection, seq: int) -> tuple[int, int] | None:
    """Seq and stamp of the event `seq`, or of the next one that is stored."""
    found: tuple[int, int] | None = db.execute(_STAMP, (seq,)).fetchone()
    return found


def measure(db: sqlite3.Connection) -> int:
    """Bytes that the buffer's pages take, without the write-ahead log."""
    ((pages,),) = db.execute("PRAGMA page_count")
    ((size,),) = db.execute("PRAGMA page_size")
    return int(pages) * int(size)
