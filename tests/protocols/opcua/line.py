"""A device of a test server behind the real runner and driver: what reached the engine, and the table's values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from ext.table import SignalTable
from gateway.clock import EngineClock
from gateway.inputs import DeviceState, Input
from gateway.runner.device import DeviceRunner
from protocols.driver import EndpointConfig
from protocols.model import Batch, Learned, Notice, Quality, Value
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.driver import OpcuaDriver
from tests.peers.opcua import values

SCAN = "100ms"


def at(path: str, **settings: Any) -> dict[str, Any]:
    """A signal of the test servers' own namespace."""
    return {"node": f"nsu={values.NAMESPACE};s={path}", **settings}


def device(url: str, signals: Mapping[str, Mapping[str, Any]], **settings: Any) -> OpcuaDevice:
    """A device's section as a file gives it."""
    return OpcuaDevice.model_validate(
        {"protocol": "opcua", "endpoint": url, "scan_interval": SCAN, "signals": signals, **settings}
    )


class Line:
    """Everything that came, in order."""

    def __init__(self, devices: Mapping[str, OpcuaDevice]) -> None:
        self.devices = devices
        self.tables = {name: SignalTable(one.signals) for name, one in devices.items()}
        for table in self.tables.values():
            for number in range(len(table)):
                table.forward(number, exact=True)
        self.inputs: list[Input] = []
        self.drivers: list[OpcuaDriver] = []
        endpoint = EndpointConfig(next(iter(devices.values())).endpoint, devices)

        def make(stats: Any) -> OpcuaDriver:
            self.drivers.append(OpcuaDriver(endpoint, self.tables, stats))
            return self.drivers[-1]

        self.runner = DeviceRunner(endpoint, make, self.tables, EngineClock(), self.inputs.append)

    @property
    def table(self) -> SignalTable:
        """Of the only device."""
        (table,) = self.tables.values()
        return table

    def _change(self, signal: str, name: str | None = None) -> Any:
        table = self.tables[name] if name is not None else self.table
        return table.read(table.names.index(signal))

    def value(self, signal: str, name: str | None = None) -> Value:
        """As it is now; None where it is bad."""
        found: Value = self._change(signal, name)[1]
        return found

    def quality(self, signal: str) -> Quality:
        """As it is now."""
        return Quality(self._change(signal)[2])

    def why(self, signal: str) -> str:
        """Why it is not good."""
        return str(self._change(signal)[3] or "")

    def source_time(self, signal: str) -> int | None:
        """In UTC milliseconds."""
        time_ms: int | None = self._change(signal)[4]
        return time_ms

    @property
    def batches(self) -> list[Batch]:
        """Those that the engine got."""
        return [one for one in self.inputs if isinstance(one, Batch)]

    @property
    def notices(self) -> list[Notice]:
        """Those that the engine got."""
        return [notice for batch in self.batches for notice in batch.notices]

    @property
    def states(self) -> list[bool]:
        """Lost and restored, in order."""
        return [one.connected for one in self.inputs if isinstance(one, DeviceState)]

    def learned(self, signal: str) -> Learned:
        """What the device said of a signal, the last time."""
        number = self.table.names.index(signal)
        return next(b.learned[number] for b in reversed(self.batches) if b.learned and number in b.learned)

    def history(self, signal: str) -> list[Value]:
        """Each value that was handed to the engine, in order."""
        number = self.table.names.index(signal)
        return [value for batch in self.batches for n, value, *_ in batch.changes if n == number]

    async def shows(self, signal: str, value: Value) -> None:
        """Wait for a value."""
        await self.until(lambda: self.value(signal) == value)

    async def until(self, what: Callable[[], Any], seconds: float = 30.0) -> float:
        """How long it took to come true."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not what():
            if loop.time() - began > seconds:
                now = {n: t.read(i) for t in self.tables.values() for i, n in enumerate(t.names)}
                raise AssertionError(f"not within {seconds} s: {self.runner.why}; {now}")
            await asyncio.sleep(0.01)
        return loop.time() - began


@asynccontextmanager
async def running(devices: OpcuaDevice | Mapping[str, OpcuaDevice]) -> AsyncIterator[Line]:
    """A line that is read until the end; nothing of it goes on behind that."""
    before = asyncio.all_tasks()
    line = Line({"plc": devices} if isinstance(devices, OpcuaDevice) else devices)
    task = asyncio.create_task(line.runner.run())
    try:
        await line.until(lambda: line.inputs or line.runner.why != "not connected yet", 20)
        yield line
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
    for _ in range(20):
        left = asyncio.all_tasks() - before
        if not left:
            break
        await asyncio.sleep(0.01)
    assert not left, f"tasks were left behind: {left}"
