"""KPI windows beside what was published of intervals, stops and parts: categories, minor stops, failures, restores."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import ClockStep, DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch
from tests.gateway.kpi.truth import Span, categories, made, spans, stop_figures, windows
from tests.gateway.stories import (
    DAY_SHIFT,
    HOUR,
    MINUTE,
    MONDAY,
    NAMES,
    QUIET,
    SECOND,
    Step,
    inputs,
    machine,
    said,
    tick,
)

LATE = {**DAY_SHIFT, "from": "14:00", "to": "22:00", "breaks": []}
CALENDAR = {"production_day": "06:00", "shifts": {"day": DAY_SHIFT, "late": LATE}}
LOST, BACK = DeviceState("plc", False, 0, "127.0.0.1:502", "no answer", "check it"), DeviceState("plc", True, 0)
COUNTED: dict[str, Any] = {"ideal": "1s", "parts": {"total": "plc.count"}, "no_output": 0}
SHORT = 2 * MINUTE
BIG = 1_000_000
"""A counter so high that no reading after an outage can be a reset."""


def told(events: list[Event], window: str) -> list[dict[str, Any]]:
    """Every revision of every window of a kind, in order."""
    return [event.data for event in events if event.type == "machine.kpi" and event.data["window"] == window]


def lines(*settings: dict[str, Any]) -> list[Config]:
    return [machine(**one) for one in settings]


LINES = lines(
    {**COUNTED, "calendar": CALENDAR, "short_stop": "2min"},
    {**COUNTED, "no_output": "30s", "settle": "2s", "minor_stops": "availability"},
    {
        **COUNTED,
        "states": [
            {"state": "held", "when": "plc.hold", "reason": {"signal": "plc.fault"}},
            {"state": "suspended", "when": "plc.starved", "cause": "starved", "for": "40s"},
            {"category": "setup", "when": "plc.mode == 4"},
            {"state": "stopped", "when": "plc.stop", "for": "3min"},
            {"state": "execute", "when": "plc.run"},
            {"state": "idle"},
        ],
        "calendar": CALENDAR,
        "jobs": {"signal": "plc.order"},
    },
)
waits = st.sampled_from([0, 1, SECOND, 7 * SECOND, 50 * SECOND, 3 * MINUTE, 25 * MINUTE, 40 * MINUTE, 3 * HOUR])
signals = st.fixed_dictionaries(
    {},
    optional={
        "run": st.booleans() | st.none(),
        "hold": st.booleans(),
        "starved": st.booleans(),
        "stop": st.booleans(),
        "mode": st.sampled_from([1, 4]),
        "fault": st.sampled_from([0, 17]),
        "order": st.sampled_from(["", "A", "B"]),
        "count": st.sampled_from([0, 1, 5, 30, None]),
    },
)
steps_of_clock = st.sampled_from([-90 * MINUTE, -5 * SECOND, 0, 40 * SECOND, 2 * HOUR])
stories = st.lists(
    st.tuples(waits, signals | signals | signals | st.sampled_from(["lost", "back", "off", "dark"]) | steps_of_clock),
    max_size=30,
)


def story(given_: list[tuple[int, Any]], *, clock: bool) -> tuple[list[Step], int]:
    """The steps, and when the last is over; the counter says how many were made, and goes on while nobody looks."""
    at, count, lost = 0, BIG, False
    steps: list[Step] = [(0, {"count": BIG})]
    for wait, step in given_:
        at += wait + isinstance(step, str)  # nothing is lost and found again within a millisecond
        steps.extend([] if lost else [(at, {})])  # it is read all the time
        if isinstance(step, dict):
            if "count" in step:
                count += min(step["count"] or 0, wait // 1000)
                step = {**step, "count": None if step["count"] is None else count}
            if not lost:
                steps.append((at, step))
        elif step == "lost" and not lost:
            lost = True
            steps.append((at, LOST))
        elif step == "dark":  # the gateway was off, and finds no PLC
            lost = True
            steps += [(at, Reload(0, 0)), (at, LOST)]
        elif step == "off" or (step == "back" and lost):
            lost = False
            count += min(100, wait // 1000)
            steps += [(at, Reload(0, 0))] if step == "off" else []
            steps += [(at, BACK), (at, {**QUIET, "count": count})]
        elif isinstance(step, int) and clock:
            steps.append((at, ClockStep(0, step)))
    return [*steps, tick(at + 5 * HOUR)], at + 5 * HOUR


def begun(steps: list[Step]) -> list[Input]:
    """The inputs; the counter is far from 0 from the first reading on."""
    told_ = inputs(steps)
    return [*told_[:2], Batch("plc", 0, said(**{**QUIET, "count": BIG}), MONDAY), *told_[3:]]


def unread(told_: list[Input]) -> list[tuple[int, int]]:
    """From the last reading of the counter before it could not be read to the first after, in engine time."""
    spans_: list[tuple[int, int]] = []
    seen, known, since = 0, 0, None
    count = NAMES.index("count")
    for one in told_:
        if isinstance(one, Batch):
            value = next((value for number, value, *_ in one.changes if number == count), -1)
            if value is None and since is None:
                since = seen
            elif value not in (None, -1) and since is not None:
                spans_ += [(since, one.at)] if since else []
                since = None
            seen = one.at
        elif isinstance(one, DeviceState) and not one.connected and since is None:
            since = seen
        elif isinstance(one, Reload) and since is None:
            since = known
        known = known if isinstance(one, Tick) else one.at
    return [*spans_, *([] if since is None else [(since, 2**60)])]


def played(config: Config, told_: list[Input]) -> list[Event]:
    """All events, with windows that are closed where the inputs end."""
    pipeline = Pipeline(config)
    return [event for one in told_ for event in pipeline.process(one)[0]] + pipeline.finish()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(len(LINES))), stories)
@example(2, [(0, {"hold": True})])
@example(2, [(0, {"stop": True, "mode": 4}), (0, {"mode": 1})])
@example(0, [(0, "lost"), (0, "off"), (0, "lost"), (1, -90 * MINUTE), (0, "off")])
def test_windows_tile_time_and_are_what_the_intervals_say(which: int, given_: list[tuple[int, Any]]) -> None:
    """Whatever happened: lost PLCs, restarts, steps of the clock; each to the millisecond."""
    steps, end = story(given_, clock=True)
    told_ = begun(steps)
    events, unread_ = played(LINES[which], told_), unread(told_)
    intervals = spans(events, "machine.state", "interval", MONDAY + end)
    stops = spans(events, "machine.stop", "stop", MONDAY + end)
    found = windows(events)
    for window in found:
        assert window.data["categories"] == categories(window, intervals)
        expected = stop_figures(window, intervals, stops, SHORT)
        pbt = round(1000 * (window.data["pbt_s"] - window.data["unknown_s"]))
        assert window.data["minor_stops"] == expected["minor_stops"]
        assert window.data["failures"] == expected["failures"]
        if pbt:
            assert window.data["downtime_rate"] == round(expected["down_ms"] / pbt, 6)
        if expected["failures"]:
            assert window.data["mttr_s"] == round(expected["repair_ms"] / expected["failures"]) / 1000
        bounds = [window.data[name] for name in ("oee_low", "oee", "oee_high")]
        assert bounds == sorted(bounds, key=lambda one: (one is not None, one)) or None in bounds
        lost = [Span(*span, {}) for span in unread_ if not window.began <= span[0] < span[1] <= window.ended]
        unknown = [one for one in intervals if one.data["category"] == "unknown"]
        parts = [Span(max(one.began, window.began), min(one.ended, window.ended), {}) for one in unknown]
        assert window.data["unrecovered_s"] == sum(one.within(span) for one in parts for span in lost) / 1000
    for kind in ("hour", "day"):
        ours = [window for window in found if window.data["window"] == kind]
        assert (ours[0].began, ours[-1].ended) == (MONDAY, MONDAY + end)
        assert all(before.ended == after.began for before, after in pairwise(ours))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(len(LINES))), stories)
def test_parts_of_windows_are_those_that_were_published(which: int, given_: list[tuple[int, Any]]) -> None:
    steps, _ = story(given_, clock=False)
    events = played(LINES[which], begun(steps))
    for window in windows(events):
        if window.data["window"] != "job":
            within, beyond = made(window, events)
            assert (window.data["pq"], window.data["recovered"]) == (within, beyond)
            assert window.data["ideal_s"] == window.data["pq"]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(range(len(LINES))), stories, st.sets(st.integers(0, 60), max_size=4))
def test_ticks_and_restores_anywhere_change_no_window(
    which: int, given_: list[tuple[int, Any]], restores: set[int]
) -> None:
    """What is stored with the events alone, and what every 5 seconds, is enough to go on from."""
    steps, _ = story(given_, clock=True)
    one, other = Pipeline(LINES[which]), Pipeline(LINES[which])
    rows: dict[str, bytes] = {}
    for index, given_input in enumerate(begun(steps)):
        events = one.process(given_input)[0]
        again: list[Event] = []
        if not isinstance(given_input, Reload):  # a Tick before a start would say that the gateway was on
            for back in (9000, 1):
                again += other.process(Tick(max(other.at, given_input.at - back)))[0]
        again += other.process(given_input)[0]
        assert again == events
        rows |= other.checkpoint({event.subject for event in events}) if index % 3 else other.checkpoint()
        if index in restores:
            rows |= other.checkpoint()
            other = Pipeline(LINES[which])
            other.restore(rows)
    assert one.finish() == other.finish()
