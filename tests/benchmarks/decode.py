"""Decoding 64 mixed signals in 125 registers with change detection, beside plain C, struct, NumPy and pymodbus."""

from __future__ import annotations

import ctypes
import itertools
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymodbus.client.mixin import ModbusClientMixin

from ext.registers import RegisterPlan
from ext.table import SignalTable
from tests.benchmarks.result import Result

ROUNDS = 15
REPEATED = 5_000
COUNT = 125
FORMATS = {"bool": "H", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
           "float32": "f", "float64": "d"}  # fmt: skip
MIX: tuple[str, ...] = (
    ("float32",) * 24 + ("uint16",) * 12 + ("int16",) * 10 + ("bool",) * 6 + ("uint32",) * 4 + ("int32",) * 4
)
MIX += ("float64", "float64", "uint64", "int64")
FLOOR = Path(__file__).with_name("decode_floor.c")


@dataclass(frozen=True, slots=True)
class Place:
    """One signal of the block: where, what, and how it is thinned."""

    at: int
    type: str
    bit: int
    scale: float
    offset: float
    deadband: float

    @property
    def registers(self) -> int:
        return struct.calcsize(">" + FORMATS[self.type]) // 2


def layout() -> list[Place]:
    """64 signals, types mixed as in a PLC's data block; every third has a deadband, about half of int16 a scale."""
    places, at = [], 0
    for number in range(len(MIX)):
        kind = MIX[number * 27 % len(MIX)]
        scaled = kind == "int16" and number % 2 == 0
        thinned = 0.5 if number % 3 == 0 and kind != "bool" else 0.0
        places.append(Place(at, kind, number % 16, 0.1 if scaled else 1.0, -40.0 if scaled else 0.0, thinned))
        at += places[-1].registers
    assert len(places) == 64
    assert at <= COUNT
    return places


