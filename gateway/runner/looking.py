"""Reads a line's devices as the daemon would, and decides nothing: for people who commission them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ext.table import SignalTable
from gateway.clock import EngineClock
from gateway.config.model import Config
from gateway.events import rfc3339
from gateway.inputs import Input
from gateway.runner.crew import end
from gateway.runner.endpoints import device_runner, endpoints_of
from protocols.model import Quality

NOT_READ = "not read yet"


@dataclass(frozen=True, slots=True)
class Reading:
    """A signal as it was read last; times are RFC 3339."""

    signal: str
    value: bool | int | float | str | None
    unit: str | None
    quality: str
    source_time: str | None
    round_trip_ms: float | None
    """Of the last scan of its endpoint; None where that has not answered."""
    why: str | None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "signal": self.signal,
            "value": self.value,
            "quality": self.quality,
            "source_time": self.source_time,
            "round_trip_ms": self.round_trip_ms,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one device."""

    device: str
    endpoint: str
    connected: bool
    why: str
    remedy: str
    round_trip_ms: float | None
    readings: tuple[Reading, ...]


class Looking:
    """Connections of its own, one an endpoint, for as long as the block lasts."""

    def __init__(self, config: Config, state_dir: Path) -> None:
        self._config = config
        self._tables = {name: SignalTable(device.signal_settings) for name, device in config.devices.items()}
        self._news = asyncio.Event()
        clock = EngineClock()
        self._runners = [
            device_runner(endpoint, devices, state_dir, self._tables, clock, self._note)
            for endpoint, devices in endpoints_of(config.devices).items()
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Looking:
        self._tasks = [asyncio.create_task(runner.run()) for runner in self._runners]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._tasks)

    async def settle(self, seconds: float) -> None:
        """Wait until each device has been read whole or has failed, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while not all(self._is_settled(name) for name in self._config.devices):
                    await self._news.wait()
                    self._news.clear()
        except TimeoutError:
            return

    def _note(self, _: Input) -> None:
        """Decides nothing: a reading is for the person who asked."""
        self._news.set()

    def _is_settled(self, device: str) -> bool:
        runner = next(one for one in self._runners if device in one.endpoint.devices)
        if not runner.is_up(device):
            return runner.remedy != "" or runner.reconnects > 0
        return all(reading.why != NOT_READ for reading in self._readings(device, None))

    def found(self) -> Iterator[Found]:
        """What is known now, device by device."""
        for runner in self._runners:
            for name in runner.endpoint.devices:
                is_up = runner.is_up(name)
                took = runner.round_trip_ms
                why, remedy = ("", "") if is_up else (runner.why, runner.remedy)
                readings = tuple(self._readings(name, took))
                yield Found(name, runner.endpoint.name, is_up, why, remedy, took, readings)

    def _readings(self, device: str, took: float | None) -> Iterator[Reading]:
        table, settings = self._tables[device], self._config.devices[device].signal_settings
        for number, (name, signal) in enumerate(settings.items()):
            _, value, quality, why, source_time = table.read(number)
            when = None if source_time is None else rfc3339(source_time)
            yield Reading(f"{device}.{name}", value, signal.unit, Quality(quality).label, when, took, why)
