"""The engine's whole state: rows say all of it, a checkpoint changes nothing, and a restart costs its gap alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import Event, rfc3339
from gateway.inputs import DeviceState, Input, Reload
from gateway.pipeline import Pipeline
from protocols.model import Batch
from tests.gateway.recording.lines import BEGIN, NAMES, line, said
from tests.gateway.replay.test_replay import READ, input_of, steps, whole_day

CONFIG = line()
COUNT = NAMES.index("count")


def begun(pipeline: Pipeline, at: int = BEGIN) -> list[Event]:
    """A start, and every signal read."""
    told: list[Input] = [Reload(at, 0)]
    for name in "ab":
        told.append(DeviceState(name, True, at))
        told += [Batch(name, scan, said(**READ), at) for scan in (0, 1)]
    return decided(pipeline, told)


def decided(pipeline: Pipeline, inputs: Iterable[Input]) -> list[Event]:
    return [event for one in inputs for event in pipeline.process(one)[0]]


def inputs_of(story: list[tuple[int, Any]]) -> list[Input]:
    """The inputs of a story; a restart is one of a gateway that was off for the time before it."""
    at, told = BEGIN, []
    for wait, step in story:
        at += wait
        told.append(Reload(at, 0) if step in ("restart", "crash") else input_of(step, at))
    return told


@settings(max_examples=25, deadline=None)
@given(steps, st.sets(st.integers(0, 60), max_size=4))
def test_rows_taken_when_dirty_are_the_whole_state_and_restore_it(
    story: list[tuple[int, Any]], restores: set[int]
) -> None:
    """What is stored piece by piece is what the engine is; an engine that is made of it decides, and is, the same."""
    old, new = Pipeline(CONFIG), Pipeline(CONFIG)
    assert begun(old) == begun(new)
    rows = old.checkpoint()
    for index, one in enumerate(inputs_of(story)):
        if index in restores:
            fresh = Pipeline(CONFIG)
            fresh.restore(new.all_rows())
            new = fresh
        events = old.process(one)
        assert new.process(one) == events
        rows |= old.checkpoint({event.subject for event in events[0]})
        if index % 7 == 0:
            rows |= old.checkpoint()
    rows |= old.checkpoint()
    whole = old.all_rows()
    assert rows == {name: row for name, row in whole.items() if name in rows}
    never = {name.partition("/")[0] for name in whole.keys() - rows.keys()}
    assert never <= {"trend", "job"}, "a trend that was never fed, and no job"
    assert new.all_rows() == whole
    assert new.snapshot() == old.snapshot()


def open_state(pipeline: Pipeline) -> dict[str, Any]:
    """What a machine is and has, but for what began in the gap and the minute that it cut."""
    own = ("state", "category", "cause", "reason", "rule", "parts", "ideal_s")
    return {name: {key: machine[key] for key in own} for name, machine in pipeline.snapshot().items()}


def told_of(events: list[Event], machine: str) -> list[tuple[str, str, str | None]]:
    """State, begin and end of each interval as it stands, with the time that nobody saw."""
    last = {e.data["interval"]: e.data for e in events if e.type == "machine.state" and e.subject == machine}
    return [(one["state"], one["began"], one["ended"]) for one in last.values() if one["began"] != one["ended"]]


@pytest.mark.parametrize("cut", range(10, 300, 23))
@pytest.mark.parametrize("unclean", [False, True])
def test_after_a_restart_the_state_is_that_without_it_but_for_the_gap(cut: int, unclean: bool) -> None:
    """The gateway is off for some seconds of a line that goes on; what it then reads brings it to where it would be."""
    inputs = whole_day()
    stays, goes = Pipeline(CONFIG), Pipeline(CONFIG)
    all_seen = decided(stays, [Reload(BEGIN, 0), *inputs])
    seen = decided(goes, [Reload(BEGIN, 0), *inputs[:cut]])
    off = inputs[cut - 1].at
    on = off - off % 1000 + 4050  # the counters, read each second, are what they were 50 ms ago
    if not unclean:
        seen += decided(goes, [Reload(off, 0, "stop")])
    again = Pipeline(CONFIG)
    again.restore(goes.all_rows())
    known: dict[str, dict[int, Any]] = {"a": {}, "b": {}}
    for one in inputs:
        if isinstance(one, Batch) and one.at <= on:
            known[one.device] |= {change[0]: change for change in one.changes}
    read: list[Input] = [Reload(on, 0), *(DeviceState(name, True, on) for name in "ab")]
    read += [
        Batch(name, scan, [change for number, change in known[name].items() if (number == COUNT) == bool(scan)], on)
        for name in "ab"
        for scan in (0, 1)
    ]
    seen += decided(again, [*read, *(one for one in inputs if one.at > on)])
    assert open_state(again) == open_state(stays)
    for machine in ("filler", "capper"):
        was, stands = told_of(all_seen, machine), told_of(seen, machine)
        gap = next(one for one in stands if one[1] <= rfc3339(off) and (one[2] or "9") >= rfc3339(on))
        assert gap[0] == "unknown"
        before = [one for one in stands if one[2] is not None and one[2] < gap[1]]
        assert before == was[: len(before)]
        behind = [one for one in was if one[1] > rfc3339(on)]
        assert stands[len(stands) - len(behind) :] == behind
