"""Changing over: setup from the last good part of one product to the first good one of a run of the next."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.events import Event
from gateway.inputs import DeviceState, Reload
from gateway.pipeline import Pipeline
from gateway.states.account import Accounts, Context
from gateway.states.decision import Decision
from gateway.states.interval import Timeline
from gateway.work.changeover import Changeover
from protocols.model import Value
from tests.gateway.stories import (
    DAY_SHIFT,
    HOUR,
    MINUTE,
    Step,
    inputs,
    intervals,
    latest,
    machine,
    parts,
    run,
    tick,
    times,
)

PRODUCTS: dict[str, Any] = {
    "signal": "plc.recipe",
    "list": {1: {"ideal": "1s", "changeover": "25min"}, 2: {"ideal": "1s", "changeover": "1min"}, 3: {}},
}
COUNTED = {"products": PRODUCTS, "parts": {"total": "plc.count"}}
RUNS: list[Step] = [(0, {"run": True, "recipe": 1}), *parts(1_000, 21_000, 1_000, 1)]
"""Product 1 until its last good part at 20 s."""
LOST = DeviceState("plc", False, 0, "127.0.0.1:502", "no answer", "check it")
SEEN: dict[str, Value] = {"run": True, "hold": False, "stop": False, "starved": False, "recipe": 1, "order": ""}


def stops(events: list[Event]) -> list[tuple[str, float | None]]:
    """Kind and seconds of each stop that stands; one that turned out to be none lasted none."""
    told = latest(events, "machine.stop", "stop")
    return [(one["kind"], one["duration_s"]) for one in told if one["duration_s"] != 0]


def together(told: list[tuple[str, float | None]]) -> list[tuple[str, float | None]]:
    """Intervals of one category after each other as one; the last, which is open, has no length."""
    found: list[tuple[str, float | None]] = []
    for category, seconds in told:
        if found and found[-1][0] == category:
            before = found.pop()[1]
            seconds = None if seconds is None or before is None else before + seconds
        found.append((category, seconds))
    return found


def test_from_the_last_good_part_to_the_first_of_a_sustained_run() -> None:
    """Stopped at 21 s, the next product known at 60 s; three good parts at 100 s are no sustained run."""
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"stop": True}),
        (60_000, {"recipe": 2}),
        (99_000, {"stop": False}),
        *parts(100_000, 103_000, 1_000, 21),
        (103_000, {"stop": True}),
        (119_500, {"stop": False}),
        *parts(120_000, 150_000, 1_000, 24),
        tick(3 * MINUTE),
    )
    assert together(times(events))[:3] == [("production", 20.0), ("setup", 100.0), ("production", 29.0)]
    assert stops(events)[0] == ("setup", 100.0)
    told = intervals(events)
    assert next(one["product"] for one in told if one["category"] == "setup") == "1", "what was made when it began"
    assert all(one["final"] for one in told[:-2])
    (stop,) = [one for one in latest(events, "machine.stop", "stop") if one["kind"] == "setup"]
    assert (stop["final"], stop["minor"], stop["failure"], stop["category"]) == (True, False, False, "setup")
    assert stop["began"] == "2026-11-23T07:00:20.000Z"


@pytest.mark.parametrize("settle", [0, "500ms", "5s"])
def test_a_run_that_has_to_settle_begins_with_its_first_good_part_all_the_same(settle: int | str) -> None:
    """Setup from the last good part at 20 s to the first at 120 s, however long production must hold to count."""
    events = run(
        machine(**COUNTED, settle=settle),
        *RUNS,
        (20_500, {"stop": True}),
        (60_000, {"recipe": 2}),
        (119_500, {"stop": False}),
        *parts(120_000, 150_000, 1_000, 21),
        tick(3 * MINUTE),
    )
    assert together(times(events))[:2] == [("production", 20.0), ("setup", 100.0)]
    setup = [one["parts"]["total"] for one in intervals(events) if one["category"] == "setup"]
    assert sum(setup) == 1, "the first good part was seen where it ends"


def test_it_is_told_at_once_and_revised_in_hindsight() -> None:
    """The stop was the machine's own until the next product was known: then it was setup, under the same id."""
    events = run(machine(**COUNTED), *RUNS, (20_500, {"stop": True}), (60_000, {"recipe": 2}), tick(MINUTE + 1))
    told = [e.data for e in events if e.type == "machine.stop" and e.data["kind"] in ("own", "setup")]
    assert [(one["kind"], one["began"][-7:], one["rev"], one["final"]) for one in told] == [
        ("own", "20.500Z", 0, False),
        ("setup", "20.000Z", 1, False),
    ]
    assert len({one["stop"] for one in told}) == 1
    assert [(one["category"], one["duration_s"], one["final"]) for one in intervals(events)] == [
        ("production", 20.0, True),
        ("setup", 0.5, False),
        ("setup", 39.5, False),
        ("setup", None, False),
    ]


