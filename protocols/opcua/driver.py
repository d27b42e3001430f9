"""The OPC UA driver: one session, and all devices that are parts of its server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from protocols.driver import EndpointConfig, LinkStats, NotConnected
from protocols.model import Batch
from protocols.opcua import fastpath
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.limits import Limits, read_limits
from protocols.opcua.poller import Poller
from protocols.opcua.prepare import prepare
from protocols.opcua.resolve import read_namespaces
from protocols.opcua.session import Session
from protocols.opcua.subscriber import Subscriber
from protocols.opcua.unit import Item, Unit
from protocols.opcua.values import PlainValues, Points, Values
from protocols.schedule import Scan, Schedule

if TYPE_CHECKING:
    from ext.table import SignalTable

NAMESPACES_S = 60.0
"""How often the server's table of namespaces is looked at: one that shifted would go unnoticed."""


class OpcuaDriver:
    """One connection, used once."""

    def __init__(self, endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> None:
        devices = cast("Mapping[str, OpcuaDevice]", endpoint.devices)
        fast = fastpath.usable()
        self._units = {
            name: Unit(name, device, tables[name], stats, _native if fast else _plain)
            for name, device in devices.items()
        }
        polled = [unit for unit in self._units.values() if unit.device.mode == "poll"]
        self._poller = Poller(polled, stats, fast)
        self._subscriber = Subscriber(self._units.values(), stats)
        self._schedule = Schedule(
            Scan(unit.name, number, period)
            for unit in polled
            for number, (period, _) in enumerate(unit.device.scan_classes)
        )
        self._has_scans = bool(polled)
        longest_ms = max(period for unit in self._units.values() for period, _ in unit.device.scan_classes)
        self._session = Session(next(iter(devices.values())), endpoint.state_dir, longest_ms, stats)
        self._stats = stats
        self._overruns_before = stats.overruns
        self._limits = Limits()
        self._namespaces: list[str] = []
        self._look_at = 0.0
        self._ready: deque[Batch] = deque()

    async def connect(self) -> None:
        """Open the session and make all nodes ready that are there. Raises ConnectFailed, ConfigError, NotConnected."""
        await self._session.open()
        self._limits = await read_limits(self._session)
        self._namespaces = await read_namespaces(self._session)
        self._look_at = asyncio.get_running_loop().time() + NAMESPACES_S
        items = [(unit, item) for unit in self._units.values() for item in await self._prepare(unit, unit.items)]
        await self._poller.open(self._session, self._limits, [one for one in items if self._is_polled(*one)])
        if self._subscriber:
            mine = [one for one in items if not self._is_polled(*one)]
            await self._subscriber.open(self._session, self._limits, mine)

    @staticmethod
    def _is_polled(unit: Unit, item: Item) -> bool:
        """Alarms are events, which cannot be read."""
        return unit.device.mode == "poll" and not item.is_alarms

    def _part(self, unit: Unit, item: Item) -> Poller | Subscriber:
        return self._poller if self._is_polled(unit, item) else self._subscriber

    async def _prepare(self, unit: Unit, items: Sequence[Item]) -> list[Item]:
        return await prepare(self._session, self._limits, self._namespaces, unit, items)

    async def read(self) -> Batch:
        """The next scan or notification; what changed twice meanwhile comes in several batches."""
        while not self._ready:
            await self._session.renew_if_due()
            await self._mend()
            if self._subscriber.arrived.is_set():
                self._ready += await self._subscriber.take()
                continue
            due = self._schedule.take_due() if self._has_scans else []
            self._stats.overruns = self._overruns_before + self._schedule.overruns
            for scan in due:
                batch = await self._poller.scan(self._units[scan.device], scan.number)
                self._schedule.done(scan)
                if batch is not None:
                    self._ready.append(batch)
            if not due:
                await self._wait()
        return self._ready.popleft()

    async def _wait(self) -> None:
        """Until a notification, a scan, or something to be mended."""
        until = [self._look_at, *(unit.next_retry() for unit in self._units.values())]
        if self._subscriber:
            until.append(self._subscriber.next_watch())
        try:
            async with asyncio.timeout_at(min(until)):
                if self._has_scans and not self._subscriber:
                    await self._schedule.wait()
                elif not self._has_scans:
                    await self._subscriber.arrived.wait()
                else:
                    async with asyncio.timeout_at(self._schedule.next_due()):
                        await self._subscriber.arrived.wait()
        except TimeoutError:
            return

    async def _mend(self) -> None:
        """Nodes that are gone, came back or changed; subscriptions that are silent; namespaces that moved."""
        now = asyncio.get_running_loop().time()
        if self._subscriber:
            await self._subscriber.watch()
        for unit in self._units.values():
            for item, why in unit.missed(now):
                await self._part(unit, item).forget(unit, [item])
                if self._subscriber:  # what it was last reported with is no value of the time behind
                    self._ready += await self._subscriber.take()
                unit.set_aside(item, why)
            if due := unit.due(now):
                await self._try_again(unit, due)
        if now >= self._look_at:
            self._look_at = now + NAMESPACES_S
            await self._check_namespaces()

    async def _try_again(self, unit: Unit, items: Sequence[Item]) -> None:
        await self._check_namespaces()
        before = {id(item): item.handle for item in items if item.monitored_id is not None}
        ready = await self._prepare(unit, items)
        anew = [item for item in ready if before.get(id(item)) != item.handle]
        for part in (self._poller, self._subscriber):
            mine = [item for item in anew if self._part(unit, item) is part]
            await part.forget(unit, [item for item in mine if item.monitored_id is not None])
            await part.monitor(unit, mine)

    async def _check_namespaces(self) -> None:
        if await read_namespaces(self._session) != self._namespaces:
            raise NotConnected("the server's namespaces have changed", "nothing: they are looked up anew")

    async def close(self) -> None:
        """End the session and close the connection."""
        await self._session.close()


def _native(device: OpcuaDevice, table: SignalTable, points: Points) -> Values:
    return fastpath.NativeValues(device, table, points)


def _plain(device: OpcuaDevice, table: SignalTable, points: Points) -> Values:
    return PlainValues(device, points)
