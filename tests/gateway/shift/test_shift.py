"""A shift of three machines: what the engine says of it beside what truly happened."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

import pytest

from gateway.events import Event
from gateway.inputs import Input, Reload
from gateway.pipeline import Pipeline
from tests.gateway.shift import truth
from tests.gateway.shift.configured import line_of_three
from tests.gateway.shift.day import END, IDEAL, ORDERS, SHIFT, Day, clock, early_shift
from tests.gateway.shift.physics import Machine
from tests.gateway.shift.plc import JITTER, SCAN
from tests.gateway.stories import latest

SEEDS = (1, 2, 3, 4)
RESTARTED = 5
"""The seed of a day in whose middle the gateway is off for some minutes."""
OFF = (clock(8, 50), clock(8, 53))
MACHINES = tuple(IDEAL)


@dataclass(frozen=True, slots=True)
class Told:
    """A day, and all events of it."""

    day: Day
    events: list[Event]

    def standing(self, kind: str, key: str, machine: str) -> list[dict[str, Any]]:
        """The highest revisions, in order of time."""
        return latest([one for one in self.events if one.subject == machine], kind, key)

    def machine(self, name: str) -> Machine:
        return next(one for one in self.day.line.machines if one.name == name)


@cache
def told(seed: int) -> Told:
    day = early_shift(seed)
    return Told(day, restarted(day) if seed == RESTARTED else events_of(day.inputs()))


def restarted(day: Day) -> list[Event]:
    """The gateway ends without a word, and another goes on from its checkpoint."""
    for plc in day.plcs.values():
        plc.lost.insert(0, OFF)
    inputs = list(day.inputs())
    before, after = Pipeline(line_of_three()), Pipeline(line_of_three())
    events = [event for one in inputs if one.at < OFF[0] for event in before.process(one)[0]]
    after.restore(before.checkpoint())
    later = [Reload(OFF[1], 0), *(one for one in inputs if one.at >= OFF[1])]
    return events + [event for one in later for event in after.process(one)[0]]


def events_of(inputs: Iterable[Input]) -> list[Event]:
    pipeline = Pipeline(line_of_three())
    return [event for one in inputs for event in pipeline.process(one)[0]]


def ms(text: str | None) -> int:
    assert text is not None
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def intervals(given: Told, machine: str) -> list[dict[str, Any]]:
    """Those that stand, with how much earlier each may have begun; the one that is open ends with the recording."""
    found = []
    for one in given.standing("machine.state", "interval", machine):
        may_err = round(1000 * (one["uncertainty_s"] or 0))
        if (one["reason"] or {}).get("code") == "gateway_off":
            may_err = SCAN + 2 * JITTER  # from when the line was last seen, which may have been by another PLC
        ended = END if one["ended"] is None else ms(one["ended"])
        found.append({**one, "began_ms": ms(one["began"]), "ended_ms": ended, "may_err": may_err})
    return found


every_machine = pytest.mark.parametrize("machine", MACHINES)
every_seed = pytest.mark.parametrize("seed", [*SEEDS, RESTARTED])


def test_signals_are_numbered_as_they_are_configured() -> None:
    day, config = told(1).day, line_of_three()
    for plc in day.plcs.values():
        assert list(plc.signals) == list(config.devices[plc.name].signal_settings)


@every_machine
@every_seed
def test_parts_are_counted_exactly(seed: int, machine: str) -> None:
    """Through rollovers, a reset, torn readings, copies, lost PLCs, a restart and the end of the shift."""
    given = told(seed)
    made = given.machine(machine).parts
    assert len(made) > 9_000
    produced = [e.data for e in given.events if e.type == "machine.production" and e.subject == machine]
    assert sum(one["total"] for one in produced) == len(made)
    assert sum(one["scrap"] for one in produced) == sum(not part.good for part in made)
    assert not [e for e in given.events if e.type == "counter.fault"]
    mine, plc = given.machine(machine), given.day.plcs[machine]
    assert [one["recovered"] for one in produced if one["recovered"]] == truth.recovered(mine, plc)
    seen = truth.seen_at(mine, plc)
    for window in minutes(produced):
        since, until = bisect_left(seen, ms(window["began"])), bisect_left(seen, ms(window["ended"]))
        assert window["total"] == until - since, window


def minutes(produced: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of parts that were seen one by one; a minute in which the order changed is one, as the clock has it."""
    whole: list[dict[str, Any]] = []
    for window in (one for one in produced if not one["recovered"]):
        if whole and (whole[-1]["ended"], whole[-1]["job"]) == (window["began"], f"{int(window['job']) - 1}"):
            whole[-1] = {**window, "began": whole[-1]["began"], "total": whole[-1]["total"] + window["total"]}
        else:
            whole.append(window)
    return whole


