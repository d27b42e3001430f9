"""What can be read of a damaged buffer, row by row, and only what has the form of a row of ours."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from gateway.checkpoint import is_row
from gateway.events import Former
from gateway.outbox.classes import TABLES
from gateway.outbox.encode import LAST_TIME
from gateway.outbox.gaps import Episode
from gateway.outbox.migrate import migrate
from gateway.outbox.pages import Pages, Row, Value

EventRow: TypeAlias = tuple[int, int, str, str, int, bytes]
"""seq, stored_at, type, subject, time and data."""

LAST_SEQ = 2**53
"""A number beyond was never given: a thousand events a millisecond take 285 years to it."""
_STREAM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class Saved:
    """Everything but events, as the damaged buffer had it."""

    stream: str | None = None
    last_seq: int = 0
    former: list[Former] = field(default_factory=list)
    cursors: dict[str, tuple[int, int, int | None]] = field(default_factory=dict)
    """Position, delivered and detached_at by uplink."""
    checkpoint: dict[str, bytes] = field(default_factory=dict)
    quarantine: dict[tuple[str, int], tuple[Any, ...]] = field(default_factory=dict)
    """By uplink and seq; the values are the other columns."""
    accounts: list[Episode] = field(default_factory=list)
    """Of events that were dropped, and of which no gap has told yet."""
    broken: set[str] = field(default_factory=set)
    """Tables of which some may be missing."""


class Salvage:
    """Reads one file with its write-ahead log; writes nothing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._pages = Pages(path)
        self._roots = self._find_roots()
        self.saved = Saved()
        for table, take in (
            ("meta", self._meta),
            ("former", self._former),
            ("cursor", self._cursor),
            ("checkpoint", self._checkpoint),
            ("quarantine", self._quarantine),
            ("episode", self._account),
        ):
            self._read(table, take)

    def close(self) -> None:
        """Close the files."""
        self._pages.close()

    def events(self) -> Iterator[EventRow]:
        """All events that can be read, in no order; some twice.

        Where a tree is broken, the leaves are looked for that hang on nothing any more. Among them can be old copies
        of pages, but an event is never changed, so that an old copy is as good.
        """
        met: set[int] = set()
        broken = False
        for table in TABLES:
            if (root := self._roots.get(table)) is not None:
                tree = self._pages.tree(root)
                for row in tree:
                    if (event := _event(row)) is not None:
                        yield event
                    else:
                        broken = True
                met |= tree.seen
                broken = broken or not tree.is_whole
        for number in range(2, self._pages.count + 1) if broken else ():
            if number not in met:
                yield from filter(None, map(_event, self._pages.rows(number)))

    def _find_roots(self) -> dict[str, int]:
        """Where the tables begin: as the file says, or as it must be where the file cannot say it."""
        schema = self._pages.tree(1)
        roots = {
            name: page
            for name, page in (row.values[1:4:2] for row in schema if len(row.values) == 5)
            if isinstance(name, str) and isinstance(page, int)
        }
        return roots if schema.is_whole and roots else {**_usual_roots(), **roots}

    def _read(self, table: str, take: Callable[[Row], bool]) -> None:
        if table not in self._roots:
            if table in _FIRST_TABLES:
                self.saved.broken.add(table)
            return
        tree = self._pages.tree(self._roots[table])
        for row in tree:
            if not take(row):
                self.saved.broken.add(table)
        if not tree.is_whole:
            self.saved.broken.add(table)

    def _meta(self, row: Row) -> bool:
        match row.values:
            case (_, str(stream), int(last_seq), *_) if _STREAM.fullmatch(stream) and 0 <= last_seq <= LAST_SEQ:
                self.saved.stream, self.saved.last_seq = stream, last_seq
                return True
        return False

    def _former(self, row: Row) -> bool:
        match row.values:
            case (_, str(stream)) if row.key is not None and -LAST_SEQ <= row.key <= 0 and _STREAM.fullmatch(stream):
                self.saved.former.append(Former(row.key, stream))
                return True
        return False

    def _cursor(self, row: Row) -> bool:
        match row.values:
            case (str(uplink), int(position), int(delivered), *detached) if detached in ([], [None]):
                self.saved.cursors[uplink] = (position, delivered, None)
            case (str(uplink), int(position), int(delivered), int(detached_at)):
                self.saved.cursors[uplink] = (position, delivered, detached_at)
            case _:
                return False
        return True

    def _checkpoint(self, row: Row) -> bool:
        match row.values:
            case (str(name), bytes(body)) if is_row(body):
                self.saved.checkpoint[name] = body
                return True
        return False

    def _quarantine(self, row: Row) -> bool:
        match row.values:
            case (str(uplink), int(seq), str(why), int(at), *event) if len(event) in (4, 5):
                if abs(seq) <= LAST_SEQ and _is_event(0, *event[:4]):
                    retry = 1 if event[4:] == [1] else 0
                    self.saved.quarantine[uplink, seq] = (why, at, *event[:4], retry)
                    return True
        return False

    def _account(self, row: Row) -> bool:
        match row.values:
            case (str(class_), str(why), "dropped", _, first, last, int(count), int(began), int(ended)):
                first, last = (seq if isinstance(seq, int) else None for seq in (first, last))
                self.saved.accounts.append(Episode(class_, why, count, first, last, began, ended))
                return True
        return False


