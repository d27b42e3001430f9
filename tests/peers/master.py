"""The driver under test, built from a configuration as the daemon does, and what its signals must show."""

from __future__ import annotations

import asyncio
import math
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ext.table import SignalTable
from protocols.driver import EndpointConfig, LinkStats
from protocols.modbus.config import ModbusDevice
from protocols.modbus.driver import ModbusDriver
from protocols.model import Batch, Notice, Quality
from protocols.registry import DeviceConfig

_DEVICE: TypeAdapter[Any] = TypeAdapter(DeviceConfig)
SCAN_MS = 20
TIMEOUT_MS = 200
READ_S = 10.0


def tcp(port: int) -> dict[str, Any]:
    """A device behind Modbus TCP."""
    return {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": port}


def rtu_over_tcp(port: int) -> dict[str, Any]:
    """A device behind RTU over TCP."""
    return {"protocol": "modbus_rtu_over_tcp", "host": "127.0.0.1", "port": port}


def rtu(path: str | Path, **serial: Any) -> dict[str, Any]:
    """A device on a serial line; a pseudo terminal knows no parity."""
    return {"protocol": "modbus_rtu", "serial": {"path": str(path), "baud": 115200, "parity": "none", **serial}}


def own(*places: str) -> dict[str, Any]:
    """Signals whose value is their address, or its lowest bit, so that any mix-up shows; `holding:1` is `holding_1`."""
    return {
        place.replace(":", "_"): {"address": place}
        | ({} if place.startswith(("coil", "discrete")) else {"type": "uint16"})
        for place in places
    }


def due(name: str) -> int | bool:
    """What a signal made by `own` holds."""
    table, _, number = name.partition("_")
    return bool(int(number) & 1) if table in ("coil", "discrete") else int(number)


@dataclass
class Master:
    """The driver, what it has read, and what it said about it."""

    endpoint: EndpointConfig
    driver: ModbusDriver
    tables: dict[str, SignalTable]
    stats: LinkStats
    notices: list[tuple[str, str, Notice]] = field(default_factory=list)
    """Device, signal, and what was said of it."""

    async def read(self) -> Batch:
        """The next scan; every value that is good must be its signal's own."""
        async with asyncio.timeout(READ_S):
            batch = await self.driver.read()
        names = self.tables[batch.device].names
        self.notices += [(batch.device, names[one.signal], one) for one in batch.notices]
        for number, value, quality, why, _ in batch.changes:
            assert (quality == Quality.BAD) == (value is None) == (why is not None), "bad means no value, and a reason"
            name = names[number]
            if value is not None and name.partition("_")[0] in ("coil", "discrete", "input", "holding"):
                assert value == due(name), f"{name} of {batch.device} got another signal's value"
        return batch

    async def until(self, done: Callable[[], bool], what: str, scans: int = 400) -> None:
        """Read until it is so."""
        for _ in range(scans):
            if done():
                return
            await self.read()
        raise AssertionError(f"{what}: not within {scans} scans; {self.whys()}")

    async def read_for(self, seconds: float) -> tuple[Counter[str], float]:
        """Read for so long, by the loop's time: scans of each device, and how long it was."""
        loop, scans = asyncio.get_running_loop(), Counter[str]()
        began = loop.time()
        while (passed := loop.time() - began) < seconds:
            scans[(await self.read()).device] += 1
        return scans, passed

    def values(self, device: str = "unit1") -> dict[str, Any]:
        """What the signals hold."""
        table = self.tables[device]
        return {name: table.read(number)[1] for number, name in enumerate(table.names)}

    def whys(self, device: str = "unit1") -> dict[str, str]:
        """Why the bad ones are bad."""
        table = self.tables[device]
        return {name: why for number, name in enumerate(table.names) if (why := table.read(number)[3]) is not None}

    def bad(self, device: str = "unit1") -> set[str]:
        """Names of the signals without a value."""
        return {name for name, value in self.values(device).items() if value is None}

    def good(self, device: str = "unit1") -> bool:
        """Whether all signals have values."""
        return not self.bad(device)


@asynccontextmanager
async def reading(
    transport: Mapping[str, Any],
    signals: Mapping[str, Any],
    units: Iterable[int] = (1,),
    stats: LinkStats | None = None,
    **settings: Any,
) -> AsyncIterator[Master]:
    """A connected driver for devices `unit1`, ... with the same signals each; `stats` of an earlier connection."""
    section = {"scan_interval": f"{SCAN_MS}ms", "timeout": f"{TIMEOUT_MS}ms", **transport, **settings}
    devices: dict[str, ModbusDevice] = {
        f"unit{unit}": _DEVICE.validate_python({**section, "unit_id": unit, "signals": signals}) for unit in units
    }
    tables = {name: SignalTable(device.signals) for name, device in devices.items()}
    for table in tables.values():
        for number in range(len(table)):
            table.forward(number)
    stats = LinkStats() if stats is None else stats
    endpoint = EndpointConfig(next(iter(devices.values())).endpoint, devices)
    driver = ModbusDriver(endpoint, tables, stats)
    try:
        await driver.connect()
        yield Master(endpoint, driver, tables, stats)
    finally:
        await driver.close()


_PLACES = {
    "int16": (0x8182, 0x0102), "uint16": (0x8182,), "int32": (0x8182,), "uint32": (0x8182,), "int64": (0x8182, 0x1112),
    "uint64": (0x8182,), "float32": (0x4142, 0xC142), "float64": (0x4142, 0xC142), "bcd16": (0x1234,),
    "bcd32": (0x1234,), "string": (0x4142,),
}  # fmt: skip
"""Addresses which, as the registers' contents, make numbers that differ in every byte order."""
_SIZES = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4, "float32": 2, "float64": 4, "bcd16": 1,
    "bcd32": 2, "string": 4,
}  # fmt: skip
_FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
    "float64": "d",
}  # fmt: skip


def every_type_and_order() -> tuple[dict[str, Any], dict[str, Any]]:
    """Signals of each type in each word and byte order over registers that hold their address, and their values."""
    signals: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for kind, places in _PLACES.items():
        for place in places:
            for words in ("big",) if _SIZES[kind] == 1 or kind == "string" else ("big", "little"):
                for order in ("big", "little"):
                    for table in ("holding", "input"):
                        name = f"{kind}_{place:x}_{words}_{order}_{table}"
                        signals[name] = {
                            "address": f"{table}:{place}", "type": kind, "word_order": words, "byte_order": order,
                        } | ({"length": 8} if kind == "string" else {})  # fmt: skip
                        values[name] = _value(kind, place, words, order)
    for table, number in (("coil", 7), ("coil", 8), ("discrete", 7), ("discrete", 8)):
        signals[f"{table}{number}"] = {"address": f"{table}:{number}"}
        values[f"{table}{number}"] = bool(number & 1)
    for bit in range(16):
        signals[f"bit{bit}"] = {"address": f"holding:{0x8182}.{bit}"}
        values[f"bit{bit}"] = bool(0x8182 >> bit & 1)
    return signals, values


def _value(kind: str, place: int, words: str, order: str) -> Any:
    registers = list(range(place, place + _SIZES[kind]))
    if words == "little":
        registers.reverse()
    data = struct.pack(f"{'>' if order == 'big' else '<'}{len(registers)}H", *registers)
    if kind == "string":
        return data.decode("latin-1")
    if kind.startswith("bcd"):
        return int(data.hex())
    value = struct.unpack(f">{_FORMATS[kind]}", data)[0]
    assert math.isfinite(value)
    return value
