"""What a machine works on: products and jobs as signals say them, ideals in force, and whether there is demand."""

from __future__ import annotations

import pytest

from gateway.config.model import Config
from gateway.inputs import DeviceState, Reload
from gateway.kpi.task import Task
from gateway.work.assignment import Assignment
from protocols.model import Value
from tests.gateway.stories import MINUTE, intervals, latest, machine, parts, run, tick, times

PRODUCTS = {
    "signal": "plc.recipe",
    "list": {
        "4711": {"text": "half a litre", "ideal": {"m": "1s"}, "changeover": "25min"},
        4712: {"ideal": "120/min"},
        "4713": {},
    },
}
JOBS = {"signal": "plc.order", "target": "plc.target", "due": "plc.due"}
LOST = DeviceState("plc", False, 0, "127.0.0.1:502", "no answer", "check it")


def assignment(config: Config) -> Assignment:
    return Assignment("m", config.machines["m"], config.products, config.jobs)


def follow(one: Assignment, **values: Value) -> Task:
    named = {f"plc.{name}": value for name, value in values.items()}
    one.follow(named.keys(), named)
    return one.task


@pytest.mark.parametrize(
    ("recipe", "product", "ideal_ms", "listed"),
    [
        (4711, "4711", 1000.0, True),
        (4711.0, "4711", 1000.0, True),
        (" 4711\0", "4711", 1000.0, True),
        (4712, "4712", 500.0, True),
        (4713, "4713", 7000.0, True),  # the list says nothing of it: the machine's own
        (4714, "4714", None, False),
        (0, None, 7000.0, True),
        ("", None, 7000.0, True),
        (None, None, 7000.0, True),
    ],
)
def test_a_product_is_known_by_its_decimal_text(
    recipe: Value, product: str | None, ideal_ms: float | None, listed: bool
) -> None:
    one = assignment(machine(products=PRODUCTS, ideal="7s"))
    assert follow(one, recipe=recipe) == Task(None, product, ideal_ms, listed)


@pytest.mark.parametrize("nothing", [None, 0, "", "  "])
def test_what_says_nothing_changes_no_product(nothing: Value) -> None:
    one = assignment(machine(products=PRODUCTS))
    follow(one, recipe=4711)
    assert follow(one, recipe=nothing).product == "4711"


def test_0_is_a_product_where_the_list_has_it() -> None:
    one = assignment(machine(products={"signal": "plc.recipe", "list": {0: {"ideal": "1s"}}}))
    assert follow(one, recipe=0) == Task(None, "0", 1000.0)


@pytest.mark.parametrize(
    ("order", "job", "demand"),
    [
        ("A-17", "A-17", "job"),
        (815, "815", "job"),
        ("", None, "none"),
        (" ", None, "none"),
        (0, None, "none"),
        (None, "before", "unknown"),
    ],
)
def test_a_job_is_there_or_not_or_nobody_knows(order: Value, job: str | None, demand: str) -> None:
    one = assignment(machine(jobs=JOBS))
    follow(one, order="before")
    assert (follow(one, order=order).job, one.demand) == (job, demand)


@pytest.mark.parametrize(
    ("unit", "value", "ideal_ms"),
    [("ms", 250, 250.0), ("s", 1.5, 1500.0), ("min", 1, 60_000.0), ("1/s", 4.0, 250.0), ("1/min", 120, 500.0),
     ("1/h", 36000, 100.0)],
)  # fmt: skip
def test_an_ideal_by_a_signal(unit: str, value: float, ideal_ms: float) -> None:
    one = assignment(machine(ideal={"signal": "plc.speed", "unit": unit}))
    assert one.task.ideal_ms is None
    assert follow(one, speed=value).ideal_ms == pytest.approx(ideal_ms)
    assert one.pace_ms == one.fastest_ms == one.task.ideal_ms


@pytest.mark.parametrize("nothing", [None, 0.0, -5.0, 1e-30, 1e30, float("nan"), True, "fast"])
def test_a_signal_that_says_no_ideal_leaves_the_last_one_as_long_as_the_product_stays(nothing: Value) -> None:
    one = assignment(machine(products=PRODUCTS, ideal={"signal": "plc.speed", "unit": "1/min"}))
    follow(one, recipe=4713, speed=60.0)
    assert follow(one, recipe=4713, speed=nothing).ideal_ms == 1000.0
    listed = {"signal": "plc.recipe", "list": {"a": {}, "b": {}}}
    one = assignment(machine(products=listed, ideal={"signal": "plc.speed", "unit": "1/min"}))
    follow(one, recipe="a", speed=60.0)
    assert follow(one, recipe="b", speed=nothing).ideal_ms is None, "the other product's proves nothing of this one"


