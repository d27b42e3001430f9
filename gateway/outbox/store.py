"""The statements of the store task that change what is stored: commits that are whole or undone, retention.

Nothing here may run beside itself: one caller at a time, which is `Outbox.run`, or `open` before and `close` after it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import aiosqlite
import structlog

from gateway.config.model import UplinkSettings
from gateway.events import Event
from gateway.outbox import cursors, database, transaction, upkeep
from gateway.outbox.bounds import Bounds
from gateway.outbox.classes import FIRST
from gateway.outbox.cursors import Cursor
from gateway.outbox.database import call, fetch
from gateway.outbox.encode import EventRow, encode
from gateway.outbox.errors import BufferError, is_passing
from gateway.outbox.gaps import gap
from gateway.outbox.lock import BufferLock
from gateway.outbox.room import Room
from gateway.outbox.stats import OutboxStats
from gateway.outbox.transaction import Batch
from gateway.outbox.witness import Witness

CheckpointSource = Callable[[Collection[str] | None], Mapping[str, bytes]]
Committed = Callable[[int, Sequence[EventRow]], None]
"""Given the number of a commit's first event, and its events, which are durable since now; must not raise."""

HANGS_S = 1.0
"""After this long a commit that is under way is taken for one that a disk holds up."""
log = structlog.get_logger("outbox")


