"""KPI windows, story by story: when they are told, what is learned later, clocks, outages, jobs, and what is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import ClockStep, DeviceState, Reload, Tick
from gateway.pipeline import Pipeline
from tests.gateway.stories import (
    DAY_SHIFT,
    HOUR,
    MINUTE,
    MONDAY,
    QUIET,
    SECOND,
    Step,
    inputs,
    latest,
    machine,
    parts,
    run,
    tick,
)

Data = dict[str, Any]
LATE = {**DAY_SHIFT, "from": "14:00", "to": "22:00", "breaks": []}
CALENDAR = {"production_day": "06:00", "shifts": {"day": DAY_SHIFT, "late": LATE}}
COUNTED: Data = {"ideal": "1s", "parts": {"total": "plc.count"}, "no_output": 0}
LOST, BACK = DeviceState("plc", False, 0, "127.0.0.1:502", "no answer", "check it"), DeviceState("plc", True, 0)
DAYS = 24 * HOUR
BIG = 1_000_000
"""A counter so high that no reading after an outage can be a reset."""


def kpi(events: list[Event], window: str) -> list[Data]:
    """All that was told of a kind of windows, in order."""
    return [event.data for event in events if event.type == "machine.kpi" and event.data["window"] == window]


def standing(events: list[Event], window: str) -> list[Data]:
    return [one for one in latest(events, "machine.kpi", "kpi") if one["window"] == window]


def when(config: Config, *steps: Step) -> list[tuple[int, Data]]:
    """Each window that is told, with milliseconds after the start at which it was."""
    pipeline, told = Pipeline(config), []
    for one in inputs(sorted(steps, key=lambda step: step[0])):
        told += [(one.at - MONDAY, e.data) for e in pipeline.process(one)[0] if e.type == "machine.kpi"]
    return told


def each_second(until: int) -> list[Step]:
    return [tick(at) for at in range(0, until, SECOND)]


def test_a_window_is_told_a_grace_after_its_end_and_is_frozen_after_72_hours() -> None:
    ticks = [tick(at) for at in (HOUR, HOUR + 4999, HOUR + 5000, 73 * HOUR - 1, 73 * HOUR)]
    told = [(at, one["rev"], one["final"]) for at, one in when(machine(), *ticks) if one["kpi"] == f"m-hour-{MONDAY}"]
    assert told == [(HOUR + 5000, 0, False), (73 * HOUR, 1, True)]


def test_grace_and_freeze_are_settings() -> None:
    config = machine(kpi={"grace": "1min", "freeze": "2h"})
    told = [(at, one["final"]) for at, one in when(config, *each_second(4 * HOUR)) if one["kpi"] == f"m-hour-{MONDAY}"]
    assert told == [(HOUR + MINUTE, False), (3 * HOUR, True)]


def test_an_hour_lies_in_its_shift_and_its_day_and_they_add_up() -> None:
    """08:00 to 06:00: the rest of a shift, a shift, a night without, and the day."""
    steps: list[Step] = [(0, {"run": True}), *parts(0, 3 * HOUR, 10 * SECOND, BIG), (5 * HOUR, {"run": False})]
    events = run(machine(calendar=CALENDAR, **{**COUNTED, "no_output": "1h"}), *steps, tick(23 * HOUR))
    hours, shifts, (day,) = (standing(events, kind) for kind in ("hour", "shift", "day"))
    assert [(one["shift"], one["began"][11:16], one["ended"][11:16]) for one in shifts] == [
        ("day", "07:00", "13:00"), ("late", "13:00", "21:00"),
    ]  # fmt: skip
    assert (len(hours), day["began"][11:16], day["ended"][11:16], day["shift"]) == (22, "07:00", "05:00", None)
    for name in ("pq", "apt_s", "pbt_s", "unknown_s", "ideal_s"):
        assert sum(one[name] for one in hours[:6]) == shifts[0][name]
        assert sum(one[name] for one in hours) == day[name]
    assert [one["pbt_s"] for one in hours[12:16]] == [3600.0, 3600.0, 0.0, 0.0]
    assert all(one["oee"] is None for one in hours[14:22])


def test_without_a_calendar_there_are_no_shifts_and_days_begin_at_midnight() -> None:
    events = run(machine(), tick(40 * HOUR))
    assert standing(events, "shift") == []
    assert [one["ended"] for one in standing(events, "day")] == ["2026-11-23T23:00:00.000Z"]


@pytest.mark.parametrize(("start", "hours"), [(1_774_738_800_000, 23), (1_792_879_200_000, 25)])
def test_days_of_a_clock_change_have_their_true_length(start: int, hours: int) -> None:
    """2026-03-29 and 2026-10-25 in Berlin, from midnight to midnight."""
    events = run(machine(), tick(26 * HOUR), start=start)
    (day,) = standing(events, "day")
    assert sum(day["categories"].values()) == hours * 3600
    assert [sum(one["categories"].values()) for one in standing(events, "hour")] == [3600.0] * 25


def test_hours_are_those_of_the_lines_clock() -> None:
    """India is half an hour off."""
    place = {"enterprise": "acme", "site": "pune", "area": "filling", "name": "line-3", "time_zone": "Asia/Kolkata"}
    events = run(machine(line=place), tick(3 * HOUR))
    assert [one["began"][11:16] for one in standing(events, "hour")] == ["07:00", "07:30", "08:30"]


def test_a_stop_that_is_open_at_the_close_is_judged_by_its_length_so_far_and_again_when_it_ends() -> None:
    """From 08:59 to 09:11, held: minor by what is known at 09:00:05, then a downtime and a failure of 09:00."""
    steps: list[Step] = [(0, {"run": True}), (59 * MINUTE, {"hold": True, "fault": 17})]
    done: list[Step] = [(71 * MINUTE, {"hold": False}), tick(3 * HOUR)]
    events = run(machine(), *steps, *done)
    first = [one for one in kpi(events, "hour") if one["kpi"] == f"m-hour-{MONDAY}"]
    shown = [(one["rev"], one["minor_stops"]["n"], one["failures"], one["mttr_s"], one["run_s"]) for one in first]
    assert shown == [(0, 1, 0, None, 3600.0), (1, 0, 1, 720.0, 3540.0)]
    second = standing(events, "hour")[1]
    assert (second["failures"], second["apt_s"]) == (0, 49 * 60.0)
    assert second["stops"] == [{"kind": "own", "reason": "17", "n": 0, "seconds": 660.0}]
    assert second["downtime_rate"] == round(660 / 3600, 6)


def test_repair_leaves_out_breaks_as_soon_as_they_are_there() -> None:
    """Held from 09:50 (local) through the break of 10:00 to 10:15; the shift ends at 14:00, and it is still held."""
    steps: list[Step] = [(0, {"run": True}), (110 * MINUTE, {"hold": True}), tick(7 * HOUR)]
    (shift,) = standing(run(machine(calendar=CALENDAR), *steps), "shift")
    assert (shift["failures"], shift["mttr_s"]) == (1, 4 * 3600 + 10 * 60 - 900 + 5.0)


def test_a_reason_that_is_no_failure_counts_as_none() -> None:
    steps: list[Step] = [(0, {"run": True}), (MINUTE, {"hold": True, "fault": 17}), (9 * MINUTE, {"hold": False})]
    config = machine(reasons={17: {"text": "tool change", "failure": False}})
    hour = standing(run(config, *steps, tick(2 * HOUR)), "hour")[0]
    assert (hour["failures"], hour["mtbf_s"], hour["losses"]["breakdowns"]) == (0, None, 480.0)


def test_minor_stops_in_a_busy_hour() -> None:
    """Each minute 50 s of production and 10 s of a stop; a part a second while it runs."""
    steps: list[Step] = []
    made = BIG
    for minute in range(60):
        steps += [(minute * MINUTE, {"run": True, "stop": False})]
        steps += parts(minute * MINUTE + SECOND, minute * MINUTE + 51 * SECOND, SECOND, made + 1)
        made += 50
        steps += [(minute * MINUTE + 50 * SECOND, {"run": False, "stop": True, "count": made})]
    for rule, expected in (("performance", (1.0, 0.833333)), ("availability", (0.833333, 1.0))):
        events = run(machine(**COUNTED, resume="5s", minor_stops=rule), (0, {"count": BIG}), *steps, tick(2 * HOUR))
        hour = standing(events, "hour")[0]
        assert (hour["availability"], hour["effectiveness"], hour["oee"]) == (*expected, 0.833333)
        assert hour["minor_stops"] == {"n": 60, "seconds": 600.0}


def outage(began: int, ended: int, made: int) -> list[Step]:
    """A part a second at full speed, but for an outage in which so many were made; the counter is never near 0."""
    before = parts(SECOND, began + 1, SECOND, BIG + 1)
    count = BIG + began // SECOND + made
    after = parts(ended + SECOND, 3 * HOUR, SECOND, count + 1)
    back: Step = (ended, {**QUIET, "run": True, "count": count})
    return [(0, {"run": True, "count": BIG}), *before, (began, LOST), (ended, BACK), back, *after]


def test_parts_of_an_outage_within_an_hour_are_its_own_and_nothing_is_uncovered() -> None:
    events = run(machine(**COUNTED), *outage(20 * MINUTE, 30 * MINUTE, 600), tick(3 * HOUR))
    hour = standing(events, "hour")[0]
    assert (hour["pq"], hour["recovered"], hour["unknown_s"], hour["unrecovered_s"]) == (3599, 0, 600.0, 0.0)
    assert (hour["oee"], hour["coverage"]) == (round(3599 / 3600, 6), round(5 / 6, 6))
    assert hour["effectiveness"] == round(2999 / 3000, 6)


def test_parts_of_an_outage_over_the_hour_belong_to_the_day_and_hours_say_what_they_lack() -> None:
    events = run(machine(**COUNTED), *outage(50 * MINUTE, 70 * MINUTE, 1200), tick(20 * HOUR))
    first, second = standing(events, "hour")[:2]
    (day,) = standing(events, "day")
    assert [(one["recovered"], one["unrecovered_s"], one["flags"]) for one in (first, second)] == [
        (1200, 600.0, ["recovered"]), (1200, 600.0, ["recovered"]),
    ]  # fmt: skip
    assert (first["pq"], first["oee"], first["oee_low"], first["oee_high"]) == (3000, 1.0, 0.833333, 1.0)
    assert (day["recovered"], day["unrecovered_s"], day["flags"]) == (0, 0.0, [])
    assert day["pq"] == first["pq"] + second["pq"] + 1200 + 3600
    revisions = [one for one in kpi(events, "hour") if one["kpi"] == first["kpi"]]
    assert [(one["rev"], one["recovered"]) for one in revisions] == [(0, 0), (1, 1200)], "told again when it was known"


def test_an_ambiguous_outage_leaves_its_time_uncovered_and_widens_the_bounds() -> None:
    """The counter is at 300 behind it: a part a second since 1,200 s, or a reset."""
    before = parts(SECOND, 20 * MINUTE + 1, SECOND, 1)
    back: list[Step] = [(20 * MINUTE, LOST), (30 * MINUTE, BACK), (30 * MINUTE, {**QUIET, "run": True, "count": 1500})]
    events = run(machine(**COUNTED), (0, {"run": True}), *before, *back, tick(2 * HOUR))
    hour = standing(events, "hour")[0]
    assert (hour["unknown_s"], hour["unrecovered_s"], hour["flags"]) == (600.0, 600.0, ["ambiguous"])
    assert hour["ambiguous"]["low"] == hour["pq"] == 1500
    assert hour["oee_low"] < hour["oee"] < hour["oee_high"]


def test_two_counters_that_are_read_one_after_the_other_are_certain_when_both_are() -> None:
    """Behind an outage the total is ambiguous, and scrap, which is read two seconds later, is not."""
    signals = {
        "count": {"address": "holding:4", "type": "uint32"},
        "scrap": {"address": "holding:36", "type": "uint32"},
    }
    assert signals
    config = machine(ideal="1s", no_output=0, parts={"total": "plc.count", "scrap": "plc.scrap"})
    back = {**QUIET, "run": True, "count": 1500, "scrap": None}
    steps: list[Step] = [
        (0, {"run": True, "scrap": BIG}), *parts(SECOND, 20 * MINUTE + 1, SECOND, 1),
        (20 * MINUTE, LOST), (30 * MINUTE, BACK), (30 * MINUTE, back), (30 * MINUTE + 2000, {"scrap": BIG}),
    ]  # fmt: skip
    hour = standing(run(config, *steps, tick(2 * HOUR)), "hour")[0]
    assert (hour["unknown_s"], hour["unrecovered_s"]) == (600.0, 600.0)


def test_a_bad_deciding_signal_with_a_good_counter_is_unknown_and_not_uncovered() -> None:
    steps: list[Step] = [(0, {"run": True, "count": BIG}), *parts(SECOND, HOUR, SECOND, BIG + 1)]
    steps += [(20 * MINUTE, {"hold": None}), (50 * MINUTE, {"hold": False})]
    hour = standing(run(machine(**COUNTED), *steps, tick(2 * HOUR)), "hour")[0]
    assert (hour["unknown_s"], hour["unrecovered_s"], hour["coverage"], hour["pq"]) == (1800.0, 0.0, 0.5, 3599)
    assert (hour["effectiveness"], hour["oee"]) == (round(1799 / 1800, 6), round(3599 / 3600, 6))


def test_a_machine_without_counters_knows_nothing_of_unknown_time() -> None:
    steps: list[Step] = [
        (0, {"run": True}),
        (20 * MINUTE, LOST),
        (30 * MINUTE, BACK),
        (30 * MINUTE, {**QUIET, "run": True}),
    ]
    hour = standing(run(machine(ideal="1s"), *steps, tick(2 * HOUR)), "hour")[0]
    assert (hour["unknown_s"], hour["unrecovered_s"], hour["pq"], hour["oee"]) == (600.0, 600.0, None, None)


def test_scrap_in_setup_is_a_start_up_loss() -> None:
    rules = [{"category": "setup", "when": "plc.mode == 4"}, {"state": "execute", "when": "plc.run"}, {"state": "idle"}]
    config = machine(ideal="1s", no_output=0, states=rules, parts={"total": "plc.count", "scrap": "plc.scrap"})
    steps: list[Step] = [
        (0, {"run": True, "mode": 4}), (10 * MINUTE, {"count": 40, "scrap": 30}), (20 * MINUTE, {"mode": 1}),
        (40 * MINUTE, {"count": 1000, "scrap": 35}),
    ]  # fmt: skip
    hour = standing(run(config, *steps, tick(2 * HOUR)), "hour")[0]
    losses = hour["losses"]
    assert (losses["setup"], losses["start_up"], losses["process_defects"]) == (1200.0, 30.0, 5.0)
    assert (hour["pq"], hour["sq"], hour["quality"]) == (1000, 35, 0.965)


def test_scrap_that_is_seen_before_its_parts_is_that_of_the_next_window() -> None:
    """5 rejects at 08:30, their parts pass the total's place after 09:00."""
    config = machine(ideal="1s", no_output=0, parts={"total": "plc.count", "scrap": "plc.scrap"})
    steps: list[Step] = [(30 * MINUTE, {"scrap": 5}), (70 * MINUTE, {"count": 100}), tick(30 * HOUR)]
    events = run(config, (0, {"run": True}), *steps)
    hours = standing(events, "hour")
    assert [(one["pq"], one["gq"], one["sq"]) for one in hours[:3]] == [(0, 0, 0), (100, 95, 5), (0, 0, 0)]
    assert [(one["ideal_good_s"], one["oee"]) for one in hours[:2]] == [(0.0, 0.0), (95.0, round(95 / 3600, 6))]
    (day,) = standing(events, "day")
    assert (day["pq"], day["gq"], day["sq"]) == (100, 95, 5)


