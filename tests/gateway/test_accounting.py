"""What a machine's time is accounted to: the precedence of categories, what they come from, and back-dating."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.inputs import ClockStep, DeviceState, Reload
from tests.gateway.stories import (
    DAY_SHIFT,
    HOUR,
    MINUTE,
    RULES,
    SECOND,
    Step,
    intervals,
    machine,
    parts,
    run,
    tick,
    times,
)

CALENDAR = {"shifts": {"day": DAY_SHIFT}}
COUNTED: dict[str, Any] = {"ideal": "1s", "parts": {"total": "plc.count"}, "no_output": "10s"}
LOST = DeviceState("plc", False, 0, "127.0.0.1:502", "no answer", "check it")


def test_a_break_is_planned_and_its_boundaries_divide_intervals() -> None:
    events = run(machine(calendar=CALENDAR), (0, {"stop": True}), tick(3 * HOUR))
    assert times(events) == [
        ("unplanned_stop", 2 * 3600.0), ("planned_stop", 900.0), ("unplanned_stop", None),
    ]  # fmt: skip
    assert all(one["state"] == "stopped" and not one["assumed"] for one in intervals(events))


def test_production_through_a_break_is_production_unscheduled() -> None:
    events = run(machine(calendar=CALENDAR), (0, {"run": True}), tick(3 * HOUR))
    told = [(one["category"], one["unscheduled"], one["duration_s"]) for one in intervals(events)]
    assert told == [("production", False, 7200.0), ("production", True, 900.0), ("production", False, None)]


def test_machines_off_at_the_weekend_are_assumed_to_be_planned() -> None:
    """Monday 14:00 the shift ends; the PLC is off from 13:00 on, until Tuesday 06:30."""
    back = (22 * HOUR + 30 * MINUTE, DeviceState("plc", True, 0))
    events = run(machine(calendar=CALENDAR), (0, {"run": True}), (5 * HOUR, LOST), back, tick(23 * HOUR))
    told = [(one["category"], one["assumed"], one["duration_s"], one["shift"]) for one in intervals(events)][3:]
    assert told == [
        ("unknown", False, 3600.0, "day"), ("planned_stop", True, 16 * 3600.0, None), ("unknown", False, None, "day"),
    ]  # fmt: skip


def test_parts_recovered_from_a_planned_outage_make_it_unknown() -> None:
    off = [(1 * SECOND, {"run": True, "count": 100}), (7 * HOUR, LOST), (8 * HOUR, DeviceState("plc", True, 0))]
    back = (8 * HOUR, {"run": False, "hold": False, "starved": False, "stop": False, "mode": 1, "count": 900})
    events = run(machine(calendar=CALENDAR, parts={"total": "plc.count"}, ideal="1s", no_output=0), *off, back)
    outage = next(one for one in intervals(events) if one["state"] == "unknown")
    assert (outage["category"], outage["unscheduled"], outage["assumed"]) == ("unknown", True, False)
    assert outage["final"]


def test_an_outage_without_parts_stays_planned_and_final_once_that_is_known() -> None:
    off = [(1 * SECOND, {"run": True, "count": 100}), (7 * HOUR, LOST), (8 * HOUR, DeviceState("plc", True, 0))]
    back = (8 * HOUR, {"run": False, "hold": False, "starved": False, "stop": False, "mode": 1, "count": 100})
    events = run(machine(calendar=CALENDAR, parts={"total": "plc.count"}, ideal="1s", no_output=0), *off, back)
    outage = next(one for one in intervals(events) if one["state"] == "unknown")
    assert (outage["category"], outage["assumed"], outage["final"]) == ("planned_stop", True, True)


def test_a_gateway_that_was_off_is_accounted_to_by_the_calendar() -> None:
    events = run(machine(calendar=CALENDAR), (0, {"run": True}), (5 * HOUR, {}), (22 * HOUR, Reload(0, 0)))
    told = [(one["category"], one["assumed"], one["duration_s"]) for one in intervals(events)][3:]
    assert told == [("unknown", False, 3600.0), ("planned_stop", True, 16 * 3600.0), ("unknown", False, None)]


def test_parts_outside_the_calendar_are_production_whatever_the_state_says() -> None:
    """Until the last part, where they end."""
    config = machine(calendar=CALENDAR, **COUNTED)
    events = run(config, (7 * HOUR, {"count": 1}), *parts(7 * HOUR + 1000, 7 * HOUR + 61_000, 1000, 2), tick(8 * HOUR))
    told = [
        (one["category"], one["unscheduled"], one["duration_s"], one["parts"]["total"]) for one in intervals(events)
    ]
    assert told[-3:] == [
        ("planned_stop", False, 3600.0, 1), ("production", True, 60.0, 60), ("planned_stop", False, None, 0),
    ]  # fmt: skip


def test_planned_maintenance_is_planned_and_unplanned_is_setup() -> None:
    window = {"machine": "m", "from": "2026-11-23 09:00", "to": "2026-11-23 10:00"}
    config = machine(calendar={**CALENDAR, "maintenance": [window]}, mode="plc.mode")
    events = run(config, (30 * MINUTE, {"mode": 2, "run": True}), (150 * MINUTE, {"mode": 1}), tick(151 * MINUTE))
    told = [(one["category"], one["mode"], one["duration_s"]) for one in intervals(events)]
    assert told == [
        ("idle", "produce", 1800.0),
        ("setup", "maintenance", 1800.0),
        ("planned_stop", "maintenance", 4500.0),  # and the break behind it
        ("setup", "maintenance", 900.0),
        ("production", "produce", None),
    ]


def test_a_mode_that_cannot_be_read_leaves_the_category_unknown() -> None:
    events = run(
        machine(mode={"signal": "plc.mode", "texts": {7: "manual"}}),
        (0, {"run": True, "mode": 7}),
        (9000, {"mode": None}),
    )
    told = [(one["state"], one["category"], one["mode"]) for one in intervals(events)]
    assert told == [("execute", "production", "manual"), ("execute", "unknown", None)]


def test_a_rule_can_set_only_the_category() -> None:
    rules = [{"category": "setup", "when": "plc.mode == 4", "reason": "changeover"}, *RULES]
    events = run(machine(states=rules), (0, {"run": True}), (9000, {"mode": 4}), (19_000, {"hold": True}))
    told = [(one["state"], one["category"], one["reason"] and one["reason"]["code"]) for one in intervals(events)]
    assert told == [
        ("execute", "production", None),
        ("execute", "setup", "changeover"),
        ("held", "setup", "changeover"),
    ]
    assert intervals(events)[1]["because"].keys() == {"plc.mode", "plc.run"}


def test_states_are_accounted_to_what_the_machine_says() -> None:
    events = run(machine(categories={"idle": "no_demand", "held": "starved"}), (9000, {"hold": True}))
    told = [(one["category"], one["cause"], one["demand"]) for one in intervals(events)]
    assert told == [("no_demand", None, None), ("starved", "starved", None)]


def test_a_reason_knows_its_category_group_and_owner() -> None:
    reasons = {23: {"text": "low pressure", "category": "starved", "group": "supply", "owner": "utilities"}}
    events = run(machine(reasons=reasons), (0, {"hold": True}), (1000, {"fault": 23}))
    (held,) = intervals(events)
    assert (held["category"], held["rev"]) == ("starved", 3), "a reason that comes late revises its interval"
    assert held["reason"] == {
        "code": "23", "text": "low pressure", "source": "signal", "category": "starved", "group": "supply",
        "owner": "utilities",
    }  # fmt: skip


@pytest.mark.parametrize(("word", "code"), [(0b1010_0000, "5"), (1, "0"), (0x8000, "15"), (0, None), (None, None)])
def test_the_first_bit_that_is_set_is_the_reason(word: int | None, code: str | None) -> None:
    rules = [{"state": "held", "when": "plc.hold", "reason": {"bits": "plc.word"}}, {"state": "idle"}]
    events = run(machine(states=rules, reasons={5: "guard open"}), (0, {"hold": True, "word": word}))
    reason = intervals(events)[-1]["reason"]
    assert (reason and reason["code"]) == code
    assert code != "5" or reason["text"] == "guard open"


FOR = [
    {"state": "held", "when": "plc.hold"},
    {"state": "suspended", "when": "plc.starved", "cause": "starved", "for": "3s"},
    {"state": "execute", "when": "plc.run"},
    {"state": "idle"},
]


def test_a_condition_that_must_hold_counts_from_when_it_began_to() -> None:
    events = run(
        machine(states=FOR), (0, {"run": True}), (10_000, {"starved": True}), (12_000, {"run": False}), tick(13_000)
    )
    assert times(events) == [("production", 10.0), ("starved", 2.0), ("starved", None)]
    provisional = [e.data for e in events if e.type == "machine.state" and e.data["state"] == "idle"]
    assert [one["final"] for one in provisional] == [False, False], "idle at the start, and meanwhile"
    assert intervals(events)[1]["uncertainty_s"] == 10.0


def test_a_condition_that_does_not_hold_long_enough_never_was() -> None:
    steps = [(0, {"run": True}), (10_000, {"starved": True}), (12_900, {"starved": False}), tick(60_000)]
    assert times(run(machine(states=FOR), *steps)) == [("production", None)]


def test_what_an_earlier_rule_said_meanwhile_stays() -> None:
    steps = [(0, {"run": True}), (10_000, {"starved": True}), (11_000, {"hold": True}), (12_000, {"hold": False})]
    assert times(run(machine(states=FOR), *steps, tick(13_000))) == [
        ("production", 10.0), ("starved", 1.0), ("unplanned_stop", 1.0), ("starved", None),
    ]  # fmt: skip


def test_parts_follow_the_interval_that_they_were_made_in() -> None:
    config = machine(states=FOR, parts={"total": "plc.count"}, no_output=0)
    steps = [*parts(1000, 10_000, 1000, 1), (10_000, {"starved": True}), (11_000, {"count": 11})]
    events = run(config, (0, {"run": True}), *steps, tick(13_000))
    assert [one["parts"]["total"] for one in intervals(events)] == [9, 2]


def test_execute_without_parts_is_no_production_from_the_last_part_on() -> None:
    events = run(
        machine(**COUNTED), (0, {"run": True}), *parts(1000, 31_000, 1000, 1), tick(60_000), (70_000, {"count": 31})
    )
    told = [(one["state"], one["category"], one["reason"], one["duration_s"]) for one in intervals(events)]
    assert told == [
        ("execute", "production", None, 30.0), ("execute", "unplanned_stop", None, 40.0),
        ("execute", "production", None, None),
    ]  # fmt: skip


def test_execute_that_never_makes_a_part_was_never_production() -> None:
    assert times(run(machine(**COUNTED), (5000, {"run": True}), tick(60_000))) == [
        ("idle", 5.0),
        ("unplanned_stop", None),
    ]


def test_a_counter_that_cannot_be_read_stops_nothing() -> None:
    events = run(machine(**COUNTED), (0, {"run": True}), (5000, {"count": None}), tick(600_000))
    assert times(events) == [("production", None)]


def test_a_counter_that_is_copied_now_and_then_is_no_stop() -> None:
    """Ten parts each 10.5 s, where there must be one each 10 s."""
    events = run(
        machine(**COUNTED), (0, {"run": True}), *[(at, {"count": at // 1050}) for at in range(10_500, 300_000, 10_500)]
    )
    assert times(events)[-1:] == [("production", None)], "once their rhythm is known"
    assert len(times(events)) <= 3


def test_no_part_across_the_end_of_a_shift_is_dated_back_across_it() -> None:
    config = machine(calendar=CALENDAR, **COUNTED)
    last = 6 * HOUR - 4 * SECOND
    events = run(config, (last - SECOND, {"run": True}), (last, {"count": 1}), tick(6 * HOUR + 7 * SECOND))
    told = [(one["category"], one["duration_s"]) for one in intervals(events)][-3:]
    assert told == [("production", 1.0), ("unplanned_stop", 4.0), ("planned_stop", None)]


def test_a_plc_that_answers_but_has_stopped_is_not_believed() -> None:
    config = machine({"heartbeat": {"signal": "tick", "within": "3s"}})
    beats = [(at, {"tick": at // 1000}) for at in range(1000, 10_001, 1000)]
    after = [(11_000, {}), (14_000, {"run": False, "hold": True}), (20_000, {"tick": 99})]
    events = run(config, (0, {"run": True}), *beats, *after)
    told = [(one["state"], one["duration_s"]) for one in intervals(events)]
    assert told == [("execute", 13.0), ("unknown", 7.0), ("held", None)]
    lost, restored = (e.data for e in events if e.type.startswith("device."))
    assert "tick has not changed for 3s" in lost["why"]
    assert restored["duration_s"] == 7.0


def test_a_frozen_plc_that_is_lost_is_lost_once() -> None:
    config = machine({"heartbeat": {"signal": "tick", "within": "3s"}})
    steps = [(1000, {"tick": 1}), (6000, LOST), (9000, DeviceState("plc", True, 0)), (9000, {"tick": 1, "run": True})]
    told = [e.type for e in run(config, *steps) if e.type.startswith("device.")]
    assert told == ["device.lost", "device.restored"]


def test_a_step_of_the_clock_over_a_boundary_changes_what_is_planned() -> None:
    events = run(machine(calendar=CALENDAR), (0, {"stop": True}), (MINUTE, ClockStep(0, 2 * HOUR)), tick(17 * MINUTE))
    told = [(one["category"], one["duration_s"]) for one in intervals(events)]
    assert told == [("unplanned_stop", 60.0), ("planned_stop", 840.0), ("unplanned_stop", None)]


def test_a_state_that_takes_long_to_settle_may_have_had_no_part_for_too_long_already() -> None:
    config = machine(**{**COUNTED, "settle": "20s"})
    assert times(run(config, (5000, {"run": True}), tick(25_000), tick(25_001))) == [
        ("unknown", 5.0),
        ("unplanned_stop", None),
    ]


def test_parts_that_come_late_in_a_break_are_no_production_until_its_end() -> None:
    """A PLC that copies its counter shows the last parts when the machine has stopped; then the break ends."""
    near = 2 * HOUR + 15 * MINUTE - 5 * SECOND  # five seconds before it does, no_output is ten
    steps: list[Step] = [
        (0, {"run": True}),
        *parts(1000, near, 1000, 1),
        (near, {"run": False}),
        (near + 250, {"count": near // 1000}),
    ]
    told = [
        (one["category"], one["duration_s"])
        for one in intervals(run(machine(calendar=CALENDAR, **COUNTED), *steps, tick(3 * HOUR)))
    ]
    assert told[-3:-1] == [("planned_stop", 0.25), ("planned_stop", 4.75)]


def test_what_parts_show_began_between_two_samples_too() -> None:
    config = machine(**COUNTED)
    events = run(config, (0, {"run": True}), *parts(1000, 31_000, 1000, 1), (69_600, {}), (70_000, {"count": 31}))
    told = [(one["category"], one["duration_s"], one["uncertainty_s"]) for one in intervals(events)]
    assert told == [("production", 30.0, None), ("unplanned_stop", 40.0, 1.0), ("production", None, 0.4)]
