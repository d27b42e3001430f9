"""Store-and-forward: the store task with its group commit, and what the other tasks may ask of it.

A commit carries events, the checkpoint rows that go with them, cursors and quarantine: after a crash the disk
shows one moment of the past, never a mixture. A commit that fails is undone as a whole and replayed from memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
import structlog

from gateway.config.model import BufferConfig, UplinkSettings
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox import database
from gateway.outbox.answers import Answers
from gateway.outbox.bounds import Bounds
from gateway.outbox.classes import FIRST
from gateway.outbox.errors import BufferError, BufferLocked, is_damage
from gateway.outbox.gaps import gone_with
from gateway.outbox.home import Home
from gateway.outbox.identity import Identity, Previous
from gateway.outbox.lock import BufferLock
from gateway.outbox.phase import Phase
from gateway.outbox.quarantine import Entry
from gateway.outbox.requests import Request
from gateway.outbox.room import Room
from gateway.outbox.stats import OutboxStats
from gateway.outbox.store import Committed, Store
from gateway.outbox.transaction import Quarantined

__all__ = ["BufferError", "BufferLocked", "Outbox", "OutboxStats", "Previous"]

T = TypeVar("T")

TURN_S = 1.0
"""The store task turns at least this often, so that the watchdog can follow it."""
CHECKPOINT_S = 5.0
"""All dirty checkpoint rows are stored this often, events or not."""
RETRY_S = 1.0
"""The longest wait between two attempts at a commit that fails."""
UPKEEP_S = 60.0
UPKEEP_STEP_S = 0.05

_RECOVERED = "the daemon ends, and its next start recovers the buffer; see whether the disk is well"

log = structlog.get_logger("outbox")


def _no_rows(_subjects: Collection[str] | None) -> Mapping[str, bytes]:
    return {}


class Outbox:
    """One buffer. Made by `open`; `run` is its store task, everything else asks that task or works in memory."""

    checkpoint: Callable[[Collection[str] | None], Mapping[str, bytes]]
    """Set by app. Given the subjects of a commit's events it returns the dirty rows of those machines, given None all
    dirty rows; a row of b"" deletes. Called on the loop when a commit begins, so that rows and events agree."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        lock: BufferLock,
        config: BufferConfig,
        identity: Identity,
    ) -> None:
        self.stream = identity.stream
        self.previous = identity.previous
        self._former = identity.former
        self.stats = OutboxStats()
        self.heartbeat = time.monotonic()
        self.checkpoint = _no_rows
        self._connection = connection
        self._lock = lock
        room = Room(connection, lock.path, Bounds.of(config), self.stats)
        self._store = Store(connection, room, self.stats, lock, identity.stream)
        self._answers = Answers(self._store)
        self._home = Home(lock, self.stats)
        self._interval_s = config.commit_interval / 1000
        self._retain_ms = config.retain
        self._phase = Phase.OPENED
        self._stopping = False
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._commit_at: float | None = None
        self._everything = False
        self._checkpoint_at = self.heartbeat + CHECKPOINT_S
        self._upkeep_at = self.heartbeat  # at once, or a daemon that is restarted again and again never tidies up
        self._retry_s = self._interval_s
        self._requests: list[Request[Any]] = []

    @classmethod
    async def open(cls, path: Path, config: BufferConfig, uplinks: Mapping[str, UplinkSettings]) -> Outbox:
        """Lock, then create or open the buffer at `path`, with a cursor for each of `uplinks`.

        Raises BufferLocked while another process has it, BufferError where it cannot be used.
        """
        remedy = f"check the disk, and that the daemon's user may write into {path.parent}"
        lock = None
        for was_recovered in (False, True):
            try:
                connection, lock, identity = await database.connect(path, lock, uplinks)
            except (sqlite3.Error, OSError) as error:
                raise BufferError(f"the buffer {path} cannot be opened: {error}", remedy) from error
            try:
                return await cls(connection, lock, config, identity)._begun(identity, uplinks)
            except BaseException as error:
                await connection.close()
                if isinstance(error, sqlite3.Error) and is_damage(error) and not was_recovered:
                    lock.note_damage(identity.stream, identity.last_seq, str(error))  # the check did not come to it
                    continue
                lock.release()
                if isinstance(error, sqlite3.Error):
                    raise BufferError(f"the buffer {path} cannot be opened: {error}", remedy) from error
                raise
        raise AssertionError("unreachable")

    async def _begun(self, identity: Identity, uplinks: Mapping[str, UplinkSettings]) -> Outbox:
        await self._store.restore(identity.last_seq, uplinks)
        self.append(self._store.gaps)
        self.append(gone_with(identity.replaced, uplinks))
        self._store.gaps = []
        await self._commit(always=True)  # says that the buffer is in use, and tells what is gone
        await self._home.begin(self._connection)
        return self

    @property
    def last_seq(self) -> int:
        """The seq of the last event that is committed."""
        return self._store.last_seq

    def envelope(self, source: str) -> Envelope:
        """What makes CloudEvents of the stored events of the line `source`."""
        return Envelope(source, self.stream, self._former)

    async def load_checkpoint(self) -> dict[str, bytes]:
        """The checkpoint's rows as last committed, by name."""
        if self._phase is Phase.OPENED:  # nobody else issues statements yet
            return await self._answers.checkpoint_rows()
        return await self._ask(self._answers.checkpoint_rows)

    def append(self, events: Iterable[Event]) -> None:
        """Take events for the next commit; memory only. What JSON cannot carry of one is mended, logged and counted."""
        if self._phase is Phase.CLOSED:
            raise BufferError("the buffer is closed")
        if self._store.append(events):
            self._touch()

    def follow(self, committed: Committed) -> None:
        """Have a function called with each commit from now on."""
        self._store.follower = committed

    def backlog(self, uplink: str) -> int:
        """Committed events that the uplink has not settled. Raises KeyError for a name without a cursor."""
        return self._store.backlog(uplink)

    async def read(self, uplink: str, limit: int) -> list[StoredEvent]:
        """The next events behind the uplink's cursor, at most `limit`; waits until there is one."""
        return await self._ask(
            lambda: self._answers.next_events(uplink, limit), lambda: self._store.backlog(uplink) > 0
        )

    async def recent(
        self, after: int, limit: int, kind: str | None = None, subject: str | None = None
    ) -> list[StoredEvent]:
        """Committed events with a seq above `after`, at most `limit`, whatever the cursors say; prevseq is seq - 1.

        Where a short type or a subject is given, only those among the next 20,000 numbers.
        """
        return await self._ask(lambda: self._answers.events_after(after, limit, kind, subject))

    def acknowledge(self, uplink: str, event: StoredEvent) -> None:
        """The uplink has delivered all up to `event`, which `read` gave it.

        Durable with the next commit: a crash before it repeats some.
        """
        cursor = self._store.cursors[uplink]
        if event.seq > cursor.position:
            cursor.settle(event.seq, self._store.last_seq)
        elif event.seq in cursor.late:
            cursor.late = [seq for seq in cursor.late if seq > event.seq]
        elif event.seq in cursor.retries:
            done = [seq for seq in cursor.retries if seq <= event.seq]
            cursor.retries = cursor.retries[len(done) :]
            self._store.pending.released += [(uplink, seq) for seq in done]
        else:
            return
        cursor.delivered = event.seq
        self._moved(uplink)

    async def quarantine(self, uplink: str, event: StoredEvent, why: str) -> None:
        """Set one event aside: the uplink's cursor passes it, its next event keeps the prevseq. Durable on return."""
        cursor = self._store.cursors[uplink]
        again = event.seq in cursor.retries
        if again:
            cursor.retries.remove(event.seq)
        elif event.seq > cursor.position:
            cursor.settle(event.seq, self._store.last_seq)
        else:
            return
        self._store.pending.quarantined.append(Quarantined(uplink, event, why, again))
        self._moved(uplink)
        await self._durable()

    async def quarantined(self, uplink: str | None = None, after: int = FIRST, limit: int = 1000) -> list[Entry]:
        """What is set aside, by uplink and seq; of one uplink behind the seq `after`, or of all."""
        await self._durable()
        return await self._ask(lambda: self._answers.quarantined(uplink, after, limit))

    async def retry(self, uplink: str, seqs: Sequence[int] | None = None) -> int:
        """Deliver quarantined events once more, or all of them, before what the cursor comes to next; how many wait.

        Their prevseq is the last seq delivered, and the next event's is theirs. Raises KeyError for an unknown uplink.
        """
        await self._durable()
        waiting = await self._ask(lambda: self._answers.retry(uplink, seqs), lambda: self._store.backlog(uplink) >= 0)
        self._wake.set()
        return waiting

    async def discard(self, uplink: str, seqs: Sequence[int] | None = None) -> int:
        """Throw quarantined events away, or all of them; how many there were."""
        await self._durable()
        return await self._ask(lambda: self._answers.discard(uplink, seqs))

    async def reconfigure(self, config: BufferConfig, uplinks: Mapping[str, UplinkSettings]) -> None:
        """Go on under another configuration of the same file; nobody may read for an uplink that it changes."""
        await self.flush()
        await self._ask(lambda: self._store.reconfigure(Bounds.of(config), uplinks))
        self._touch()
        self._interval_s = config.commit_interval / 1000
        self._retain_ms = config.retain
        gaps, self._store.gaps = self._store.gaps, []
        self.append(gaps)

    async def inspect(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` reads from the file, between two transactions; never None. The store waits for it."""
        return await self._ask(lambda: database.call(self._connection, work))

    async def flush(self) -> None:
        """Commit everything pending: events, all dirty checkpoint rows, cursors. Waits while the disk is full."""
        self._everything = True
        await self._durable()

    async def run(self) -> None:
        """The store task, until `close` or cancellation. Raises what no later attempt can mend."""
        if self._stopping:
            return  # closed before its turn came
        if self._phase is not Phase.OPENED:
            raise RuntimeError(f"the store task cannot run: the buffer is {self._phase.name.lower()}")
        self._phase = Phase.RUNNING
        try:
            while not self._stopping:
                await self._wait()
                await self._turn()
        except asyncio.CancelledError:
            raise  # `close` commits what is left
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                self._lock.note_damage(self.stream, self.last_seq, str(error))
                log.error("buffer_damaged", why=str(error), remedy=_RECOVERED)
            self._refuse_all(f"the store has ended: {error}")
            raise
        finally:
            self._phase = Phase.ENDED
            self._ended.set()

    async def close(self, clean: bool = True) -> bool:
        """Commit what is pending, note an orderly stop if `clean`, and give the file back; whether all is on the disk.

        It tries once: what a full disk does not take is said and lost, as by a crash. A disk that hangs holds it for
        ever: who cancels it leaves the file as it is, with the thread that hangs, to the end of the process. A second
        call does nothing.
        """
        if self._stopping:
            return not self.stats.pending
        self._stopping = True
        if self._phase is Phase.RUNNING:
            self._wake.set()
            await self._ended.wait()
        self._phase = Phase.ENDED
        self._everything = True
        stored = hangs = False
        why = ""
        try:
            stored = await self._commit(clean=clean, always=True)
            why = self.stats.degraded
        except sqlite3.Error as error:
            why = str(error)
        except asyncio.CancelledError:
            hangs, why = True, "the disk does not answer"
            raise
        finally:
            self._phase = Phase.CLOSED
            self._refuse_all("the buffer is closed")
            if not stored:
                self._store.count_pending()
                log.error("last_commit_failed", why=why, events=self.stats.pending)
            if not hangs:
                await self._connection.close()
                self._lock.release()
        return stored

    def _touch(self) -> None:
        if self._commit_at is None:
            self._commit_at = time.monotonic() + self._interval_s
            asyncio.get_running_loop().call_later(self._interval_s, self._wake.set)

    def _moved(self, uplink: str) -> None:
        self._store.pending.cursors.add(uplink)
        self.stats.backlog[uplink] = self.backlog(uplink)
        self._touch()

    async def _durable(self) -> None:
        self._refuse_when_ended()
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store.pending.waiting.append(waiting)
        self._commit_at = time.monotonic()
        self._wake.set()
        await waiting

    async def _ask(self, work: Callable[[], Awaitable[T | None]], ready: Callable[[], bool] = lambda: True) -> T:
        self._refuse_when_ended()
        ready()  # a name without a cursor is the caller's mistake, not the store's
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._requests.append(Request(ready, work, future))
        self._wake.set()
        return await future

    def _refuse_when_ended(self) -> None:
        if self._phase in (Phase.ENDED, Phase.CLOSED):
            raise BufferError("the store has ended")

    def _refuse_all(self, why: str) -> None:
        for request in self._requests:
            request.refuse(why)
        self._requests.clear()
        self._store.refuse_waiting(BufferError(why))

    async def _wait(self) -> None:
        now = time.monotonic()
        until = min(now + TURN_S, self._checkpoint_at, self._upkeep_at, self._commit_at or now + TURN_S)
        alarm = asyncio.get_running_loop().call_later(max(0.0, until - now), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()
        self._wake.clear()

    async def _turn(self) -> None:
        self.heartbeat = now = time.monotonic()
        if now >= self._checkpoint_at:
            self._checkpoint_at = now + CHECKPOINT_S
            self._everything = True
            self._commit_at = self._commit_at or now
        if self._commit_at is not None and now >= self._commit_at:
            await self._commit()
        if self._store.is_settled:
            await self._stay_at_home()
            await self._serve()
            if now >= self._upkeep_at:
                again = await self._store.keep_up(self._retain_ms)
                self._upkeep_at = time.monotonic() + (UPKEEP_STEP_S if again else UPKEEP_S)
        self.heartbeat = time.monotonic()

    async def _stay_at_home(self) -> None:
        if (fresh := await self._home.look(self._connection, self._beat)) is not None:
            self._connection = fresh
            self._store.reconnect(fresh)

    def _beat(self) -> None:
        self.heartbeat = time.monotonic()

    async def _commit(self, *, clean: bool = False, always: bool = False) -> bool:
        everything, self._everything, self._commit_at = self._everything, False, None
        done = await self._store.commit(self.checkpoint, everything, clean=clean, always=always)
        if done:
            self._retry_s = self._interval_s
        else:
            self._everything |= everything
            now = time.monotonic()
            if self._commit_at is None or self._commit_at > now:  # else somebody asked meanwhile, and gets an attempt
                self._commit_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, max(RETRY_S, self._interval_s))
        return done

    async def _serve(self) -> None:
        for request in [request for request in self._requests if request.future.done() or request.ready()]:
            if request.future.done() or await request.answer():
                self._requests.remove(request)
            else:
                self._wake.set()  # it looks on where it stopped, after what else is due
