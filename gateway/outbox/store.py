"""The statements of the store task: commits that are whole or undone, reads, retention.

Nothing here may run beside itself: one caller at a time, which is `Outbox.run`, or `open` before and `close` after it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping

import aiosqlite
import structlog

from gateway.config.model import UplinkSettings
from gateway.events import StoredEvent
from gateway.outbox import database, transaction, upkeep
from gateway.outbox.database import Cursor, fetch
from gateway.outbox.errors import BufferError, is_passing
from gateway.outbox.stats import OutboxStats
from gateway.outbox.transaction import Batch

CheckpointSource = Callable[[Collection[str] | None], Mapping[str, bytes]]

SEARCHED = 20_000
"""Numbers that one search looks at: the store task has more to do."""
_SEARCH = (
    "SELECT seq, type, subject, time, data FROM event WHERE seq > ? AND seq <= ? "
    "AND (? IS NULL OR type = ?) AND (? IS NULL OR subject = ?) ORDER BY seq LIMIT ?"
)
_SELECT = "SELECT seq, type, subject, time, data FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"

log = structlog.get_logger("outbox")


class Store:
    """What is on disk, what waits for it (`pending`), and the way from one to the other."""

    def __init__(self, connection: aiosqlite.Connection, stats: OutboxStats) -> None:
        self.last_seq = 0
        self.pending = Batch()
        self.cursors: dict[str, Cursor] = {}
        self.listed: tuple[str, ...] = ()
        self._connection = connection
        self._stats = stats
        self._oldest = 1
        self._in_doubt: Batch | None = None
        """A batch whose transaction began, and of which it is not known yet how it ended."""

    async def restore(self, last_seq: int, uplinks: Mapping[str, UplinkSettings]) -> None:
        """Take over what the file holds, with a cursor for each uplink; the new ones wait for the first commit."""
        self.last_seq = last_seq
        self._oldest = await database.oldest_seq(self._connection) or last_seq + 1
        self.cursors = await database.load_cursors(self._connection)
        self.listed = tuple(uplinks)
        for name, settings in uplinks.items():
            if name not in self.cursors:
                position = last_seq if settings.from_ == "now" else self._oldest - 1
                self.cursors[name] = Cursor(position=position, delivered=0)
                self.pending.cursors.add(name)
        self._count_backlogs()
        ((self._stats.quarantined,),) = await fetch(self._connection, "SELECT count(*) FROM quarantine")
        self._stats.size_bytes = await upkeep.measure(self._connection)

    @property
    def is_settled(self) -> bool:
        """Whether the last transaction is known to be committed or undone: only then may anything be read."""
        return self._in_doubt is None

    def backlog(self, uplink: str) -> int:
        """Committed events that the uplink has not settled. Raises KeyError for a name without a cursor."""
        return max(0, self.last_seq - max(self.cursors[uplink].position, self._oldest - 1))

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
        began = time.monotonic()
        try:
            await self._settle()
            batch = self._take(checkpoint, everything)
            if not batch.is_empty or always:
                now_ms = time.time_ns() // 1_000_000
                await transaction.write(self._connection, batch, self.cursors, self.last_seq, now_ms, clean)
                self._stats.commits += 1
                self._stats.commit_ms = (time.monotonic() - began) * 1000
                if everything:  # every few seconds is often enough
                    self._stats.size_bytes = await upkeep.measure(self._connection)
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
        self._stats.quarantined += len(batch.quarantined)
        self.count_pending()
        if batch.events:
            self._count_backlogs()
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
            await fetch(self._connection, "SELECT 1")  # a statement that was left to itself ends before this one
        if self._connection.in_transaction:
            await self._connection.execute("ROLLBACK")
        ((last_seq,),) = await fetch(self._connection, "SELECT last_seq FROM meta")
        if batch.events and last_seq == self.last_seq + len(batch.events):
            self._committed(batch)
            return
        self.pending = batch.before(self.pending)
        self._in_doubt = None
        self.count_pending()

    def refuse_waiting(self, error: BufferError) -> None:
        """Let those fail who wait for a commit that nobody will make."""
        for batch in (self._in_doubt, self.pending):
            while batch and batch.waiting:
                waiting = batch.waiting.pop()
                if not waiting.done():
                    waiting.set_exception(error)

    async def next_events(self, uplink: str, limit: int) -> list[StoredEvent]:
        """The events behind the uplink's cursor, with the uplink's own prevseq."""
        cursor = self.cursors[uplink]
        rows = await fetch(self._connection, _SELECT, (cursor.position, self.last_seq, limit))
        return transaction.chain(rows, cursor.delivered)

    async def events_after(
        self, after: int, limit: int, kind: str | None = None, subject: str | None = None
    ) -> list[StoredEvent]:
        """Committed events whatever the cursors say, of one type or subject where given; prevseq is seq - 1.

        Among those of one type or subject it looks at the next SEARCHED numbers alone.
        """
        last = self.last_seq if kind is None and subject is None else min(self.last_seq, after + SEARCHED)
        rows = await fetch(self._connection, _SEARCH, (after, last, kind, kind, subject, subject, limit))
        return [StoredEvent(seq, seq - 1, type_, subject, at, data) for seq, type_, subject, at, data in rows]

    async def checkpoint_rows(self) -> dict[str, bytes]:
        """The checkpoint as committed."""
        return dict(await fetch(self._connection, "SELECT name, body FROM checkpoint"))

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
        stored = await database.load_cursors(self._connection)  # after a crash an uplink goes on from there
        settled = min((stored[name].position for name in self.listed), default=self.last_seq)
        now_ms = time.time_ns() // 1_000_000
        dropped = await upkeep.drop_settled(self._connection, settled, now_ms, retain_ms)
        if dropped:
            self._stats.events_dropped += dropped
            self._oldest = await database.oldest_seq(self._connection) or self.last_seq + 1
        is_free = await upkeep.give_back(self._connection)
        self._stats.size_bytes = await upkeep.measure(self._connection)
        return is_free or dropped == upkeep.DROP_LIMIT

    def _count_backlogs(self) -> None:
        for name in self.listed:
            self._stats.backlog[name] = self.backlog(name)