def test_a_stop_of_the_same_product_is_none() -> None:
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"stop": True}),
        (60_000, {"stop": False}),
        *parts(61_000, 90_000, 1_000, 21),
    )
    assert times(events) == [("production", 20.5), ("unplanned_stop", 39.5), ("production", None)]
    assert stops(events) == [("own", 39.5)]
    assert [one["final"] for one in intervals(events)] == [True, True, False]


def test_what_is_before_the_last_good_part_stays_a_stop() -> None:
    """Held, two parts in between, held again, then changed over: the first stop is the machine's own."""
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"hold": True}),
        (40_000, {"hold": False}),
        (41_000, {"count": 21}),
        (42_000, {"count": 22}),
        (42_500, {"hold": True}),
        (80_000, {"recipe": 2}),
        (90_000, {"hold": False}),
        *parts(91_000, 120_000, 1_000, 23),
    )
    assert together(times(events)) == [
        ("production", 20.5), ("unplanned_stop", 19.5), ("production", 2.0), ("setup", 49.0), ("production", None),
    ]  # fmt: skip
    assert stops(events) == [("own", 21.5), ("setup", 49.0)]


def test_going_back_was_no_changeover() -> None:
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"stop": True}),
        (30_000, {"recipe": 2}),
        (35_000, {"recipe": 3}),
        (40_000, {"recipe": 1}),
        (60_000, {"stop": False}),
        *parts(61_000, 80_000, 1_000, 21),
    )
    assert together(times(events)) == [("production", 20.5), ("unplanned_stop", 39.5), ("production", None)]
    assert stops(events) == [("own", 39.5)]


def test_scrap_ends_no_changeover() -> None:
    """Rejected parts while the machine is set right belong to setup."""
    started = [(at, {"count": 21 + n, "scrap": 1 + n}) for n, at in enumerate(range(61_000, 76_000, 1_000))]
    events = run(
        machine(products=PRODUCTS, parts={"total": "plc.count", "scrap": "plc.scrap"}),
        *RUNS,
        (20_500, {"stop": True}),
        (50_000, {"recipe": 2}),
        (60_000, {"stop": False}),
        *started,
        *parts(76_000, 100_000, 1_000, 36),
    )
    assert together(times(events)) == [("production", 20.0), ("setup", 56.0), ("production", None)]
    setup = [one["parts"] for one in intervals(events) if one["category"] == "setup"]
    assert sum(one["scrap"] for one in setup) == 15
    assert sum(one["good"] for one in setup) == 1, "the one that shows that it is set right was made in setup"


def test_a_change_on_the_run_costs_the_time_between_two_parts() -> None:
    events = run(machine(**COUNTED), *RUNS, (20_500, {"recipe": 2}), *parts(21_000, 60_000, 1_000, 21))
    assert together(times(events)) == [("production", 20.0), ("setup", 1.0), ("production", None)]


def test_without_counters_production_that_lasts_ends_it() -> None:
    events = run(
        machine(products=PRODUCTS),
        (0, {"run": True, "recipe": 1}),
        (20_000, {"stop": True}),
        (50_000, {"recipe": 2}),
        (60_000, {"stop": False}),
        (63_000, {"stop": True}),
        (70_000, {"stop": False}),
        tick(2 * MINUTE),
    )
    assert together(times(events)) == [("production", 20.0), ("setup", 50.0), ("production", None)]
    assert stops(events) == [("setup", 50.0)]


def test_without_counters_a_change_on_the_run_takes_no_time() -> None:
    events = run(machine(products=PRODUCTS), (0, {"run": True, "recipe": 1}), (20_000, {"recipe": 2}), tick(MINUTE))
    assert together(times(events)) == [("production", None)]
    assert [one["product"] for one in intervals(events)] == ["1", "2"]


def test_unknown_and_planned_time_come_first() -> None:
    """A PLC that is lost meanwhile is unknown; the break is planned, whatever the machine is set up for."""
    events = run(
        machine(**COUNTED, calendar={"shifts": {"day": DAY_SHIFT}}),
        *RUNS,
        (20_500, {"stop": True}),
        (MINUTE, {"recipe": 2}),
        (2 * MINUTE, LOST),
        (3 * MINUTE, {**SEEN, "recipe": 2, "stop": True, "count": 20}),
        tick(2 * HOUR + 20 * MINUTE),
    )
    assert together(times(events)) == [
        ("production", 20.0), ("setup", 100.0), ("unknown", 60.0), ("setup", 117 * 60.0), ("planned_stop", 900.0),
        ("setup", None),
    ]  # fmt: skip


