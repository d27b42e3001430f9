"""Looks at a Modbus device: which units answer, who they are, and which addresses of their tables can be read.

A table has no list of what it holds. It is read in blocks; a block that is refused is halved until what can be read
is left. Nothing tells what a register means, so that each is proposed as a uint16 beside the value that it had.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ext.registers import RegisterPlan
from ext.table import SignalTable
from protocols.discovery import Discovery, FoundSignal, LeftOut, Pace, Say, Wishes, device_name
from protocols.driver import ConnectFailed, LinkStats, NotConnected
from protocols.modbus.config import ModbusRtuDevice, ModbusTcpDevice, Table
from protocols.modbus.identification import BASIC, FIRST_REGULAR, OBJECTS, REGULAR, Identification
from protocols.modbus.mbap import MbapLink
from protocols.modbus.request import Exchange, Failure, Outcome, Request
from protocols.settings import counted

BLOCK = 100
"""Addresses of the first read of each block; the protocol's limit is 125, and some devices have a lower one."""
MOST_REQUESTS = 20_000
"""A device is left alone after so many."""
TABLES = (Table.HOLDING, Table.INPUT, Table.COIL, Table.DISCRETE)
PRESENCE = (Table.HOLDING, Table.INPUT)
"""Tables of which the first address is read to see whether a unit is there; a refusal is an answer, too."""
MOST_SILENCES = 2
"""Blocks in a row without an answer after which the rest of a table is left alone."""
MOST_IDENTIFICATIONS = 4
FENCES = 3
"""On a line: requests that may be needed to tell an answer from a late one."""
_ILLEGAL_FUNCTION = 1
_TOO_MANY = 3
_HALVED = (2, _TOO_MANY, 4)
"""Exceptions with which devices refuse addresses; 4 is a failure, and some give it for an address that they lack."""


@dataclass(frozen=True, slots=True)
class ModbusTarget:
    """What is looked at."""

    section: dict[str, Any]
    """The device's, without `unit_id` and signals."""
    units: tuple[int, ...]
    only_first: bool
    """Whether the first unit that answers is the only one that is looked at."""
    first: int
    last: int
    """Addresses, as on the wire."""

    @property
    def is_line(self) -> bool:
        """Whether it is a serial line, where frames have no transaction ids."""
        return bool(self.section["protocol"] == "modbus_rtu")

    @property
    def fewest(self) -> int:
        """Requests that it takes where the first unit answers everything at once; `most` where all is refused."""
        units = 1 if self.only_first else len(self.units)
        return min(MOST_REQUESTS, units * (1 + len(TABLES) * len(self.blocks()) + (not self.is_line)))

    @property
    def most(self) -> int:
        """Requests after which it ends in any case."""
        looked_at = 1 if self.only_first else len(self.units)
        halving = sum(2 * count - 1 for _, count in self.blocks())
        identification = 0 if self.is_line else MOST_IDENTIFICATIONS
        most = len(self.units) * len(PRESENCE) + looked_at * (len(TABLES) * halving + identification)
        return min(MOST_REQUESTS, most + (len(self.units) + 1) * self.fences)

    @property
    def fences(self) -> int:
        """Requests that one request may take beside its own."""
        return FENCES if self.is_line else 0

    def blocks(self) -> list[tuple[int, int]]:
        """Address and count of the first reads of a table."""
        return [(at, min(BLOCK, self.last + 1 - at)) for at in range(self.first, self.last + 1, BLOCK)]


class Probe(Request):
    """Reads a block and keeps its values."""

    __slots__ = ("values",)

    def __init__(self, table: Table, address: int, count: int, unit_id: int) -> None:
        nothing = RegisterPlan(SignalTable(()), count, 0, bits=table.is_bits)
        super().__init__(table, address, count, nothing, unit_id, 0)
        self.values: list[int] = []

    def receive(self, data: bytes, at: int, size: int) -> None:
        """As `Request.receive`."""
        super().receive(data, at, size)
        if self.failure is not None:
            return
        if self.table.is_bits:
            bits = int.from_bytes(data[at + 2 : at + size], "little")
            self.values = [bits >> place & 1 for place in range(self.count)]
        else:
            self.values = list(struct.unpack_from(f">{self.count}H", data, at + 2))


@dataclass(slots=True)
class _Held:
    """What was found of one table."""

    values: dict[int, int] = field(default_factory=dict)
    why: str = ""
    """Why nothing of it, or no more, can be read."""
    unread: list[tuple[int, int, str]] = field(default_factory=list)
    """Address, count and why, of what was left alone for another reason than its address."""


