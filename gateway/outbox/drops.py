"""What goes when there is no more room, and the statements that let it go, a bounded step at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from gateway.outbox.bounds import PER_EVENT, UNSTORED
from gateway.outbox.classes import CLASSES, TABLES, table_of
from gateway.outbox.database import atomic
from gateway.outbox.encode import EventRow
from gateway.outbox.gaps import Episode, Key, add
from gateway.outbox.gaps import write as write_account

Row: TypeAlias = tuple[Any, ...]

STEP = 1000
"""Most events that one step deletes."""
_SIZE = f"length(data) + {PER_EVENT}"


class Doomed(NamedTuple):
    """An event that is to go; `time` is UTC in milliseconds."""

    seq: int
    type: str
    subject: str
    time: int


def drop_settled(db: sqlite3.Connection, settled: Mapping[str, int], need_bytes: int) -> int:
    """Delete the oldest events, up to what is settled of each table, until so many bytes are free; how many."""
    arms = " UNION ALL ".join(
        f"SELECT seq, {_SIZE} AS size FROM {name} WHERE seq <= {settled[name]}" for name in TABLES
    )
    chosen = _until(need_bytes, db.execute(f"{arms} ORDER BY seq LIMIT {STEP}"), lambda row: row[1])
    if not chosen:
        return 0
    last = chosen[-1][0]
    with atomic(db):
        return sum(
            db.execute(f"DELETE FROM {name} WHERE seq <= ?", (min(last, settled[name]),)).rowcount for name in TABLES
        )


def oldest(db: sqlite3.Connection, need_bytes: int) -> tuple[str, list[Doomed]] | None:
    """Whose turn it is, and the oldest of that table that have so many bytes; None where only gaps are left."""
    for table in CLASSES:
        rows = db.execute(f"SELECT seq, type, subject, time, {_SIZE} FROM {table} ORDER BY seq LIMIT {STEP}")
        if chosen := _until(need_bytes, rows, lambda row: row[4]):
            return table, [Doomed(*row[:4]) for row in chosen]
    return None


def drop(db: sqlite3.Connection, table: str, upto: int, accounts: Iterable[Episode]) -> None:
    """Delete a table's events up to a number, with the account of those that somebody wanted."""
    with atomic(db):
        db.execute(f"DELETE FROM {table} WHERE seq <= ?", (upto,))
        for account in accounts:
            write_account(db, account)


def first_refused(db: sqlite3.Connection, uplink: str, need_bytes: int) -> list[Doomed]:
    """The oldest of an uplink's quarantine that together have so many bytes."""
    columns = f"seq, type, subject, time, {_SIZE}"
    rows = db.execute(f"SELECT {columns} FROM quarantine WHERE uplink = ? ORDER BY seq LIMIT {STEP}", (uplink,))
    return [Doomed(*row[:4]) for row in _until(need_bytes, rows, lambda row: row[4])]


def drop_refused(db: sqlite3.Connection, uplink: str, seqs: Sequence[int], accounts: Iterable[Episode]) -> None:
    """Delete these of an uplink's quarantine, with their accounts."""
    with atomic(db):
        db.executemany("DELETE FROM quarantine WHERE uplink = ? AND seq = ?", [(uplink, seq) for seq in seqs])
        for account in accounts:
            write_account(db, account)


def trim(events: list[EventRow], excess_bytes: int, accounts: dict[Key, Episode]) -> list[EventRow]:
    """Of events that wait in memory what is left when as many bytes have gone, in the order in which all goes."""
    gone: set[int] = set()
    for table, class_ in CLASSES.items():
        for place, row in enumerate(events):
            if excess_bytes <= 0:
                break
            if table_of(row.type) == table:
                gone.add(place)
                excess_bytes -= row.size
                add(accounts, Episode(class_, UNSTORED, 1, None, None, row.time, row.time))
    return [row for place, row in enumerate(events) if place not in gone]


def account(class_: str, why: str, gone: Sequence[Doomed]) -> Episode:
    """What is to be told of one or more of a class. Numbers of former streams would say nothing to a receiver."""
    seqs = [one.seq for one in gone if one.seq > 0]
    times = [one.time for one in gone]
    return Episode(class_, why, len(gone), min(seqs, default=None), max(seqs, default=None), min(times), max(times))


def _until(need: int, rows: Iterable[Row], size: Callable[[Row], int]) -> list[Row]:
    chosen = []
    for row in rows:
        if need <= 0:
            break
        chosen.append(row)
        need -= size(row)
    return chosen
