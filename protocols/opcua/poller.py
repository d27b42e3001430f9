"""Reads of a session's polled units: requests encoded once, split by the server's limits and around what is slow."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from protocols.driver import LinkStats, NotConnected
from protocols.model import Batch
from protocols.opcua.fastpath import PreparedRead
from protocols.opcua.limits import TOO_MANY, Limits, in_parts
from protocols.opcua.session import Session, check_result, lost, status_text
from protocols.opcua.subscription import TIMESTAMPS
from protocols.opcua.unit import Item, Unit

IN_FLIGHT = 4
"""Requests of one scan at the server at once."""
SILENT_SCANS = 2
"""Scans in a row without any answer after which the connection is given up."""
MOST_SILENCES = 3
"""Scans in a row in which one node was not answered, while others were, after which it is set aside."""


@dataclass(eq=False, slots=True)
class Group:
    """Nodes that are read in one request."""

    items: list[Item]
    handles: array[int]
    request: Any
    prepared: PreparedRead | None
    silences: int = 0


class Poller:
    """Reads whole scan classes."""

    def __init__(self, units: Iterable[Unit], stats: LinkStats, fast: bool) -> None:
        self._stats = stats
        self._fast = fast
        self._groups: dict[tuple[str, int], list[Group]] = {}
        self._silent_scans = 0
        self._units = {unit.name: unit for unit in units}

    async def open(self, session: Session, limits: Limits, items: Sequence[tuple[Unit, Item]]) -> None:
        """Register nodes, for servers to be quick with them, and make the requests. Raises NotConnected."""
        self._session, self._limits = session, limits
        for unit in self._units.values():
            await self.monitor(unit, [item for one, item in items if one is unit])

    async def monitor(self, unit: Unit, items: Sequence[Item]) -> None:
        """Have items read from the next scan on. Raises NotConnected."""
        await self._register(items)
        for item in items:
            item.monitored_id = 0
            unit.accepted(item)
        for scan in dict.fromkeys(item.scan for item in items):
            groups = self._groups.setdefault((unit.name, scan), [])
            mine = [item for item in items if item.scan == scan]
            groups += [
                self._group(unit, mine[i : i + self._limits.read]) for i in range(0, len(mine), self._limits.read)
            ]

    async def forget(self, unit: Unit, items: Sequence[Item]) -> None:
        """Have items not read any more."""
        gone = set(map(id, items))
        for item in items:
            item.monitored_id = None
        for scan in range(len(unit.device.scan_classes)):
            groups = self._groups.get((unit.name, scan), [])
            for group in list(groups):
                left = [item for item in group.items if id(item) not in gone]
                if len(left) < len(group.items):
                    groups.remove(group)
                    groups += [self._group(unit, left)] if left else []

    async def _register(self, items: Sequence[Item]) -> None:
        async def register(part: Sequence[Item]) -> Sequence[Any]:
            request = ua.RegisterNodesRequest()
            request.Parameters.NodesToRegister = [item.node for item in part]
            registered: list[Any] = (await self._session.ask(request)).Parameters.RegisteredNodeIds
            return registered

        try:
            registered = await in_parts(items, self._limits.register, register)
        except ua.UaStatusCodeError:
            return  # a service that a server need not have
        for item, node in zip(items, registered, strict=True):
            item.node = node

    def _group(self, unit: Unit, items: list[Item]) -> Group:
        request = ua.ReadRequest()
        request.Parameters.MaxAge = 0
        request.Parameters.TimestampsToReturn = TIMESTAMPS[unit.device.timestamps]
        request.Parameters.NodesToRead = [
            ua.ReadValueId(NodeId=item.node, AttributeId=ua.AttributeIds.Value) for item in items
        ]
        handles = array("I", [item.handle for item in items])
        return Group(items, handles, request, PreparedRead(request) if self._fast else None)

    async def scan(self, unit: Unit, scan: int) -> Batch:
        """Read one scan class. Raises NotConnected where nothing is answered any more."""
        groups = self._groups.get((unit.name, scan), [])
        began = time.monotonic()
        answered = await self._ask(unit, groups)
        self._silent_scans = 0 if answered or not groups else self._silent_scans + 1
        if self._silent_scans >= SILENT_SCANS:
            raise NotConnected("it is connected but answers nothing", "check the server's load")
        self._stats.round_trip_ms = (time.monotonic() - began) * 1000
        await self._part(unit, scan, bool(answered))
        return unit.batch(scan)

    async def _ask(self, unit: Unit, groups: Sequence[Group]) -> int:
        """How many requests were answered; the values of the others are bad."""
        timeout_s = unit.device.timeout / 1000
        left = deque(groups)
        under_way: deque[tuple[Group, asyncio.Future[Any], float]] = deque()
        answered = 0
        loop = asyncio.get_running_loop()
        while left or under_way:
            while left and len(under_way) < IN_FLIGHT:
                group = left.popleft()
                under_way.append((group, self._post(group, timeout_s), loop.time() + timeout_s))
            group, future, deadline = under_way.popleft()
            try:
                async with asyncio.timeout_at(deadline):
                    body = await future
            except TimeoutError:
                self._stats.timeouts += 1
                group.silences += 1
                for item in group.items:
                    for signal in item.points:
                        unit.table.fail(signal, "no answer")
                continue
            except (OSError, ua.UaError) as error:
                raise lost(error) from error
            self._stats.bytes_read += len(body)
            answered += 1
            group.silences = 0
            self._decode(unit, group, body)
        return answered

    def _post(self, group: Group, timeout_s: float) -> asyncio.Future[Any]:
        if group.prepared is None:
            return self._session.post(group.request, timeout_s)
        self._stats.requests += 1
        return group.prepared.post(self._session.protocol, timeout_s)

    def _decode(self, unit: Unit, group: Group, body: Any) -> None:
        status = unit.values.read(body, group.handles)
        if not status >> 31:
            return
        self._stats.request_errors += 1
        if status & 0xFFFF0000 in TOO_MANY and len(group.items) > 1:
            self._limits.read = max(1, len(group.items) // 2)
            group.silences = 1  # parted at the end of the scan
        else:
            with suppress(ua.UaStatusCodeError):
                check_result(status)
        for item in group.items:
            for signal in item.points:
                unit.table.fail(signal, status_text(status))

    async def _part(self, unit: Unit, scan: int, others_answer: bool) -> None:
        """Halve requests that were not answered while others were, until what is slow stands alone and is set aside."""
        groups = self._groups.get((unit.name, scan), [])
        for group in [one for one in groups if one.silences]:
            if len(group.items) > 1:
                groups.remove(group)
                middle = len(group.items) // 2
                groups += [self._group(unit, group.items[:middle]), self._group(unit, group.items[middle:])]
            elif others_answer and group.silences >= MOST_SILENCES:
                (item,) = group.items
                await self.forget(unit, [item])
                unit.set_aside(item, "no answer")
