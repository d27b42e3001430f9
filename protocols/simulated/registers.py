"""The simulated PLC's memory: which Modbus addresses a unit has, and the bytes that they hold at an instant."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from protocols.simulated.machine import Filler, State

EXTRA_ADDRESS = 1000
EXTRA_LIMIT = 32_000
"""Most float32 values after `EXTRA_ADDRESS` in one unit: they end below 65536."""
EXTRA_STEP_MS = 100
_PERIOD = 997
_RECIPE_BYTES = 16


class Table(IntEnum):
    """The four tables by the function code that reads each (Modbus Application Protocol V1.1b3, 6.1 to 6.4)."""

    COIL = 1
    DISCRETE = 2
    HOLDING = 3
    INPUT = 4

    @property
    def is_bits(self) -> bool:
        """Whether it holds single bits."""
        return self in (Table.COIL, Table.DISCRETE)


class Unit(Protocol):
    """What stands behind one unit id."""

    def read(self, table: Table, address: int, count: int, ms: int) -> bytes | None:
        """The answer's data (bits packed from the least significant, registers big-endian) of one instant.

        None where any of the addresses is not defined.
        """
        ...


@dataclass(frozen=True, slots=True)
class Segment:
    """Adjacent addresses of one table that are encoded together; no two segments of a table touch."""

    table: Table
    address: int
    count: int
    encode: Callable[[Filler], bytes]


def _status(filler: Filler) -> bytes:
    # Bit 0 is the emergency stop; bit 1, the safety circuit, is its opposite, and bit 8 is always on, so that reading
    # the register as a whole is seen to be wrong.
    estop = filler.hindered_by(State.ESTOPPED)
    return struct.pack(">HH", 0x0100 | (1 if estop else 2), filler.fault)


def _production(filler: Filler) -> bytes:
    return struct.pack(">fIH", filler.speed, filler.bottles, filler.rejects)


def _level(filler: Filler) -> bytes:
    """A tank that is drawn down and filled up once a minute, 95 to 105 mm; raw · 0.1 - 40 mm."""
    tenths = 950 + abs(30_000 - filler.now_ms % 60_000) // 300
    return struct.pack(">h", tenths + 400)


def _recipe(filler: Filler) -> bytes:
    return filler.recipe.encode("ascii")[:_RECIPE_BYTES].ljust(_RECIPE_BYTES, b"\0")


def _heartbeat(filler: Filler) -> bytes:
    return struct.pack(">H", filler.now_ms // 100 & 0xFFFF)


def _running(filler: Filler) -> bytes:
    """The drive is on: also while it waits for bottles."""
    return b"\1" if filler.state in (State.EXECUTE, State.STARVED) else b"\0"


def _infeed_ready(filler: Filler) -> bytes:
    return b"\0" if filler.hindered_by(State.STARVED) else b"\1"


SEGMENTS = (
    Segment(Table.COIL, 0, 1, _running),
    Segment(Table.DISCRETE, 4, 1, _infeed_ready),
    Segment(Table.INPUT, 7, 1, _level),
    Segment(Table.HOLDING, 1, 1, _heartbeat),
    Segment(Table.HOLDING, 20, 2, _status),
    Segment(Table.HOLDING, 100, 5, _production),
    Segment(Table.HOLDING, 200, _RECIPE_BYTES // 2, _recipe),
)


class FillerUnit:
    """The filler's PLC, and the extra values that this unit has."""

    def __init__(self, filler: Filler, extra: ExtraUnit | None = None) -> None:
        self._filler = filler
        self._extra = extra

    def read(self, table: Table, address: int, count: int, ms: int) -> bytes | None:
        """See `Unit`; the filler has to have been advanced to `ms`."""
        for segment in SEGMENTS:
            first = address - segment.address
            if segment.table is table and first >= 0 and first + count <= segment.count:
                data = segment.encode(self._filler)
                return data if table.is_bits else data[2 * first : 2 * (first + count)]
        return None if self._extra is None else self._extra.read(table, address, count, ms)


class ExtraUnit:
    """Many float32 in holding registers from 1000 on, for load tests; all of them change every 100 ms.

    All values walk through one periodic table, each from a place of its own, so that any block at any time is a
    slice of bytes made beforehand: however many are read, answering costs next to nothing.
    """

    def __init__(self, count: int) -> None:
        if not 0 <= count <= EXTRA_LIMIT:
            raise ValueError(f"{count} extra values are not between 0 and {EXTRA_LIMIT} in one unit")
        self._registers = 2 * count
        waves = [_wave(place) for place in range(_PERIOD)]
        values = [waves[place % _PERIOD] for place in range(count + _PERIOD)]
        self._bytes = struct.pack(f">{len(values)}f", *values)

    def read(self, table: Table, address: int, count: int, ms: int) -> bytes | None:
        """See `Unit`."""
        first = address - EXTRA_ADDRESS
        if table is not Table.HOLDING or first < 0 or first + count > self._registers:
            return None
        begin = ms // EXTRA_STEP_MS % _PERIOD * 4 + first * 2
        return self._bytes[begin : begin + count * 2]


def _wave(place: int) -> float:
    return 50 + 40 * math.sin(2 * math.pi * 37 * place / _PERIOD)


def extra_value(index: int, ms: int) -> float:
    """What extra value `index` is at a simulated time, as a float32 can hold it."""
    value: float = struct.unpack(">f", struct.pack(">f", _wave((ms // EXTRA_STEP_MS + index) % _PERIOD)))[0]
    return value
