"""What one commit carries, and the statements that write it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiosqlite

from gateway.events import StoredEvent
from gateway.outbox.classes import table_of
from gateway.outbox.cursors import Cursor
from gateway.outbox.database import call
from gateway.outbox.encode import EventRow

Row: TypeAlias = tuple[int, str, str, int, bytes]
"""seq, type, subject, time and data of an event."""


@dataclass(slots=True)
class Quarantined:
    """An event that an uplink's other side refused for good."""

    uplink: str
    event: StoredEvent
    why: str
    again: bool = False
    """Whether it was there before, and came back from a retry."""

    def row(self, now_ms: int) -> tuple[Any, ...]:
        """The columns of `quarantine`, but for `retry`."""
        event = self.event
        return (self.uplink, event.seq, self.why, now_ms, event.type, event.subject, event.time, event.data)


@dataclass(slots=True)
class Batch:
    """What waits for the next commit, or is in the one that is under way.

    `rows` are the engine's checkpoint rows (an empty body deletes), `cursors` the names of uplinks whose cursor
    moved, `released` what leaves quarantine by uplink and seq, `waiting` those who want to know when it is durable.
    """

    events: list[EventRow] = field(default_factory=list)
    rows: dict[str, bytes] = field(default_factory=dict)
    cursors: set[str] = field(default_factory=set)
    quarantined: list[Quarantined] = field(default_factory=list)
    released: list[tuple[str, int]] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.events or self.rows or self.cursors or self.quarantined or self.released)

    def before(self, later: Batch) -> Batch:
        """This batch, which did not get through, in front of what came since."""
        return Batch(
            events=self.events + later.events,
            rows=self.rows | later.rows,
            cursors=self.cursors | later.cursors,
            quarantined=self.quarantined + later.quarantined,
            released=self.released + later.released,
            waiting=self.waiting + later.waiting,
        )


async def write(
    connection: aiosqlite.Connection,
    batch: Batch,
    cursors: dict[str, Cursor],
    last_seq: int,
    now_ms: int,
    clean: bool,
    committed: Callable[[Mapping[str, tuple[int, int]]], None],
) -> None:
    """One transaction: events numbered from `last_seq` + 1, checkpoint rows, cursors, quarantine. Durable on return.

    `committed` is called in the connection's thread, with how far each uplink is on the disk.
    """
    positions = {name: (cursor.position, cursor.delivered) for name, cursor in cursors.items()}
    moved = [(name, *_row(cursors[name])) for name in sorted(batch.cursors)]
    events: dict[str, list[tuple[Any, ...]]] = {}
    for seq, row in enumerate(batch.events, last_seq + 1):
        events.setdefault(table_of(row.type), []).append((seq, now_ms, *row))
    kept = [(name, body) for name, body in batch.rows.items() if body]
    gone = [(name,) for name, body in batch.rows.items() if not body]
    refused = [item.row(now_ms) for item in batch.quarantined]
    await connection.execute("BEGIN IMMEDIATE")
    for table, rows in events.items():
        await connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", rows)
    if kept:
        await connection.executemany("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", kept)
    if gone:
        await connection.executemany("DELETE FROM checkpoint WHERE name = ?", gone)
    if moved:
        await connection.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)", moved)
    if refused:
        await connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", refused)
    if batch.released:
        await connection.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", batch.released)
    await connection.execute("UPDATE meta SET last_seq = ?, clean = ?", (last_seq + len(batch.events), int(clean)))
    if any(row.type == "gateway.started" for row in batch.events):  # it names the buffer before this one, once
        await connection.execute("UPDATE meta SET before_stream = NULL, before_last_seq = NULL, before_ended = NULL")

    def commit(db: sqlite3.Connection) -> None:
        db.execute("COMMIT")
        committed(positions)

    await call(connection, commit)


def chain(rows: list[Row], before: int) -> list[StoredEvent]:
    """Rows of `event` as one uplink is to deliver them, the first after seq `before`."""
    events = []
    for seq, type_, subject, time, data in rows:
        events.append(StoredEvent(seq, before, type_, subject, time, bytes(data)))
        before = seq
    return events


def _row(cursor: Cursor) -> tuple[int, int, int | None]:
    return cursor.position, cursor.delivered, cursor.detached_at