def test_without_an_ideal_the_fastest_listed_one_serves_for_what_is_possible() -> None:
    one = assignment(machine(products=PRODUCTS))
    assert (one.task.ideal_ms, one.pace_ms, one.fastest_ms) == (None, 500.0, 500.0)
    follow(one, recipe=4711)
    assert (one.task.ideal_ms, one.pace_ms, one.fastest_ms) == (1000.0, 1000.0, 500.0)
    follow(one, recipe=4714)
    assert (one.task.ideal_ms, one.pace_ms) == (None, 500.0)


def test_no_output_follows_the_ideal_in_force() -> None:
    """Product 4711 takes 1 s a part, so that 10 s without one are a stop; 4712 half of that."""
    steps = [*parts(1000, 21_000, 1000, 1), (60_000, {"count": 21}), (61_000, {"recipe": 4712, "count": 22})]
    events = run(
        machine(products=PRODUCTS, parts={"total": "plc.count"}),
        (0, {"run": True, "recipe": 4711}),
        *steps,
        *parts(61_500, 70_000, 500, 23),
        tick(2 * MINUTE),
    )
    assert [one for one in times(events) if one[0] == "unplanned_stop"] == [
        ("unplanned_stop", 40.0), ("unplanned_stop", None),
    ]  # fmt: skip
    last = intervals(events)[-1]
    assert last["began"] == "2026-11-23T07:01:09.500Z"


def test_a_counter_follows_the_ideal_in_force() -> None:
    """50 parts within 10 s are no jump of a product that takes half a second; of one that takes a second they are."""
    config = machine(products=PRODUCTS, parts={"total": "plc.count"})
    slow, fast = (
        run(
            config,
            (0, {"run": True, "recipe": recipe}),
            (1_000, {"count": 1}),
            (11_000, {"count": 51}),
            (12_000, {"count": 52}),
        )
        for recipe in (4711, 4712)
    )
    assert [event.type for event in slow if event.type == "counter.fault"] == ["counter.fault"]
    assert [event.type for event in fast if event.type == "counter.fault"] == []


def test_idle_time_knows_whether_there_was_something_to_do() -> None:
    events = run(
        machine(jobs=JOBS), (10_000, {"order": "A"}), (20_000, {"order": None}), (30_000, {"order": "0"}), tick(40_000)
    )
    told = [(one["category"], one["demand"], one["job"], one["duration_s"]) for one in intervals(events)]
    assert told == [
        ("no_demand", None, None, 10.0),
        ("idle", "job", "A", 10.0),
        ("idle", "unknown", "A", 10.0),
        ("no_demand", None, None, None),
    ]


def test_without_jobs_nobody_knows_of_demand() -> None:
    (idle,) = intervals(run(machine(), tick(1000)))
    assert (idle["category"], idle["demand"], idle["job"]) == ("idle", "unknown", None)


def test_what_was_made_when_it_began_is_in_every_event() -> None:
    """Intervals and minutes end where job or product change; a stop keeps those with which it began."""
    events = run(
        machine(products=PRODUCTS, jobs=JOBS, parts={"total": "plc.count"}, no_output=0),
        (0, {"run": True, "recipe": 4711, "order": "A"}),
        *parts(1000, 21_000, 1000, 1),
        (21_000, {"stop": True}),
        (25_000, {"count": 21, "order": "B", "recipe": 4712}),
        (30_000, {"stop": False}),
        *parts(30_500, 50_500, 500, 22),
        tick(2 * MINUTE),
    )
    made = [(e.data["job"], e.data["product"], e.data["total"]) for e in events if e.type == "machine.production"]
    assert made == [("A", "4711", 21), ("B", "4712", 40)]
    assert [(one["job"], one["product"], one["duration_s"]) for one in intervals(events)][:3] == [
        ("A", "4711", 21.0), ("A", "4711", 4.0), ("B", "4712", 5.0),
    ]  # fmt: skip
    stops = [one for one in latest(events, "machine.stop", "stop") if one["duration_s"]]
    assert [(stop["kind"], stop["job"], stop["product"], stop["duration_s"]) for stop in stops] == [
        ("own", "A", "4711", 4.0), ("setup", "B", "4712", 5.5),
    ]  # fmt: skip


def test_a_lost_plc_or_a_restart_changes_no_job() -> None:
    for step in (LOST, Reload(0, 0)):
        events = run(
            machine(products=PRODUCTS, jobs=JOBS),
            (0, {"run": True, "recipe": 4711, "order": "A"}),
            (9_000, {}),
            (10_000, step),
            (20_000, {"run": True, "hold": False, "stop": False, "starved": False, "recipe": 4711, "order": "A"}),
        )
        told = intervals(events)
        assert {(one["job"], one["product"]) for one in told} == {("A", "4711")}
        assert list(dict.fromkeys(one["category"] for one in told)) == ["production", "unknown"]