@every_machine
@every_seed
def test_each_interval_is_what_truly_was_within_its_uncertainty(seed: int, machine: str) -> None:
    given = told(seed)
    what = truth.categories(given.machine(machine), given.day.plcs[machine])

    begins = [one.began for one in what]

    def at(moment: int) -> str:
        return what[max(0, bisect_right(begins, moment) - 1)].category

    for before, after in pairwise(intervals(given, machine)):
        moment = after["began_ms"]
        assert at(moment) == after["category"], after
        was = {at(moment - after["may_err"] - 1)}
        if before["category"] == "unknown":
            was.add(at(moment - 1))  # what nobody saw ended when somebody looked, whenever what was seen began
        assert before["category"] in was, (before, after)


@every_machine
@every_seed
def test_categories_sum_to_the_shift_and_are_as_long_as_they_truly_were(seed: int, machine: str) -> None:
    given = told(seed)
    since, until = SHIFT
    said: Counter[str] = Counter()
    may_err: Counter[str] = Counter()
    stretches = intervals(given, machine)
    for before, after in pairwise(stretches):
        for one in (before, after):
            may_err[one["category"]] += after["may_err"]
    for one in stretches:
        said[one["category"]] += max(0, min(one["ended_ms"], until) - max(one["began_ms"], since))
    assert sum(said.values()) == until - since
    truly: Counter[str] = Counter()
    for stretch in truth.categories(given.machine(machine), given.day.plcs[machine]):
        truly[stretch.category] += stretch.within(since, until)
    assert set(+said) == set(+truly)
    for category, length in truly.items():
        assert abs(said[category] - length) <= may_err[category], category


@every_machine
@every_seed
def test_stops_are_what_a_person_would_call_one(seed: int, machine: str) -> None:
    given = told(seed)
    what = truth.categories(given.machine(machine), given.day.plcs[machine])
    truly = truth.stops(what, truth.RESUME * IDEAL[machine])
    said = [one for one in given.standing("machine.stop", "stop", machine) if one["final"] and one["duration_s"]]
    assert [one["kind"] for one in said] == [one.kind for one in truly]
    uncertain = {one["began"]: one["may_err"] for one in intervals(given, machine)}
    for mine, true in zip(said, truly, strict=True):
        assert 0 <= ms(mine["began"]) - true.began <= uncertain[mine["began"]], (mine, true)
        assert 0 <= ms(mine["ended"]) - true.ended <= uncertain[mine["ended"]], (mine, true)


@every_machine
@every_seed
def test_kpis_of_the_shift_hold_the_truth_within_their_bounds(seed: int, machine: str) -> None:
    given = told(seed)
    mine, plc = given.machine(machine), given.day.plcs[machine]
    windows = given.standing("machine.kpi", "kpi", machine)
    assert all(one["availability"] is None or one["availability"] <= 1 for one in windows)
    (shift,) = (one for one in windows if one["window"] == "shift")
    assert (ms(shift["began"]), ms(shift["ended"])) == SHIFT
    assert sum(round(1000 * one) for one in shift["categories"].values()) == SHIFT[1] - SHIFT[0]
    good = [part.at for part in mine.parts if part.good and SHIFT[0] <= part.at < SHIFT[1]]
    true = truth.oee(mine, len(good), *SHIFT, truth.categories(mine, plc))
    assert shift["oee_low"] <= shift["oee"] <= shift["oee_high"]
    assert shift["oee_low"] - 0.003 <= true <= shift["oee_high"] + 0.003
    if not shift["unrecovered_s"]:  # ambiguous parts count at their low value, in time that is left out
        assert shift["oee"] == pytest.approx(true, abs=0.01)


@every_seed
def test_parts_of_each_order_are_known_exactly(seed: int) -> None:
    """On every machine, and where they leave the line."""
    given = told(seed)
    truly = truth.made_of_each(given.day.line.machines, given.day.plcs["filler"])
    said = {name: Counter[str]() for name in MACHINES}
    for event in given.events:
        if event.type == "machine.production":
            said[event.subject][event.data["job"]] += event.data["total"]
    assert {name: [made[f"{order}"] for order in ORDERS] for name, made in said.items()} == truly
    ended = [event.data for event in given.events if event.type == "job.ended"]
    assert [(one["job"], one["total"]) for one in ended] == [
        (f"{order}", made) for order, made in zip(ORDERS, truly["labeler"][:-1], strict=False)
    ]


def test_scans_without_a_change_change_nothing() -> None:
    """So that the other tests may leave most of them out."""
    day, noon = early_shift(SEEDS[0]), clock(12, 0)
    few, all_ = (
        [(one.type, one.subject, one.time, one.data) for one in events_of(inputs)]
        for inputs in (takewhile(lambda one: one.at < noon, day.inputs(every_scan=every)) for every in (False, True))
    )
    assert len(few) > 1_000
    assert few == all_
