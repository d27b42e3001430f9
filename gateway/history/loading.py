"""Reads the last hours back from the store after a start, the newest first, a little at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from functools import partial
from typing import Any, NamedTuple

import structlog

from gateway.history.history import History
from gateway.outbox.classes import EVENT, GAP, KPI, PRODUCTION
from gateway.outbox.errors import BufferError
from gateway.outbox.outbox import Outbox

SLICE = 1000
SLICE_BYTES = 1_000_000
"""Most rows, and bytes of their data, that are read at once: the store task has more to do."""
TURN_S = 0.002
"""How long events are taken over until others have their turn."""
PAUSE_S = 0.01
"""Between two slices."""
RETRY_S = 5.0

_SLICE = (
    "SELECT seq, stored_at, CAST(type AS BLOB), CAST(subject AS BLOB), time, CAST(data AS BLOB) FROM {table} "
    "WHERE seq < ? ORDER BY seq DESC LIMIT ?"
)


class _Stored(NamedTuple):
    seq: int
    stored_at: int
    type: str
    subject: str
    time: int
    data: bytes


log = structlog.get_logger("history")


async def load(history: History, outbox: Outbox) -> None:
    """Have what was stored before, as far as it is kept."""
    began, events = time.monotonic(), 0
    last_seq = history.last_seq
    oldest: list[int] = []
    reaches_back = False
    for table in (EVENT, KPI, GAP, PRODUCTION):
        before: int | None = last_seq + 1
        while before is not None:
            before, rows = await _slice(outbox, table, before)
            wanted = [row for row in rows if row.stored_at >= history.kept_from]
            await _take(history, wanted)
            events += len(wanted)
            oldest += [row.time for row in rows[-1:]]
            if rows and not wanted:  # one alone may have been stored while the clock was wrong
                reaches_back = True
                break
            await asyncio.sleep(PAUSE_S)
    history.loaded(None if reaches_back else min(oldest, default=history.now()))
    seconds = round(time.monotonic() - began, 3)
    log.info("history_loaded", events=events, unreadable=history.unreadable, bytes=history.size, seconds=seconds)


async def _slice(outbox: Outbox, table: str, before: int) -> tuple[int | None, list[_Stored]]:
    while True:
        try:
            return await outbox.inspect(partial(_newest, table, before))
        except BufferError as error:
            log.warning("history_not_read", why=error.why)
            await asyncio.sleep(RETRY_S)


def _newest(table: str, before: int, db: sqlite3.Connection) -> tuple[int | None, list[_Stored]]:
    """Rows numbered below `before`, the newest first, but for those that are none of ours; where to go on, if at all.

    Text is read as bytes: SQLite would end the statement at the first that is no UTF-8.
    """
    rows: list[_Stored] = []
    lowest, size = None, 0
    for row in db.execute(_SLICE.format(table=table), (before, SLICE)):
        lowest = row[0]
        if (stored := _stored(row)) is not None:
            rows.append(stored)
            size += len(stored.data)
        if size >= SLICE_BYTES:
            break
    return lowest, rows


def _stored(row: tuple[Any, ...]) -> _Stored | None:
    match row:
        case (int(), int(), bytes(kind), bytes(subject), int(), bytes()):
            try:
                return _Stored(row[0], row[1], kind.decode(), subject.decode(), row[4], row[5])
            except UnicodeDecodeError:
                return None
    return None


async def _take(history: History, rows: list[_Stored]) -> None:
    until = time.monotonic() + TURN_S
    for row in rows:
        history.take(row.seq, row.type, row.subject, row.time, row.data)
        if time.monotonic() > until:
            history.tidy()
            await asyncio.sleep(0)
            until = time.monotonic() + TURN_S
