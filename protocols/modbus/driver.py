"""The Modbus driver: scans of all devices behind one endpoint, in turns, over whatever transport they have."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from protocols.driver import EndpointConfig, LinkStats, NotConnected
from protocols.modbus.config import (
    ModbusDevice,
    ModbusRtuDevice,
    ModbusRtuOverTcpDevice,
    ModbusTcpDevice,
    ModbusTlsDevice,
)
from protocols.modbus.mbap import MbapLink
from protocols.modbus.request import Request
from protocols.modbus.unit import Unit
from protocols.model import Batch
from protocols.schedule import Scan, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ext.table import SignalTable

SILENT_SCANS = 2
"""Scans in a row without any answer after which a unit is demoted, or, if all units are silent, the link given up."""
TURN = 8
"""Requests of one scan after which another device that is due has its turn."""


class Link(Protocol):
    """A connection that answers requests."""

    async def ask(self, requests: Sequence[Request], timeout_s: float, pause_s: float) -> None: ...
    async def close(self) -> None: ...


@dataclass(slots=True)
class _Run:
    """A scan under way."""

    scan: Scan
    unit: Unit
    left: deque[Request]
    extra: int = 0
    busy_s: float = field(default=0.0)


class ModbusDriver:
    """One connection, of any of the four transports, and all unit ids behind it."""

    def __init__(self, endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> None:
        devices = cast("Mapping[str, ModbusDevice]", endpoint.devices)
        self._device = next(iter(devices.values()))
        self._units = {name: Unit(name, device, tables[name], stats) for name, device in devices.items()}
        self._in_flight = min(device.in_flight for device in devices.values())
        self._schedule = Schedule(
            Scan(name, number, period)
            for name, device in devices.items()
            for number, (period, _) in enumerate(device.scan_classes)
        )
        self._turn = TURN if len(devices) > 1 or len(self._device.scan_classes) > 1 else 10_000
        self._turn = max(self._turn, self._in_flight)
        self._runs: deque[_Run] = deque()
        self._overruns_before = stats.overruns
        self._stats = stats
        self._link: Link | None = None
        self._lost: NotConnected | None = None

    async def connect(self) -> None:
        """Open the connection; raises ConnectFailed, or ConfigError for certificates that cannot be read."""
        device = self._device
        if isinstance(device, ModbusRtuDevice | ModbusRtuOverTcpDevice):
            from protocols.modbus.rtu import RtuLink  # its library is for those who use it

            longest_s = max(unit.device.timeout for unit in self._units.values()) / 1000
            line = RtuLink(device, longest_s, self._stats)
            self._link = line
            await line.open()
            return
        assert isinstance(device, ModbusTcpDevice | ModbusTlsDevice)
        tls = device.tls if isinstance(device, ModbusTlsDevice) else None
        link = MbapLink(self._in_flight, self._stats)
        self._link = link
        await link.open(device.host, device.port, tls, None if tls is None else tls.server_name)

    async def read(self) -> Batch:
        """Go on with the scans that are due until one is whole; once the connection is gone, it stays so."""
        if self._lost is not None:
            raise NotConnected(self._lost.why, self._lost.remedy)
        try:
            return await self._next()
        except NotConnected as error:
            self._lost = error
            raise

    async def _next(self) -> Batch:
        while True:
            for scan in self._schedule.take_due():
                unit = self._units[scan.device]
                self._runs.append(_Run(scan, unit, deque(unit.begin(scan.number))))
            self._stats.overruns = self._overruns_before + self._schedule.overruns
            if not self._runs:
                await self._schedule.wait()
                continue
            run = self._runs.popleft()
            if run.left:
                await self._turn_of(run)
                if run.left:
                    self._runs.append(run)
                    continue
            elif run.unit.is_resting:
                self._schedule.done(run.scan)
                continue
            return self._whole(run)

    async def _turn_of(self, run: _Run) -> None:
        link = self._link
        if link is None:
            raise NotConnected("the driver is closed")
        asked = [run.left.popleft() for _ in range(min(self._turn, len(run.left)))]
        device = run.unit.device
        began = time.monotonic()
        await link.ask(asked, device.timeout / 1000, device.pause / 1000)
        run.busy_s += time.monotonic() - began
        if any(request.failure is not None for request in asked) or self._stats.quarantined or run.unit.silent_scans:
            again = run.unit.settle(asked, run.extra)
            run.extra += len(again)
            run.left.extendleft(reversed(again))
        if run.unit.silent_scans:
            self._silence(run)

    def _silence(self, run: _Run) -> None:
        """A unit answered nothing: its scan ends here, and soon its neighbours are asked without it."""
        for request in run.left:
            request.decode.fail("no answer")
        run.left.clear()
        if run.unit.silent_scans < SILENT_SCANS:
            return
        if all(unit.silent_scans >= SILENT_SCANS for unit in self._units.values()):
            raise NotConnected(
                "it is connected but answers nothing in time",
                "check the unit_id, the line, that the PLC runs, and whether it needs a longer timeout",
            )
        run.unit.demote()

    def _whole(self, run: _Run) -> Batch:
        self._schedule.done(run.scan)
        self._stats.round_trip_ms = run.busy_s * 1000
        unit = run.unit
        return Batch(unit.name, run.scan.number, unit.table.take(), notices=unit.take_notices())

    async def close(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
