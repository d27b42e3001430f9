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
MOST_SILENCES = 2
"""Times that one node alone was answered late, or not at all, after which it is set aside."""
SILENT_S = 3.0
"""After so long without an answer everything is bad."""
PATIENCE_S = 15.0
"""How long the answer to one request is waited for before the connection is given up: many servers answer one request
after the other, so that one slow node holds up all that was asked after it, on a new connection too."""


@dataclass(eq=False, slots=True)
class Group:
    """Nodes that are read in one request."""

    items: list[Item]
    handles: array[int]
    request: Any
    prepared: PreparedRead | None
    silences: int = 0
    is_to_part: bool = False


class Poller:
    """Reads whole scan classes."""

    def __init__(self, units: Iterable[Unit], stats: LinkStats, fast: bool) -> None:
        self._stats = stats
        self._fast = fast
        self._groups: dict[tuple[str, int], list[Group]] = {}
        self._late: list[tuple[Unit, Group, asyncio.Future[Any]]] = []
        self._late_since = 0.0
        self._units = {unit.name: unit for unit in units}

    async def open(self, session: Session, limits: Limits, items: Sequence[tuple[Unit, Item]]) -> None:
        """Register nodes, for servers to be quick with them, and make the requests. Raises NotConnected."""
        self._session, self._limits = session, limits
        for unit in self._units.values():
            await self._add(unit, [item for one, item in items if one is unit], silences=0)

    async def monitor(self, unit: Unit, items: Sequence[Item]) -> None:
        """Have items read again, behind the others: one may have been too slow before. Raises NotConnected."""
        await self._add(unit, items, silences=1)

    async def _add(self, unit: Unit, items: Sequence[Item], silences: int) -> None:
        await self._register(items)
        for item in items:
            item.monitored_id = 0
            unit.accepted(item)
        for scan in dict.fromkeys(item.scan for item in items):
            groups = self._groups.setdefault((unit.name, scan), [])
            mine = [item for item in items if item.scan == scan]
            for first in range(0, len(mine), self._limits.read):
                group = self._group(unit, mine[first : first + self._limits.read])
                group.silences = silences
                groups.append(group)

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

    async def scan(self, unit: Unit, scan: int) -> Batch | None:
        """Read one scan class; None where that is held up. Raises NotConnected where nothing is answered any more."""
        if self._late and not await self._caught_up(unit.device.scan_classes[scan][0] / 1000):
            return self._held_up(unit, scan)
        began = time.monotonic()
        groups = self._groups.setdefault((unit.name, scan), [])
        clean = [group for group in groups if not group.silences]
        suspect = [group for group in groups if group.silences]
        whole = await self._ask(unit, [*clean, *suspect[:1]])
        self._stats.round_trip_ms = (time.monotonic() - began) * 1000
        groups[:] = [*clean, *suspect[1:], *suspect[:1]]  # another one's turn the next time
        self._part(unit, scan)
        return unit.batch(scan) if whole else None

    async def _ask(self, unit: Unit, groups: Sequence[Group]) -> bool:
        """Ask in order, up to one that is not answered in time; whether all were."""
        timeout_s = unit.device.timeout / 1000
        left = deque(groups)
        under_way: deque[tuple[Group, asyncio.Future[Any]]] = deque()
        while left or under_way:
            while left and len(under_way) < (1 if left[0].silences else IN_FLIGHT):
                under_way.append((left[0], self._post(left.popleft(), timeout_s)))
            group, future = under_way.popleft()
            await asyncio.wait([future], timeout=timeout_s)
            if not future.done():
                self._stats.timeouts += 1
                group.silences += 1
                group.is_to_part = True
                self._late = [(unit, group, future), *((unit, other, behind) for other, behind in under_way)]
                self._late_since = asyncio.get_running_loop().time() - timeout_s
                return False
            group.silences = 0
            self._take(unit, group, future)
        return True

    def _take(self, unit: Unit, group: Group, future: asyncio.Future[Any]) -> None:
        try:
            body = future.result()
        except (OSError, ua.UaError) as error:
            raise lost(error) from error
        self._stats.bytes_read += len(body)
        self._decode(unit, group, body)

    async def _caught_up(self, wait_s: float) -> bool:
        """Whether what was asked before has been answered by now; values that come late are values all the same."""
        await asyncio.wait([future for _, _, future in self._late], timeout=min(wait_s, 1.0))
        for unit, group, future in self._late:
            if future.done():
                aside = [signal for item in group.items if item.monitored_id is None for signal in item.points]
                whys = [unit.table.read(signal)[3] or "no answer" for signal in aside]
                self._take(unit, group, future)
                for signal, why in zip(aside, whys, strict=True):
                    unit.table.fail(signal, why)  # nobody reads it any more, so that it would stay as it is
        self._late = [late for late in self._late if not late[2].done()]
        return not self._late

    def _held_up(self, unit: Unit, scan: int) -> Batch | None:
        silent_s = asyncio.get_running_loop().time() - self._late_since
        if silent_s > max(PATIENCE_S, 3 * unit.device.timeout / 1000):
            raise NotConnected("it is connected but answers nothing", "check the server's load")
        if silent_s <= max(SILENT_S, unit.device.timeout / 1000):
            return None
        for item in unit.items:
            for signal in item.points:
                unit.table.fail(signal, "no answer")
        return unit.batch(scan)

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
            group.is_to_part = True  # too large
        else:
            with suppress(ua.UaStatusCodeError):
                check_result(status)
        for item in group.items:
            for signal in item.points:
                unit.table.fail(signal, status_text(status))

    def _part(self, unit: Unit, scan: int) -> None:
        """Halve the request that is to blame until what is slow stands alone and is set aside; join what is quick."""
        groups = self._groups[unit.name, scan]
        for group in [one for one in groups if one.is_to_part]:
            group.is_to_part = False
            if len(group.items) == 1 and group.silences < MOST_SILENCES:
                continue
            groups.remove(group)
            if len(group.items) == 1:
                (item,) = group.items
                item.monitored_id = None
                unit.set_aside(item, "no answer")
                continue
            middle = len(group.items) // 2
            for items in (group.items[:middle], group.items[middle:]):
                half = self._group(unit, items)
                half.silences = min(group.silences, 1)
                groups.append(half)
        if len(groups) > 1 and not any(group.silences for group in groups):
            items = [item for group in groups for item in group.items]
            most = self._limits.read
            if len(groups) > -(-len(items) // most):
                groups[:] = [self._group(unit, items[i : i + most]) for i in range(0, len(items), most)]
