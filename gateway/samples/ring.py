"""The ring of recent samples: fed on the loop, packed and written in one thread, read in another.

On the loop it costs a look at all tables a second, and a few ten nanoseconds a change that is handed over. Each half
minute goes to the thread as one piece. Whatever the disk does, a scan never waits for it and no event depends on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ext.samples import Sampler
from gateway.clock import EngineClock
from gateway.config.model import BufferConfig
from gateway.inputs import ClockStep, Input
from gateway.samples.curves import TooMuch, Wanted, answer
from gateway.samples.files import Files, Kept
from gateway.samples.segment import Live, Names, Piece, Segment
from protocols.model import Batch
from protocols.worker import DaemonWorker

if TYPE_CHECKING:
    from ext.samples import Log
    from ext.table import SignalTable

PIECE_MS = 30_000
"""What is noticed goes to the disk after so long; the system writes it within about as long again."""
MOST_LOGS = 2
"""Pieces that wait for the thread; beyond, the one that is filled waits, and then samples are left out."""
MOST_WAITING = 16_000_000
"""Bytes of packed pieces that wait for the disk; beyond, the oldest go."""
MOST_ASKING = 8
"""Requests that are answered one after another; beyond, they are refused."""
ANSWER_S = 8.0
HANGS_S = 2.0
"""How much longer, until it is the disk that does not answer."""

REMEDY = "free space, or see whether the disk is well; samples are kept again by themselves"
log = structlog.get_logger("samples")


class Busy(Exception):
    """A request is not answered: others wait, it takes too long, or the disk does not answer."""


class Samples:
    """What all signals were, as far back as there is room. Only the loop's thread calls it."""

    def __init__(
        self, directory: Path, buffer: BufferConfig, clock: EngineClock, tables: Mapping[str, SignalTable]
    ) -> None:
        """`directory` belongs to this ring alone; `tables` by device have every signal as it is."""
        self._clock, self._offset = clock, clock.utc_offset
        self._store = _Store(Files(directory, buffer.samples, buffer.min_free_disk))
        self._writing, self._reading = DaemonWorker("samples"), DaemonWorker("samples-read")
        self._asking = 0
        self._closed = False
        self._said = ""
        self._dropped = 0
        """Changes that were left out, but for the present sampler's."""
        self._sampler: Sampler | None = None
        self._names = Names(())
        self._piece_ends = 0
        self._begin(tables)

    @property
    def is_on(self) -> bool:
        """Whether there is any room for samples."""
        return self._store.files.max_size > 0

    @property
    def trouble(self) -> str:
        """Why samples are not kept; "" while they are."""
        return self._store.failed or ("the disk does not keep up" if len(self._store.logs) >= MOST_LOGS else "")

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(one.size for one in self._store.files.kept)

    @property
    def oldest(self) -> int | None:
        """From when on there are samples on the disk, UTC ms."""
        return min((one.began for one in self._store.files.kept if one.ended), default=None)

    @property
    def lost(self) -> int:
        """Changes that found no room."""
        return self._dropped + (self._sampler.dropped if self._sampler else 0) + self._store.lost

    async def start(self) -> None:
        """Start the threads; what is on the disk is looked through meanwhile."""
        await self._writing.call(lambda: None)
        await self._reading.call(lambda: None)
        self._writing.post(self._store.open)

    async def run(self) -> None:
        """Look at the tables until cancelled."""
        while True:
            await asyncio.sleep(1.0 if self._sampler is None else self._sampler.period_ms / 1000)
            self.look()

    def record(self, given: Input) -> None:
        """Take what an input of the engine brings. Never raises."""
        sampler = self._sampler
        if sampler is None:
            return
        if type(given) is Batch:
            if given.changes:
                sampler.feed(given.device, given.changes, given.at + self._offset)
                if sampler.is_full:
                    self._turn(given.at)
        elif type(given) is ClockStep:
            self._turn(given.at, given.utc_offset)

    def look(self) -> None:
        """Notice what is otherwise than at the last look, and pass on what is old enough."""
        sampler = self._sampler
        if sampler is not None:
            now = self._clock.now()
            sampler.sample(now + self._offset)
            if now >= self._piece_ends or sampler.is_full:
                self._turn(now)
        self._say()

    def show(self, tables: Mapping[str, SignalTable], buffer: BufferConfig) -> None:
        """Another configuration is in force."""
        before = self._end()
        self._store.files.max_size, self._store.files.min_free = buffer.samples, buffer.min_free_disk
        if not self.is_on:
            self._writing.post(self._store.open)
        self._begin(tables, before)

    def became(self, device: str, number: int) -> int | None:
        """When a signal became what it is (UTC ms, as of a look); None where that is not known."""
        return None if self._sampler is None else self._sampler.became(device, number)

    async def close(self) -> None:
        """Write what was noticed; waits for the disk."""
        self._closed = True
        self._end()
        await self._writing.call(lambda: None)
        self._writing.stop()
        self._reading.stop()
        self._say()

    async def ask(self, wanted: Wanted) -> tuple[bytes, set[str]]:
        """See `curves.answer`. Raises Busy."""
        if self._asking >= MOST_ASKING:
            raise Busy("others are asking for samples")
        if self._closed:
            raise Busy("the daemon is stopping")
        files, later = self._store.state()
        if (sampler := self._sampler) is not None:
            sampler.sample(self._clock.now() + self._offset)
            later.append(Live(self._names, sampler.log, sampler.log.began, sampler.log.ended))
        self._asking += 1
        timed = replace(wanted, deadline=time.monotonic() + ANSWER_S)
        try:
            async with asyncio.timeout(ANSWER_S + HANGS_S):
                return await self._reading.call(lambda: answer(timed, files, later))
        except TooMuch:
            raise Busy(f"it takes longer than {ANSWER_S:g} s") from None
        except TimeoutError:
            raise Busy("the disk with the samples does not answer") from None
        finally:
            self._asking -= 1

    def _begin(self, tables: Mapping[str, SignalTable], before: Sampler | None = None) -> None:
        now = self._clock.now()
        self._offset = self._clock.utc_offset
        self._sampler = Sampler(tables, now + self._offset, before) if self.is_on else None
        self._names = Names(self._sampler.log.names if self._sampler else ())
        self._piece_ends = now + PIECE_MS

    def _end(self) -> Sampler | None:
        """Nothing more is noticed; who did that until now."""
        sampler = self._sampler
        if sampler is not None:
            self.look()
            self._turn(self._clock.now(), force=True)
            self._dropped += sampler.dropped
            self._sampler = None
        return sampler

    def _turn(self, at: int, offset: int | None = None, *, force: bool = False) -> None:
        """What was noticed until engine time `at` goes to the thread."""
        assert self._sampler is not None
        before, self._offset = self._offset, self._offset if offset is None else offset
        if len(self._store.logs) >= MOST_LOGS and not force and offset is None:
            return
        finished = self._sampler.turn(at + before, at + self._offset)
        self._piece_ends = at + PIECE_MS
        if len(self._store.logs) >= 2 * MOST_LOGS:  # the clock is set again and again while the thread hangs
            self._dropped += finished.samples
            return
        self._store.logs.append((self._names, finished))
        self._writing.post(self._store.write)

    def _say(self) -> None:
        trouble = self.trouble
        if trouble and not self._said:
            log.warning("samples_not_kept", directory=str(self._store.files.directory), why=trouble, remedy=REMEDY)
        elif self._said and not trouble:
            log.info("samples_kept_again", directory=str(self._store.files.directory), lost=self.lost)
        self._said = trouble


