"""A buffer that cannot be used is moved aside, and what can be read of it goes on in a new one, under a new stream.

The new file is complete before the old one is touched: `<buffer>.new` while it is made, `<buffer>.recovered` when it is
whole. Whoever finds the latter finishes what was begun.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson
import structlog

from gateway.checkpoint import ENGINE_ROW
from gateway.events import Envelope, Event, Former
from gateway.outbox.classes import FIRST, TABLES, merged, table_of
from gateway.outbox.encode import encode
from gateway.outbox.errors import BufferError, is_full
from gateway.outbox.gaps import Episode, gap
from gateway.outbox.identity import APPLICATION_ID
from gateway.outbox.migrate import migrate
from gateway.outbox.salvage import EventRow, Salvage, Saved
from gateway.outbox.witness import Witness

KEPT = 2
"""Buffers that stay moved aside; the oldest go."""
MOST_GAPS = 100
"""Stretches of missing events of which each is told; what is behind them is told as one."""
CHUNK = 1000
ASIDE = ".aside-"

log = structlog.get_logger("outbox")


class Hole(NamedTuple):
    """Numbers that are missing, as they are stored here, and when that was (UTC in milliseconds)."""

    first: int
    last: int
    number: int
    began: int
    ended: int


def recover(path: Path, why: str, witness: Witness | None, uplinks: Collection[str]) -> None:
    """Begin a new buffer at `path` with what can be read of the one that is there, if any.

    Raises OSError, or BufferError where the disk has no room for it; then nothing has changed.
    """
    log.warning("buffer_recovering", path=str(path), why=why)
    files = [one for one in (path, _beside(path, "-wal")) if one.exists() and one.stat().st_size]
    salvage = Salvage(path) if files else None
    try:
        if salvage is not None and witness is not None and salvage.saved.stream not in (None, witness.stream):
            witness = None  # of another buffer
        recovery = _Recovery(path, why, salvage, witness, uplinks)
        recovery.build()
    finally:
        if salvage is not None:
            salvage.close()
    finish(path)
    recovery.tell()


def finish(path: Path) -> None:
    """Put a new buffer that is whole into its place, which a recovery may not have come to. Raises OSError."""
    recovered = _beside(path, ".recovered")
    if not recovered.exists():
        return
    set_aside(path, recovered.stat().st_mtime)
    recovered.rename(path)
    sync_directory(path.parent)


def set_aside(path: Path, at: float) -> None:
    """Move a buffer with its write-ahead log aside, under a name with a time. Raises OSError."""
    aside = _beside(path, f"{ASIDE}{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}")
    if not path.exists():
        _beside(path, "-wal").unlink(missing_ok=True)
    for end in ("-wal", ""):  # a log without its file would be taken for the new one's
        if _beside(path, end).exists():
            _beside(path, end).rename(_beside(aside, end))
    _beside(path, "-shm").unlink(missing_ok=True)
    for old in kept_aside(path)[:-KEPT]:
        log.info("aside_removed", path=str(old), why=f"{KEPT} are kept")
        _beside(old, "-wal").unlink(missing_ok=True)
        old.unlink()


def kept_aside(path: Path) -> list[Path]:
    """Buffers that were moved aside and are still there, the oldest first."""
    found = path.parent.glob(f"{path.name}{ASIDE}*")
    return sorted(one for one in found if not one.name.endswith("-wal"))


def sync_directory(directory: Path) -> None:
    """Make names last. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


