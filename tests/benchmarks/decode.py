"""Decoding 64 mixed signals in 125 registers with change detection, beside `struct` and pymodbus's conversion."""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable

from pymodbus.client.mixin import ModbusClientMixin

from ext.registers import RegisterPlan
from ext.table import SignalTable
from tests.benchmarks.result import Result

TYPES = ("float32", "uint32", "uint16", "int16")
FORMATS = {"float32": ">f", "uint32": ">I", "uint16": ">H", "int16": ">h"}
ROUNDS = 7


def layout() -> list[tuple[int, str]]:
    """(register, type) of 64 signals in 125 registers."""
    places, at = [], 0
    for number in range(64):
        kind = "float32" if number % 16 == 15 else TYPES[number % 4] if number % 2 else "float32"
        places.append((at, kind))
        at += 2 if kind in ("float32", "uint32") else 1
    assert at <= 125
    return places


def nanoseconds(work: Callable[[], object], rounds: int) -> float:
    """Median of the time of one call."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for _ in range(rounds):
            work()
        times.append((time.perf_counter_ns() - began) / rounds)
    return statistics.median(times)


def measure() -> list[Result]:
    """Nanoseconds a signal; ours with values unchanged, and with every value changing and taken as Python objects."""
    places = layout()
    payloads = [b"".join(struct.pack(">H", (7 * n + round_) & 0x3FFF) for n in range(125)) for round_ in (0, 1)]
    registers = list(struct.unpack(">125H", payloads[0]))
    table = SignalTable([f"s{n}" for n in range(len(places))])
    plan = RegisterPlan(table, 125, len(places))
    for number, (at, kind) in enumerate(places):
        plan.add(number, at, kind)
        table.forward(number, deadband=0.5 if number % 3 == 0 else 0.0)
    plan.decode(payloads[0])
    turn = [0]

    def changing() -> None:
        turn[0] ^= 1
        plan.decode(payloads[turn[0]])
        table.take()

    unpack = [(struct.Struct(FORMATS[kind]).unpack_from, 2 * at) for at, kind in places]
    kinds = {kind: getattr(ModbusClientMixin.DATATYPE, kind.upper()) for kind in TYPES}
    sizes = [(at, at + (2 if kind in ("float32", "uint32") else 1), kinds[kind]) for at, kind in places]
    convert = ModbusClientMixin.convert_from_registers
    ours = nanoseconds(lambda: plan.decode(payloads[0]), 20_000) / 64
    changed = nanoseconds(changing, 5_000) / 64
    plain = nanoseconds(lambda: [one(payloads[0], at) for one, at in unpack], 3_000) / 64
    theirs = nanoseconds(lambda: [convert(registers[a:b], kind) for a, b, kind in sizes], 100) / 64
    return [
        Result("decode", "decode and change detection", ours, "ns/signal"),
        Result("decode", "the same, every value changing, taken as Python objects", changed, "ns/signal"),
        Result("decode", "struct.unpack_from each", plain, "ns/signal", "ours", ours / plain),
        Result("decode", "pymodbus convert_from_registers", theirs, "ns/signal", "ours", ours / theirs),
    ]