def test_time_without_a_job_between_two_products_is_setup() -> None:
    events = run(
        machine(**COUNTED, jobs={"signal": "plc.order"}),
        (0, {"order": "A"}),
        *RUNS,
        (20_500, {"run": False, "order": ""}),
        (60_000, {"recipe": 2, "order": "B"}),
        tick(70_000),
    )
    assert together(times(events)) == [("production", 20.0), ("setup", None)]


def test_a_counter_that_cannot_be_read_holds_no_changeover_up() -> None:
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"stop": True}),
        (30_000, {"recipe": 2, "count": None}),
        (60_000, {"stop": False}),
        tick(2 * MINUTE),
    )
    assert together(times(events))[:3] == [("production", 20.0), ("setup", 40.0), ("production", None)]


def test_a_run_that_shows_no_part_settles_what_was_before_it() -> None:
    """Production that lasts proves that a stop was none of a changeover, though its counter shows nothing."""
    events = run(
        machine(**COUNTED, no_output=0), *RUNS, (20_500, {"stop": True}), (30_000, {"stop": False}), tick(MINUTE)
    )
    assert stops(events) == [("own", 9.5)]
    assert [one["final"] for one in intervals(events)] == [True, True, False]


def test_products_that_are_not_known_yet_are_no_change() -> None:
    events = run(machine(**COUNTED), (0, {"run": True}), *parts(1_000, 11_000, 1_000, 1), (11_000, {"recipe": 1}))
    assert {category for category, _ in times(events)} == {"production"}


@pytest.mark.parametrize("at", [25_000, 65_000, 95_000, 125_500])
def test_a_restart_within_it_goes_on(at: int) -> None:
    """What the checkpoint holds is enough, wherever the daemon is restarted; what was not seen is unknown."""
    config = machine(**COUNTED)
    story = [
        *RUNS,
        (20_500, {"stop": True}),
        (60_000, {"recipe": 2}),
        (119_500, {"stop": False}),
        *parts(120_000, 160_000, 1_000, 21),
    ]
    first, second = Pipeline(config), Pipeline(config)
    told = inputs(sorted(story, key=lambda step: step[0]))
    began = told[0].at
    events = [event for one in told if one.at <= began + at for event in first.process(one)[0]]
    second.restore(first.all_rows())
    events += [event for one in told if one.at > began + at for event in second.process(one)[0]]
    assert together(times(events)) == [("production", 20.0), ("setup", 100.0), ("production", None)]
    assert times(events) == times(run(config, *story))


def test_a_gateway_that_was_off_remembers_what_was_made_last() -> None:
    events = run(
        machine(**COUNTED),
        *RUNS,
        (20_500, {"stop": True}),
        (30_000, {}),
        (40_000, Reload(0, 0)),
        (50_000, {**SEEN, "recipe": 2, "stop": True, "count": 20}),
        (60_000, {"stop": False}),
        *parts(61_000, 90_000, 1_000, 21),
    )
    assert together(times(events)) == [
        ("production", 20.0), ("setup", 10.0), ("unknown", 20.0), ("setup", 11.0), ("production", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("standard", "excess"),
    [
        (None, []),
        (120_000, []),
        (60_000, [(80_000, 100_000), (110_000, 120_000)]),
        (0, [(20_000, 60_000), (60_000, 100_000), (110_000, 120_000)]),
    ],
)
def test_the_excess_is_planned_busy_time_beyond_the_standard(standard: int | None, excess: list[Any]) -> None:
    """From 20 s to 120 s, of which 10 s from 100 s on were not planned: 90 s of planned busy time."""
    timeline = Timeline("m", 0, Accounts({}), str)
    execute, stopped = Decision("execute"), Decision("stopped")
    one = Changeover(timeline, {"2": standard})
    one.resume = 10_000
    timeline.decide(execute, Context(product="1"), 0, 0)
    one.follow(True, True, "1", 0)
    one.counted(1, 20_000, 0, "1")
    timeline.decide(stopped, Context(product="1"), 30_000, 0)
    one.follow(False, True, "1", 30_000)
    one.change("1", "2", 60_000, 0)
    timeline.place(Context(product="2", changeover=True), 60_000)
    timeline.place(Context(product="2", planned=False, changeover=True), 100_000)
    timeline.place(Context(product="2", changeover=True), 110_000)
    timeline.decide(execute, Context(product="2", changeover=True), 115_000, 0)
    one.counted(2, 120_000, 0, "2")
    one.follow(True, True, "2", 120_000)
    assert one.deadline == 130_000
    told = one.fire("2")
    assert sum(until - since for since, until in told) == sum(until - since for since, until in excess)
    assert [span for span in told if span[1] <= 20_000 or span[0] >= 120_000] == []
    assert not any(since < 110_000 and until > 100_000 for since, until in told), "unplanned time is no excess"
    assert not one.is_under_way
