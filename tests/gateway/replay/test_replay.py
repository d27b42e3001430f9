"""Replay equals live: over any inputs, through restarts, crashes and rolling files, from any file on."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gateway.recording.recorder as recording
from gateway.events import Event
from gateway.inputs import ClockStep, DeviceState, Entry, Input, Tick, entry_of_note
from gateway.recording.header import RecordingError
from gateway.recording.reader import RecordedFile
from protocols.model import Batch, Learned
from tests.gateway.recording.lines import (
    BEGIN,
    CAPPER,
    FILLER,
    NAMES,
    RULES,
    SIGNALS,
    Life,
    devices,
    line,
    live,
    replayed,
    said,
)

CONFIG = line()
READ = {"run": True, "hold": False, "starved": False, "tick": 1, "count": 0, "speed": 9.0, "level": 1.0, "spare": 0}

values = st.fixed_dictionaries(
    {},
    optional={
        "run": st.booleans(), "hold": st.booleans(), "starved": st.booleans() | st.none(),
        "tick": st.integers(0, 5), "count": st.integers(0, 65535) | st.integers(0, 30) | st.none(),
        "speed": st.floats(0, 10, width=32), "level": st.floats(0, 3, width=32) | st.none(), "spare": st.integers(0, 3),
    },
)  # fmt: skip
scans = st.builds(lambda name, scan, found: (name, scan, found), st.sampled_from("ab"), st.integers(0, 1), values)
others = st.sampled_from(["tick", "lost", "back", "step", "note", "say", "restart", "crash"])
steps = st.lists(
    st.tuples(st.sampled_from([0, 100, 250, 250, 1000, 2500, 15_000, 70_000]), scans | scans | scans | others),
    max_size=60,
)


def input_of(step: Any, at: int) -> Input:
    match step:
        case (name, scan, found):
            return Batch(name, scan, said(**found), at)
        case "lost":
            return DeviceState("a", False, at, "127.0.0.1:1", "no answer", "check it")
        case "back":
            return DeviceState("a", True, at)
        case "step":
            return ClockStep(at, 7_000 if at % 2 else -3_000)
        case "say":
            what: Any = ("reason", "scrap", "crew", "undo")[at % 4]
            target = f"filler-{what}-{at - 250}" if what == "undo" else f"filler-stop-{BEGIN}"
            more: Any = {"reason": "no caps", "amount": 1 + at % 9, "crew": "early", "who": "Bo", "target": target}
            machine = "line" if what == "crew" else "filler"
            return Entry(entry=f"filler-{what}-{at}", what=what, machine=machine, at=at, **more)
        case "note":
            return entry_of_note("filler", "changed the belt", "Anna", at)
        case _:
            return Tick(at)


async def lives(state: Path, story: list[tuple[int, Any]]) -> Life:
    one = Life(state, CONFIG)
    at = BEGIN
    await one.start(at)
    for name in "ab":
        one.give(DeviceState(name, True, at))
        for scan in (0, 1):
            one.give(Batch(name, scan, said(**READ), at))
    for wait, step in story:
        at += wait
        if step in ("restart", "crash"):
            await (one.stop(at) if step == "restart" else one.crash(at))
            at += 1 + wait
            await one.start(at, one.pipeline.utc_offset + 500)
        else:
            one.give(input_of(step, at))
    await one.stop(at)
    return one


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_replay_equals_live_and_so_it_does_from_every_file_on(
    monkeypatch: pytest.MonkeyPatch, story: list[tuple[int, Any]]
) -> None:
    monkeypatch.setattr(recording, "FILE_MS", 3_000)
    with tempfile.TemporaryDirectory() as state:
        one = asyncio.run(lives(Path(state), story))
        assert replayed(CONFIG, one.files)[0] == one.decided
        for begin in range(1, len(one.files)):
            events, _ = replayed(CONFIG, one.files[begin:])
            assert events == one.decided[len(one.decided) - len(events) :]
        assert len(one.files) >= 1 + len({at // 90_000 for at, _ in story}) - 1


OTHER_DEVICES = devices()
OTHER_DEVICES["a"]["signals"] = {"new": {"address": "coil:9"}, **dict(reversed(SIGNALS.items()))}
OTHER_DEVICES["a"]["scan_interval"] = "2s"
del OTHER_DEVICES["b"]["signals"]["level"]
OTHER = line(
    devices=OTHER_DEVICES,
    machines={
        "filler": {"states": [{"state": "held", "when": "a.new or a.hold"}, *RULES[1:]], "parts": {"good": "a.count"}},
        "labeler": CAPPER,
    },
    trends={"a.level": {"every": "10s"}, "b.speed": {"swinging_door": 1}},
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_any_recording_replays_under_another_line_and_its_time_is_tiled(
    monkeypatch: pytest.MonkeyPatch, story: list[tuple[int, Any]]
) -> None:
    monkeypatch.setattr(recording, "FILE_MS", 3_000)
    with tempfile.TemporaryDirectory() as state:
        one = asyncio.run(lives(Path(state), story))
        for begin in {0, len(one.files) // 2}:
            events, replay = replayed(OTHER, one.files[begin:])
            assert replay.missing == {"a.new"}
            for machine in ("filler", "labeler"):
                mine = [e.data for e in events if e.type == "machine.state" and e.subject == machine]
                last = {data["interval"]: data for data in mine}
                told = [last[name] for name in sorted(last)]  # by engine time, which no step of the clock turns
                assert all(before["ended"] == after["began"] for before, after in pairwise(told))
                assert told[-1]["ended"] is None


def whole_day(seconds: int = 40) -> list[Input]:
    """Runs, holds for 6 s, runs again; a part each half second while it runs."""
    told: list[Input] = [DeviceState(name, True, BEGIN) for name in "ab"]
    told += [Batch(name, scan, said(**READ), BEGIN) for name in "ab" for scan in (0, 1)]
    count = 0
    for step in range(1, 4 * seconds):
        at = BEGIN + 250 * step
        holds = 40 <= step < 64
        count += 0 if holds else step % 2
        told.append(Batch("a", 0, said(hold=holds, tick=step), at))
        told.append(Batch("b", 0, said(level=float(step % 7)), at))
        if step % 4 == 0:
            told += [Batch(name, 1, said(count=count), at) for name in "ab"]
    return told


def states(events: list[Event], machine: str = "filler") -> list[tuple[str, float | None]]:
    """State and length of each interval as it stands."""
    last = {e.data["interval"]: e.data for e in events if e.type == "machine.state" and e.subject == machine}
    return [(one["state"], one["duration_s"]) for one in sorted(last.values(), key=lambda one: str(one["began"]))]


def made(events: list[Event]) -> int:
    """Parts that were published."""
    return sum(e.data["total"] for e in events if e.type == "machine.production")


def test_other_rules_are_tried_on_what_was_recorded(tmp_path: Path) -> None:
    one = live(tmp_path, CONFIG, whole_day())
    assert states(one.decided) == [("execute", 10.0), ("held", 6.0), ("execute", None)]
    rules = [{**RULES[0], "for": "7s"}, *RULES[1:]]
    events, replay = replayed(line(machines={"filler": {**FILLER, "states": rules}, "capper": CAPPER}), one.files)
    assert {state for state, _ in states(events)} == {"execute"}, "it never held for 7 s"
    assert replay.missing == set()
    assert {e.data["config_digest"] for e in events if e.type == "machine.state"} != {CONFIG.digest}


def test_other_rules_begin_in_the_middle_with_what_was_read_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`spare` is used by no rule of the daemon's; its value is in the file's header all the same."""
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    spare = Batch("a", 0, said(spare=3), BEGIN + 1000)
    one = live(
        tmp_path,
        CONFIG,
        [*whole_day(1), spare, *whole_day()[len(whole_day(1)) : -4], Batch("a", 0, said(spare=0), BEGIN + 39_900)],
    )
    assert len(one.files) == 4
    rules = [{"state": "stopped", "when": "a.spare == 3"}, {"state": "idle"}]
    other = line(machines={"filler": {**FILLER, "states": rules, "settle": 0}})
    events, _ = replayed(other, one.files[1:])
    told = states(events)
    assert [state for state, _ in told] == ["held", "stopped", "idle"], "no time between them is unknown"
    assert told[0][1] == 1.75, "the checkpoint's interval ends with what was read last"


