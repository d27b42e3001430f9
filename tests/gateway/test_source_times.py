"""Transitions, parts and cycles are dated by source times on our clock, whatever the device's own clock does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Value
from tests.gateway.kpi.truth import categories, spans, windows
from tests.gateway.stories import HOUR, MINUTE, MONDAY, QUIET, SECOND, intervals, latest, machine, said

OFF = -3 * 365 * 24 * HOUR
"""The PLC's clock is years off."""
COUNTED: dict[str, Any] = {"parts": {"total": "plc.count"}}
Step = tuple[int, int | None, dict[str, Value]]
"""Milliseconds after the start at which it came; at which it happened, None without a source time; and what."""


def dated(values: dict[str, Value], source: int | None) -> list[Change]:
    return [(*one[:4], source) for one in said(**values)]


def batches(*steps: Step, off: int = OFF) -> list[Input]:
    """A PLC that is read without source times at the start."""
    begin: list[Input] = [Reload(MONDAY, 0), DeviceState("plc", True, MONDAY), Batch("plc", 0, said(**QUIET), MONDAY)]
    return begin + [
        Batch("plc", 0, dated(values, None if when is None else MONDAY + when + off), MONDAY + at)
        for at, when, values in steps
    ]


def play(config: Config, inputs: list[Input]) -> list[Event]:
    pipeline = Pipeline(config)
    return [event for one in inputs for event in pipeline.process(one)[0]]


def seen(config: Config, *steps: Step, off: int = OFF) -> list[tuple[str, int, float | None]]:
    """State, begin in milliseconds after the start, and uncertainty, of each interval but the first."""
    told = intervals(play(config, [*batches(*steps, off=off), Tick(MONDAY + steps[-1][0] + 5 * SECOND)]))
    return [(one["state"], int(one["interval"][2:]) - MONDAY, one["uncertainty_s"]) for one in told[1:]]


LEARNED: list[Step] = [(1000, 1000, {"tick": 1, "count": 1})]
"""The quickest way that a value takes, which is taken for none."""


@pytest.mark.parametrize("off", [0, OFF, HOUR])
def test_a_transition_was_when_its_source_says(off: int) -> None:
    steps: list[Step] = [*LEARNED, (2000, None, {}), (2900, 2400, {"run": True})]
    assert seen(machine(**COUNTED), *steps, off=off) == [("execute", 2400, 0.5)]


def test_what_was_held_up_is_told_apart_and_its_uncertainty_is_that_of_the_gap() -> None:
    """That the first of it came at 20 s says nothing of the second, whatever the clock says."""
    held_up: list[Step] = [(20_000, 12_000, {"run": True}), (20_000, 15_000, {"run": False})]
    told = seen(machine(**COUNTED), *LEARNED, (10_000, None, {}), *held_up)
    assert told == [("execute", 12_000, 8.0), ("idle", 15_000, 5.0)]


def test_values_of_one_batch_are_taken_in_order_and_at_once_where_a_cycle_wrote_them() -> None:
    inputs = batches(*LEARNED, (2000, 1500, {"run": True}))
    both = dated({"fault": 17}, MONDAY + OFF + 3130) + dated({"hold": True}, MONDAY + OFF + 3100)
    inputs.append(Batch("plc", 0, [*both, *dated({"run": False}, MONDAY + OFF + 2700)], MONDAY + 3500))
    told = intervals(play(machine(**COUNTED), inputs))
    assert [(one["state"], int(one["interval"][2:]) - MONDAY) for one in told[1:]] == [
        ("execute", 1500), ("idle", 2700), ("held", 3130),
    ]  # fmt: skip
    assert told[-1]["reason"]["code"] == "17"
    assert told[-1]["because"]["plc.hold"]["time"] == "2023-11-24T07:00:03.100Z", "the raw one is the evidence"


def test_nothing_is_before_the_last_transition() -> None:
    """A scan without source times showed it at 5 s: what is said to have been before that is of the same moment."""
    steps: list[Step] = [*LEARNED, (2000, 1500, {"run": True}), (5000, None, {"hold": True})]
    told = seen(machine(**COUNTED), *steps, (5900, 4200, {"stop": True, "hold": False}))
    assert told == [("execute", 1500, 0.5), ("stopped", 5000, 0.9)]


@pytest.mark.parametrize("source", [3000, 1000, 500, -HOUR], ids=["as ours", "stands still", "goes back", "set back"])
def test_a_clock_that_does_not_go_on_dates_nothing(source: int) -> None:
    told = seen(machine(**COUNTED), *LEARNED, (2000, None, {}), (3000, source, {"run": True}))
    assert told == [("execute", 3000, 1.0)]


