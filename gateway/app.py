"""The daemon: builds every part, wires them, and ends them in order. The only place that knows all of them."""

from __future__ import annotations

import asyncio
import math
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from ext.table import SignalTable
from gateway import __version__
from gateway.buffer.operations import Operations
from gateway.clock import EngineClock
from gateway.config.model import Config, RecordingConfig
from gateway.control.server import ControlServer, listen
from gateway.control.wire import socket_path
from gateway.engine import Engine
from gateway.events import Event, rfc3339
from gateway.health.server import HealthServer
from gateway.health.sources import Sources
from gateway.inputs import Reload
from gateway.lineview import LineView
from gateway.outbox.outbox import Outbox
from gateway.pipeline import Pipeline
from gateway.runner.device import DeviceRunner
from gateway.runner.uplink import UplinkRunner
from gateway.systemd import Notifier
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import Driver, EndpointConfig, LinkStats
from protocols.registry import driver_class

if TYPE_CHECKING:
    from gateway.recording.recorder import Recorder

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
CANCEL_AGAIN_S = 0.5

log = structlog.get_logger("gateway")


class App:
    """One line's daemon, from opening the store to closing it."""

    def __init__(self, config: Config, state_dir: Path, notifier: Notifier, *, record: bool = False) -> None:
        """`record`: even where the configuration does not say so."""
        self._config = config
        self._recording = config.recording or (RecordingConfig.model_construct() if record else None)
        self._state_dir = state_dir
        self._notifier = notifier
        self._period = min(STATUS_S, (notifier.watchdog_s or math.inf) / 3)
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._hurry: Callable[[], None] | None = None
        """Shortens what the stopping daemon waits for at this moment."""
        self._running: Outbox | None = None
        self._why_stopped = "asked to"

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
            await _end([watch])
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
        config = self._config
        exact = pipeline.signals if self._recording is None else frozenset(config.signal_types)
        tables = _tables(config, exact, pipeline.thinned)
        view = LineView(pipeline, tables)
        recorder = await self._recorder(pipeline, tables)
        record = None if recorder is None else recorder.record
        engine = Engine(pipeline, clock, outbox.append, view.changed, self.stop, record)
        outbox.checkpoint = engine.checkpoint
        self._announce(outbox, clock, pipeline.at)
        engine.submit(Reload(clock.now(), clock.utc_offset))
        devices = _device_runners(config, self._state_dir, tables, clock, engine)
        uplinks = self._uplink_runners(outbox, view)
        sources = Sources(config, outbox, devices, uplinks, view, clock, self._stop.is_set, recorder)
        health = HealthServer(config.health, sources)
        listening = await asyncio.to_thread(listen, socket_path(self._state_dir / config.buffer.path))
        async with asyncio.TaskGroup() as group:
            store = group.create_task(outbox.run(), name="store")
            south = [group.create_task(runner.run(), name=f"device {runner.endpoint.name}") for runner in devices]
            north = [group.create_task(runner.run(), name=f"uplink {name}") for name, runner in uplinks.items()]
            others = [
                group.create_task(health.run(), name="health"),
                group.create_task(engine.follow_clock(), name="clock"),
                group.create_task(self._alive(outbox, engine), name="alive"),
                group.create_task(self._tell_status(sources), name="status"),
            ]
            if listening is not None:
                operations = Operations(outbox, tuple(config.uplinks), config.source)
                others.append(group.create_task(ControlServer(listening, operations.handlers).run(), name="control"))
            self._running = outbox
            self._notifier.send(READY=1, STATUS="running")
            log.info("started", version=__version__, stream=outbox.stream, configuration=config.digest)
            await self._wait(seconds)
            self._notifier.send(STOPPING=1, STATUS="stopping")
            await _end(south)
            engine.submit(Reload(clock.now(), clock.utc_offset, "stop"))
            engine.close()
            await self._close_recorder(recorder, clock.now())
            outbox.append([self._event("gateway.stopped", clock, {"why": self._why_stopped})])
            await self._drain(outbox)
            await _end([*north, *others, store])
        log.info("stopped", why=self._why_stopped, last_seq=outbox.last_seq)
        return engine.failed is None

    async def _recorder(self, pipeline: Pipeline, tables: Mapping[str, SignalTable]) -> Recorder | None:
        if self._recording is None:
            return None
        from gateway.recording.recorder import Recorder  # its library is for those who record

        recorder = Recorder(self._config, self._recording, self._state_dir, pipeline, tables)
        await recorder.start()
        return recorder

    async def _close_recorder(self, recorder: Recorder | None, at: int) -> None:
        """A disk that hangs must not hold the exit: the recording then ends without its end."""
        try:
            async with self._within(CLOSE_S, HURRY_S):
                await recorder.close(at) if recorder is not None else None
        except TimeoutError:
            log.error("recording_not_closed", why="the disk did not answer in time", remedy="see the system's log")

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            self.stop(f"ran for {seconds:g} s")

    async def _drain(self, outbox: Outbox) -> None:
        """Make everything durable, then let the uplinks catch up for a while; a second signal ends the wait.

        A disk that takes nothing must not hold the exit: closing the buffer tries once more, and says what is lost.
        """
        try:
            async with self._within(DRAIN_S, 0):
                await outbox.flush()
                while any(outbox.backlog(name) for name in self._config.uplinks) and not self._force.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._force.wait(), DRAIN_LOOK_S)
                await outbox.flush()
        except TimeoutError:
            log.warning("stopped_with_backlog", why="the uplinks or the disk did not keep up")

    def _uplink_runners(self, outbox: Outbox, view: LineView) -> dict[str, UplinkRunner]:
        envelope = outbox.envelope(self._config.source)
        runners = {}
        for name, config in self._config.uplinks.items():
            context = UplinkContext(name, self._config.line, envelope, self._state_dir, view)
            make = partial(_make_uplink, config, context)
            runners[name] = UplinkRunner(name, config, make, outbox)
        return runners

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
                "why": "the gateway was stopped" if previous and previous.clean else "the gateway ended without notice",
            }
            events.append(self._event("gateway.gap", clock, gap))
        outbox.append(events)

    async def _alive(self, outbox: Outbox, engine: Engine) -> None:
        """Each minute, so that silence is never ambiguous."""
        while True:
            await asyncio.sleep(ALIVE_S)
            backlog = {name: outbox.backlog(name) for name in self._config.uplinks}
            machines = engine.snapshot().values()
            ids = [machine[kind] for machine in machines for kind in ("stop", "interval") if machine[kind]]
            data = {"last_seq": str(outbox.last_seq), "backlog": backlog, "open": ids}
            outbox.append([self._event("gateway.alive", engine.clock, data)])

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