def test_a_window_tells_the_sums_of_its_products_and_is_null_where_one_is_unlisted() -> None:
    products = {"signal": "plc.recipe", "list": {"7": {"ideal": {"m": "1s"}}, "8": {"ideal": {"m": "2s"}}}}
    config = machine(products=products, parts={"total": "plc.count"}, no_output=0)
    steps: list[Step] = [
        (0, {"recipe": 7, "run": True}), (10 * MINUTE, {"count": 500}), (20 * MINUTE, {"recipe": 8, "count": 900}),
        (40 * MINUTE, {"count": 1300}), (90 * MINUTE, {"recipe": 9}), (100 * MINUTE, {"count": 1400}),
    ]  # fmt: skip
    first, second = standing(run(config, *steps, tick(3 * HOUR)), "hour")[:2]
    assert [(one["product"], one["pq"], one["ideal_s"]) for one in first["by_product"]] == [
        ("7", 900, 900.0), ("8", 400, 800.0),
    ]  # fmt: skip
    assert (first["oee"], first["product"]) == (round(1700 / 3600, 6), None)
    assert (second["oee"], second["flags"], second["pq"]) == (None, ["unlisted_product"], 100)


def test_a_job_has_a_window_of_its_own() -> None:
    config = machine(**COUNTED, jobs={"signal": "plc.order"})
    steps: list[Step] = [
        (0, {"run": True}), (10 * MINUTE, {"order": "A"}), *parts(11 * MINUTE, 21 * MINUTE, SECOND, 1),
        (30 * MINUTE, {"order": "B"}), (50 * MINUTE, {"order": ""}),
    ]  # fmt: skip
    jobs = standing(run(config, *steps, tick(HOUR)), "job")
    assert [(one["job"], sum(one["categories"].values()), one["pq"]) for one in jobs] == [
        ("A", 1200.0, 600), ("B", 1200.0, 0),
    ]  # fmt: skip