class _Recovery:
    """The making of one new buffer. Numbers of the old one become `seq - last`, so that its last one is 0."""

    def __init__(
        self, path: Path, why: str, salvage: Salvage | None, witness: Witness | None, uplinks: Collection[str]
    ) -> None:
        self._path, self._why, self._salvage, self._uplinks = path, why, salvage, uplinks
        saved = self._saved = Saved() if salvage is None else salvage.saved
        self._ended = "missing" if salvage is None else "damaged"
        self._new = _beside(path, ".new")
        self._last = saved.last_seq
        if witness is not None:
            self._last = max(self._last, witness.last_seq)
            saved.stream = witness.stream
            for name, (position, delivered) in witness.cursors.items():
                had = saved.cursors.get(name, (FIRST, 0, None))
                if position > had[0]:
                    saved.cursors[name] = (position, delivered, had[2])
            if salvage is None:
                saved.broken.add("checkpoint")
        self._lost_aside: dict[str, int | None] = {}
        """How many are gone of what was set aside for each uplink, as far as that is known."""
        if "quarantine" in saved.broken:
            self._lost_aside = dict.fromkeys(uplinks)
        there = Counter(uplink for uplink, _ in saved.quarantine)
        for uplink, number in witness.quarantined.items() if witness is not None else ():
            if number > there[uplink]:
                self._lost_aside[uplink] = number - there[uplink]
            else:
                self._lost_aside.pop(uplink, None)
        if ENGINE_ROW not in saved.checkpoint:
            saved.checkpoint.clear()  # the others mean nothing without it
        self._lowest = min((base for base, _ in saved.former), default=0)
        """Of numbers up to this one nothing says any more which stream's they were."""
        self._nameless: set[int] = set()
        self._stream = str(uuid.uuid4())
        self._before = saved.stream or str(uuid.uuid4())
        self._has_history = True
        self._counts = dict.fromkeys(("events", "missing"), 0)

    def build(self) -> None:
        """Raises OSError or BufferError."""
        while True:
            try:
                newest = self._attempt()
            except sqlite3.OperationalError as error:
                if not is_full(error):
                    raise
                if not self._has_history:
                    remedy = f"free space on the disk of {self._path.parent}: the damaged buffer is untouched"
                    raise BufferError(f"there is no room to recover the buffer {self._path}", remedy) from None
                self._has_history = False  # what all have is the first to go
                continue
            if newest <= self._last:
                break
            self._last = newest
        with self._new.open("rb") as file:
            os.fsync(file.fileno())
        self._new.rename(_beside(self._path, ".recovered"))
        sync_directory(self._path.parent)

    def tell(self) -> None:
        """Say what became of it."""
        kept = kept_aside(self._path)[-1:] if self._ended == "damaged" else []
        log.error(
            "buffer_recovered",
            why=self._why,
            stream=self._stream,
            before=self._before,
            last_seq=self._last,
            saved=self._counts["events"],
            missing=self._counts["missing"],
            incomplete=sorted(self._saved.broken),
            aside=[str(path) for path in kept],
            remedy="see whether the disk is well; the moved file can be deleted once nobody wants to look into it",
        )

    def _attempt(self) -> int:
        """Make the file anew; the newest number that was met, which is to be `last`."""
        for end in ("", "-journal"):
            _beside(self._new, end).unlink(missing_ok=True)
        with closing(sqlite3.connect(self._new, isolation_level=None)) as db:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = OFF")  # a making that is cut short is begun again
            migrate(db, f"PRAGMA application_id = {APPLICATION_ID};")
            db.execute("BEGIN")
            newest = self._store_events(db)
            if newest <= self._last:
                self._store_rest(db)
                db.execute("COMMIT")
        return newest

    def _store_events(self, db: sqlite3.Connection) -> int:
        newest, floor = 0, FIRST if self._has_history else min(self._positions(), default=self._last)
        rows: Iterable[EventRow] = () if self._salvage is None else self._salvage.events()
        while chunk := list(itertools.islice(rows := iter(rows), CHUNK)):
            newest = max(newest, *(row[0] for row in chunk))
            by_table: dict[str, list[EventRow]] = {}
            for seq, *event in chunk:
                if seq <= self._lowest:
                    self._nameless.add(seq)
                elif seq > floor:
                    by_table.setdefault(table_of(event[1]), []).append((seq - self._last, *event))  # type: ignore[arg-type]
            for table, mine in by_table.items():
                db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?, ?, ?, ?)", mine)
        return newest

    def _positions(self) -> list[int]:
        """How far the uplinks are that the configuration had."""
        return [position for position, _, detached_at in self._saved.cursors.values() if detached_at is None]

    def _store_rest(self, db: sqlite3.Connection) -> None:
        saved, last = self._saved, self._last
        former = [Former(-last, self._before), *(Former(base - last, stream) for base, stream in saved.former)]
        db.executemany("INSERT OR IGNORE INTO former VALUES (?, ?)", former)
        db.executemany("INSERT INTO checkpoint VALUES (?, ?)", saved.checkpoint.items())
        self._nameless |= {seq for _, seq in saved.quarantine if seq <= self._lowest}
        quarantine = [
            (name, seq - last, *rest) for (name, seq), rest in saved.quarantine.items() if self._lowest < seq <= last
        ]
        db.executemany("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", quarantine)
        stored = [next(db.execute(f"SELECT min(seq), count(*) FROM {table}")) for table in TABLES]
        oldest = min((seq for seq, _ in stored if seq is not None), default=1)
        self._counts["events"] = sum(count for _, count in stored)
        cursors = {
            name: (position - last, FIRST if delivered == FIRST else min(delivered, last) - last, detached_at)
            for name, (position, delivered, detached_at) in saved.cursors.items()
            if self._lowest <= position <= last
        }
        if len(cursors) < len(saved.cursors):
            saved.broken.add("cursor")
        if "cursor" in saved.broken:  # rather all of it again than anything never
            for name in self._uplinks:
                cursors.setdefault(name, (oldest - 1, FIRST, None))
        db.executemany("INSERT INTO cursor VALUES (?, ?, ?, ?)", [(name, *row) for name, row in cursors.items()])
        floor = min((row[0] for row in cursors.values() if row[2] is None), default=0)
        floor = max(floor, min(former).base)
        gaps = self._gaps(db, floor, tuple(sorted(former, reverse=True)))
        now_ms = time.time_ns() // 1_000_000
        rows = [(seq, now_ms, *encode(one)[0]) for seq, one in enumerate(gaps, 1)]
        db.executemany("INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.execute(
            "INSERT INTO meta (id, stream, last_seq, clean, created_at, before_stream, before_last_seq, before_ended)"
            " VALUES (1, ?, ?, 0, ?, ?, ?, ?)",
            (self._stream, len(gaps), now_ms, self._before, last, self._ended),
        )

    def _gaps(self, db: sqlite3.Connection, floor: int, former: tuple[Former, ...]) -> list[Event]:
        """What to tell of what is missing behind `floor`, which is how far every uplink is."""
        why = f"the buffer was {self._ended}: {self._why}"
        envelope = Envelope("", self._stream, former)
        gaps = [self._told(account, envelope) for account in self._saved.accounts]
        known = _told_before(db, envelope)
        self._counts["missing"] = 0
        for hole in _few(_holes(db, floor, envelope), envelope):
            base, stream = envelope.numbered(hole.first)
            if (stream, hole.first - base, hole.last - base) in known:
                continue
            self._counts["missing"] += hole.number
            gaps.append(
                gap(
                    "damaged",
                    why,
                    number=hole.number,
                    first=hole.first - base,
                    last=hole.last - base,
                    began=hole.began,
                    ended=hole.ended,
                    stream=stream,
                )
            )
        for uplink, number in self._lost_aside.items():
            words = f"{why}; they were in the quarantine of the uplink {uplink}"
            gaps.append(gap("damaged", words, number=number, class_="quarantine"))
        if self._nameless:
            words = f"{why}; of which stream they were, nothing says any more"
            gaps.append(gap("damaged", words, number=len(self._nameless)))
        if "checkpoint" in self._saved.broken:
            words = f"{why}; of what the engine knew some is lost too: counters may begin anew, open stops end"
            gaps.append(gap("damaged", words, class_="checkpoint"))
        return gaps

    def _told(self, account: Episode, envelope: Envelope) -> Event:
        """What the old buffer had not come to tell."""
        if account.first is None or account.last is None:
            return account.gap()
        first, last = account.first - self._last, account.last - self._last
        base, stream = envelope.numbered(first)
        return gap(
            "dropped",
            account.why,
            number=account.count,
            first=first - base,
            last=last - base,
            class_=account.class_,
            began=account.began,
            ended=account.ended,
            stream=stream,
        )