class Store:
    """What is on disk, what waits for it (`pending`), and the way from one to the other."""

    def __init__(
        self, connection: aiosqlite.Connection, room: Room, stats: OutboxStats, lock: BufferLock, stream: str
    ) -> None:
        self.last_seq = 0
        self.pending = Batch()
        self.cursors: dict[str, Cursor] = {}
        self.listed: tuple[str, ...] = ()
        self.follower: Committed | None = None
        """Told of a commit before anybody who waits for it goes on."""
        self.gaps: list[Event] = []
        """What the opening found to be gone; told with the first commit."""
        self.connection = connection
        self.room = room
        self._stats = stats
        self._lock = lock
        self._stream = stream
        self._oldest = 1
        self._in_doubt: Batch | None = None
        """A batch whose transaction began, and of which it is not known yet how it ended."""
        self._began = 0.0
        """Monotonic time at which that was."""

    async def restore(self, last_seq: int, uplinks: Mapping[str, UplinkSettings]) -> None:
        """Take over what the file holds, with a cursor for each uplink; the new ones wait for the first commit."""
        self.last_seq = last_seq
        self._oldest = await database.oldest_seq(self.connection, last_seq)
        now_called = await self._adopt(uplinks)
        for name, seq in await fetch(
            self.connection, "SELECT uplink, seq FROM quarantine WHERE retry = 1 ORDER BY seq"
        ):
            if (cursor := self.cursors.get(now_called.get(name, name))) is not None:
                cursor.retries.append(seq)
        await self.room.restore()
        self._share(now_called)
        self.count_backlogs()
        self._stats.size_bytes = await call(self.connection, upkeep.measure)

    async def _adopt(self, uplinks: Mapping[str, UplinkSettings]) -> dict[str, str]:
        """Have the cursors of these; by their names before, what those that have others now are called."""
        before = {name: self.cursors[name] for name in self.listed}
        self.listed = tuple(uplinks)
        now_ms = time.time_ns() // 1_000_000
        found, back, renamed, changed = await call(
            self.connection, lambda db: cursors.adopt(db, uplinks, self.last_seq, self._oldest, now_ms)
        )
        now_called = {old: name for name, old in renamed}
        # no await from here until they are in force: what is delivered meanwhile is noted in the cursors that stay
        kept = _keep(before, found, self.listed, now_called)
        self.cursors = found
        self.pending.renamed += renamed
        self.pending.cursors = (self.pending.cursors | changed) & self.cursors.keys()
        for name in back:
            await self._back(name)
        for name in self.listed:
            if name not in kept:
                await cursors.count(self.connection, self.cursors[name], self.last_seq)
        return now_called

    async def reconfigure(self, bounds: Bounds, uplinks: Mapping[str, UplinkSettings]) -> bool:
        """Have a cursor for each of these; one that stays the same goes on as it is, whatever it is delivering."""
        now_called = await self._adopt(uplinks)
        self.room.rebound(bounds)
        self._share(now_called)
        self.count_backlogs()
        return True

    def reconnect(self, connection: aiosqlite.Connection) -> None:
        """Go on with another connection to the same buffer."""
        self.connection = connection
        self.room.reconnect(connection)

    def _share(self, now_called: Mapping[str, str]) -> None:
        self.room.follow({name: self.cursors[name] for name in self.listed}, now_called)

    @property
    def is_settled(self) -> bool:
        """Whether the last transaction is known to be committed or undone: only then may anything be read."""
        return self._in_doubt is None

    def backlog(self, uplink: str) -> int:
        """Stored events that the uplink wants and has not settled. Raises KeyError for a name without a cursor."""
        cursor = self.cursors[uplink]
        return cursor.waiting + len(cursor.retries)

    def append(self, events: Iterable[Event]) -> bool:
        """Take events for the next commit, while nothing can be stored as many as memory may hold; whether any came."""
        before = len(self.pending.events)
        add = self.pending.add
        for event in events:
            row, mended = encode(event)
            if mended:
                self._stats.events_mended += 1
                log.warning("event_mended", type=event.type, subject=event.subject, why=mended)
            add(row)
        came = len(self.pending.events) > before
        hangs = self._in_doubt is not None and time.monotonic() - self._began > HANGS_S
        if self._stats.degraded or hangs:
            self.room.trim(self.pending, self._in_doubt.size if self._in_doubt else 0)
        self.count_pending()
        return came

    def count_pending(self) -> None:
        """Note how many events wait in memory."""
        doubtful = len(self._in_doubt.events) if self._in_doubt else 0
        self._stats.pending = len(self.pending.events) + doubtful

    async def commit(
        self, checkpoint: CheckpointSource, everything: bool, *, clean: bool = False, always: bool = False
    ) -> bool:
        """Write what is pending in one transaction; False where an error that can pass undid it.

        `everything` takes all dirty checkpoint rows, else those of the events' subjects; `always` writes even if
        nothing is dirty. Any other error is raised, and what was pending still is.
        """
        self._began = time.monotonic()
        try:
            await self._settle()
            batch = self._take(checkpoint, everything)
            fits = not self.room.is_calm(batch)
            if fits:
                await self._make_room(batch)
            if not batch.is_empty or always:
                if not await self._write(batch, clean, everything, fits):
                    await self._make_room(batch)
                    await self._write(batch, clean, everything, True)
                self._stats.commits += 1
                self._stats.commit_ms = (time.monotonic() - self._began) * 1000
            self._committed(batch)
        except sqlite3.OperationalError as error:
            if not is_passing(error):
                raise
            self._stats.commit_failures += 1
            if not self._stats.degraded:
                log.error("storing_fails", why=str(error), events=self._stats.pending)
            self._stats.degraded = str(error)
            with contextlib.suppress(sqlite3.OperationalError):  # else the next commit begins with it
                await self._settle()
            return False
        return True

    async def _make_room(self, batch: Batch) -> None:
        if not batch.is_empty:
            await self.room.make(batch)
        await self.room.tell(batch)

    async def _write(self, batch: Batch, clean: bool, everything: bool, fits: bool) -> bool:
        """Write in one turn of the connection's thread; False where nothing was, because room has to be made first.

        `fits` says that it has been. What the thread needs of the cursors is as of now, for they go on meanwhile.
        """
        moved = [self.cursors[name].row(name) for name in sorted(batch.cursors)]
        positions = {name: (cursor.position, cursor.delivered) for name, cursor in self.cursors.items()}
        refused = self.room.refused_after(batch)
        now_ms = time.time_ns() // 1_000_000

        def write(db: sqlite3.Connection) -> bool:
            if not fits and not self.room.fits(db, batch):
                return False
            transaction.write(db, batch, moved, self.last_seq, now_ms, clean)
            last_seq = self.last_seq + len(batch.events)
            self._lock.note(Witness(self._stream, last_seq, positions, quarantined=refused))
            if everything:  # every few seconds is often enough
                self._stats.size_bytes = upkeep.measure(db)
            return True

        return await call(self.connection, write)

    def _take(self, checkpoint: CheckpointSource, everything: bool) -> Batch:
        subjects = {row.subject for row in self.pending.events}
        if everything or subjects:
            self.pending.rows.update(checkpoint(None if everything else subjects))
        batch, self.pending = self.pending, Batch()
        self._in_doubt = batch
        return batch

    def _committed(self, batch: Batch) -> None:
        self._in_doubt = None
        self.last_seq += len(batch.events)
        self._stats.events_stored += len(batch.events)
        self._stats.quarantined += sum(not item.again for item in batch.quarantined) - len(batch.released)
        self.room.told(batch)
        self.count_pending()
        if batch.events:
            self._count_along(batch)
            if self.follower is not None:
                self.follower(self.last_seq - len(batch.events) + 1, batch.events)
        if self._stats.degraded:
            log.info("storing_works_again", stored=len(batch.events), failures=self._stats.commit_failures)
            self._stats.degraded = ""
        for waiting in batch.waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def _settle(self) -> None:
        """Find out how a transaction ended that was cut short by an error or a cancellation.

        After SQLITE_FULL SQLite has undone it already; a cancelled COMMIT may have worked. The file knows.
        """
        batch = self._in_doubt
        if batch is None:
            return
        with contextlib.suppress(sqlite3.OperationalError):
            await fetch(self.connection, "SELECT 1")  # a statement that was left to itself ends before this one
        if self.connection.in_transaction:
            await self.connection.execute("ROLLBACK")
        ((last_seq,),) = await fetch(self.connection, "SELECT last_seq FROM meta")
        if batch.events and last_seq == self.last_seq + len(batch.events):
            self._committed(batch)
            return
        await self.room.untold(batch)
        self.pending = batch.before(self.pending)
        self._in_doubt = None
        self.room.trim(self.pending, 0)
        self.count_pending()

    def refuse_waiting(self, error: BufferError) -> None:
        """Let those fail who wait for a commit that nobody will make."""
        for batch in (self._in_doubt, self.pending):
            while batch and batch.waiting:
                waiting = batch.waiting.pop()
                if not waiting.done():
                    waiting.set_exception(error)

    async def keep_up(self, retain_ms: int) -> bool:
        """One step of retention; whether there may be more to do at once. A full disk puts it off."""
        try:
            return await self._drop_settled(retain_ms)
        except sqlite3.OperationalError as error:
            if not is_passing(error):
                raise
            log.debug("retention_put_off", why=str(error))
            return False

    async def _drop_settled(self, retain_ms: int) -> bool:
        stored = await cursors.load(self.connection)  # after a crash an uplink goes on from there
        known = (stored[name].position if name in stored else FIRST for name in self.listed)
        settled = min(known, default=self.last_seq)
        now_ms = time.time_ns() // 1_000_000
        dropped = await call(self.connection, lambda db: upkeep.drop_settled(db, settled, now_ms, retain_ms))
        await self._forget(stored, now_ms - retain_ms)
        if dropped:
            self._stats.events_dropped += dropped
            self._oldest = await database.oldest_seq(self.connection, self.last_seq)
        again = await self.room.give_back()
        self._stats.size_bytes = await call(self.connection, upkeep.measure)
        return again or dropped == upkeep.DROP_LIMIT

    async def _forget(self, stored: Mapping[str, Cursor], before_ms: int) -> None:
        """Cursors that the configuration has not named for long go, and what was quarantined for them."""
        for name, cursor in stored.items():
            if cursor.detached_at is not None and cursor.detached_at < before_ms:
                await call(self.connection, partial(cursors.forget, uplink=name))
                self.cursors.pop(name, None)
                log.info("uplink_forgotten", uplink=name, why="it was not in the configuration for `retain`")

    async def _back(self, name: str) -> None:
        """Say what an uplink missed that was away, and is not stored any more."""
        found = await cursors.missing(self.connection, self.cursors[name].position, self.last_seq)
        if found is not None:
            first, last, number = found
            why = f"the uplink {name} was not in the configuration, and they were not kept for it"
            self.gaps.append(gap("dropped", why, first=first, last=last, number=number))

    def _count_along(self, batch: Batch) -> None:
        """What a commit stored waits for those who want it."""
        for name in self.listed:
            cursor = self.cursors[name]
            passes = cursor.filter.passes
            if cursor.filter.takes_all:
                cursor.waiting += len(batch.events)
            else:
                cursor.waiting += sum(passes(row.type, row.subject) for row in batch.events)
            if not cursor.waiting:
                cursor.skip(self.last_seq)
                self.pending.cursors.add(name)
        self.count_backlogs()

    def count_backlogs(self) -> None:
        """Note how many events each uplink has before it."""
        for name in self.listed:
            self._stats.backlog[name] = self.backlog(name)


def _keep(
    before: Mapping[str, Cursor], found: dict[str, Cursor], listed: Collection[str], now_called: Mapping[str, str]
) -> set[str]:
    """Put the cursors of before in the place of those found, where they want the same; the names of these."""
    kept = set()
    for old, cursor in before.items():
        name = now_called.get(old, old)
        if name in listed and cursor.filter.is_like(found[name].filter):
            found[name] = cursor
            kept.add(name)
        found[name].retries = cursor.retries
    return kept