def test_a_changeover_beyond_its_standard_has_an_excess() -> None:
    products = {"signal": "plc.recipe", "list": {name: {"changeover": "10min"} for name in ("7", "8")}}
    config = machine(products=products, parts={"total": "plc.count"}, ideal="1s", no_output=0)
    steps: list[Step] = [
        (0, {"recipe": 7, "run": True}), *parts(SECOND, 10 * MINUTE + 1, SECOND, 1), (15 * MINUTE, {"recipe": 8}),
        *parts(35 * MINUTE, 59 * MINUTE, SECOND, 601),
    ]  # fmt: skip
    hour = standing(run(config, *steps, tick(2 * HOUR)), "hour")[0]
    assert hour["categories"]["setup"] == 25 * 60.0
    assert hour["changeover_excess_s"] == 15 * 60.0


def test_a_step_of_the_clock_ends_windows_that_it_leaves_and_lengths_stay_true() -> None:
    """At 08:20 the clock is set to 10:20, at its 10:30 back to 08:30."""
    steps: list[Step] = [(20 * MINUTE, ClockStep(0, 2 * HOUR)), (30 * MINUTE, ClockStep(0, 0)), tick(3 * HOUR)]
    hours = standing(run(machine(), (0, {"run": True}), *steps), "hour")[:4]
    told = sorted((int(one["kpi"][7:]) - MONDAY, sum(one["categories"].values())) for one in hours)
    assert told == [(0, 1200.0), (20 * MINUTE, 600.0), (30 * MINUTE, 1800.0), (HOUR, 3600.0)]