def test_a_configuration_with_other_signals_says_which_are_missing(tmp_path: Path) -> None:
    one = live(tmp_path, CONFIG, whole_day())
    other = devices()
    other["a"]["signals"] = {"extra": {"address": "coil:9"}, **dict(reversed(SIGNALS.items()))}
    del other["b"]["signals"]["spare"]
    rules = [{"state": "aborted", "when": "a.extra"}, *RULES]
    machines = {"filler": {**FILLER, "states": rules}, "capper": CAPPER}
    events, replay = replayed(line(devices=other, machines=machines), one.files)
    assert replay.missing == {"a.extra"}
    assert states(events, "capper") == states(one.decided, "capper"), "by name, whatever its number"
    assert states(events)[-1] == ("unknown", None), "the first rule that is not false is unknown"
    same = replayed(line(devices=other), one.files)[0]
    assert made(same) == made(one.decided) > 0


def test_a_device_that_is_gone_leaves_the_others(tmp_path: Path) -> None:
    one = live(tmp_path, CONFIG, whole_day())
    only = line(devices={"b": devices()["b"]}, machines={"capper": CAPPER}, trends={})
    events, _ = replayed(only, one.files)
    assert states(events, "capper") == states(one.decided, "capper")


def test_what_a_device_said_of_its_signals_is_there_from_any_file_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    number = NAMES.index("spare")
    learned = Batch("a", 0, said(spare=2), BEGIN, learned={number: Learned("uint16", {2: "door open"})})
    rules = [{"state": "held", "when": "a.hold", "reason": {"signal": "a.spare"}}, {"state": "idle"}]
    config = line(machines={"filler": {**FILLER, "states": rules}})
    later = [Batch("a", 0, said(hold=hold), BEGIN + 30_000 + at) for at, hold in ((0, True), (5_000, False))]
    one = live(tmp_path, config, [*whole_day(25), learned, *later][: 10**6])
    reasons = [e.data["reason"] for e in replayed(config, one.files[-1:])[0] if e.data.get("state") == "held"]
    assert reasons[0]["text"] == "door open"


