"""The engine is a function of its inputs: Ticks and restores anywhere change nothing, and time is tiled."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.checkpoint import CheckpointError
from gateway.config.model import Config
from gateway.entries.word import WHATS
from gateway.events import Event
from gateway.inputs import ClockStep, DeviceState, Entry, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Notice, Quality, Value
from tests.conftest import FILLER_MACHINE, FILLER_SIGNALS, line_document

T0 = 1_795_327_200_000  # 2026-11-22T06:00:00Z
NAMES = list(FILLER_SIGNALS)


def two_machines() -> Config:
    """The filler, and a second machine that reads another device too."""
    document = line_document()
    slow = {"recipe": {**FILLER_SIGNALS["recipe"], "scan_interval": "2s"}}
    document["devices"]["filler_plc"] = {**document["devices"]["filler_plc"], "signals": {**FILLER_SIGNALS, **slow}}
    document["devices"]["packer_plc"] = {
        "protocol": "modbus_tcp",
        "host": "127.0.0.1",
        "signals": {
            "run": {"address": "coil:0"},
            "cases": {"address": "holding:0", "type": "uint16", "scan_interval": "2s"},
        },
    }
    document["machines"]["packer"] = {
        "parts": {"good": {"signal": "packer_plc.cases", "max_rate": "10/s"}},
        "mode": {"signal": "filler_plc.fault", "texts": {17: "maintenance"}},
        "ideal": "3s",
        "categories": {"stopped": "blocked"},
        "states": [
            {"category": "setup", "when": "filler_plc.fault == 99", "for": "700ms"},
            {"state": "held", "when": "filler_plc.fault == 23", "reason": {"bits": "filler_plc.fault"}},
            {"state": "suspended", "when": "not filler_plc.running", "cause": "starved", "for": "20s"},
            {"state": "execute", "when": "packer_plc.run and packer_plc.cases % 7 != 3"},
            {"state": "stopped", "reason": "operator stop"},
        ],
    }
    days = ["sun"]
    document["calendar"] = {
        "shifts": {
            "early": {"days": days, "from": "06:00", "to": "07:02", "breaks": [{"from": "07:00", "to": "07:01"}]},
            "late": {"days": days, "from": "07:03", "to": "15:00"},
        },
        "maintenance": [{"machine": "packer", "from": "2026-11-22 07:03", "to": "2026-11-22 07:04"}],
    }
    document["devices"]["packer_plc"]["heartbeat"] = {"signal": "cases", "within": "45s"}
    document["trends"] = {
        "filler_plc.speed": {"every": "1s"},
        "filler_plc.bottles": {"swinging_door": 3, "at_least_every": "5s"},
        "filler_plc.running": {"on_change": True},
        "packer_plc.cases": {"on_change": True, "at_least_every": "3s"},
    }
    return Config.model_validate(document)


CONFIG = two_machines()


def change(signal: str, value: Value, quality: Quality = Quality.GOOD, why: str | None = None) -> Change:
    return (NAMES.index(signal), value, quality, why, None)


def good(**values: Value) -> list[Change]:
    return [change(name, value) for name, value in values.items()]


def run(inputs: list[Input], *, restore_after: frozenset[int] = frozenset(), config: Config = CONFIG) -> list[Event]:
    """All events; after the numbered inputs the engine is replaced by one restored from its checkpoint."""
    pipeline, events = Pipeline(config), []
    stored: dict[str, bytes] = {}
    for number, given_input in enumerate(inputs):
        events += pipeline.process(given_input)[0]
        if number in restore_after:
            stored |= pipeline.checkpoint()
            pipeline = Pipeline(config)
            pipeline.restore(stored)
    return events


def serial(events: list[Event]) -> list[bytes]:
    return [orjson.dumps([event.type, event.subject, event.time, event.data]) for event in events]


filler_changes = st.lists(
    st.one_of(
        st.builds(change, st.sampled_from(["running", "infeed_ready", "estop"]), st.booleans()),
        st.builds(change, st.just("fault"), st.sampled_from([0, 17, 23, 99])),
        st.builds(change, st.just("speed"), st.sampled_from([0.0, 4.0, 120.0])),
        st.builds(change, st.just("bottles"), st.integers(0, 40) | st.integers(2**32 - 20, 2**32 - 1)),
        st.builds(change, st.just("rejects"), st.integers(0, 20) | st.integers(65500, 65535)),
        st.builds(
            change,
            st.sampled_from(["running", "fault", "bottles"]),
            st.none(),
            st.just(Quality.BAD),
            st.just("exception 2"),
        ),
    ),
    max_size=4,
    unique_by=lambda one: one[0],
)
packer_changes = st.lists(
    st.one_of(
        st.builds(lambda value: (0, value, Quality.GOOD, None, None), st.booleans()),
        st.builds(lambda value: (1, value, Quality.GOOD, None, None), st.integers(0, 60)),
    ),
    max_size=2,
    unique_by=lambda one: one[0],
)
notices = st.lists(
    st.builds(Notice, st.integers(0, 1), st.booleans(), st.just("coil:0"), st.just("exception 2"), st.just(60.0)),
    max_size=2,
)
kinds = st.one_of(
    st.builds(lambda changes, notes: Batch("filler_plc", 0, changes, notices=notes), filler_changes, notices),
    st.builds(lambda changes, scan: Batch("packer_plc", scan, changes), packer_changes, st.integers(0, 1)),
    st.builds(lambda notes: Batch("packer_plc", 0, [], notices=notes), notices),
    st.builds(lambda up: DeviceState("filler_plc", up, 0, "127.0.0.1:502", "no answer", "check it"), st.booleans()),
    st.builds(lambda offset, suspect: ClockStep(0, offset, suspect), st.integers(-7_200_000, 7_200_000), st.booleans()),
    st.just(Entry(entry="filler-note-0", what="note", machine="filler", note="cap jam again", who="anna", at=0)),
    st.builds(
        lambda what, machine, target, number: Entry(
            entry=f"entry-{number}",
            what=what,
            machine=machine,
            target=target,
            other=f"{machine}-stop-{T0 + 700}",
            reason="23",
            amount=number,
            moment=T0 + 300,
            job=f"{number}",
            product="4711",
            who="bo",
            at=0,
        ),
        st.sampled_from(WHATS),
        st.sampled_from(["filler", "packer", "line"]),
        st.sampled_from([None, f"filler-stop-{T0}", f"packer-stop-{T0}", "entry-0", "entry-1", f"filler-stop-{T0}/2"]),
        st.integers(0, 3),
    ),
    st.builds(
        lambda offset, cause, suspect: Reload(0, offset, cause, suspect),
        st.integers(0, 5000),
        st.sampled_from(["start", "reload", "stop"]),
        st.booleans(),
    ),
)


behind = st.none() | st.integers(0, 900) | st.integers(0, 20_000) | st.integers(-(10**8), 10**12)
"""Milliseconds by which a source time is behind its receipt: as may be, held up, or by any clock; or there is none."""


@st.composite
def recordings(draw: st.DrawFn) -> list[Input]:
    """A start, and any inputs after it at times that do not go back, with source times or without."""
    at, dates = T0, draw(st.sampled_from([st.none(), st.none(), st.integers(0, 900), behind]))
    inputs: list[Input] = [Reload(T0, 0)]
    for given_input, wait in draw(
        st.lists(st.tuples(kinds, st.integers(0, 90_000) | st.integers(0, 700)), max_size=25)
    ):
        at += wait
        inputs.append(replace(given_input, at=at))
        if isinstance(given_input, Batch):
            late = [draw(dates) for _ in given_input.changes]
            dated = [
                (*one[:4], None if by is None else at - by) for one, by in zip(given_input.changes, late, strict=True)
            ]
            inputs[-1] = replace(given_input, at=at, changes=dated)
    return inputs


@given(recordings(), st.data())
@settings(max_examples=150, deadline=None)
def test_extra_ticks_change_no_event(inputs: list[Input], data: st.DataObject) -> None:
    ticked: list[Input] = []
    for before, after in pairwise([*inputs, Tick(inputs[-1].at + 200_000)]):
        starts = isinstance(after, Reload) and after.cause == "start"  # a Tick before it: the gateway was still on
        moments = [] if starts else data.draw(st.lists(st.integers(before.at, after.at), max_size=3).map(sorted))
        ticked += [before, *map(Tick, moments)]
    end: list[Input] = [Tick(inputs[-1].at + 200_000)]
    assert serial(run(ticked + end)) == serial(run(inputs + end))


@given(recordings(), st.sets(st.integers(0, 25)))
@settings(max_examples=150, deadline=None)
def test_restored_engine_decides_what_the_old_one_would_have(inputs: list[Input], restores: set[int]) -> None:
    end: list[Input] = [Tick(inputs[-1].at + 200_000)]
    assert serial(run(inputs + end, restore_after=frozenset(restores))) == serial(run(inputs + end))


@given(recordings())
@settings(max_examples=60, deadline=None)
def test_same_recording_same_bytes(inputs: list[Input]) -> None:
    assert serial(run(inputs)) == serial(run(inputs))


@given(recordings())
@settings(max_examples=150, deadline=None)
def test_final_intervals_tile_time_and_events_keep_their_contract(inputs: list[Input]) -> None:
    inputs = [one for one in inputs if not isinstance(one, ClockStep)]  # a step moves what UTC calls the same time
    inputs = [replace(one, utc_offset=0) if isinstance(one, Reload) else one for one in inputs]
    events = run(inputs)
    for machine in ("filler", "packer"):
        states = [event.data for event in events if event.type == "machine.state" and event.subject == machine]
        final = [state for state in states if state["final"]]
        ids = [state["interval"] for state in final]
        assert len(ids) == len(set(ids))
        for earlier, later in pairwise(final):
            assert earlier["ended"] == later["began"]
            assert later["previous"] == {"state": earlier["state"], "interval": earlier["interval"]}
        assert all(state["duration_s"] > 0 for state in final)
        if final:  # so that the categories of any window sum to it
            span = datetime.fromisoformat(final[-1]["ended"]) - datetime.fromisoformat(final[0]["began"])
            assert round(sum(state["duration_s"] for state in final), 3) == span.total_seconds()
        check_stops([e.data for e in events if e.type == "machine.stop" and e.subject == machine], final)
        revisions: dict[str, int] = {}
        for state in states:
            assert state["rev"] == revisions.get(state["interval"], -1) + 1
            revisions[state["interval"]] = state["rev"]


def check_stops(told: list[dict[str, Any]], intervals: list[dict[str, Any]]) -> None:
    """Each is final once; they do not overlap; each final interval is within the stop that it names, or in none."""
    revisions: dict[str, int] = {}
    for stop in told:
        assert stop["rev"] == revisions.get(stop["stop"], -1) + 1
        revisions[stop["stop"]] = stop["rev"]
    final = {stop["stop"]: stop for stop in told if stop["final"]}
    assert len(final) == len([stop for stop in told if stop["final"]])
    assert all(stop["final"] for stop in told if stop["stop"] in final and stop["rev"] == revisions[stop["stop"]])
    for before, after in pairwise(sorted(final.values(), key=lambda stop: (stop["began"], stop["ended"]))):
        assert before["ended"] <= after["began"]
    for interval in intervals:
        assert interval["stop"] is not None or interval["category"] in ("production", "planned_stop", "no_demand")
        if interval["stop"] in final:
            stop = final[interval["stop"]]
            assert stop["began"] <= interval["began"]
            assert interval["ended"] <= stop["ended"]
        for stop in final.values():
            apart = stop["ended"] <= interval["began"] or interval["ended"] <= stop["began"]
            assert apart or interval["stop"] == stop["stop"]
    for stop in final.values():
        whole = {interval["stop"] for interval in intervals if interval["interval"] in stop["intervals"]}
        assert whole <= {stop["stop"]}
        seconds = sum(interval["duration_s"] for interval in intervals if interval["stop"] == stop["stop"])
        assert round(seconds, 3) == stop["duration_s"]


@given(recordings())
@settings(max_examples=100, deadline=None)
def test_parts_are_never_negative_and_scrap_never_exceeds_total(inputs: list[Input]) -> None:
    for event in run([*inputs, Tick(inputs[-1].at + 200_000)]):
        if event.type == "machine.production" and event.subject == "filler":
            data = event.data
            assert data["total"] == data["good"] + data["scrap"]
            assert min(data["total"], data["good"], data["scrap"]) >= 0


# One story each from here on.

RUNNING = good(running=True, infeed_ready=True, estop=False, fault=0, speed=120.0, bottles=1000, rejects=10)


def filler(**settings_: Any) -> Config:
    return Config.model_validate(line_document(machines={"filler": {**FILLER_MACHINE, **settings_}}))


def story(*steps: tuple[int, list[Change] | Input], config: Config | None = None) -> list[Event]:
    """Start at 0, then batches of the filler (or inputs) at milliseconds after it; without its stops."""
    inputs: list[Input] = [Reload(T0, 0), DeviceState("filler_plc", True, T0)]
    for at, step in steps:
        inputs.append(Batch("filler_plc", 0, step, T0 + at) if isinstance(step, list) else replace(step, at=T0 + at))
    return [event for event in run(inputs, config=config or filler()) if event.type != "machine.stop"]


def states(events: list[Event]) -> list[tuple[str, bool, float | None]]:
    return [(e.data["state"], e.data["final"], e.data["duration_s"]) for e in events if e.type == "machine.state"]


def production(events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.type == "machine.production"]


def test_state_counts_from_when_it_was_first_seen() -> None:
    events = story((1000, RUNNING), (1250, []), (1600, Tick(0)))
    assert states(events) == [("unknown", False, None), ("unknown", True, 1.0), ("execute", False, None)]
    assert events[-1].data["began"] == "2026-11-22T06:00:01.000Z"


def test_state_that_does_not_settle_never_was() -> None:
    events = story((1000, RUNNING), (2000, good(fault=17)), (2250, good(fault=0)), (3000, Tick(0)))
    assert [state for state, _, _ in states(events)] == ["unknown", "unknown", "execute"]


def test_reason_that_comes_after_its_state_revises_the_interval() -> None:
    machine = {
        "settle": 0,
        "states": [{"state": "held", "when": "not filler_plc.running", "reason": {"signal": "filler_plc.fault"}}],
    }
    config = filler(**machine)
    events = story((0, good(running=False, fault=0)), (250, good(fault=17)), (500, good(fault=23)), config=config)
    told = [(e.data["rev"], e.data["reason"] and e.data["reason"]["text"], e.data["final"]) for e in events]
    assert told[-4:] == [
        (1, None, False),
        (2, "cap jam", False),
        (3, "cap jam", True),
        (0, "low product pressure", False),
    ]


def test_uncertainty_is_the_distance_to_the_sample_before() -> None:
    events = story((0, RUNNING), (250, []), (600, good(fault=17)), config=filler(settle=0))
    held = events[-1].data
    assert (held["state"], held["uncertainty_s"]) == ("held", 0.35)
    assert held["because"] == {"filler_plc.fault": {"value": 17, "quality": "good", "time": "2026-11-22T06:00:00.600Z"}}
    assert held["rule"] == {"index": 1, "text": "filler_plc.fault != 0"}


def test_lost_plc_makes_its_machines_unknown_at_once() -> None:
    lost = DeviceState("filler_plc", False, 0, "127.0.0.1:502", "no answer", "check the cable")
    back = DeviceState("filler_plc", True, 0, "127.0.0.1:502")
    events = story((0, RUNNING), (1000, []), (5000, lost), (9000, back), (9000, RUNNING), config=filler(settle=0))
    assert [event.type for event in events][-5:] == [
        "machine.state", "machine.state", "device.restored", "machine.state", "machine.state",
    ]  # fmt: skip
    unknown = next(e.data for e in events if e.data.get("state") == "unknown" and e.data["began"].endswith("05.000Z"))
    assert unknown["reason"]["code"] == "signal_bad"
    assert "no answer" in unknown["reason"]["text"]
    restored = next(event.data for event in events if event.type == "device.restored")
    assert (restored["duration_s"], restored["why"], restored["since"]) == (
        4.0,
        "no answer",
        "2026-11-22T06:00:05.000Z",
    )


def test_bad_signal_decides_only_where_it_matters() -> None:
    bad_speed = [change("speed", None, Quality.BAD, "exception 2")]
    events = story((0, RUNNING), (1000, [*bad_speed, *good(running=False)]), config=filler(settle=0))
    assert states(events)[-1][0] == "idle"  # false and unknown is false
    events = story((0, RUNNING), (1000, bad_speed), config=filler(settle=0))
    assert events[-1].data["because"]["filler_plc.speed"]["why"] == "exception 2"
    assert states(events)[-1][0] == "unknown"


def test_rule_that_raises_makes_its_machine_unknown_and_no_other() -> None:
    document = line_document()
    document["machines"]["second"] = {"states": [{"state": "execute", "when": "10 / filler_plc.fault > 1"}]}
    events = story((0, RUNNING), config=Config.model_validate(document))
    second = [event.data for event in events if event.subject == "second"][-1]
    assert second["state"] == "unknown"
    events = story((0, RUNNING), (250, good(fault=5)), (500, good(fault=0)), config=Config.model_validate(document))
    second = [event.data for event in events if event.subject == "second"][-1]
    assert second["reason"]["code"] == "rule_error"
    assert [event.data["state"] for event in events if event.subject == "second"] == [
        "unknown",
        "unknown",
        "unknown",
        "execute",
        "execute",
        "unknown",
    ]


def test_minute_of_production() -> None:
    steps: list[tuple[int, list[Change] | Input]]
    steps = [(at, good(bottles=1000 + at // 500, rejects=10 + at // 20_000)) for at in range(0, 60_000, 500)]
    events = story((0, RUNNING), *steps, (60_000, Tick(0)))
    (minute,) = production(events)
    assert (minute["total"], minute["good"], minute["scrap"]) == (119, 117, 2)
    assert (minute["began"], minute["ended"]) == ("2026-11-22T06:00:00.000Z", "2026-11-22T06:01:00.000Z")
    assert minute["counter"] == {"filler_plc.bottles": 1119, "filler_plc.rejects": 12}


def test_minute_is_published_before_a_stop() -> None:
    events = story((0, RUNNING), (5000, good(bottles=1009)), (7000, Reload(0, 0, "stop")), (60_000, Tick(0)))
    (minute,) = production(events)
    assert (minute["total"], minute["ended"]) == (9, "2026-11-22T06:00:07.000Z")
    steps: list[tuple[int, list[Change] | Input]]
    steps = [(5000, good(bottles=1009)), (7000, Reload(0, 0, "stop")), (9000, good(bottles=1012)), (60_000, Tick(0))]
    (_, rest) = production(story((0, RUNNING), *steps))
    assert (rest["total"], rest["began"], rest["ended"]) == (3, "2026-11-22T06:00:07.000Z", "2026-11-22T06:01:00.000Z")


def test_minute_without_production_is_silent() -> None:
    assert production(story((0, RUNNING), (120_000, []), (300_000, Tick(0)))) == []


def test_parts_of_an_outage_have_a_window_that_holds_it() -> None:
    lost, back = DeviceState("filler_plc", False, 0), DeviceState("filler_plc", True, 0)
    after = [*RUNNING[:5], *good(bottles=1050, rejects=11)]
    events = story((0, RUNNING), (10_000, []), (11_000, lost), (40_000, back), (40_000, after))
    (window,) = production(events)
    assert (window["total"], window["scrap"], window["recovered"], window["ambiguous"]) == (50, 1, 50, None)
    assert (window["began"], window["ended"]) == ("2026-11-22T06:00:10.000Z", "2026-11-22T06:00:40.000Z")


def test_restart_counts_no_part_twice_and_forgets_none() -> None:
    config = filler(settle=0)
    pipeline = Pipeline(config)
    events = []
    for one in (
        Reload(T0, 0),
        Batch("filler_plc", 0, RUNNING, T0),
        Batch("filler_plc", 0, good(bottles=1010), T0 + 5000),
    ):
        events += pipeline.process(one)[0]
    rows = pipeline.checkpoint()
    restarted = Pipeline(config)
    restarted.restore(rows)
    later = (Reload(T0 + 30_000, 0), Batch("filler_plc", 0, good(bottles=1050), T0 + 31_000), Tick(T0 + 200_000))
    for after in later:
        events += restarted.process(after)[0]
    assert [window["total"] for window in production(events)] == [40, 10]
    off = next(
        e.data
        for e in events
        if e.type == "machine.state"
        and e.data["reason"]
        and e.data["reason"]["code"] == "gateway_off"
        and e.data["began"] != "2026-11-22T06:00:00.000Z"
    )
    assert (off["state"], off["began"]) == ("unknown", "2026-11-22T06:00:05.000Z")


def test_checkpoint_rows_of_named_machines_only() -> None:
    pipeline = Pipeline(CONFIG)
    pipeline.process(Reload(T0, 0))
    assert set(pipeline.checkpoint({"filler"})) == {"machine/filler"}
    assert set(pipeline.checkpoint({"gateway", "nobody"})) == set()
    assert set(pipeline.checkpoint()) == {"machine/packer", "engine", "device/filler_plc", "device/packer_plc"}
    assert set(pipeline.checkpoint()) == {"engine"}


def test_events_are_marked_until_the_clock_is_synchronised() -> None:
    """Without a step too, and after a restart before the clock is looked at again."""
    pipeline = Pipeline(filler(settle=0))
    events, _ = pipeline.process(Reload(T0, 0, "start", suspect=True))
    events += pipeline.process(Batch("filler_plc", 0, RUNNING, T0 + 1000))[0]
    assert events
    assert all(event.data["clock_suspect"] for event in events)
    saved, pipeline = pipeline.all_rows(), Pipeline(filler(settle=0))
    pipeline.restore(saved)
    events, _ = pipeline.process(Batch("filler_plc", 0, good(fault=17), T0 + 2000))
    assert all(event.data["clock_suspect"] for event in events)
    pipeline.process(ClockStep(T0 + 3000, 0, suspect=False))
    events, _ = pipeline.process(Batch("filler_plc", 0, good(fault=0), T0 + 4000))
    assert events
    assert not any("clock_suspect" in event.data for event in events)


def test_clock_step_moves_utc_and_no_duration() -> None:
    events = story((0, RUNNING), (5000, ClockStep(0, 3_600_000)), (10_000, good(fault=17)), config=filler(settle=0))
    execute = next(
        event.data
        for event in events
        if event.type == "machine.state" and event.data["state"] == "execute" and event.data["final"]
    )
    assert execute["duration_s"] == 10.0
    assert execute["ended"] == "2026-11-22T07:00:10.000Z"


def test_production_date_is_the_lines() -> None:
    late = Reload(T0 + 17 * 3_600_000 + 1000, 0)  # 23:00:01 UTC is past midnight in Berlin
    (event, *_), _ = Pipeline(filler()).process(late)
    assert event.data["production_date"] == "2026-11-23"


def test_next_deadline_is_returned() -> None:
    pipeline = Pipeline(filler())
    pipeline.process(Reload(T0, 0))
    assert pipeline.process(Batch("filler_plc", 0, RUNNING, T0 + 250))[1] == T0 + 750
    assert pipeline.process(Tick(T0 + 750))[1] == T0 + 5250, "production without a part for ten ideal cycles"


@pytest.mark.parametrize(("signal", "value"), [("fault", 0), ("estop", False), ("recipe", ""), ("fault", None)])
def test_a_signal_reason_of_nothing_is_no_reason(signal: str, value: Value) -> None:
    rule = {"state": "held", "when": "not filler_plc.running", "reason": {"signal": f"filler_plc.{signal}"}}
    quality = Quality.BAD if value is None else Quality.GOOD
    events = story((0, [*good(running=False), change(signal, value, quality)]), config=filler(settle=0, states=[rule]))
    assert events[-1].data["reason"] is None


def test_a_refused_address_is_an_event_before_what_it_brings_about() -> None:
    bad = [change("speed", None, Quality.BAD, "exception 2")]
    refused = Notice(NAMES.index("speed"), True, "holding:100", "exception 2 (illegal data address)", 60.0)
    unused = Notice(NAMES.index("level"), True, "input:7", "exception 3 (illegal data value)", 60.0)
    batch = Batch("filler_plc", 0, bad, notices=[refused, unused])
    events = story((0, RUNNING), (1000, batch), config=filler(settle=0))
    assert [event.type for event in events][-4:] == [
        "signal.quarantined", "signal.quarantined", "machine.state", "machine.state",
    ]  # fmt: skip
    first, second = events[-4:-2]
    assert (first.subject, second.subject) == ("filler_plc.speed", "filler_plc.level")
    assert first.time == T0 + 1000
    assert first.data == {
        "signal": "filler_plc.speed",
        "address": "holding:100",
        "why": "exception 2 (illegal data address)",
        "retry_s": 60.0,
    }


def test_an_address_that_can_be_read_again_is_an_event_without_a_retry() -> None:
    back = Notice(NAMES.index("speed"), False, "holding:100", "read again", 60.0)
    event = story((0, Batch("filler_plc", 0, [], notices=[back])))[-1]
    assert (event.type, event.subject, event.data["retry_s"]) == ("signal.restored", "filler_plc.speed", None)


@pytest.mark.parametrize(
    ("own", "reasons", "fault", "text"),
    [
        ({17: "the signal's"}, {}, 17, "cap jam"),  # the machine's own come first
        ({99: "the signal's"}, {}, 99, "the signal's"),
        ({99: "the signal's"}, {99: "the line's"}, 99, "the line's"),
        ({98: "the signal's"}, {}, 99, None),
        ("reasons", {99: "the line's"}, 99, "the line's"),
        (None, {}, 99, None),
    ],
)
def test_a_reason_without_a_text_has_its_signals(own: Any, reasons: Any, fault: int, text: str | None) -> None:
    signals = {**FILLER_SIGNALS, "fault": {"address": "holding:21", "type": "uint16", "texts": own}}
    document = line_document(reasons=reasons)
    document["devices"]["filler_plc"]["signals"] = signals
    events = story((0, RUNNING), (1000, good(fault=fault)), (2000, Tick(0)), config=Config.model_validate(document))
    assert events[-1].data["reason"] == {"code": str(fault), "text": text, "source": "signal"}


def test_a_truth_value_is_a_reason_with_a_text() -> None:
    signals = {**FILLER_SIGNALS, "estop": {"address": "holding:20.0", "texts": {1: "emergency stop"}}}
    rule = {"state": "aborted", "when": "filler_plc.estop", "reason": {"signal": "filler_plc.estop"}}
    document = line_document(machines={"filler": {"states": [rule]}})
    document["devices"]["filler_plc"]["signals"] = signals
    events = story((0, good(estop=True)), config=Config.model_validate(document))
    assert events[-1].data["reason"] == {"code": "True", "text": "emergency stop", "source": "signal"}


def restarted(config: Config, rows: dict[str, bytes], *inputs: Input) -> list[Event]:
    """What an engine decides that goes on from a checkpoint."""
    pipeline, events = Pipeline(config), []
    pipeline.restore(rows)
    for one in inputs:
        events += pipeline.process(one)[0]
    return events


def rows_after(config: Config, *inputs: Input) -> dict[str, bytes]:
    pipeline = Pipeline(config)
    for one in inputs:
        pipeline.process(one)
    return pipeline.checkpoint()


START = Reload(T0, 0)


def test_another_signal_is_another_counter() -> None:
    rows = rows_after(filler(), START, Batch("filler_plc", 0, RUNNING, T0 + 1000))
    other = filler(parts={"total": "filler_plc.rejects"})
    later = (Reload(T0 + 5000, 0), Batch("filler_plc", 0, RUNNING, T0 + 6000), Tick(T0 + 100_000))
    assert production(restarted(other, rows, *later)) == []


def test_machine_that_was_left_out_for_a_week_produced_nothing_meanwhile() -> None:
    document = line_document(machines={"other": {"states": [{"state": "idle"}]}})
    without = Config.model_validate(document)
    week = 7 * 86_400_000
    seen = (Batch("filler_plc", 0, RUNNING, T0 + 1000), Batch("filler_plc", 0, good(bottles=1004), T0 + 3000))
    stored = rows_after(filler(settle=0), START, *seen)
    gone = Pipeline(without)
    gone.restore(stored)
    for one in (Reload(T0 + 2000, 0), Batch("filler_plc", 0, [], T0 + week)):
        gone.process(one)
    stored |= gone.checkpoint()
    events = restarted(filler(settle=0), stored, Reload(T0 + week + 5000, 0))
    execute = next(e.data for e in events if e.data.get("state") == "execute" and e.data["final"])
    assert execute["ended"] == "2026-11-22T06:00:03.000Z"


@pytest.mark.parametrize(
    ("row", "words"),
    [(b"\xc1", "damaged"), (b"\x80", "damaged"), (b"\x81\xa1v\x63", "version 99")],
)
def test_checkpoint_that_cannot_be_used_is_refused_in_words(row: bytes, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        restarted(filler(), {"engine": row})


def test_rows_of_a_device_go_with_its_transition() -> None:
    pipeline = Pipeline(filler())
    pipeline.process(START)
    pipeline.checkpoint()
    pipeline.process(DeviceState("filler_plc", False, T0 + 1000, "e", "w", "r"))
    assert "device/filler_plc" in pipeline.checkpoint({"filler_plc"})
    pipeline.process(Batch("filler_plc", 0, RUNNING, T0 + 2000))
    assert "machine/filler" in pipeline.checkpoint({"filler_plc.bottles"})


def test_clock_step_is_in_the_next_commit_whatever_that_is_about() -> None:
    pipeline = Pipeline(filler())
    pipeline.process(START)
    pipeline.checkpoint()
    pipeline.process(ClockStep(T0 + 1000, 3_600_000))
    assert "engine" in pipeline.checkpoint({"gateway"})
    assert "engine" not in pipeline.checkpoint({"gateway"})


def test_boundaries_of_intervals_meet_over_a_clock_step() -> None:
    steps: list[tuple[int, list[Change] | Input]]
    steps = [(0, RUNNING), (5000, good(fault=17)), (8000, ClockStep(0, 3_600_000)), (9000, good(fault=0))]
    told = [e.data for e in story(*steps, config=filler(settle=0)) if e.type == "machine.state"]
    final = [state for state in told if state["final"]]
    for before, after in pairwise([*final, told[-1]]):
        assert before["ended"] == after["began"]
    assert final[-1]["duration_s"] == 4.0


@pytest.mark.parametrize("condition", ["true", "1 == 1", "not false"])
def test_condition_without_a_signal_is_decided(condition: str) -> None:
    events = story((0, RUNNING), config=filler(settle=0, states=[{"state": "execute", "when": condition}]))
    assert states(events)[-1][0] == "execute"


def test_lost_plc_after_a_restart_is_not_called_a_gateway_that_is_off() -> None:
    rows = rows_after(filler(settle=0), START, Batch("filler_plc", 0, RUNNING, T0 + 1000))
    lost = DeviceState("filler_plc", False, T0 + 12_000, "e", "no answer", "r")
    events = restarted(filler(settle=0), rows, Reload(T0 + 10_000, 0), lost, Tick(T0 + 20_000))
    told = [
        (e.data["reason"]["code"], e.data["final"], e.data["duration_s"])
        for e in events
        if e.data.get("state") == "unknown"
    ]
    assert told == [("gateway_off", False, None), ("gateway_off", True, 9.0), ("signal_bad", False, None)]


def test_ambiguous_scrap_is_said() -> None:
    """An outage over a rollover of the rejects' counter: a reset fits as well."""
    lost, back = DeviceState("filler_plc", False, 0), DeviceState("filler_plc", True, 0)
    before = [*RUNNING[:5], *good(bottles=500_000, rejects=65_530)]
    after = [*RUNNING[:5], *good(bottles=500_038, rejects=3)]
    (window,) = production(story((0, before), (1000, []), (2000, lost), (30_000, back), (30_000, after)))
    assert (window["total"], window["ambiguous"]) == (38, None)
    assert window["ambiguous_scrap"]["low"] == 3
    assert window["ambiguous_scrap"]["high"] >= 9