def test_a_step_within_the_hour_goes_on_with_its_window() -> None:
    steps: list[Step] = [(20 * MINUTE, ClockStep(0, 5 * SECOND)), tick(2 * HOUR)]
    hours = standing(run(machine(), (0, {"run": True}), *steps), "hour")
    assert [sum(one["categories"].values()) for one in hours] == [3595.0, 3600.0]


def test_a_gateway_that_was_off_has_windows_of_unknown_time_that_were_not_told_twice() -> None:
    steps: list[Step] = [
        (0, {"run": True}),
        (30 * MINUTE, {}),
        (4 * HOUR, Reload(0, 0)),
        (4 * HOUR, {**QUIET, "run": True}),
    ]
    events = run(machine(**COUNTED), *steps, tick(6 * HOUR))
    hours = [one for one in kpi(events, "hour") if not one["final"]]
    assert [(one["rev"], one["unknown_s"]) for one in hours[:4]] == [(0, 1800.0), (0, 3600.0), (0, 3600.0), (0, 3600.0)]
    assert [one["unrecovered_s"] for one in hours[:4]] == [1800.0, 3600.0, 3600.0, 3600.0]


def test_a_gateway_that_was_off_for_years_comes_up_at_once() -> None:
    """A computer that was stored, or whose clock was wrong: what was open ends where it does, years have no hours."""
    pipeline = Pipeline(machine(**COUNTED))
    for one in inputs([(0, {"run": True}), (30 * MINUTE, {})]):
        pipeline.process(one)
    later = MONDAY + 9 * 365 * DAYS
    events, deadline = pipeline.process(Reload(later, 0))
    lengths = {kind: [sum(one["categories"].values()) for one in standing(events, kind)] for kind in ("hour", "day")}
    assert lengths["hour"] == [3600.0] * (7 * 24)
    assert lengths["day"] == [16 * 3600.0, 16 * 3600.0, *[24 * 3600.0] * 6]
    assert later < (deadline or 0) <= later + HOUR