def _told_before(db: sqlite3.Connection, envelope: Envelope) -> set[tuple[str, int, int]]:
    """Stretches, by stream, first and last number, that a stored gap says to be gone."""
    told = set()
    for seq, data in db.execute("SELECT seq, data FROM gap"):
        match gone := orjson.loads(data):
            case {"from": str(first), "to": str(last)} if first.isdecimal() and last.isdecimal():
                told.add((gone.get("of_stream", envelope.numbered(seq).stream), int(first), int(last)))
    return told


def _holes(db: sqlite3.Connection, floor: int, envelope: Envelope) -> Iterator[Hole]:
    """Stretches of missing numbers, each of one stream, in order."""
    before, time_before = floor, None
    now = time.time_ns() // 1_000_000
    end = (1, now)
    rows = db.execute(merged("seq, time", "seq > :floor AND seq < 1"), {"floor": floor})
    for seq, at in itertools.chain(rows, [end]):
        while seq > before + 1:
            base = envelope.numbered(before + 1).base
            last = min([seq - 1, *(one.base for one in envelope.former if one.base > base), 0])
            began = at if time_before is None else time_before
            yield Hole(before + 1, last, last - before, min(began, at), at)
            before = last
        before, time_before = seq, at


def _few(holes: Iterator[Hole], envelope: Envelope) -> Iterator[Hole]:
    """As they are, while they are few; what comes behind many is one stretch for each stream."""
    yield from itertools.islice(holes, MOST_GAPS)
    for _, rest in itertools.groupby(holes, lambda hole: envelope.numbered(hole.first)):
        first, *others = rest
        last = others[-1] if others else first
        yield Hole(first.first, last.last, sum(hole.number for hole in (first, *others)), first.began, last.ended)
