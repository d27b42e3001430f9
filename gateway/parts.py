"""What runs of a configuration: devices, engine and uplinks, built of one, and taken over to another by difference.

A reload takes the way of a restart: the engine's checkpoint is given to a new engine. Runners of what has not changed
go on meanwhile, with the tables into which they decode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from ext.table import SignalTable
from gateway.checkpoint import recalled
from gateway.clock import EngineClock
from gateway.config.difference import Difference
from gateway.config.model import Config, RecordingConfig
from gateway.engine import Engine
from gateway.inputs import DeviceState
from gateway.lineview import LineView
from gateway.outbox.outbox import Outbox
from gateway.pipeline import Pipeline
from gateway.runner.crew import Crew
from gateway.runner.device import DeviceRunner
from gateway.runner.endpoints import Endpoint, device_runner, endpoints_of
from gateway.runner.uplink import UplinkRunner
from gateway.samples.ring import Samples
from gateway.uplinks.registry import uplink_class
from gateway.uplinks.uplink import UplinkContext
from protocols.device import DeviceSettings
from protocols.registry import driver_class

if TYPE_CHECKING:
    from gateway.recording.recorder import Recorder

CLOSE_S = 10.0
"""How long the disk may take to end a recording."""
CHANGED = "its configuration was changed"
REMOVED = "the configuration does not have it any more"

log = structlog.get_logger("gateway")


class Parts:
    """The running parts; which they are is read from here at each use, for a reload puts others in their place."""

    def __init__(
        self,
        config: Config,
        state_dir: Path,
        outbox: Outbox,
        pipeline: Pipeline,
        clock: EngineClock,
        stop: Callable[[str], None],
        *,
        record: bool,
    ) -> None:
        """`pipeline` goes on from the checkpoint; `stop` is called when it fails; `record` its inputs in any case."""
        self.config = config
        self.outbox = outbox
        self.clock = clock
        self.applied_at = clock.utc()
        """Since when the configuration is in force, UTC in milliseconds."""
        self.refused = ""
        """Why its file could not be taken over when that was asked for last."""
        self.recorder: Recorder | None = None
        self.runners: dict[Endpoint, DeviceRunner] = {}
        self.uplinks: dict[str, UplinkRunner] = {}
        self._state_dir = state_dir
        self._record = record
        self._pipeline = pipeline
        self._tables = {name: SignalTable(device.signal_settings) for name, device in config.devices.items()}
        self.view = LineView(pipeline, self._tables, config)
        self.engine = Engine(pipeline, clock, outbox.append, self.view.changed, stop)
        outbox.checkpoint = self.engine.checkpoint
        buffer = state_dir / config.buffer.path
        self.samples = Samples(buffer.parent / "samples" / buffer.name, config.buffer, clock, self._tables)
        self.view.became = self.samples.became

    @property
    def devices(self) -> dict[str, DeviceRunner]:
        """The runner of each device; several share one where they are behind one endpoint."""
        return {name: runner for runner in self.runners.values() for name in runner.endpoint.devices}

    async def begin(self, crew: Crew) -> None:
        """Have everything run; the engine hears first that nobody looked until now."""
        self._forward(self.config, self._pipeline, self._tables)
        await self.samples.start()
        self._record_with(await self._new_recorder(self.config, self._pipeline, self._tables))
        self.engine.reload("start")
        crew.begin("samples", self.samples.run())
        self._begin_devices(crew, endpoints_of(self.config.devices))
        self._begin_uplinks(crew, self.config.uplinks)

    async def end_devices(self, crew: Crew) -> None:
        """Nothing is read any more."""
        await crew.end(map(_device_task, self.runners))

    async def close_recorder(self) -> None:
        """End the recording in order; a disk that hangs leaves it without its end."""
        recorder = self.recorder
        if recorder is None:
            return
        self._record_with(None)
        try:
            async with asyncio.timeout(CLOSE_S):
                await recorder.close(self.clock.now())
        except TimeoutError:
            log.error("recording_not_closed", why="the disk did not answer in time", remedy="see the system's log")

    async def close_samples(self) -> None:
        """Write what was noticed last; a disk that hangs costs its last half minute."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self.samples.close()
        except TimeoutError:
            log.warning("samples_not_closed", why="the disk did not answer in time", remedy="see the system's log")

    async def take_over(self, crew: Crew, difference: Difference, pipeline: Pipeline) -> None:
        """Go on with the new configuration, for which `pipeline` was made. Raises BufferError, CheckpointError.

        Where it raises, all goes on as it was.
        """
        new = difference.new
        endpoints = [
            one
            for one in {**endpoints_of(self.config.devices), **endpoints_of(new.devices)}
            if one in difference.endpoints
        ]
        uplinks = difference.uplinks.all
        tables = {
            name: SignalTable(device.signal_settings) if name in difference.devices.all else self._tables[name]
            for name, device in new.devices.items()
        }
        await crew.end([*map(_device_task, endpoints), *map(_uplink_task, uplinks)])
        for name in uplinks:
            self.uplinks.pop(name, None)  # before their cursors: whoever reports meanwhile looks at both
        try:
            await self.outbox.reconfigure(new.buffer, new.uplinks)
            await self.close_recorder()
            recorder = await self._new_recorder(new, pipeline, tables)
            self._swap(new, pipeline, tables, recorder, [self.runners[one] for one in endpoints if one in self.runners])
        finally:  # of the new configuration, or of the old one where it was not taken over
            for one in endpoints:
                self.runners.pop(one, None)
            now = endpoints_of(self.config.devices)
            self._begin_devices(crew, {one: now[one] for one in endpoints if one in now})
            self._begin_uplinks(crew, [name for name in self.config.uplinks if name in uplinks])

    def _swap(
        self,
        new: Config,
        pipeline: Pipeline,
        tables: dict[str, SignalTable],
        recorder: Recorder | None,
        ended: Iterable[DeviceRunner],
    ) -> None:
        """From one input to the next: nothing else has its turn within."""
        for runner in ended:
            for name in runner.endpoint.devices:
                if runner.is_up(name):
                    why = CHANGED if name in new.devices else REMOVED
                    self.engine.submit(DeviceState(name, False, self.clock.now(), runner.endpoint.name, why))
        known = {name: table for name, table in tables.items() if self._tables.get(name) is table}
        pipeline.restore(recalled(self._pipeline.all_rows(), known))
        given = new.signal_texts
        pipeline.texts.update(
            {
                signal: texts
                for signal, texts in self._pipeline.texts.items()
                if signal not in given and signal.partition(".")[0] in known
            }
        )
        self._forward(new, pipeline, tables)
        self.config, self._pipeline, self._tables = new, pipeline, tables
        self.applied_at = self.clock.utc()
        self._record_with(recorder)
        self.samples.show(tables, new.buffer)
        self.view.show(pipeline, tables, new)
        self.engine.take_over(pipeline)
        self.engine.reload("reload")

    def _forward(self, config: Config, pipeline: Pipeline, tables: Mapping[str, SignalTable]) -> None:
        """What the engine decides from passes every change, what is only trended those beyond its deadband."""
        exact = pipeline.signals if self._recording(config) is None else frozenset(config.signal_types)
        for name, device in config.devices.items():
            for number, (signal, settings) in enumerate(device.signal_settings.items()):
                if f"{name}.{signal}" in exact:
                    tables[name].forward(number, exact=True)
                elif f"{name}.{signal}" in pipeline.thinned:
                    tables[name].forward(number, deadband=settings.deadband)

    def _recording(self, config: Config) -> RecordingConfig | None:
        return config.recording or (RecordingConfig.model_construct() if self._record else None)

    def _record_with(self, recorder: Recorder | None) -> None:
        self.recorder = recorder
        self.engine.taps = (self.samples.record,) if recorder is None else (recorder.record, self.samples.record)

    async def _new_recorder(
        self, config: Config, pipeline: Pipeline, tables: Mapping[str, SignalTable]
    ) -> Recorder | None:
        settings = self._recording(config)
        if settings is None:
            return None
        from gateway.recording.recorder import Recorder  # its library is for those who record

        recorder = Recorder(config, settings, self._state_dir, pipeline, tables)
        await recorder.start()
        return recorder

    def _begin_devices(self, crew: Crew, endpoints: Mapping[Endpoint, Mapping[str, DeviceSettings]]) -> None:
        for one, devices in endpoints.items():
            runner = device_runner(one, devices, self._state_dir, self._tables, self.clock, self.engine.submit)
            self.runners[one] = runner
            crew.begin(_device_task(one), runner.run())

    def _begin_uplinks(self, crew: Crew, names: Iterable[str]) -> None:
        envelope = self.outbox.envelope(self.config.source)
        for name in names:
            config = self.config.uplinks[name]
            context = UplinkContext(name, self.config.line, envelope, self._state_dir, self.view)
            self.uplinks[name] = runner = UplinkRunner(
                name, config, partial(_make_uplink, config, context), self.outbox
            )
            runner.stats.others = context.others
            crew.begin(_uplink_task(name), runner.run())


def _device_task(endpoint: Endpoint) -> str:
    return f"device {' '.join(endpoint)}"


def _uplink_task(name: str) -> str:
    return f"uplink {name}"


def _make_uplink(config: Any, context: UplinkContext) -> Any:
    return uplink_class(config)(config, context)


def import_libraries(config: Config) -> None:
    """Those of its protocols and uplinks. Raises ImportError."""
    for device in config.devices.values():
        driver_class(device)
    for uplink in config.uplinks.values():
        uplink_class(uplink)