def test_windows_are_stored_with_what_changed_them_and_go_when_they_are_frozen() -> None:
    """A busy hour's commits carry the machine alone; a closed window's row is written when it is told, and deleted."""
    pipeline = Pipeline(machine(**COUNTED))
    written: list[str] = []
    for one in inputs([(0, {"run": True}), *parts(SECOND, 2 * HOUR, 10 * SECOND, 1)]):
        events = pipeline.process(one)[0]
        rows = pipeline.checkpoint({event.subject for event in events}) if events else {}
        written += [name for name in rows if name.startswith("kpi/m/")]
    assert written == [f"kpi/m/m-hour-{MONDAY}"] * 2, "as it ends, and as it is told"
    pipeline.process(Tick(MONDAY + 73 * HOUR))
    assert pipeline.checkpoint()[f"kpi/m/m-hour-{MONDAY}"] == b""


def test_people_see_the_windows_that_run() -> None:
    pipeline = Pipeline(machine(calendar=CALENDAR, **COUNTED))
    for one in inputs([(0, {"run": True, "count": BIG}), *parts(SECOND, 10 * MINUTE + 1, SECOND, BIG + 1)]):
        pipeline.process(one)
    shown = pipeline.snapshot()["m"]["kpi"]
    assert {kind: (one["oee"], one["pq"]) for kind, one in shown.items()} == {
        "hour": (1.0, 600), "shift": (1.0, 600), "day": (1.0, 600),
    }  # fmt: skip


