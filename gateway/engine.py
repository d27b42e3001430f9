"""Drives the pipeline: one plain call an input, its events to the outbox, and a Tick at every deadline."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

import structlog

from gateway.clock import EngineClock
from gateway.events import Event
from gateway.inputs import ClockStep, Input, Reload, Tick
from gateway.pipeline import Pipeline

CLOCK_CHECK_S = 1.0
LAGS = 60
UNLISTED = "add it to `products.list` with its ideal; until then its parts are counted, and OEE is null"

log = structlog.get_logger("engine")


class Engine:
    """The only caller of `Pipeline.process`. An error of the engine ends the daemon: what follows cannot be right."""

    def __init__(
        self,
        pipeline: Pipeline,
        clock: EngineClock,
        append: Callable[[Iterable[Event]], None],
        changed: Callable[[], None],
        stop: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.taps: tuple[Callable[[Input], None], ...] = ()
        """Told of each input before it is decided; must not raise."""
        self.failed: Exception | None = None
        self.lags: deque[float] = deque([0.0], maxlen=LAGS)
        """Seconds by which the loop came late to the looks at the clock in the last minute."""
        self._pipeline = pipeline
        self._append = append
        self._changed = changed
        self._stop = stop
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: int | None = None
        self._closed = False
        self._unlisted: set[str] = set()
        """Products without an ideal that were said."""
        self._rows: dict[str, bytes] = {}
        """Checkpoint rows that belong to events which the outbox has taken, each as of its last such input."""

    def submit(self, given: Input) -> None:
        """Decide about one input, stamped by its runner. Never raises: a runner could do nothing about it."""
        if self._closed:
            return
        for tap in self.taps:
            tap(given)
        try:
            events, deadline = self._pipeline.process(given)
            # taken now: what a later input leaves half applied must not be stored with these events
            rows = self._pipeline.checkpoint({event.subject for event in events}) if events else {}
        except Exception as error:  # noqa: BLE001 - what cannot be decided: log, stop, let systemd restart
            self._fail(error, type(given).__name__)
            return
        if events:
            self._append(events)
            self._rows.update(rows)
            self._say_unlisted()
            self._changed()
        if deadline != self._deadline:
            self._await(deadline)

    def _say_unlisted(self) -> None:
        unlisted = self._pipeline.jobs.unlisted
        for product in unlisted.keys() - self._unlisted:
            log.warning("product_not_listed", product=product, machines=unlisted[product], remedy=UNLISTED)
        self._unlisted = set(unlisted)

    def checkpoint(self, subjects: Collection[str] | None) -> Mapping[str, bytes]:
        """For the outbox: the dirty rows of the events' subjects, or all of them.

        After an error only those that belong to events which the outbox has taken: the pipeline may hold half an
        input. Never raises, for the store could do nothing about it.
        """
        rows, self._rows = self._rows, {}
        if self.failed is None:
            try:
                rows.update(self._pipeline.checkpoint(subjects))
            except Exception as error:  # noqa: BLE001 - the engine's error, not the store's
                self._fail(error, "checkpoint")
        return rows

    def reload(self, cause: Literal["start", "reload", "stop"]) -> None:
        """Nobody looked until now, another configuration is in force, or nobody will look any more."""
        clock = self.clock
        self.submit(Reload(clock.now(), clock.utc_offset, cause, clock.is_suspect))

    def take_over(self, pipeline: Pipeline) -> None:
        """Decide with another pipeline, which goes on from where the one before is now."""
        self._rows.update(self._pipeline.checkpoint(None))  # the last it has to say: not all of it is stored yet
        self._pipeline = pipeline
        self._await(None)

    def _fail(self, error: Exception, what: str) -> None:
        log.error("engine_failed", input=what, exc_info=error, remedy="the daemon ends; report the traceback")
        self.failed = error
        self.close()
        self._stop("an error of the engine")

    def _await(self, deadline: int | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = deadline
        if deadline is not None:
            delay = max(0, deadline - self.clock.now()) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer, self._deadline = None, None
        self.submit(Tick(self.clock.now()))

    async def follow_clock(self) -> None:
        """Notice when the wall clock is set, and say so."""
        while True:
            due = time.monotonic() + CLOCK_CHECK_S
            await asyncio.sleep(CLOCK_CHECK_S)
            self.lags.append(time.monotonic() - due)
            clock = self.clock
            stepped, is_news = clock.step(), clock.look()
            if stepped is None and not is_news:
                continue
            log.warning("clock_set", stepped_s=(stepped or 0) / 1000, suspect=clock.is_suspect)
            self.submit(ClockStep(clock.now(), clock.utc_offset, clock.is_suspect))
            data = {"step_s": (stepped or 0) / 1000, "suspect": clock.is_suspect}
            self._append([Event("gateway.clock", "gateway", self.clock.utc(), data)])

    def close(self) -> None:
        """No further input is decided; what has been decided is the outbox's."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