def test_a_checkpoint_of_another_version_costs_what_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings outlive the version that wrote them: what was read last is in the header."""
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    with monkeypatch.context() as older:
        older.setattr("gateway.checkpoint.SCHEMA", 1)
        one = live(tmp_path, CONFIG, whole_day())
    events, replay = replayed(CONFIG, one.files[1:])
    assert "what was before it is not known: the checkpoint is of version 1" in replay.notes[0]
    assert [state for state, _ in states(events)] == ["held", "execute"], "it held when the file began"


def test_files_out_of_order_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    one = live(tmp_path, CONFIG, whole_day())
    with pytest.raises(RecordingError, match="before the end"):
        replayed(CONFIG, reversed(one.files))


def test_a_missing_file_costs_its_own_time_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where inputs are missing the engine goes on from the checkpoint behind them, as the daemon did."""
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    one = live(tmp_path, CONFIG, whole_day())
    first, _, *rest = one.files
    events, _ = replayed(CONFIG, [first, *rest])
    behind, _ = replayed(CONFIG, rest)
    assert behind == events[-len(behind) :] == one.decided[-len(behind) :]


def test_a_device_that_came_back_in_a_missing_file_is_lost_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other rules go on from their own state before the gap, in which the device was gone."""
    monkeypatch.setattr(recording, "FILE_MS", 12_000)
    connected = [(5_000, False), (15_000, True), (30_000, False)]
    told: list[Input] = [DeviceState("a", is_there, BEGIN + at) for at, is_there in connected]
    told += [Batch("a", scan, said(**READ), BEGIN + 15_000) for scan in (0, 1)]
    told += [Tick(BEGIN + at) for at in range(1000, 40_000, 1000)]
    one = live(tmp_path, CONFIG, [*whole_day(1), *sorted(told, key=lambda given: given.at)])
    first, _, third, *_ = one.files
    rules = [{"state": "execute", "when": "a.run"}, {"state": "idle"}]
    events, _ = replayed(line(machines={"filler": {**FILLER, "states": rules, "settle": 0}}), [first, third])
    assert [event.type for event in events if event.type.startswith("device.")] == [
        "device.lost", "device.restored", "device.lost",
    ]  # fmt: skip
    assert states(events)[-1][0] == "unknown"


def test_a_recording_without_its_end_is_closed_at_its_last_time(tmp_path: Path) -> None:
    one = live(tmp_path, CONFIG, whole_day())
    path = one.files[0]
    file = RecordedFile(path)
    kept = [*file][:-1]
    events: list[Event] = []
    from gateway.replay.replay import Replay

    replay = Replay(CONFIG, events.extend, lambda: None)
    replay._enter(file)
    replay.run(iter(kept))
    replay.finish()
    assert events == one.decided