class _Store:
    """What was noticed on its way to the disk: from `logs`, packed, to `waiting`, written, to `files`.

    The loop adds and looks, the thread moves on: a piece is in its next place before it leaves the one before, and who
    looks from the first place to the last sees it at least once.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.failed = ""
        self.lost = 0
        self.logs: list[tuple[Names, Log]] = []
        self.waiting: list[Segment] = []

    def state(self) -> tuple[tuple[Kept, ...], list[Piece]]:
        """The files, and what follows on them, in order."""
        logs = [Live(names, one, one.began, one.ended) for names, one in list(self.logs)]
        waiting = list(self.waiting)
        return self.files.kept, [*waiting, *logs]

    def open(self) -> None:
        """See what there is from before, and what has to go; never raises."""
        self._attempt(self.files.open)

    def write(self) -> None:
        """Pack the oldest log, and write all that waits; never raises."""
        self.waiting.append(Segment.of(*self.logs[0]))
        del self.logs[0]
        while len(self.waiting) > 1 and sum(one.size for one in self.waiting) > MOST_WAITING:
            self.lost += self.waiting[0].samples
            del self.waiting[0]
        self._attempt(self._write_waiting)

    def _write_waiting(self) -> None:
        if self.files.max_size == 0:  # nobody wants them any more
            self.waiting.clear()
        while self.waiting:
            self.files.write(self.waiting[0])
            del self.waiting[0]

    def _attempt(self, function: Callable[[], None]) -> None:
        try:
            function()
        except OSError as error:
            self.failed = f"{self.files.directory}: {error.strerror or error}"
        else:
            self.failed = ""