def test_people_see_how_fast_it_is_now() -> None:
    """Half a part a second; it stands at once; goes on twice as fast; its PLC is lost; it makes nothing more."""
    steps: list[Step] = [(0, {"run": True, "count": 0}), *parts(SECOND, 50 * SECOND, 2 * SECOND, 1)]
    steps += [(60 * SECOND, {"run": False}), (70 * SECOND, {"run": True}), *parts(71 * SECOND, 90 * SECOND, SECOND, 26)]
    pipeline, seen = Pipeline(machine(**COUNTED)), {}
    for one in inputs([*steps, tick(110 * SECOND)]):
        pipeline.process(one)
        shown = pipeline.snapshot()["m"]
        seen[(one.at - MONDAY) // SECOND] = shown["rate_now_per_min"]
    assert (seen[0], seen[1], seen[3], seen[49]) == (None, None, 30.0, 30.0)
    assert (seen[60], seen[70], seen[71], seen[72], seen[89]) == (0.0, None, None, 60.0, 60.0)
    assert 0 < seen[110] < 60, "no more than if a part came now"
    pipeline.process(replace(LOST, at=MONDAY + 111 * SECOND))
    assert pipeline.snapshot()["m"]["rate_now_per_min"] is None


def test_parts_without_an_ideal_leave_no_figure_that_needs_one() -> None:
    """Product 8 has none, and neither has the machine; the parts count all the same."""
    products = {"signal": "plc.recipe", "list": {"7": {"ideal": {"m": "1s"}}, "8": {}}}
    config = machine(products=products, parts={"total": "plc.count"}, no_output=0)
    steps: list[Step] = [(0, {"recipe": 7, "run": True}), (10 * MINUTE, {"count": 500})]
    steps += [(20 * MINUTE, {"recipe": 8}), (30 * MINUTE, {"count": 900}), (90 * MINUTE, {"recipe": 7})]
    first, second = standing(run(config, *steps, (100 * MINUTE, {"count": 1000}), tick(3 * HOUR)), "hour")[:2]
    assert (first["pq"], first["ideal_s"], first["oee"], first["effectiveness"]) == (900, None, None, None)
    assert [(one["product"], one["ideal_s"]) for one in first["by_product"]] == [("7", 500.0), ("8", None)]
    assert (second["pq"], second["ideal_s"]) == (100, 100.0)


def test_a_window_of_two_jobs_and_products_names_neither() -> None:
    products = {"signal": "plc.recipe", "list": {"7": {}, "8": {}}}
    config = machine(**COUNTED, products=products, jobs={"signal": "plc.order"})
    steps: list[Step] = [
        (59 * MINUTE, {"order": "A", "recipe": 7}),
        (150 * MINUTE, {"order": "B"}),
        (4 * HOUR, {"recipe": 8}),
    ]
    hours = standing(run(config, *steps, tick(6 * HOUR)), "hour")
    assert [(one["job"], one["product"]) for one in hours] == [
        (None, None), ("A", "7"), (None, "7"), ("B", "7"), ("B", None),
    ]  # fmt: skip


def test_what_is_shown_of_a_window_that_runs_is_never_below_0() -> None:
    """Five rejects are seen before any part."""
    config = machine(ideal="1s", no_output=0, parts={"total": "plc.count", "scrap": "plc.scrap"})
    pipeline = Pipeline(config)
    for one in inputs([(0, {"run": True}), (MINUTE, {"scrap": 5}), tick(2 * MINUTE)]):
        pipeline.process(one)
    hour = pipeline.snapshot()["m"]["kpi"]["hour"]
    assert (hour["pq"], hour["gq"], hour["sq"], hour["oee"]) == (0, 0, 0, 0.0)