def _tables(config: Config, exact: frozenset[str], thinned: frozenset[str]) -> dict[str, SignalTable]:
    """One table a device; what the engine decides from passes every change, and what is trended beyond its deadband."""
    tables = {}
    for name, device in config.devices.items():
        table = tables[name] = SignalTable(device.signal_settings)
        for number, (signal_name, settings) in enumerate(device.signal_settings.items()):
            if f"{name}.{signal_name}" in exact:
                table.forward(number, exact=True)
            elif f"{name}.{signal_name}" in thinned:
                table.forward(number, deadband=settings.deadband)
    return tables


def _device_runners(
    config: Config, state_dir: Path, tables: Mapping[str, SignalTable], clock: EngineClock, engine: Engine
) -> list[DeviceRunner]:
    """One runner an endpoint, whatever the number of devices behind it."""
    endpoints: dict[tuple[str, str], dict[str, Any]] = {}
    for name, device in config.devices.items():
        endpoints.setdefault((device.protocol, device.endpoint), {})[name] = device
    runners = []
    for (_, endpoint_name), devices in endpoints.items():
        endpoint = EndpointConfig(endpoint_name, devices, state_dir)
        mine = {name: tables[name] for name in devices}
        make: Callable[[LinkStats], Driver] = partial(_make_driver, endpoint, mine)
        runners.append(DeviceRunner(endpoint, make, mine, clock, engine.submit))
    return runners


def _make_driver(endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> Driver:
    first = next(iter(endpoint.devices.values()))
    return driver_class(first)(endpoint, tables, stats)


def _make_uplink(config: Any, context: UplinkContext) -> Any:
    return uplink_class(config)(config, context)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are gone; one in which a library swallowed that is cancelled again."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
