"""The daemon: builds every part, wires them, and ends them in order. The only place that knows all of them."""

from __future__ import annotations

import asyncio
import math
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway import __version__
from gateway.buffer import routes as of_the_buffer
from gateway.buffer.operations import Operations
from gateway.clock import EngineClock
from gateway.config.difference import Difference
from gateway.config.model import Config
from gateway.control.server import ControlServer, listen
from gateway.control.wire import socket_path
from gateway.events import Event, rfc3339
from gateway.garbage import spare
from gateway.health.server import HealthServer
from gateway.health.sources import Sources
from gateway.history import routes as of_the_history
from gateway.history.explaining import Explainer
from gateway.history.history import History
from gateway.history.loading import load
from gateway.outbox.outbox import Outbox
from gateway.page import routes as of_the_page
from gateway.parts import Parts, import_libraries
from gateway.people import People
from gateway.pipeline import Pipeline
from gateway.reloader import Reloader
from gateway.runner.crew import Crew, end
from gateway.samples import routes as of_the_samples
from gateway.systemd import Notifier
from protocols.worker import in_daemon_thread

DRAIN_S = 10.0
"""How long a stopping daemon lets its uplinks catch up."""
DRAIN_LOOK_S = 0.1
CLOSE_S = 10.0
"""How long the last commit may take; with `DRAIN_S` less than the unit's TimeoutStopSec."""
HURRY_S = 2.0
"""What a second signal leaves of that."""
ALIVE_S = 60.0
STATUS_S = 5.0
EXTEND_S = 60
"""What each message while the buffer is opened asks systemd to wait for the next one."""
WHY_OFF = {
    "clean": "the gateway was stopped",
    "restored": "restored from a backup; what the gateway before it saw since is in the stream before",
}

ROOMS = (of_the_history.routes, of_the_page.routes, of_the_samples.routes, of_the_buffer.routes)
"""What answers at the endpoint beside its own."""

log = structlog.get_logger("gateway")


