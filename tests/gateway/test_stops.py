"""Stops, rule by rule: where they begin and end, what they are, and what is said of them when."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Reload
from tests.gateway.stories import (
    DAY_SHIFT,
    HOUR,
    MINUTE,
    RULES,
    SECOND,
    Step,
    inputs,
    intervals,
    latest,
    machine,
    parts,
    run,
    tick,
)

CALENDAR = {"shifts": {"day": DAY_SHIFT}}
PACKML: dict[str, Any] = {"packml_state": "plc.mode"}
EXECUTE, HELD, CLEARING, STOPPED, RESETTING, IDLE, SUSPENDED, COMPLETE = 6, 11, 1, 2, 15, 4, 5, 17


def stops(events: list[Event]) -> list[dict[str, Any]]:
    return latest(events, "machine.stop", "stop")


def told(config: Config, *steps: Step) -> list[tuple[str, float | None, bool | None, bool]]:
    """Kind, seconds, minor and final of each stop that stands, but the one before the machine first ran."""
    return [(one["kind"], one["duration_s"], one["minor"], one["final"]) for one in stops(run(config, *steps))]


def packml(*states: tuple[int, int]) -> list[Step]:
    return [(at * SECOND, {"mode": state}) for at, state in states]


def test_held_clearing_stopped_resetting_is_one_stop_with_its_first_cause() -> None:
    sequence = packml((0, EXECUTE), (100, HELD), (190, CLEARING), (210, STOPPED), (250, RESETTING), (265, EXECUTE))
    events = run(machine(**PACKML), *sequence, tick(300 * SECOND))
    (stop,) = [one for one in stops(events) if one["duration_s"]]
    assert (stop["kind"], stop["duration_s"], stop["minor"], stop["failure"]) == ("own", 165.0, False, True)
    assert stop["intervals"] == [one["interval"] for one in intervals(events)[1:5]]
    assert {one["stop"] for one in intervals(events)[1:5]} == {stop["stop"]}
    assert [one["stop"] for one in (intervals(events)[0], intervals(events)[-1])] == [None, None]


def test_production_that_does_not_last_is_within_the_stop_and_its_parts_count() -> None:
    """119 s down and 3 s up, again and again, is one stop."""
    steps: list[Step] = [(0, {"run": True})]
    for at in range(60, 60 + 122 * 5, 122):
        steps += [(at * SECOND, {"run": False, "stop": True}), ((at + 119) * SECOND, {"run": True, "stop": False})]
        steps += [((at + 120) * SECOND, {"count": at})]
    config = machine(parts={"good": {"signal": "plc.count", "max_rate": "500/s"}})
    events = run(config, *steps, tick(60 * 60 * SECOND))
    (stop,) = [one for one in stops(events) if one["duration_s"]]
    assert stop["duration_s"] == 5 * 122 - 3
    runs = [one for one in intervals(events) if one["category"] == "production"]
    assert [one["stop"] for one in runs] == [None, *[stop["stop"]] * 4, None]
    assert [one["final"] for one in runs] == [*[True] * 5, False]


def test_a_stop_ends_where_the_production_began_that_lasted() -> None:
    events = run(
        machine(),
        (0, {"run": True}),
        (60_000, {"run": False, "stop": True}),
        (90_000, {"run": True, "stop": False}),
        tick(99_999),
    )
    assert [one["final"] for one in stops(events)][1:] == [False]
    events = run(
        machine(),
        (0, {"run": True}),
        (60_000, {"run": False, "stop": True}),
        (90_000, {"run": True, "stop": False}),
        tick(100_000),
    )
    (stop,) = stops(events)[1:]
    assert (stop["duration_s"], stop["final"], stop["minor"], stop["failure"]) == (30.0, True, True, False)
    assert stop["ended"] == intervals(events)[-1]["began"]


@pytest.mark.parametrize(
    ("settings", "lasts"), [({"ideal": "3s"}, 30), ({"ideal": "100ms"}, 10), ({"resume": "5s"}, 5)]
)
def test_how_long_production_must_last(settings: dict[str, Any], lasts: int) -> None:
    steps: list[Step] = [
        (0, {"run": True}),
        (100 * SECOND, {"stop": True, "run": False}),
        (200 * SECOND, {"stop": False, "run": True}),
    ]
    before = told(machine(**settings), *steps, tick((200 + lasts) * SECOND - 1))
    assert before[-1] == ("own", None, None, False)
    assert told(machine(**settings), *steps, tick((200 + lasts) * SECOND))[-1] == ("own", 100.0, True, True)


def test_a_stop_is_told_at_once_and_revised_when_it_is_no_minor_one_any_more() -> None:
    events = run(machine(), (0, {"run": True}), (60_000, {"hold": True, "fault": 17}), tick(60_000 + 2 * MINUTE))
    said = [event.data for event in events if event.type == "machine.stop"][1:]
    assert [(one["rev"], one["final"], one["minor"], one["failure"]) for one in said[-2:]] == [
        (0, False, None, None), (1, False, False, True),
    ]  # fmt: skip
    assert said[-1]["reason"] == {"code": "17", "text": None, "source": "signal", "group": None}
    assert said[-1]["first_out"] == {"signal": "plc.fault", "value": 17, "time": "2026-11-23T07:01:00.000Z"}


def test_stops_are_divided_where_their_kind_changes() -> None:
    """Starved, then held: two stops, whose times add up."""
    steps: list[Step] = [
        (0, {"run": True}),
        (60_000, {"starved": True}),
        (90_000, {"hold": True}),
        (120_000, {"hold": False}),
    ]
    done: list[Step] = [(150_000, {"starved": False}), tick(200_000)]
    assert told(machine(), *steps, *done)[1:] == [
        ("external", 30.0, False, True), ("own", 30.0, True, True), ("external", 30.0, False, True),
    ]  # fmt: skip


def test_a_lost_plc_divides_a_stop_and_a_setup_is_one_of_its_own() -> None:
    rules = [{"category": "setup", "when": "plc.mode == 4"}, *RULES]
    lost, back = DeviceState("plc", False, 0), DeviceState("plc", True, 0)
    again = {"run": False, "hold": True, "starved": False, "stop": False, "fault": 0, "mode": 1}
    steps: list[Step] = [
        (0, {"run": True}),
        (60_000, {"hold": True}),
        (90_000, lost),
        (120_000, back),
        (120_000, again),
    ]
    done: list[Step] = [(150_000, {"hold": False, "mode": 4}), (180_000, {"run": True, "mode": 1}), tick(200_000)]
    assert told(machine(states=rules), *steps, *done)[1:] == [
        ("own", 30.0, True, True),
        ("unknown", 30.0, False, True),
        ("own", 30.0, True, True),
        ("setup", 30.0, False, True),
    ]


def test_idle_time_belongs_to_the_stop_that_it_is_in() -> None:
    steps = packml((0, EXECUTE), (60, IDLE), (70, HELD), (80, IDLE), (90, SUSPENDED), (100, EXECUTE))
    assert told(machine(**PACKML), *steps, tick(200_000))[1:] == [
        ("own", 30.0, True, True), ("external", 10.0, False, True),
    ]  # fmt: skip
    alone = packml((0, EXECUTE), (60, IDLE), (90, EXECUTE))
    assert told(machine(**PACKML), *alone, tick(200_000))[1:] == [("idle", 30.0, False, True)]


def test_no_demand_begins_no_stop_and_ends_one() -> None:
    config = machine(**PACKML, categories={"complete": "no_demand"})
    steps = packml((0, EXECUTE), (60, COMPLETE), (70, STOPPED), (80, COMPLETE), (90, EXECUTE))
    events = run(config, *steps, tick(200_000))
    assert [one["duration_s"] for one in stops(events)][1:] == [10.0]
    assert [one["stop"] is None for one in intervals(events)] == [True, True, False, True, True]


def test_a_stop_goes_on_through_planned_time_and_says_how_much() -> None:
    """Held before the break, and after it."""
    steps: list[Step] = [
        (0, {"run": True}),
        (119 * MINUTE, {"hold": True}),
        (136 * MINUTE, {"hold": False}),
        tick(3 * HOUR),
    ]
    config = machine(calendar=CALENDAR, ideal="2s")
    (stop,) = stops(run(config, *steps))[1:]
    assert (stop["duration_s"], stop["planned_overlap_s"]) == (17 * 60.0, 15 * 60.0)
    assert (stop["minor"], stop["failure"], stop["lost_parts"]) == (False, True, 60)


def test_planned_time_begins_no_stop_but_what_does_not_produce_then_is_one() -> None:
    """Off at the weekend, and late on the next day."""
    steps: list[Step] = [
        (0, {"run": True}),
        (6 * HOUR + MINUTE, {"run": False}),
        (22 * HOUR + 10 * MINUTE, {"run": True}),
    ]
    events = run(machine(calendar=CALENDAR), *steps, tick(23 * HOUR))
    (late,) = stops(events)[1:]
    assert (late["kind"], late["duration_s"], late["planned_overlap_s"]) == ("idle", 600.0, 0.0)
    assert late["began"] == "2026-11-24T05:00:00.000Z"


def test_a_reason_that_says_so_is_no_failure() -> None:
    reasons = {17: {"text": "tool change", "failure": False, "group": "tools"}}
    steps: list[Step] = [
        (0, {"run": True}),
        (60_000, {"hold": True, "fault": 17}),
        (260_000, {"hold": False}),
        tick(300_000),
    ]
    (stop,) = stops(run(machine(reasons=reasons), *steps))[1:]
    assert (stop["minor"], stop["failure"], stop["reason"]["group"]) == (False, False, "tools")


def test_the_first_reason_counts_whatever_comes_after_it() -> None:
    steps: list[Step] = [(0, {"run": True}), (60_000, {"hold": True}), (61_000, {"fault": 23}), (62_000, {"fault": 5})]
    done: list[Step] = [(63_000, {"hold": False, "stop": True}), (70_000, {"stop": False}), tick(90_000)]
    (stop,) = stops(run(machine(), *steps, *done))[1:]
    assert (stop["reason"]["code"], stop["first_out"]["value"], stop["first_out"]["time"][17:19]) == ("23", 23, "01")


def test_without_a_reason_the_change_that_ended_production_was_out_first() -> None:
    """Not whatever other signal the rules ask for before it."""
    steps: list[Step] = [(0, {"run": True}), (10_000, {"stop": True}), (20_000, {"stop": False}), tick(50_000)]
    (_, stop) = stops(run(machine(), *steps, (60_000, {"run": False}), tick(90_000)))[-2:]
    assert stop["first_out"] == {"signal": "plc.run", "value": False, "time": "2026-11-23T07:01:00.000Z"}


def test_execute_without_parts_is_a_stop_from_the_last_part_on() -> None:
    config = machine(ideal="1s", parts={"total": "plc.count"})
    steps = [*parts(1000, 31_000, 1000, 1), *parts(71_000, 120_000, 1000, 31)]
    (stop,) = stops(run(config, (0, {"run": True}), *steps))[1:]
    assert (stop["kind"], stop["duration_s"], stop["reason"]) == ("own", 41.0, None)
    assert stop["lost_parts"] == 40, "the part that ends it was made before it was seen"


def test_a_stop_whose_end_is_not_certain_yet_stays_open() -> None:
    """Production seems to last, and then there was no part in it since before it had."""
    config = machine(ideal="1s", parts={"total": "plc.count"}, no_output="8s", resume="10s")
    before: list[Step] = [
        (0, {"run": True}),
        *parts(1000, 31_000, 1000, 1),
        (31_000, {"stop": True}),
        (60_000, {"stop": False}),
    ]
    again = parts(61_000, 67_000, 1000, 31)
    (stop,) = stops(run(config, *before, *again, tick(90_000)))[1:]
    assert (stop["final"], stop["ended"]) == (False, None)
    (stop,) = stops(run(config, *before, *again, *parts(67_000, 72_000, 1000, 37)))[1:]
    assert (stop["final"], stop["duration_s"]) == (True, 29.0)


def test_a_stop_over_a_restart_goes_on_under_its_id() -> None:
    steps: list[Step] = [(0, {"run": True}), (60_000, {"hold": True}), (90_000, {}), (120_000, Reload(0, 0))]
    events = run(machine(), *steps)
    own, off = stops(events)[1:]
    assert (own["kind"], own["final"], own["duration_s"]) == ("own", True, 30.0)
    assert (off["kind"], off["reason"]["code"], off["final"]) == ("unknown", "gateway_off", False)


def test_the_checkpoint_of_a_long_and_restless_stop_stays_small() -> None:
    from gateway.pipeline import Pipeline

    """What happened in the last ten minutes is in it, in five kilobytes, and nothing of what was before."""
    steps: list[Step] = [(at * SECOND, {"run": at % 6 < 3, "stop": at % 6 >= 3}) for at in range(3, 3000, 3)]
    pipeline, sizes = Pipeline(machine(ideal="1s")), dict[int, int]()
    for number, one in enumerate(inputs(steps)):
        pipeline.process(one)
        if number in (40, 400, 401, 900, 901):
            sizes[number] = len(pipeline.all_rows()["machine/m"])
    assert max(sizes[900], sizes[901]) - max(sizes[400], sizes[401]) < 100, "longer numbers, and no more of them"
    assert max(sizes.values()) < 2 * sizes[40]


def test_what_lasted_no_time_names_no_stop() -> None:
    """The break ends and the mode changes at the same instant: setup began there and was nothing."""
    breaks = [{"from": "08:01", "to": "08:02"}]
    rules = [{"category": "setup", "when": "plc.mode == 4"}, {"state": "execute", "when": "plc.run"}, {"state": "idle"}]
    events = run(
        machine(
            states=rules,
            calendar={"shifts": {"day": {"days": ["mon"], "from": "06:00", "to": "14:00", "breaks": breaks}}},
        ),
        (90_000, {"mode": 4}),
        (120_000, {"mode": 1}),
        tick(3 * MINUTE),
    )
    assert {one["kind"] for one in latest(events, "machine.stop", "stop")} == {"idle"}


def test_a_stop_that_begins_where_one_was_taken_back_is_another() -> None:
    """At a start: nothing is read yet, then there is no demand, and three minutes later it has stood since then."""
    rules = [{"state": "stopped", "when": "plc.stop", "for": "3min"}, {"state": "idle"}]
    events = run(machine(states=rules, jobs={"signal": "plc.order"}), (0, {"stop": True}), tick(4 * MINUTE))
    taken_back, stands = stops(events)
    assert (taken_back["kind"], taken_back["final"], taken_back["duration_s"]) == ("unknown", True, 0.0)
    assert (stands["kind"], stands["final"], stands["minor"]) == ("own", False, False)
    assert taken_back["stop"] != stands["stop"] == intervals(events)[0]["stop"]
