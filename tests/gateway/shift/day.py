"""An early shift of a line: what goes wrong in it by its seed, and how its three PLCs show that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import merge
from random import Random
from typing import Any

from gateway.inputs import Input, Reload, Tick
from protocols.model import Value
from tests.gateway.shift.physics import Line, Machine
from tests.gateway.shift.plc import Plc, Span

MONDAY = 1_795_388_400_000
"""2026-11-23 00:00 in Berlin, where it is an hour before midnight in UTC."""
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
IDEAL = {"filler": 2_000, "capper": 2_000, "labeler": 2_200}
COPIED = {"filler": 1, "capper": 1, "labeler": 5 * SECOND}
"""How often each PLC copies its counters to where they are read."""
CAPS_AT_START = 65_536 - 5_000


def clock(hours: int, minutes: int, seconds: float = 0) -> int:
    """A time of day, as engine time."""
    return MONDAY + hours * HOUR + minutes * MINUTE + round(seconds * SECOND)


BEGIN, END = clock(5, 40), clock(14, 20)
SHIFT: Span = (clock(6, 0), clock(14, 0))
BREAK: Span = (clock(10, 0), clock(10, 15))
FILLER_LOST: Span = (clock(13, 20), clock(13, 20, 21))
CAPPER_LOST: Span = (clock(12, 30), clock(12, 41))
SPEED_BAD: Span = (clock(12, 50), clock(13, 5))
ORDERS = {101: BEGIN, 102: clock(8, 5, 33), 103: clock(11, 40), 104: clock(12, 10, 7)}
"""When the filler began each: while it runs, and while it is set up."""


@dataclass(slots=True)
class Day:
    """What truly happened, and how it is shown."""

    line: Line
    plcs: dict[str, Plc]

    def inputs(self, *, every_scan: bool = False) -> Iterable[Input]:
        """What the engine is given."""
        devices = [plc.inputs(BEGIN, END, every_scan=every_scan) for plc in self.plcs.values()]
        return [Reload(BEGIN, 0), *merge(*devices, key=lambda one: one.at), Tick(END + HOUR)]


def early_shift(seed: int) -> Day:
    """The line from 05:40 to 14:20."""
    line = Line(Random(seed))
    filler, capper, labeler = (line.add(name, ideal, 0.02) for name, ideal in IDEAL.items())
    _operate(line, filler, capper, labeler)
    for machine in line.machines:
        _break_down(line, machine)
    line.put(filler, clock(6, 41), clock(6, 46), supplied=False)
    line.put(filler, clock(7, 30), clock(7, 50), slow=1.3)
    line.put(capper, clock(8, 20), clock(8, 21, 10), dry=True)
    line.put(labeler, clock(9, 1), clock(9, 4), cleared=False)
    line.run(BEGIN, END)
    return Day(line, {machine.name: _plc(machine) for machine in line.machines})


def _operate(line: Line, filler: Machine, capper: Machine, labeler: Machine) -> None:
    """Late to begin, early into the break and late out of it, a changeover, and the line run empty behind the shift."""
    on = {
        filler: [(clock(6, 2), clock(9, 59, 20)), (clock(10, 16, 10), clock(13, 57))],
        capper: [(clock(6, 1), clock(10, 0, 40)), (clock(10, 15, 30), clock(13, 59, 30))],
        labeler: [(clock(6, 1, 30), clock(10, 2)), (clock(10, 14, 20), clock(14, 3))],
    }
    setup = {
        filler: (clock(11, 30), clock(11, 52)), capper: (clock(11, 33), clock(11, 50)),
        labeler: (clock(11, 36), clock(11, 58)),
    }  # fmt: skip
    for machine in on:
        for began, ended in on[machine]:
            line.put(machine, began, ended, on=True)
        line.put(machine, *setup[machine], setup=True)


def _break_down(line: Line, machine: Machine) -> None:
    """One fault each quarter of an hour but where something else goes on: most of them short, some of them long."""
    random = line.random
    quiet = [clock(6, 30), clock(8, 15), clock(11, 30), clock(11, 45)]
    for slot in range(clock(6, 15), clock(13, 45), 15 * MINUTE):
        if slot in quiet or clock(9, 45) <= slot < clock(10, 30) or clock(12, 30) <= slot < clock(13, 30):
            continue
        began = slot + random.randrange(5 * SECOND, 4 * MINUTE)
        length = random.randrange(3 * MINUTE, 9 * MINUTE) if random.random() < 0.3 else random.randrange(3_000, 110_000)
        line.put(machine, began, began + length, fault=random.choice([17, 23, 42]))


def _plc(machine: Machine) -> Plc:
    """Each has its own way to be hard to read."""
    good, scrap, total = _counts(machine)
    state: dict[str, list[tuple[int, Value]]]
    if machine.name == "labeler":
        numbers = {"execute": 6, "held": 11, "stopped": 2, "starved": 5, "blocked": 5, "setup": 15}
        state = {
            "state": [(at, numbers[state]) for at, state, _ in machine.states],
            "mode": [(at, 4 if state == "setup" else 1) for at, state, _ in machine.states],
            "backed_up": [(at, state == "blocked") for at, state, _ in machine.states],
        }
        counters = {"labels": _reset_in_the_break(_copied(good)), "rejected": _copied(scrap)}
        return Plc("labeler_plc", {**state, **counters}, 171)
    state = {
        "running": [(at, state == "execute") for at, state, _ in machine.states],
        "starved": [(at, state == "starved") for at, state, _ in machine.states],
        "blocked": [(at, state == "blocked") for at, state, _ in machine.states],
        "setup": [(at, state == "setup") for at, state, _ in machine.states],
        "fault": [(at, fault) for at, _, fault in machine.states],
    }
    name = f"{machine.name}_plc"
    if machine.name == "capper":
        caps = {"caps": [(at, CAPS_AT_START + n) for at, n in total], "bad_caps": scrap}
        return Plc(name, {**state, **caps}, 83, [CAPPER_LOST], torn=frozenset({"caps"}))
    bottles = {"bottles": [(at, (60_000 + n) % 65_536) for at, n in total], "rejects": scrap}
    speed: Steps = [(at, 30.0 if state == "execute" else 0.0) for at, state, _ in machine.states]
    order: Steps = [(at, order) for order, at in ORDERS.items()]
    return Plc(name, {**state, **bottles, "speed": speed, "order": order}, 0, [FILLER_LOST], {"speed": SPEED_BAD})


Steps = list[tuple[int, Any]]


def _counts(machine: Machine) -> tuple[Steps, Steps, Steps]:
    good: Steps = [(BEGIN, 0)]
    scrap: Steps = [(BEGIN, 0)]
    total: Steps = [(BEGIN, 0)]
    for number, part in enumerate(machine.parts, 1):
        mine = good if part.good else scrap
        mine.append((part.at, mine[-1][1] + 1))
        total.append((part.at, number))
    return good, scrap, total


def _copied(steps: Steps) -> Steps:
    """What a PLC shows that copies a counter now and then."""
    copy = COPIED["labeler"]
    shown = {-(-at // copy) * copy: value for at, value in steps}
    return [(BEGIN, steps[0][1]), *((at, value) for at, value in shown.items() if at > BEGIN)]


def _reset_in_the_break(steps: Steps) -> Steps:
    """A counter that is set to 0 while nothing is made."""
    at = clock(10, 10)
    before = [value for moment, value in steps if moment < at][-1]
    return [*((m, v) for m, v in steps if m < at), (at, 0), *((m, v - before) for m, v in steps if m > at)]
