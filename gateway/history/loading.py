"""Reads the last hours back from the store after a start, the newest first, a little at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from functools import partial
from typing import TypeAlias

import structlog

from gateway.history.history import History
from gateway.outbox.classes import EVENT, GAP, KPI, PRODUCTION
from gateway.outbox.errors import BufferError
from gateway.outbox.outbox import Outbox

SLICE = 400
SLICE_BYTES = 300_000
"""Most rows, and bytes of their data, that are read at once: the store task has more to do."""
TURN_S = 0.002
"""How long events are taken over until others have their turn."""
PAUSE_S = 0.01
"""Between two slices."""
RETRY_S = 5.0

_Stored: TypeAlias = tuple[int, int, str, str, int, bytes]
"""seq, stored_at, type, subject, time and data."""

log = structlog.get_logger("history")


async def load(history: History, outbox: Outbox) -> None:
    """Have what was stored before, as far as it is kept."""
    began, events = time.monotonic(), 0
    last_seq = history.last_seq
    oldest: list[int] = []
    reaches_back = False
    for table in (EVENT, KPI, GAP, PRODUCTION):
        before = last_seq + 1
        while rows := await _slice(outbox, table, before):
            before = rows[-1][0]
            wanted = [row for row in rows if row[1] >= history.kept_from]
            await _take(history, wanted)
            events += len(wanted)
            oldest += [row[4] for row in rows[-1:]]
            if not wanted:  # one alone may have been stored while the clock was wrong
                reaches_back = True
                break
            await asyncio.sleep(PAUSE_S)
    history.loaded(None if reaches_back else min(oldest, default=history.now()))
    log.info("history_loaded", events=events, bytes=history.size, seconds=round(time.monotonic() - began, 3))


async def _slice(outbox: Outbox, table: str, before: int) -> list[_Stored]:
    while True:
        try:
            return await outbox.inspect(partial(_newest, table, before))
        except BufferError as error:
            log.warning("history_not_read", why=error.why)
            await asyncio.sleep(RETRY_S)


def _newest(table: str, before: int, db: sqlite3.Connection) -> list[_Stored]:
    """Rows numbered below `before`, the newest first."""
    sql = f"SELECT seq, stored_at, type, subject, time, data FROM {table} WHERE seq < ? ORDER BY seq DESC LIMIT {SLICE}"
    rows: list[_Stored] = []
    size = 0
    for row in db.execute(sql, (before,)):
        rows.append(row)
        size += len(row[5])
        if size >= SLICE_BYTES:
            break
    return rows


async def _take(history: History, rows: list[_Stored]) -> None:
    until = time.monotonic() + TURN_S
    for seq, _, kind, subject, at, data in rows:
        history.take(seq, kind, subject, at, data)
        if time.monotonic() > until:
            history.tidy()
            await asyncio.sleep(0)
            until = time.monotonic() + TURN_S
