"""What one commit carries, and the statements that write it."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.events import StoredEvent
from gateway.outbox.bounds import PER_EVENT
from gateway.outbox.classes import table_of
from gateway.outbox.encode import OBJECTS, EventRow, encode
from gateway.outbox.gaps import Episode

Row: TypeAlias = tuple[int, str, str, int, bytes]
"""seq, type, subject, time and data of an event."""

_made = tuple.__new__


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
        self.size += len(row.data) + OBJECTS

    def replace(self, events: list[EventRow]) -> None:
        """Only these are left."""
        self.events = events
        self.size = sum(row.size for row in events)

    @property
    def stored_bytes(self) -> int:
        """Bytes that its rows take on the disk, about."""
        events = self.size - len(self.events) * (OBJECTS - PER_EVENT)
        refused = sum(len(item.event.data) + PER_EVENT for item in self.quarantined)
        return events + refused + sum(len(body) + PER_EVENT for body in self.rows.values())

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


def write(
    db: sqlite3.Connection, batch: Batch, moved: Sequence[tuple[Any, ...]], last_seq: int, now_ms: int, clean: bool
) -> None:
    """One transaction: events numbered from `last_seq` + 1, checkpoint rows, cursors, quarantine. Durable on return.

    What an error leaves of it is the caller's to undo.
    """
    types = {row.type for row in batch.events}
    tables = {type_: table_of(type_) for type_ in types}
    events: dict[str, list[tuple[Any, ...]]] = {table: [] for table in tables.values()}
    for seq, row in enumerate(batch.events, last_seq + 1):
        events[tables[row.type]].append((seq, now_ms, *row))
    db.execute("BEGIN IMMEDIATE")
    for table, rows in events.items():
        db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)", rows)
    for name, body in batch.rows.items():
        if body:
            db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (name, body))
        else:
            db.execute("DELETE FROM checkpoint WHERE name = ?", (name,))
    for renamed in batch.renamed:
        db.execute("DELETE FROM cursor WHERE uplink = ?", renamed[1:])
        db.execute("UPDATE quarantine SET uplink = ? WHERE uplink = ?", renamed)
    db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)", moved)
    refused = [item.row(now_ms) for item in batch.quarantined]
    db.executemany("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", refused)
    db.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", batch.released)
    db.executemany("DELETE FROM episode WHERE class = ? AND why = ?", [episode.key for episode in batch.told])
    db.execute("UPDATE meta SET last_seq = ?, clean = ?", (last_seq + len(batch.events), int(clean)))
    if "gateway.started" in types:  # it names the buffer before this one, once
        db.execute("UPDATE meta SET before_stream = NULL, before_last_seq = NULL, before_ended = NULL")
    db.execute("COMMIT")


def chain(rows: Iterable[Row], before: int, most_bytes: float = math.inf) -> list[StoredEvent]:
    """Rows of events as one uplink is to deliver them, the first after seq `before`, until they have so many bytes."""
    events = []
    for seq, type_, subject, time, data in rows:
        events.append(_made(StoredEvent, (seq, before, type_, subject, time, data)))
        before = seq
        most_bytes -= len(data)
        if most_bytes <= 0:
            break
    return events