def check_numbers(db: sqlite3.Connection) -> str:
    """What a buffer says of itself that cannot be, "" where all of it can; a look at each tree's ends alone."""
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if missing := sorted(_usual_roots().keys() - there):
        return f"its table {missing[0]} is not there any more"
    for stream, last_seq in db.execute("SELECT stream, last_seq FROM meta"):
        if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
            return "it does not say any more which stream it is"
        if not isinstance(last_seq, int) or not 0 <= last_seq <= LAST_SEQ:
            return f"its last event cannot be {last_seq}"
        ((lowest,),) = db.execute("SELECT coalesce(min(base), 0) FROM former")
        for table in TABLES:
            ends = f"SELECT (SELECT min(seq) FROM {table}), (SELECT max(seq) FROM {table})"
            for seq in db.execute(ends).fetchone():
                if seq is not None and not lowest < seq <= last_seq:
                    return f"it has an event {seq}, and its events are those from {lowest + 1} to {last_seq}"
        wrong = db.execute(
            "SELECT uplink FROM cursor WHERE typeof(position) <> 'integer' OR typeof(delivered) <> 'integer'"
            " OR position > ?1 OR delivered > ?1",
            (last_seq,),
        ).fetchone()
        if wrong is not None:
            return f"the place of the uplink {wrong[0]} cannot be"
    return ""


def check_rows(db: sqlite3.Connection) -> str:
    """What a buffer holds in sound pages that is no row of ours, "" where all of it is; the newest events first."""
    for name, body in db.execute("SELECT name, body FROM checkpoint"):
        if not isinstance(body, bytes) or not is_row(body):
            return f"the checkpoint's row {name} cannot be read"
    for table in reversed(TABLES):
        rows = db.execute(f"SELECT seq, stored_at, type, subject, time, data FROM {table} ORDER BY seq DESC")
        for seq, *event in rows:
            if not _is_event(*event):
                return f"the event {seq} cannot be read"
    return ""


def _event(row: Row) -> EventRow | None:
    if row.key is None or abs(row.key) > LAST_SEQ or len(row.values) != 6 or row.values[0] is not None:
        return None
    if not _is_event(*row.values[1:]):
        return None
    _, stored_at, type_, subject, time, data = row.values
    return (row.key, stored_at, type_, subject, time, data)  # type: ignore[return-value]


def _is_event(*columns: Value) -> bool:
    match columns:
        case (int(), str(type_), str(), int(time), bytes(data)) if 0 <= time <= LAST_TIME:
            return type_.isprintable() and _is_object(data)
    return False


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


_FIRST_TABLES = frozenset({"meta", "cursor", "checkpoint", "quarantine"})
"""Tables that every version has."""


@cache
def _usual_roots() -> dict[str, int]:
    """Where the tables of a buffer begin whose schema cannot be read."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(db)
        return dict(db.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))
