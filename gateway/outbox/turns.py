"""The store task: what is due when, one thing after the other, from its first turn to the last commit."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from gateway.config.model import BufferConfig
from gateway.outbox.errors import BufferError, is_damage
from gateway.outbox.home import Home
from gateway.outbox.lock import BufferLock
from gateway.outbox.phase import Phase
from gateway.outbox.requests import Request
from gateway.outbox.stats import OutboxStats
from gateway.outbox.store import CheckpointSource, Store

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


class StoreTask:
    """Turns of one store: commits, answers, upkeep. Others say what they want, and wait for its turn."""

    def __init__(
        self,
        store: Store,
        lock: BufferLock,
        stats: OutboxStats,
        stream: str,
        config: BufferConfig,
        checkpoint: CheckpointSource,
    ) -> None:
        self.phase = Phase.OPENED
        self.heartbeat = time.monotonic()
        """When its last turn was."""
        self._store, self._lock, self._stats, self._stream = store, lock, stats, stream
        self._checkpoint = checkpoint
        self._home = Home(lock, stats)
        self._interval_s = config.commit_interval / 1000
        self._retain_ms = config.retain
        self._stopping = False
        self._ended = asyncio.Event()
        self._wake = asyncio.Event()
        self._commit_at: float | None = None
        self._everything = False
        self._checkpoint_at = self.heartbeat + CHECKPOINT_S
        self._upkeep_at = self.heartbeat  # at once, or a daemon that is restarted again and again never tidies up
        self._retry_s = self._interval_s
        self._requests: list[Request[Any]] = []

    async def begin(self) -> None:
        """The first commit, before any turn: says that the buffer is in use, and tells what is gone."""
        await self._commit(always=True)
        await self._home.begin(self._store.connection)

    def reconfigure(self, config: BufferConfig) -> None:
        """Commit and keep as this says, from now on."""
        self._interval_s = config.commit_interval / 1000
        self._retain_ms = config.retain

    async def run(self) -> None:
        """See `Outbox.run`."""
        if self._stopping:
            return  # closed before its turn came
        if self.phase is not Phase.OPENED:
            raise RuntimeError(f"the store task cannot run: the buffer is {self.phase.name.lower()}")
        self.phase = Phase.RUNNING
        try:
            while not self._stopping:
                await self._wait()
                await self._turn()
        except asyncio.CancelledError:
            raise  # `close` commits what is left
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                self._lock.note_damage(self._stream, self._store.last_seq, str(error))
                log.error("buffer_damaged", why=str(error), remedy=_RECOVERED)
            self._refuse_all(f"the store has ended: {error}")
            raise
        finally:
            self.phase = Phase.ENDED
            self._ended.set()

    async def close(self, clean: bool) -> bool:
        """See `Outbox.close`."""
        if self._stopping:
            return not self._stats.pending
        self._stopping = True
        if self.phase is Phase.RUNNING:
            self._wake.set()
            await self._ended.wait()
        self.phase = Phase.ENDED
        self._everything = True
        stored = hangs = False
        why = ""
        try:
            stored = await self._commit(clean=clean, always=True)
            why = self._stats.degraded
        except sqlite3.Error as error:
            why = str(error)
        except asyncio.CancelledError:
            hangs, why = True, "the disk does not answer"
            raise
        finally:
            self.phase = Phase.CLOSED
            self._refuse_all("the buffer is closed")
            if not stored:
                self._store.count_pending()
                log.error("last_commit_failed", why=why, events=self._stats.pending)
            if not hangs:
                await self._store.connection.close()
                self._lock.release()
        return stored

    def touch(self) -> None:
        """Something waits for the next commit."""
        if self._commit_at is None:
            self._commit_at = time.monotonic() + self._interval_s
            asyncio.get_running_loop().call_later(self._interval_s, self._wake.set)

    async def durable(self, *, everything: bool = False) -> None:
        """Wait until what is pending is committed, with `everything` all dirty checkpoint rows too."""
        self._refuse_when_ended()
        self._everything |= everything
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store.pending.waiting.append(waiting)
        self._commit_at = time.monotonic()
        self._wake.set()
        await waiting

    async def ask(self, work: Callable[[], Awaitable[T | None]], ready: Callable[[], bool] = lambda: True) -> T:
        """What `work` answers between two transactions, once `ready`. Raises BufferError once the task has ended."""
        self._refuse_when_ended()
        ready()  # a name without a cursor is the caller's mistake, not the store's
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._requests.append(Request(ready, work, future))
        self._wake.set()
        return await future

    def _refuse_when_ended(self) -> None:
        if self.phase in (Phase.ENDED, Phase.CLOSED):
            raise BufferError("the store has ended")

    def _refuse_all(self, why: str) -> None:
        for request in self._requests:
            request.refuse(why)
        self._requests.clear()
        self._store.refuse_waiting(BufferError(why))

    def look(self) -> None:
        """Have the next turn at once: something can be answered now."""
        self._wake.set()

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
        if (fresh := await self._home.look(self._store.connection, self._beat)) is not None:
            self._store.reconnect(fresh)

    def _beat(self) -> None:
        self.heartbeat = time.monotonic()

    async def _commit(self, *, clean: bool = False, always: bool = False) -> bool:
        everything, self._everything, self._commit_at = self._everything, False, None
        done = await self._store.commit(self._checkpoint, everything, clean=clean, always=always)
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
