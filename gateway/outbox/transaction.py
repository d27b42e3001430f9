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
from gateway.outbox.encode import EventRow, encode
from gateway.outbox.gaps import Episode

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
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Uplinks by the name that they have now and that they had before."""
    told: list[Episode] = field(default_factory=list)
    """What the last of the events tell: gaps that are made for this one attempt."""
    size: int = 0
    """Bytes of the events, about."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.events or self.rows or self.cursors or self.quarantined or self.released or self.renamed)

    def add(self, row: EventRow) -> None:
        """One more event."""
        self.events.append(row)
        self.size += row.size

    def replace(self, events: list[EventRow]) -> None:
        """Only these are left."""
        self.events = events
        self.size = sum(row.size for row in events)

    def tell(self, episodes: list[Episode]) -> None:
        """Add the gaps of these."""
        self.told = episodes
        for episode in episodes:
            self.add(encode(episode.gap())[0])

    def untell(self) -> list[Episode]:
        """Take them back, for another attempt may tell more."""
        told, self.told = self.told, []
        self.replace(self.events[: len(self.events) - len(told)])
        return told

    def before(self, later: Batch) -> Batch:
        """This batch, which did not get through, in front of what came since."""
        return Batch(
            events=self.events + later.events,
            rows=self.rows | later.rows,
            cursors=self.cursors | later.cursors,
            quarantined=self.quarantined + later.quarantined,
            released=self.released + later.released,
            waiting=self.waiting + later.waiting,
            renamed=self.renamed + later.renamed,
            size=self.size + later.size,
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
    if batch.renamed:
        before = [(name,) for _, name in batch.renamed]
        await connection.executemany("DELETE FROM cursor WHERE uplink = ?", before)
        await connection.executemany("UPDATE quarantine SET uplink = ? WHERE uplink = ?", batch.renamed)
    if moved:
        await connection.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)", moved)
    if refused:
        await connection.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", refused)
    if batch.released:
        await connection.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", batch.released)
    if batch.told:
        keys = [episode.key for episode in batch.told]
        await connection.executemany("DELETE FROM episode WHERE class = ? AND why = ?", keys)
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
