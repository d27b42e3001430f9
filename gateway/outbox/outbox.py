"""Store-and-forward: what the other tasks may ask of the store, which commits in groups.

A commit carries events, the checkpoint rows that go with them, cursors and quarantine: after a crash the disk
shows one moment of the past, never a mixture. A commit that fails is undone as a whole and replayed from memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import aiosqlite

from gateway.config.model import BufferConfig, UplinkSettings
from gateway.events import Envelope, Event, StoredEvent
from gateway.outbox import database
from gateway.outbox.answers import Answers
from gateway.outbox.bounds import Bounds
from gateway.outbox.classes import FIRST
from gateway.outbox.errors import BufferError, BufferLocked, is_damage
from gateway.outbox.gaps import gone_with
from gateway.outbox.identity import Identity, Previous
from gateway.outbox.lock import BufferLock
from gateway.outbox.phase import Phase
from gateway.outbox.quarantine import Entry
from gateway.outbox.room import Room
from gateway.outbox.stats import OutboxStats
from gateway.outbox.store import Committed, Store
from gateway.outbox.transaction import Quarantined
from gateway.outbox.turns import StoreTask

__all__ = ["BufferError", "BufferLocked", "Outbox", "OutboxStats", "Previous"]

T = TypeVar("T")


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
        self.checkpoint = _no_rows
        room = Room(connection, lock.path, Bounds.of(config), self.stats)
        self._store = Store(connection, room, self.stats, lock, identity.stream)
        self._answers = Answers(self._store)
        self._task = StoreTask(self._store, lock, self.stats, self.stream, config, lambda about: self.checkpoint(about))

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
        await self._task.begin()
        return self

    @property
    def heartbeat(self) -> float:
        """Monotonic time of the store task's last turn."""
        return self._task.heartbeat

    @property
    def last_seq(self) -> int:
        """The seq of the last event that is committed."""
        return self._store.last_seq

    def envelope(self, source: str) -> Envelope:
        """What makes CloudEvents of the stored events of the line `source`."""
        return Envelope(source, self.stream, self._former)

    async def load_checkpoint(self) -> dict[str, bytes]:
        """The checkpoint's rows as last committed, by name."""
        if self._task.phase is Phase.OPENED:  # nobody else issues statements yet
            return await self._answers.checkpoint_rows()
        return await self._task.ask(self._answers.checkpoint_rows)

    def append(self, events: Iterable[Event]) -> None:
        """Take events for the next commit; memory only. What JSON cannot carry of one is mended, logged and counted."""
        if self._task.phase is Phase.CLOSED:
            raise BufferError("the buffer is closed")
        if self._store.append(events):
            self._task.touch()

    def follow(self, committed: Committed) -> None:
        """Have a function called with each commit from now on."""
        self._store.follower = committed

    def backlog(self, uplink: str) -> int:
        """Committed events that the uplink has not settled. Raises KeyError for a name without a cursor."""
        return self._store.backlog(uplink)

    async def read(self, uplink: str, limit: int) -> list[StoredEvent]:
        """The next events behind the uplink's cursor, at most `limit`; waits until there is one."""
        return await self._task.ask(
            lambda: self._answers.next_events(uplink, limit), lambda: self._store.backlog(uplink) > 0
        )

    async def recent(
        self, after: int, limit: int, kind: str | None = None, subject: str | None = None
    ) -> list[StoredEvent]:
        """Committed events with a seq above `after`, at most `limit`, whatever the cursors say; prevseq is seq - 1.

        Where a short type or a subject is given, only those among the next 20,000 numbers.
        """
        return await self._task.ask(lambda: self._answers.events_after(after, limit, kind, subject))

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
        await self._task.durable()

    async def quarantined(self, uplink: str | None = None, after: int = FIRST, limit: int = 1000) -> list[Entry]:
        """What is set aside, by uplink and seq; of one uplink behind the seq `after`, or of all."""
        await self._task.durable()
        return await self._task.ask(lambda: self._answers.quarantined(uplink, after, limit))

    async def retry(self, uplink: str, seqs: Sequence[int] | None = None) -> int:
        """Deliver quarantined events once more, or all of them, before what the cursor comes to next; how many wait.

        Their prevseq is the last seq delivered, and the next event's is theirs. Raises KeyError for an unknown uplink.
        """
        await self._task.durable()
        waiting = await self._task.ask(
            lambda: self._answers.retry(uplink, seqs), lambda: self._store.backlog(uplink) >= 0
        )
        self._task.look()
        return waiting

    async def discard(self, uplink: str, seqs: Sequence[int] | None = None) -> int:
        """Throw quarantined events away, or all of them; how many there were."""
        await self._task.durable()
        return await self._task.ask(lambda: self._answers.discard(uplink, seqs))

    async def reconfigure(self, config: BufferConfig, uplinks: Mapping[str, UplinkSettings]) -> None:
        """Go on under another configuration of the same file; nobody may read for an uplink that it changes."""
        await self.flush()
        await self._task.ask(lambda: self._store.reconfigure(Bounds.of(config), uplinks))
        self._task.touch()
        self._task.reconfigure(config)
        gaps, self._store.gaps = self._store.gaps, []
        self.append(gaps)

    async def inspect(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` reads from the file, between two transactions; never None. The store waits for it."""
        return await self._task.ask(lambda: database.call(self._store.connection, work))

    async def flush(self) -> None:
        """Commit everything pending: events, all dirty checkpoint rows, cursors. Waits while the disk is full."""
        await self._task.durable(everything=True)

    async def run(self) -> None:
        """The store task, until `close` or cancellation. Raises what no later attempt can mend."""
        await self._task.run()

    async def close(self, clean: bool = True) -> bool:
        """Commit what is pending, note an orderly stop if `clean`, and give the file back; whether all is on the disk.

        It tries once: what a full disk does not take is said and lost, as by a crash. A disk that hangs holds it for
        ever: who cancels it leaves the file as it is, with the thread that hangs, to the end of the process. A second
        call does nothing.
        """
        return await self._task.close(clean)

    def _moved(self, uplink: str) -> None:
        self._store.pending.cursors.add(uplink)
        self.stats.backlog[uplink] = self.backlog(uplink)
        self._task.touch()