@dataclass(slots=True)
class _Unit:
    """What was found of one unit."""

    unit_id: int
    tables: dict[Table, _Held] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    unnamed: str = ""
    """Why it does not say who it is."""
    largest: int = 0
    """Most registers that it answered at once."""
    limits_count: bool = False
    """Whether it refused a number of registers."""


class _Enough(Exception):
    """As many requests were made as were announced."""


class _Asking:
    """The one connection, its pace, and its end."""

    def __init__(self, target: ModbusTarget, pace: Pace) -> None:
        self.stats = LinkStats()
        self._target, self._pause_s = target, pace.gap_s
        signals = {"any": {"address": "holding:0", "type": "uint16"}}
        kind = ModbusRtuDevice if target.is_line else ModbusTcpDevice
        self._device = kind.model_validate({**target.section, "unit_id": target.units[0], "signals": signals})
        self._timeout_s = self._device.timeout / 1000
        self._link: Any = None

    async def open(self) -> None:
        """Raises ConnectFailed."""
        if isinstance(self._device, ModbusRtuDevice):
            from protocols.modbus.rtu import RtuLink  # its library is for those who use it

            self._link = line = RtuLink(self._device, self._timeout_s, self.stats)
            await line.open()
            return
        self._link = link = MbapLink(1, self.stats)
        await link.open(self._device.host, self._device.port, None, None)

    async def ask(self, one: Exchange) -> Failure | None:
        """The failure, if it has one. Raises NotConnected, or _Enough."""
        if self.stats.requests + self._target.fences >= self._target.most:
            raise _Enough
        await self._link.ask([one], self._timeout_s, self._pause_s)
        return one.failure

    async def close(self) -> None:
        """Idempotent."""
        if self._link is not None:
            await self._link.close()


async def discover_modbus(target: ModbusTarget, wishes: Wishes, pace: Pace, say: Say) -> Discovery:
    """Look at the units of a target. Raises ConnectFailed, NotConnected or ConfigError."""
    asking, units, notes = _Asking(target, pace), list[_Unit](), list[str]()
    silent: dict[str, list[int]] = {}
    try:
        await asking.open()
        for unit_id in target.units:
            say(f"unit {unit_id}: is it there?")
            if (why := await _absent(asking, target, unit_id)) is not None:
                silent.setdefault(why, []).append(unit_id)
                continue
            units.append(_Unit(unit_id))
            await _look(asking, target, units[-1], say)
            if target.only_first:
                break
        for unit in [] if target.is_line else units:  # last, since some devices hang up on what they do not know
            await _identify(asking, unit)
    except _Enough:
        notes.append(f"it ends here, after {asking.stats.requests:,} requests: narrow it with --range or --units")
    except NotConnected as error:
        if not any(held.values for unit in units for held in unit.tables.values()):
            raise
        notes.append(f"not all was looked at: {error.why}; {error.remedy}")
    finally:
        await asking.close()
    unheard = [f"{named(unit_ids)}: {why}" for why, unit_ids in silent.items()]
    if not units:
        raise ConnectFailed(
            f"it is connected, but no unit answers: {'; '.join(unheard)}",
            "name the units to try, --units 1-16, and check the line behind a converter",
        )
    found = _proposal(target, units, wishes)
    found.notes += [*notes, *(f"nobody there: {one}" for one in (() if target.only_first else unheard))]
    found.asked = asking.stats.requests
    return found


async def _absent(asking: _Asking, target: ModbusTarget, unit_id: int) -> str | None:
    """Why a unit counts as not there; None where it says anything, even that it refuses."""
    failure: Failure | None = None
    for table in PRESENCE:
        failure = await asking.ask(Probe(table, target.first, 1, unit_id))
        if failure is None or (failure.outcome is Outcome.REFUSED and not failure.is_silence):
            return None
    return None if failure is None else failure.why


async def _look(asking: _Asking, target: ModbusTarget, unit: _Unit, say: Say) -> None:
    for table in TABLES:
        held = unit.tables[table] = _Held()
        left, silences = deque(target.blocks()), 0
        while left and not held.why:
            address, count = left.popleft()
            probe = Probe(table, address, count, unit.unit_id)
            failure = await asking.ask(probe)
            silences = silences + 1 if failure is not None and failure.is_silence else 0
            if failure is None:
                held.values.update(enumerate(probe.values, address))
                unit.largest = max(unit.largest, 0 if table.is_bits else count)
            elif failure.code in _HALVED:
                unit.limits_count |= failure.code == _TOO_MANY and not table.is_bits and count > 1
                half = count // 2
                left.extendleft([(address + half, count - half), (address, half)] if half else [])
            elif failure.code == _ILLEGAL_FUNCTION and not held.values:
                held.why = failure.why
            else:
                held.unread.append((address, count, failure.why))
                held.why = "it stopped answering for this table" if silences == MOST_SILENCES else ""
            say(f"unit {unit.unit_id}: {_name(table)} looked at up to {address + count - 1}")


