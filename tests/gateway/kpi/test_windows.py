"""KPI windows beside a recomputation from what stands of intervals and production, over any sequence of inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import Event
from gateway.inputs import ClockStep, Input, Reload, Tick
from gateway.pipeline import Pipeline
from tests.gateway.stories import latest
from tests.gateway.test_pipeline import CONFIG, T0, kinds

MINUTE = 60_000
FREEZE = 50 * MINUTE
FROZEN = CONFIG.model_copy(update={"kpi": CONFIG.kpi.model_copy(update={"freeze": FREEZE})})
COUNTED = ("filler", "packer")


@st.composite
def days(draw: st.DrawFn, *, steps: bool) -> list[Input]:
    """Hours of lost PLCs, restarts and shift boundaries, and of steps of the clock; at the end all is frozen."""
    at = T0
    inputs: list[Input] = [Reload(T0, 0)]
    wait = st.integers(0, 700) | st.integers(0, 90_000) | st.integers(0, 30).map(lambda one: one * MINUTE)
    for one, later in draw(st.lists(st.tuples(kinds, wait), max_size=20)):
        at += later
        if not steps:
            one = replace(one, utc_offset=0) if isinstance(one, Reload) else one
            one = Tick(at) if isinstance(one, ClockStep) else one
        inputs.append(replace(one, at=at))
    return [*inputs, Tick(at + 4 * 60 * MINUTE)]


def decided(inputs: list[Input]) -> list[Event]:
    pipeline = Pipeline(FROZEN)
    return [event for one in inputs for event in pipeline.process(one)[0]]


def engine_ms(name: str) -> int:
    """Ids of intervals and windows say in engine time when they begin."""
    return int(name.rpartition("-")[2])


def of(events: list[Event], kind: str, key: str, machine: str) -> list[dict[str, Any]]:
    told = latest([one for one in events if one.subject == machine], kind, key)
    return sorted(told, key=lambda one: engine_ms(one[key]))


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def spent(intervals: list[dict[str, Any]], began: int, ended: int) -> dict[str, int]:
    """Milliseconds by category."""
    found: Counter[str] = Counter()
    for one in intervals:
        since = engine_ms(one["interval"])
        until = ended if one["duration_s"] is None else since + ms(one["duration_s"])
        found[one["category"]] += max(0, min(until, ended) - max(since, began))
    return dict(+found)


@given(days(steps=True))
@settings(max_examples=100, deadline=None)
def test_categories_of_each_window_are_those_of_the_intervals_that_stand(inputs: list[Input]) -> None:
    events = decided(inputs)
    for machine in COUNTED:
        intervals = of(events, "machine.state", "interval", machine)
        windows = of(events, "machine.kpi", "kpi", machine)
        for window in windows:
            told = {name: ms(seconds) for name, seconds in window["categories"].items()}
            began = engine_ms(window["kpi"])
            assert told == spent(intervals, began, began + sum(told.values())), window
        for kind in ("hour", "day"):
            mine = [one for one in windows if one["window"] == kind]
            for before, after in pairwise(mine):
                length = sum(ms(seconds) for seconds in before["categories"].values())
                assert engine_ms(before["kpi"]) + length == engine_ms(after["kpi"])


@given(days(steps=True))
@settings(max_examples=100, deadline=None)
def test_each_window_freezes_once_and_its_bounds_hold_what_is_told(inputs: list[Input]) -> None:
    told = [one.data for one in decided(inputs) if one.type == "machine.kpi"]
    standing = {one["kpi"]: one for one in told}
    assert len([one for one in told if one["final"]]) == len([one for one in standing.values() if one["final"]])
    for one in told:
        counts = one["pq"], one["gq"]
        assert all(count >= 0 for count in counts), counts
        if one["oee"] is not None and one["oee_high"] is not None:
            assert one["oee_low"] <= one["oee"] + 2e-6, one
            assert one["oee"] <= one["oee_high"] + 2e-6, one
        assert one["availability"] is None or 0 <= one["availability"] <= 1
        assert one["coverage"] is None or 0 <= one["coverage"] <= 1
        assert 0 <= one["unrecovered_s"] <= one["unknown_s"]


@given(days(steps=False))
@settings(max_examples=100, deadline=None)
def test_lengths_and_parts_are_those_that_were_told(inputs: list[Input]) -> None:
    events = decided(inputs)
    for machine in COUNTED:
        made = [one.data for one in events if one.type == "machine.production" and one.subject == machine]
        windows = of(events, "machine.kpi", "kpi", machine)
        for kind in ("hour", "day"):
            mine = [one for one in windows if one["window"] == kind]
            assert all(before["ended"] == after["began"] for before, after in pairwise(mine))
        for window in windows:
            began, ended = utc_ms(window["began"]), utc_ms(window["ended"])
            assert sum(ms(seconds) for seconds in window["categories"].values()) == ended - began
            inside, over = 0, 0
            for one in made:
                since, until = utc_ms(one["began"]), utc_ms(one["ended"])
                if began <= since and until <= ended:
                    inside += one["total"]
                elif since < ended and began < until < ended + FREEZE:
                    over += one["recovered"]
                    assert one["recovered"] == one["total"]
            assert (window["pq"], window["recovered"]) == (inside, over), window
            assert window["final"] == (ended + FREEZE <= inputs[-1].at)