def test_a_clock_that_is_set_forward_counts_from_there() -> None:
    steps: list[Step] = [(3000, 3000 + HOUR, {"run": True}), (4000, None, {}), (5000, 4500 + HOUR, {"run": False})]
    assert seen(machine(**COUNTED), *LEARNED, *steps) == [("execute", 3000, 2.0), ("idle", 4500, 0.5)]


def test_what_was_so_when_a_device_is_connected_is_of_its_first_reading() -> None:
    """Its source time is from before the loss: the outage was unknown all the same."""
    lost = DeviceState("plc", False, MONDAY + 60_000, "127.0.0.1:4840", "no answer", "check it")
    inputs = [*batches(*LEARNED, (2000, 1500, {"run": True})), lost, DeviceState("plc", True, MONDAY + 90_000)]
    inputs.append(Batch("plc", 0, dated({**QUIET, "run": True}, MONDAY + OFF + 30_000), MONDAY + 91_000))
    told = intervals(play(machine(**COUNTED), inputs))
    times = [(one["state"], one["duration_s"]) for one in told[1:]]
    assert times == [("execute", 58.5), ("unknown", 31.0), ("execute", None)]


def test_a_condition_that_ended_in_time_has_not_held_though_that_was_held_up() -> None:
    rules = [{"state": "held", "when": "plc.hold", "for": "3s"}, {"state": "execute", "when": "plc.run"}]
    held_up: list[Step] = [(20_000, 12_000, {"hold": True}), (20_000, 14_900, {"hold": False})]
    steps: list[Step] = [*LEARNED, (2000, 1500, {"run": True}), *held_up]
    assert [state for state, *_ in seen(machine(states=rules, **COUNTED), *steps)] == ["execute"]
    held_up[1] = (20_000, 15_100, {"hold": False})
    told = seen(machine(states=rules, **COUNTED), *LEARNED, (2000, 1500, {"run": True}), *held_up)
    assert [(state, at) for state, at, _ in told] == [("execute", 1500), ("held", 12_000), ("execute", 15_100)]


def test_what_was_decided_in_time_stays() -> None:
    """Three seconds were over when it was not known yet that they ended a little before."""
    rules = [{"state": "held", "when": "plc.hold", "for": "3s"}, {"state": "execute", "when": "plc.run"}]
    steps: list[Step] = [*LEARNED, (2000, 2000, {"run": True}), (12_000, 12_000, {"hold": True})]
    inputs = [*batches(*steps), Tick(MONDAY + 15_000), *batches((15_300, 14_900, {"hold": False}))[3:]]
    told = intervals(play(machine(states=rules, **COUNTED), inputs))[1:]
    assert [(one["state"], one["duration_s"]) for one in told] == [("execute", 10.0), ("held", 3.0), ("execute", None)]


def test_parts_that_come_behind_their_minute_are_of_the_next() -> None:
    made: list[Step] = [(30_000, 30_000, {"count": 2}), (62_000, 59_000, {"count": 5})]
    inputs = batches(*LEARNED, *made)
    inputs[5:5] = [Tick(MONDAY + MINUTE)]
    events = play(machine(ideal="1s", no_output=0, **COUNTED), [*inputs, Tick(MONDAY + 3 * MINUTE)])
    minutes = [one.data for one in events if one.type == "machine.production"]
    told = [(one["began"][14:19], one["ended"][14:19], one["total"]) for one in minutes]
    assert told == [("00:00", "01:00", 2), ("01:00", "02:00", 3)]