async def _identify(asking: _Asking, unit: _Unit) -> None:
    """Take the basic texts, then the regular ones where the device has them."""
    steps = deque([(BASIC, 0)])
    for _ in range(MOST_IDENTIFICATIONS):
        if not steps:
            return
        level, first = steps.popleft()
        one = Identification(level, first, unit.unit_id)
        failure = await asking.ask(one)
        if failure is not None:
            unit.unnamed = "" if unit.texts else failure.why
            return
        unit.texts |= one.texts
        if one.next is not None and one.next > first:
            steps.append((level, one.next))
        elif level == BASIC and one.conformity >= REGULAR:
            steps.append((REGULAR, FIRST_REGULAR))


def _proposal(target: ModbusTarget, units: Sequence[_Unit], wishes: Wishes) -> Discovery:
    """The first unit's, with the others as its neighbours."""
    devices: list[Discovery] = []
    limit = wishes.limit
    for unit in units:
        name = wishes.name or device_name(unit.texts.get(4, ""), unit.texts.get(5, ""), unit.texts.get(1, ""), "modbus")
        found = Discovery(_url(target), name if len(units) == 1 else f"{name}_unit_{unit.unit_id}")
        found.facts = _facts(unit)
        found.settings = {**target.section, "unit_id": unit.unit_id, **_limits(unit)}
        signals = [one for table, held in unit.tables.items() for one in _signals(table, held)]
        wanted = [one for one in signals if wishes.wants(one.place)]
        found.signals = wanted[:limit]
        limit -= len(found.signals)
        found.left_out = _left_out(unit)
        if len(wanted) > len(found.signals):
            more = counted(len(wanted) - len(found.signals), "more value")
            found.notes.append(f"{more} beyond --limit {wishes.limit}: raise it, or narrow --range or --match")
        if len(signals) > len(wanted):
            found.notes.append(f"{counted(len(signals) - len(wanted), 'value')} not asked for by --match")
        devices.append(found)
    found, *found.neighbours = devices
    found.notes.append("nothing tells types: the manual says which registers belong together, and what they mean")
    return found


def _url(target: ModbusTarget) -> str:
    section = target.section
    return section["serial"]["path"] if target.is_line else f"{section['host']}:{section.get('port', 502)}"


def _facts(unit: _Unit) -> list[tuple[str, str]]:
    facts = [("unit", f"{unit.unit_id}")]
    facts += [(OBJECTS[number], text) for number, text in sorted(unit.texts.items()) if number in OBJECTS and text]
    if unit.unnamed:
        facts.append(("identification", unit.unnamed))
    for table, held in unit.tables.items():
        words = f"{spans(held.values)} can be read" if held.values else "nothing of it can be read"
        facts.append((_name(table), words))
    return facts


def _limits(unit: _Unit) -> dict[str, int]:
    """What the daemon has to keep to, to read what was found and nothing between."""
    has_holes = any(held.values and max(held.values) - min(held.values) >= len(held.values)
                    for held in unit.tables.values())  # fmt: skip
    is_limited = unit.limits_count and 0 < unit.largest < BLOCK
    return {**({"max_gap": 0} if has_holes else {}), **({"max_registers": unit.largest} if is_limited else {})}


def _signals(table: Table, held: _Held) -> list[FoundSignal]:
    name = _name(table)
    return [
        FoundSignal(
            f"{name}_{number}",
            (name, f"{name}_{number}"),
            {"address": f"{name}:{number}"},
            "bool" if table.is_bits else "uint16",
            ("true" if value else "false") if table.is_bits else f"0x{value:04X}",
        )
        for number, value in sorted(held.values.items())
    ]


def _left_out(unit: _Unit) -> list[LeftOut]:
    left_out = []
    for table, held in unit.tables.items():
        left_out += [LeftOut((_name(table), f"{at}..{at + count - 1}"), why) for at, count, why in held.unread]
        left_out += [LeftOut((_name(table),), held.why)] if held.why else []
    return left_out


def _name(table: Table) -> str:
    return table.name.lower()


def named(unit_ids: Sequence[int]) -> str:
    """`unit 1`, or `units 1..5`."""
    return f"unit{'s' if len(unit_ids) > 1 else ''} {spans(unit_ids)}"


def spans(numbers: Iterable[int]) -> str:
    """Numbers as what follows each other: `0..99, 120, 200..203`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}..{last}" if first < last else f"{first}" for first, last in ranges)