def payload(places: list[Place], moved: int, step: int) -> bytes:
    """A reply in which `moved` signals, far apart in the block, differ from the reply of another `step`."""
    reply = bytearray(2 * COUNT)
    moving = {number * len(places) // moved for number in range(moved)}
    for number, place in enumerate(places):
        moves = step if number in moving else 0
        value = moves << place.bit if place.type == "bool" else 1000 + 7 * number + 100 * moves
        struct.pack_into(">" + FORMATS[place.type], reply, 2 * place.at, value)
    return bytes(reply)


def nanoseconds(*works: tuple[Callable[[], object], int]) -> list[float]:
    """Medians of the time of one call of each, for so many calls; they take turns, so that all see the same machine."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for (work, calls), mine in zip(works, times, strict=True):
            turns = itertools.repeat(None, calls)
            began = time.perf_counter_ns()
            for _ in turns:
                work()
            mine.append((time.perf_counter_ns() - began) / calls)
    return [statistics.median(mine) for mine in times]


class Ours:
    """The block in a table of signals that are all handed out."""

    def __init__(self, places: list[Place]) -> None:
        self.table = SignalTable([f"s{n}" for n in range(len(places))])
        self.plan = RegisterPlan(self.table, COUNT, len(places))
        for number, one in enumerate(places):
            self.plan.add(number, one.at, one.type, bit=one.bit, scale=one.scale, offset=one.offset)
            self.table.forward(number, deadband=one.deadband)

    def decoding(self, even: bytes, odd: bytes) -> Callable[[], object]:
        """Decode two replies; the calls from Python are part of it."""
        decode = self.plan.decode

        def both() -> None:
            decode(even)
            decode(odd)

        return both

    def taking(self, even: bytes, odd: bytes) -> Callable[[], object]:
        """The same, with the changes handed out as Python objects after each reply."""

        def both() -> None:
            self.plan.decode(even)
            self.table.take()
            self.plan.decode(odd)
            self.table.take()

        return both


class Floor:
    """The same block in the C loop, called once for many replies."""

    def __init__(self, places: list[Place], library: ctypes.CDLL) -> None:
        self.library = library
        library.value_of.restype = ctypes.c_double
        operations = ("bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
        for number, one in enumerate(places):
            reals = map(ctypes.c_double, (one.scale, one.offset, one.deadband))
            library.plan(number, operations.index(one.type), 2 * one.at, one.bit, *reals)

    def decoding(self, even: bytes, odd: bytes) -> Callable[[], object]:
        """Decode REPEATED replies in one call."""
        return lambda: self.library.repeat(even, odd, ctypes.c_long(REPEATED))


@contextmanager
def compiled_floor() -> Iterator[ctypes.CDLL]:
    """decode_floor.c as a library, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        subprocess.run(["cc", "-O3", "-shared", "-fPIC", "-o", library, FLOOR, "-lm"], check=True)
        yield ctypes.CDLL(str(library))


def prove_alike(ours: Ours, floor: Floor, even: bytes, odd: bytes) -> None:
    """Both loops do the same work: as many changes handed out, and the same values after each reply."""
    for reply in (even, odd, odd, even):
        ours.plan.decode(reply)
        floor.library.repeat(reply, reply, ctypes.c_long(1))
        taken = len(ours.table.take()), floor.library.take()
        assert taken[0] == taken[1], taken
        for number in range(len(ours.table)):
            mine, theirs = ours.table.read(number)[1], floor.library.value_of(number)
            assert isinstance(mine, int | float)
            assert mine == theirs, (number, mine, theirs)


def struct_each(places: list[Place], reply: bytes) -> Callable[[], object]:
    """struct.unpack_from for each signal: decoding alone."""
    unpack = [(struct.Struct(">" + FORMATS[one.type]).unpack_from, 2 * one.at) for one in places]
    return lambda: [one(reply, at) for one, at in unpack]


def struct_whole(places: list[Place], reply: bytes) -> Callable[[], object]:
    """One precompiled Struct, then scales, bits and deadbands in a Python loop."""
    unpack = struct.Struct(">" + "".join(FORMATS[one.type] for one in places)).unpack_from
    bits = [one.bit if one.type == "bool" else -1 for one in places]
    scales = [(one.scale, one.offset) if one.scale != 1.0 else None for one in places]
    deadbands = [one.deadband for one in places]
    reported: list[float] = [0.0] * len(places)

    def work() -> list[tuple[int, float]]:
        changes = []
        for number, value in enumerate(unpack(reply)):
            if bits[number] >= 0:
                value = (value >> bits[number]) & 1
            elif (scale := scales[number]) is not None:
                value = value * scale[0] + scale[1]
            if value != (last := reported[number]) and abs(value - last) >= deadbands[number]:
                reported[number] = value
                changes.append((number, value))
        return changes

    return work


def numpy_views(places: list[Place], reply: bytes) -> Callable[[], object]:
    """NumPy: the signals of each type gathered from a view of the registers, scaled, and compared as arrays."""
    groups: list[tuple[Any, ...]] = []
    for kind in FORMATS:
        mine = [one for one in places if one.type == kind]
        index = np.array([[one.at + n for n in range(one.registers)] for one in mine])
        columns = [
            np.array(column) for column in zip(*((o.bit, o.scale, o.offset, o.deadband) for o in mine), strict=True)
        ]
        groups.append((kind, ">" + FORMATS[kind], index, *columns, np.zeros(len(mine))))

    def work() -> list[npt.NDArray[np.intp]]:
        words = np.frombuffer(reply, ">u2")
        changes = []
        for kind, dtype, index, bit, scale, offset, deadband, reported in groups:
            values = words[index].view(dtype)[:, 0]
            if kind == "bool":
                values = (values >> bit) & 1
            elif kind == "int16":
                values = values * scale + offset
            passes = (values != reported) & (np.abs(values - reported) >= deadband)
            reported[passes] = values[passes]
            changes.append(np.flatnonzero(passes))
        return changes

    return work


def pymodbus_conversion(places: list[Place], reply: bytes) -> Callable[[], object]:
    """pymodbus's convert_from_registers for each signal, from registers that it already has as a list."""
    registers = list(struct.unpack(f">{COUNT}H", reply))
    types = ModbusClientMixin.DATATYPE
    kinds = {kind: types.BITS if kind == "bool" else getattr(types, kind.upper()) for kind in FORMATS}
    parts = [(one.at, one.at + one.registers, kinds[one.type]) for one in places]
    convert = ModbusClientMixin.convert_from_registers
    return lambda: [convert(registers[a:b], kind) for a, b, kind in parts]


def measure() -> list[Result]:
    """Nanoseconds a signal; each ratio is ours to the other's on the same replies."""
    places = layout()
    n = len(places)
    results = []
    still = payload(places, 1, 0)
    plan = Ours(places).plan
    with compiled_floor() as library:
        for moved, words in ((0, "nothing changed"), (8, "8 of 64 changed"), (n, "all changed")):
            even, odd = (payload(places, moved, step) if moved else still for step in (0, 1))
            ours, floor = Ours(places), Floor(places, library)
            prove_alike(ours, floor, even, odd)
            times = nanoseconds(
                (ours.decoding(even, odd), 2_500), (floor.decoding(even, odd), 1), (ours.taking(even, odd), 500)
            )
            mine, least, taken = times[0] / 2 / n, times[1] / REPEATED / n, times[2] / 2 / n
            results += [
                Result("decode", f"decode and change detection, {words}", mine, "ns/signal"),
                Result("decode", f"the same loop in plain C, {words}", least, "ns/signal", "ours", mine / least),
                Result("decode", f"decode and take, {words}", taken, "ns/signal"),
            ]
    others = {
        "struct.unpack_from each": (struct_each(places, still), 200),
        "one Struct, scale, bits and deadbands in Python": (struct_whole(places, still), 200),
        "NumPy views with compare": (numpy_views(places, still), 40),
        "pymodbus convert_from_registers": (pymodbus_conversion(places, still), 20),
    }
    mine, *theirs = nanoseconds((lambda: plan.decode(still), 5_000), *others.values())
    for name, one in zip(others, theirs, strict=True):
        results.append(Result("decode", name, one / n, "ns/signal", "ours", mine / one))
    return results
