"""The driver under test, built from a configuration as the daemon does, and the controller that it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ext.table import SignalTable
from protocols.driver import EndpointConfig, LinkStats
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.ethernet_ip.driver import EthernetIpDriver
from protocols.model import Batch, Learned, Notice, Quality
from protocols.simulated.ethernet_ip import LabelerPlc
from protocols.simulated.machine import CALM, Filler

SCAN_MS, TIMEOUT_MS = 20, 500
READ_S = 30.0


@asynccontextmanager
async def controller(**settings: Any) -> AsyncIterator[LabelerPlc]:
    """A labeler's controller, whose life stands still; nobody may have asked it for anything but reading."""
    machine = Filler(1, CALM, bottles=70_000, rejects=500)
    machine.advance(30_000)
    plc = LabelerPlc(machine, lambda: machine.now_ms, **settings)
    await plc.start()
    try:
        yield plc
    finally:
        await plc.close()
    assert not plc.violations, "the controller was asked for more than reading"


@dataclass
class Client:
    """The driver, what it has read, and what it said about it."""

    driver: EthernetIpDriver
    tables: dict[str, SignalTable]
    stats: LinkStats
    notices: list[Notice] = field(default_factory=list)
    learned: dict[int, Learned] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)

    async def read(self) -> Batch:
        """The next scan."""
        async with asyncio.timeout(READ_S):
            batch = await self.driver.read()
        self.batches.append(batch)
        self.notices += batch.notices
        self.learned.update(batch.learned or {})
        for _, value, quality, why, _ in batch.changes:
            assert (quality == Quality.BAD) == (value is None) == (why is not None), "bad means no value, and a reason"
        return batch

    async def until(self, done: Callable[[], object], what: str, scans: int = 200) -> None:
        """Read until it is so."""
        for _ in range(scans):
            if done():
                return
            await self.read()
        raise AssertionError(f"{what}: not within {scans} scans; {self.whys()}")

    def values(self, device: str = "plc") -> dict[str, Any]:
        """What the signals hold."""
        table = self.tables[device]
        return {name: table.read(number)[1] for number, name in enumerate(table.names)}

    def whys(self, device: str = "plc") -> dict[str, str]:
        """Why the bad ones are bad."""
        table = self.tables[device]
        return {name: why for number, name in enumerate(table.names) if (why := table.read(number)[3]) is not None}


def section(port: int, signals: Mapping[str, Any], **settings: Any) -> EthernetIpDevice:
    """A device's section; a signal that is a text alone is a tag."""
    written = {name: {"tag": one} if isinstance(one, str) else one for name, one in signals.items()}
    defaults = {"scan_interval": f"{SCAN_MS}ms", "timeout": f"{TIMEOUT_MS}ms", "host": "127.0.0.1", "port": port}
    return EthernetIpDevice.model_validate({"protocol": "ethernet_ip", **defaults, **settings, "signals": written})


def client(devices: Mapping[str, EthernetIpDevice], stats: LinkStats | None = None) -> Client:
    """A driver that is not connected yet."""
    tables = {name: SignalTable(device.signals) for name, device in devices.items()}
    for table in tables.values():
        for number in range(len(table)):
            table.forward(number)
    stats = stats or LinkStats()
    return Client(EthernetIpDriver(EndpointConfig("test", devices), tables, stats), tables, stats)


@asynccontextmanager
async def reading(port: int, signals: Mapping[str, Any], **settings: Any) -> AsyncIterator[Client]:
    """A connected driver for one device, `plc`."""
    one = client({"plc": section(port, signals, **settings)})
    try:
        async with asyncio.timeout(READ_S):
            await one.driver.connect()
        yield one
    finally:
        await one.driver.close()
