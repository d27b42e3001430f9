"""What a day was, from the physical log alone: what each machine's time was spent on, its stops, its parts, its OEE.

Only what nobody can know is taken from how the PLCs were read: the time in which they were not. Written from the
semantics, not from the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from tests.gateway.shift.day import BEGIN, BREAK, COPIED, END, IDEAL, ORDERS, SHIFT, SPEED_BAD
from tests.gateway.shift.physics import Machine
from tests.gateway.shift.plc import Plc

RESUME = NO_OUTPUT = 10
"""Ideal cycles that production lasts to end a stop, and that it may be without a part."""
KINDS = {"unplanned_stop": "own", "starved": "external", "blocked": "external", "setup": "setup", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time that was spent on one thing."""

    began: int
    ended: int
    category: str

    def within(self, since: int, until: int) -> int:
        """How much of it lies between two moments."""
        return max(0, min(self.ended, until) - max(self.began, since))


def is_planned(moment: int) -> bool:
    """Whether production was meant."""
    return SHIFT[0] <= moment < SHIFT[1] and not BREAK[0] <= moment < BREAK[1]


def unseen(machine: Machine, plc: Plc) -> list[tuple[int, int]]:
    """When a machine's state could not be known: between the last scan that told it and the first that did again."""
    began, ended = (plc.seen(moment) for moment in SPEED_BAD)
    undecided = [(max(began, since), min(ended, until)) for since, until in executed(machine)]
    without_speed = [one for one in undecided if one[0] < one[1]] if machine.name == "filler" else []
    return [(BEGIN, plc.scan_at(plc.first_scan(BEGIN))), *outages(plc), *without_speed]


def without_parts(machine: Machine) -> list[tuple[int, int]]:
    """When it ran, and no part came for so long that it was no production; from the last part on."""
    spans = []
    for began, ended in executed(machine):
        made = [part.at for part in machine.parts if began < part.at <= ended]
        spans += [one for one in pairwise([began, *made, ended]) if one[1] - one[0] > NO_OUTPUT * machine.ideal]
    return spans


def executed(machine: Machine) -> list[tuple[int, int]]:
    """When it ran."""
    return [(began, ended) for began, ended, state in states(machine) if state == "execute"]


def states(machine: Machine) -> Iterator[tuple[int, int, str]]:
    """Begin, end and state, one after the other."""
    for (began, state, _), (ended, *_) in pairwise([*machine.states, (END, "stopped", 0)]):
        yield began, ended, state


def categories(machine: Machine, plc: Plc) -> list[Stretch]:
    """What its time was spent on: at each instant one category, by the precedence of the semantics."""
    away, dry = unseen(machine, plc), without_parts(machine)
    spans = [*away, *dry, SHIFT, BREAK]
    marks = {moment for span in spans for moment in span} | {began for began, *_ in states(machine)} | {BEGIN, END}
    edges = sorted(mark for mark in marks if BEGIN <= mark <= END)
    stretches, running = [], iter(states(machine))
    _, until, state = next(running)
    for began, ended in pairwise(edges):
        while until <= began:
            _, until, state = next(running)
        is_dry = state == "execute" and any(since <= began < till for since, till in dry)
        is_unseen = any(since <= began < till for since, till in away)
        stretches.append(Stretch(began, ended, _category(state, is_planned(began), is_unseen, is_dry)))
    return _joined(stretches)


def _category(state: str, planned: bool, is_unseen: bool, is_dry: bool) -> str:
    produces = state == "execute" and not is_dry
    if not planned:
        return "production" if produces and not is_unseen else "planned_stop"
    if is_unseen:
        return "unknown"
    if state in ("setup", "starved", "blocked"):
        return state
    return "production" if produces else "unplanned_stop"


def _joined(stretches: list[Stretch]) -> list[Stretch]:
    alike = (list(group) for _, group in groupby(stretches, key=lambda one: one.category))
    return [Stretch(group[0].began, group[-1].ended, group[0].category) for group in alike]


@dataclass(frozen=True, slots=True)
class Stop:
    """What a person calls one."""

    kind: str
    began: int
    ended: int


def stops(stretches: list[Stretch], resume: int) -> list[Stop]:
    """From leaving production until it lasts, divided where the kind changes; none begins in planned time."""
    found: list[Stop] = []
    kind, began = None, 0
    for one in stretches:
        if one.category == "production":
            if kind is not None and one.ended - one.began >= resume:
                found.append(Stop(kind, began, one.began))
                kind = None
        elif one.category != "planned_stop" and KINDS[one.category] != kind:
            if kind is not None:
                found.append(Stop(kind, began, one.began))
            kind, began = KINDS[one.category], one.began
    return found


def shown_at(machine: Machine) -> list[int]:
    """When each part came to where it is read."""
    copied = COPIED[machine.name]
    return [-(-part.at // copied) * copied for part in machine.parts]


def seen_at(machine: Machine, plc: Plc) -> list[int]:
    """When each part could be seen: at the first scan behind it; without those of outages."""
    away = outages(plc)
    shown = shown_at(machine)
    return [plc.seen(at) for at in shown if not any(began < at <= ended for began, ended in away)]


def recovered(machine: Machine, plc: Plc) -> list[int]:
    """Parts of each outage."""
    shown = shown_at(machine)
    return [sum(began < at <= ended for at in shown) for began, ended in outages(plc)]


def outages(plc: Plc) -> list[tuple[int, int]]:
    """From the last scan that was answered to the first that was again."""
    return [(plc.scan_at(plc.first_scan(began) - 1), plc.seen(ended)) for began, ended in plc.lost]


def made_of_each(machines: list[Machine], filler_plc: Plc) -> dict[str, list[int]]:
    """Parts of each order on each machine: what comes in first is the first order's, and nothing lay there before.

    What the filler had made when an order was first seen is of the order before.
    """
    seen = [filler_plc.seen(at) for at in [*ORDERS.values()][1:]]
    ends = [sum(part.at <= moment for part in machines[0].parts) for moment in seen]
    made = {}
    for machine in machines:
        bounds = [0, *(min(end, len(machine.parts)) for end in ends), len(machine.parts)]
        made[machine.name] = [after - before for before, after in pairwise(bounds)]
        ends = [sum(part.good for part in machine.parts[:end]) for end in ends]
    return made


def oee(machine: Machine, good: int, since: int, until: int, stretches: list[Stretch]) -> float:
    """Ideal time of the good parts in planned busy time; what was not seen is what it truly was."""
    planned = sum(one.within(since, until) for one in stretches if one.category == "planned_stop")
    return good * IDEAL[machine.name] / (until - since - planned)