class App:
    """One line's daemon, from opening the store to closing it."""

    def __init__(
        self, config: Config, state_dir: Path, notifier: Notifier, *, file: Path | None = None, record: bool = False
    ) -> None:
        """`file`: where the configuration can be reloaded from; `record`: even where it does not say so."""
        self._config = config
        self._file = file
        self._record = record
        self._state_dir = state_dir
        self._notifier = notifier
        self._period = min(STATUS_S, (notifier.watchdog_s or math.inf) / 3)
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._hurry: Callable[[], None] | None = None
        """Shortens what the stopping daemon waits for at this moment."""
        self._running: Outbox | None = None
        self._why_stopped = "asked to"
        self._remembers = False

    def stop(self, why: str) -> None:
        """Begin to stop; a second call does not wait for uplinks any more, nor long for the disk."""
        if self._stop.is_set():
            self._force.set()
            if self._hurry is not None:
                self._hurry()
            return
        self._why_stopped = why
        self._stop.set()

    async def run(self, seconds: float | None = None) -> int:
        """Run until stopped, or for some seconds; the exit code: 0, or 1 where the engine failed or the last commit."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        watch = loop.create_task(self._watch(), name="watchdog")
        clean = stored = False
        try:
            outbox = await self._open_store()
            try:
                pipeline = Pipeline(self._config)
                pipeline.restore(await outbox.load_checkpoint())
                clock = EngineClock(pipeline.at or None, pipeline.utc_offset)
                clean = await self._serve(outbox, pipeline, clock, seconds)
            finally:
                stored = await self._close_store(outbox, clean)
        finally:
            await end([watch])
            self._notifier.close()
        return 0 if clean and stored else 1

    async def _close_store(self, outbox: Outbox, clean: bool) -> bool:
        """Whether everything is on the disk; one that hangs must not hold the exit."""
        try:
            async with self._within(CLOSE_S, HURRY_S):
                return await outbox.close(clean=clean)
        except TimeoutError:
            log.error("buffer_not_closed", why="the disk did not answer in time", remedy="see the system's log")
            return False

    @asynccontextmanager
    async def _within(self, seconds: float, hurried: float) -> AsyncIterator[None]:
        """A deadline that a second signal moves nearer, whether it came or comes. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(hurried if self._force.is_set() else seconds) as limit:

            def hurry() -> None:
                if not limit.expired():
                    limit.reschedule(min(loop.time() + hurried, limit.when() or 0))

            self._hurry = hurry
            try:
                yield
            finally:
                self._hurry = None

    async def _open_store(self) -> Outbox:
        """Open the buffer; after an unclean stop it is checked."""
        path = self._state_dir / self._config.buffer.path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._notifier.send(STATUS="opening the buffer")
        return await Outbox.open(path, self._config.buffer, self._config.uplinks)

    async def _serve(self, outbox: Outbox, pipeline: Pipeline, clock: EngineClock, seconds: float | None) -> bool:
        parts = Parts(self._config, self._state_dir, outbox, pipeline, clock, self.stop, record=self._record)
        history = History(outbox.envelope(self._config.source), outbox.last_seq, clock.utc)
        sources = Sources(parts, history, Explainer(outbox, self._file), self._stop.is_set)
        self._announce(outbox, clock, pipeline.at)
        control = socket_path(self._state_dir / self._config.buffer.path)
        listening = await in_daemon_thread("control", partial(listen, control))
        with suppress(ImportError):  # its users say so, again and again
            import_libraries(self._config)
        spare()
        async with asyncio.TaskGroup() as group:
            crew = Crew(group)
            store = group.create_task(outbox.run(), name="store")
            await parts.begin(crew)
            self._listen(crew, sources)
            crew.begin("clock", parts.engine.follow_clock())
            crew.begin("alive", self._alive(parts))
            crew.begin("status", self._tell_status(sources))
            handlers = Operations(outbox, parts.uplinks, self._config.source).handlers
            handlers |= People(parts.engine, sources).handlers
            if self._file is not None:
                reloader = Reloader(self._file, parts, crew, self._notifier, partial(self._listen_anew, crew, sources))
                crew.begin("reload", reloader.run())
                handlers["reload"] = reloader.asked
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.request)
            if listening is not None:
                crew.begin("control", ControlServer(listening, handlers).run())
            self._running = outbox
            self._notifier.send(READY=1, STATUS="running")
            log.info("started", version=__version__, stream=outbox.stream, configuration=self._config.digest)
            await self._wait(seconds)
            self._notifier.send(STOPPING=1, STATUS="stopping")
            self._endpoint.end_streams()
            await crew.end(["reload"])
            await parts.end_devices(crew)
            parts.engine.reload("stop")
            parts.engine.close()
            await self._close_taps(parts)
            outbox.append([self._event("gateway.stopped", clock, {"why": self._why_stopped})])
            await self._drain(parts)
            await crew.end_all()
            await end([store])
        log.info("stopped", why=self._why_stopped, last_seq=outbox.last_seq)
        return parts.engine.failed is None

    async def _listen_anew(self, crew: Crew, sources: Sources, difference: Difference) -> None:
        if "health" in difference.sections:
            await crew.end(["health"])
            self._listen(crew, sources)

    def _listen(self, crew: Crew, sources: Sources) -> None:
        """The last hours are remembered from the first time that somebody can ask for them."""
        if sources.config.health.address is not None and not self._remembers:
            self._remembers = True
            history, outbox = sources.history, sources.outbox
            history.last_seq = outbox.last_seq
            outbox.follow(history.committed)
            crew.begin("history", load(history, outbox))
        self._endpoint = HealthServer(sources, ROOMS)
        crew.begin("health", self._endpoint.run())

    async def _close_taps(self, parts: Parts) -> None:
        """A disk that hangs must not hold the exit: recording and samples then end without their end."""
        with suppress(TimeoutError):
            async with self._within(CLOSE_S, HURRY_S):
                await parts.close_recorder()
                await parts.close_samples()

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            self.stop(f"ran for {seconds:g} s")

    async def _drain(self, parts: Parts) -> None:
        """Make everything durable, then let the uplinks catch up for a while; a second signal ends the wait.

        A disk that takes nothing must not hold the exit: closing the buffer tries once more, and says what is lost.
        """
        try:
            async with self._within(DRAIN_S, 0):
                await parts.outbox.flush()
                while any(parts.outbox.backlog(name) for name in parts.uplinks) and not self._force.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._force.wait(), DRAIN_LOOK_S)
                await parts.outbox.flush()
        except TimeoutError:
            log.warning("stopped_with_backlog", why="the uplinks or the disk did not keep up")

    def _event(self, kind: str, clock: EngineClock, data: dict[str, Any]) -> Event:
        return Event(kind, "gateway", clock.utc(), data)

    def _announce(self, outbox: Outbox, clock: EngineClock, known_until: int) -> None:
        """Say who begins, and which time nobody saw."""
        previous = outbox.previous
        data = {
            "version": __version__,
            "extension": "cython",
            "sqlite": sqlite3.sqlite_version,
            "config_digest": self._config.digest,
            "previous": None
            if previous is None
            else {
                "stream": previous.stream,
                "last_seq": str(previous.last_seq),
                "ended": previous.ended,
            },
        }
        events = [self._event("gateway.started", clock, data)]
        if known_until and clock.now() > known_until:
            gap = {
                "what": "off",
                "began": rfc3339(known_until + clock.utc_offset),
                "ended": rfc3339(clock.utc()),
                "from": None,
                "to": None,
                "class": None,
                "count": None,
                "why": WHY_OFF.get(previous.ended if previous else "", "the gateway ended without notice"),
            }
            events.append(self._event("gateway.gap", clock, gap))
        outbox.append(events)

    async def _alive(self, parts: Parts) -> None:
        """Each minute, so that silence is never ambiguous."""
        while True:
            await asyncio.sleep(ALIVE_S)
            outbox, clock = parts.outbox, parts.clock
            backlog = {name: outbox.backlog(name) for name in parts.uplinks}
            machines = parts.view.machines().values()
            ids = [machine[kind] for machine in machines for kind in ("stop", "interval") if machine[kind]]
            data = {"last_seq": str(outbox.last_seq), "backlog": backlog, "open": ids}
            outbox.append([self._event("gateway.alive", clock, data)])

    async def _watch(self) -> None:
        """The service manager hears of us only while this loop turns.

        At the start that the buffer takes its time; then only while the store task turns; and to the end of the
        stop, which has deadlines of its own.
        """
        watchdog = self._notifier.watchdog_s
        while True:
            stopping = self._stop.is_set()
            if self._running is None and not stopping:
                self._notifier.send(EXTEND_TIMEOUT_USEC=EXTEND_S * 1_000_000)
            elif watchdog is not None and (
                stopping or self._running is None or time.monotonic() - self._running.heartbeat < watchdog
            ):
                self._notifier.send(WATCHDOG=1)
            await asyncio.sleep(self._period)

    async def _tell_status(self, sources: Sources) -> None:
        while True:
            if not self._stop.is_set():
                self._notifier.send(STATUS=sources.summary())
            await asyncio.sleep(self._period)