def test_a_counter_that_was_held_up_is_no_jump() -> None:
    late: list[Step] = [(30_000, at, {"count": at // 1000 + 1}) for at in range(3000, 30_000, 3000)]
    events = play(machine(ideal="1s", no_output=0, **COUNTED), batches(*LEARNED, *late))
    events += play(machine(ideal="1s", no_output=0, **COUNTED), [*batches(*LEARNED, *late), Tick(MONDAY + 2 * MINUTE)])
    assert [event.type for event in events if event.type == "counter.fault"] == []
    (minute,) = (event.data for event in events if event.type == "machine.production")
    assert (minute["began"], minute["total"]) == ("2026-11-23T07:00:00.000Z", 28)


def test_cycles_are_from_part_to_part_however_long_each_was_on_its_way() -> None:
    made: list[Step] = [(at + (at // 2000) % 7 * 90, at, {"count": at // 2000}) for at in range(2000, 40_000, 2000)]
    run_: Step = (1500, 1500, {"run": True})
    events = play(machine(**COUNTED), [*batches(run_, *made), Tick(MONDAY + 2 * MINUTE)])
    (minute,) = (event.data for event in events if event.type == "machine.production")
    assert [minute["cycle"][name] for name in ("min_s", "mean_s", "max_s")] == [2.0, 2.0, 2.0]


def test_parts_of_before_the_hour_are_its_parts_though_they_come_behind_its_end() -> None:
    start, minute = HOUR - 90 * SECOND, HOUR - MINUTE
    near: list[Step] = [(start, start, {"run": True}), (minute + 100, minute, {"count": 10})]
    behind: list[Step] = [(HOUR + 300, HOUR - 1000, {"count": 60}), (HOUR + 300, HOUR - 500, {"run": False})]
    inputs = [*batches(*near, *behind), Tick(MONDAY + 2 * HOUR)]
    events = play(machine(ideal="1s", no_output=0, **COUNTED), inputs)
    hour = latest(events, "machine.kpi", "kpi")[0]
    assert (hour["pq"], hour["categories"]) == (60, {"idle": 3510.5, "production": 89.5})
    minutes = [(one.data["began"][11:19], one.data["total"]) for one in events if one.type == "machine.production"]
    assert minutes == [("07:59:00", 60)]


stops = st.lists(
    st.tuples(
        st.sampled_from([120, 900, 7 * SECOND, 3 * MINUTE]),  # since the last
        st.integers(0, 100),  # percent of that after which it happened
        st.booleans(),  # held up, and comes with the next
        st.sampled_from([0, 0, 0, 40, -HOUR, HOUR, -(10**11), 700]),  # the clock jumps
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(stops, st.booleans())
@example([(900, 10, True, 0), (900, 5, True, HOUR), (900, 90, False, -HOUR)], False)
def test_the_truth_is_within_the_uncertainty_whatever_the_clock_does(
    given_: list[tuple[int, int, bool, int]], empty: bool
) -> None:
    at, clock, now, true = 0, OFF, False, list[int]()
    waiting: list[tuple[int, int, dict[str, Value]]] = []
    steps: list[tuple[int, int | None, dict[str, Value]]] = []
    for wait, percent, is_held_up, jump in given_:
        known = at + 60 if empty and not waiting else at
        happened, at, clock, now = known + wait * percent // 100 + 1, known + wait, clock + jump, not now
        true.append(happened)
        waiting.append((happened + clock, happened, {"run": now}))
        if not is_held_up:
            steps += [(at, source, values) for source, _, values in waiting]
            waiting = []
            steps += [(at + 60, None, {})] if empty else []
    inputs = batches(*steps, off=0)
    events = play(machine(), [*inputs, Tick(MONDAY + at + MINUTE)])
    told = intervals(events)[1:]
    known_ = true[: len(true) - len(waiting)]
    for one in told:  # what lasted no time for us was nothing, so that some of the changes are not there
        began, to = int(one["interval"][2:]) - MONDAY, one["state"] != "execute"
        near = min(abs(began - truth) for truth in known_[to::2])
        assert near <= round(1000 * one["uncertainty_s"])


values = st.fixed_dictionaries(
    {},
    optional={"run": st.booleans(), "hold": st.booleans(), "count": st.integers(0, 30), "order": st.sampled_from("AB")},
)
behind = st.none() | st.integers(0, 700) | st.integers(0, 30_000) | st.integers(-(10**8), 10**12)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 10, SECOND, MINUTE, 25 * MINUTE]), behind, values, st.booleans()), max_size=25
    )
)
def test_any_source_times_leave_windows_whole_and_no_time_before_or_behind(
    given_: list[tuple[int, int | None, dict[str, Value], bool]],
) -> None:
    """Categories sum to each window and are what intervals say; nothing begins before the last transition."""
    config = machine(calendar={"shifts": {"day": {"days": ["mon"], "from": "06:00", "to": "14:00"}}},
                     jobs={"signal": "plc.order"}, ideal="1s", **COUNTED)  # fmt: skip
    pipeline, events, at = Pipeline(config), list[Event](), 0
    for one in batches():
        events += pipeline.process(one)[0]
    for wait, late, changed, loses in given_:
        at += wait
        source = None if late is None else MONDAY + at - late
        told: list[Input] = [Batch("plc", 0, dated(changed, source), MONDAY + at)]
        if loses:
            told = [
                DeviceState("plc", False, MONDAY + at, "", "no answer", ""),
                DeviceState("plc", True, MONDAY + at),
                *told,
            ]
        for one in told:
            events += pipeline.process(one)[0]
            assert all(_begin(event) <= pipeline.at for event in events if event.type == "machine.state")
    end = at + 2 * HOUR
    events += pipeline.process(Tick(MONDAY + end))[0] + pipeline.finish()
    told_ = spans(events, "machine.state", "interval", MONDAY + end)
    assert all(before.ended == after.began and before.began < before.ended for before, after in pairwise(told_))
    found = windows(events)
    for window in found:
        assert window.data["categories"] == categories(window, told_)
    hours = [window for window in found if window.data["window"] == "hour"]
    assert all(before.ended == after.began for before, after in pairwise(hours))
    assert (hours[0].began, hours[-1].ended) == (MONDAY, MONDAY + end)


def _begin(event: Event) -> int:
    return int(event.data["interval"][2:])