@pytest.mark.parametrize("reading", [2**31, 2**63, 2**64 - 1, 1e30, -1e30, -1, -(2**40)])
def test_no_reading_whatever_breaks_the_checkpoint(reading: float) -> None:
    config = filler(settle=0, ideal="1ms")
    pipeline = Pipeline(config)
    pipeline.process(START)
    for at in range(1, 20):
        bottles = reading if at % 2 else 1000
        events, _ = pipeline.process(Batch("filler_plc", 0, good(bottles=bottles), T0 + at * 60_000))
        pipeline.checkpoint()
        for event in events:
            orjson.dumps(event.data)


def test_each_scan_class_has_its_own_last_sample() -> None:
    """A counter read every 10 s beside states read every 250 ms: its outage begins at its own last reading."""
    signals = {**FILLER_SIGNALS, "bottles": {**FILLER_SIGNALS["bottles"], "scan_interval": "10s"}}
    document = line_document(machines={"filler": {**FILLER_MACHINE, "settle": 0}})
    document["devices"]["filler_plc"] = {**document["devices"]["filler_plc"], "signals": signals}
    quick, slow = RUNNING[:5] + RUNNING[6:], good(bottles=5000)
    inputs: list[Input] = [
        START,
        Batch("filler_plc", 1, slow, T0),
        *[Batch("filler_plc", 0, quick if at == 0 else [], T0 + at) for at in range(0, 9500, 250)],
        DeviceState("filler_plc", False, T0 + 9500),
        Batch("filler_plc", 0, quick, T0 + 12_000),
        Batch("filler_plc", 1, good(bottles=5020), T0 + 12_100),
    ]
    (window,) = production(run(inputs, config=Config.model_validate(document)))
    assert (window["total"], window["began"]) == (20, "2026-11-22T06:00:00.000Z")


SHIFTS = {
    "early": {"days": ["sun"], "from": "06:00", "to": "07:01"},
    "late": {"days": ["sun"], "from": "07:01", "to": "15:00"},
}


def test_events_say_their_shift_and_production_date() -> None:
    """T0 is 07:00 on a Sunday in Berlin; what was made in a shift's last minute is that shift's."""
    document = line_document(calendar={"shifts": SHIFTS, "production_day": "07:01"})
    steps: list[tuple[int, list[Change] | Input]] = [(30_000, good(bottles=1010)), (90_000, good(bottles=1020))]
    events = story((0, RUNNING), *steps, (180_000, Tick(0)), config=Config.model_validate(document))
    told = [(window["shift"], window["production_date"], window["total"]) for window in production(events)]
    assert told == [("early", "2026-11-21", 10), ("late", "2026-11-22", 10)]
