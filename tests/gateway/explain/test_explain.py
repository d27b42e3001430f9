"""Explanations: every sentence of them is true of the event, and of the file that the places point into."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load_config
from gateway.events import Envelope, StoredEvent, rfc3339
from gateway.explain.apart import places_of
from gateway.explain.events import EventError, Found
from gateway.explain.explaining import explain
from gateway.explain.explanation import seconds, value_text
from gateway.explain.places import Places
from gateway.replay.plain import PlainLines, read_plain
from gateway.replay.replay import Replay
from gateway.replay.told import Told
from tests.gateway.history.line import HOUR, NOW, entry, stop

FILE = """\
line: {enterprise: acme, site: berlin, area: filling, name: line-3, time_zone: Europe/Berlin}
devices:
  plc:
    protocol: modbus_tcp
    host: 127.0.0.1
    signals:
      run:    {address: "coil:0"}
      hold:   {address: "coil:1"}
      wait:   {address: "coil:2"}
      change: {address: "coil:3"}
      mode:   {address: "holding:0", type: uint16}
      fault:  {address: "holding:1", type: uint16}
      count:  {address: "holding:2", type: uint16}
      rejects: {address: "holding:3", type: uint16}
machines:
  filler:
    ideal: 500ms
    no_output: 30s
    mode: plc.mode
    parts:
      total: plc.count
      scrap: plc.rejects
    states:
      - {category: setup, when: plc.change}
      - {state: held, when: plc.hold, reason: {signal: plc.fault}}
      - {state: suspended, when: plc.wait, cause: starved, for: 3s}
      - {state: execute, when: plc.run}
      - {state: complete}
    categories: {complete: planned_stop}
    reasons:
      17: {text: cap jam, group: mechanical, failure: false}
      18: {text: no caps, category: starved}
calendar:
  shifts:
    day: {days: [mon], from: "08:00", to: "14:00", breaks: [{from: "10:00", to: "10:15"}]}
"""
FIRST = {"run": True, "hold": False, "wait": False, "change": False, "mode": 1, "fault": 0, "count": 0, "rejects": 0}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    path = tmp_path / "line.yaml"
    path.write_text(FILE)
    return Places(load_config(path).config, places_of(path))


def decide(places: Places, *steps: tuple[float, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Events of a day that began at 08:00 in Berlin: values, or a lost PLC, at seconds after it."""
    lines = []
    for at, values in ((0, FIRST), *steps):
        moment = f"2026-11-23T{7 + int(at // 3600):02d}:{int(at // 60 % 60):02d}:{at % 60:06.3f}Z"
        told = {"lost": True, "why": "no answer"} if values is None else {"values": values}
        lines.append(json.dumps({"time": moment, "device": "plc", **told}).encode())
    events: list[Any] = []
    said: list[str] = []
    replay = Replay(places.config, events.extend, lambda: None)
    replay.plain(read_plain(places.config), PlainLines(places.config, said.append).inputs("x", lines))
    replay.finish()
    assert said == []
    return [json.loads(line) for line in Told(places.config, "x").lines(events).splitlines()]


def running(until: int, since: int = 0) -> list[tuple[float, dict[str, Any] | None]]:
    """A part each half second."""
    return [(at, {"count": 2 * at}) for at in range(since + 1, until)]


def words(places: Places, events: list[dict[str, Any]], type_: str, **match: Any) -> str:
    """The explanation of the last event of a type whose data matches, as a pipe shows it."""
    found = [one for one in events if one["type"] == f"linegate.{type_}.v1" and match.items() <= one["data"].items()]
    out = io.StringIO()
    explain(Found(found[-1], events), places).show(out)
    return out.getvalue()


def line_of(text: str) -> str:
    """`line.yaml:25:` of the file's line that holds a text."""
    (number,) = [number for number, line in enumerate(FILE.splitlines(), 1) if text in line]
    return f"line.yaml:{number}:"


def test_a_rule_with_its_line_its_signals_and_its_reason(places: Places, tmp_path: Path) -> None:
    events = decide(places, *running(60), (60, {"hold": True, "fault": 17}), (100, {"hold": False}))
    told = words(places, events, "machine.state", state="held")
    assert told.startswith("filler was held, accounted to unplanned_stop, from 2026-11-23 08:01:00 to 2026-11-23 08:")
    assert "08:01:40, 40 s (revision 1, final)" in told
    assert f"rule 1 of filler, counted from 0, `plc.hold` ({tmp_path / 'line.yaml'}:25:" in told
    assert line_of("state: held") in told
    assert "plc.hold was true, good, since 2026-11-23 08:01:00" in told
    assert f'code 17, "cap jam" ({tmp_path / "line.yaml"}:{line_of("17: {text")[10:-1]}:' in told
    assert "it is no failure, for MTBF and MTTR" in told
    assert "time in held is unplanned_stop, as the state's name says" in told
    assert "it began between the sample at 2026-11-23 08:01:00, which showed it, and the one 1 s before" in told
    assert "it belongs to the stop filler-stop-" in told
    assert "0 in total, 0 good, 0 scrap" in told
    assert "0 (event" in told
    assert "it ended at 2026-11-23 08:01:40" in told


@pytest.mark.parametrize(
    ("steps", "match", "expected"),
    [
        ([(60, {"change": True})], {"category": "setup"}, "setup: rule 0 says so: `plc.change` gives setup"),
        ([(60, {"mode": 2})], {"category": "setup"}, "setup: the machine was in maintenance mode"),
        (
            [(60, {"hold": True, "fault": 18})],
            {"category": "starved"},
            "the category of the state: the reason 18 says so",
        ),
        ([(60, {"run": False})], {"state": "complete"}, "`categories` says so of complete"),
        ([(95, {})], {"state": "execute", "category": "unplanned_stop"}, "no part came for 30s"),
        ([(60, None)], {"category": "unknown"}, "what is not known: the state is unknown"),
        ([(60, {"mode": None})], {"category": "unknown"}, "what is not known: the mode signal was bad"),
        (
            [*running(7270, 7190), (7290, {"hold": True}), (7300, {})],
            {"category": "planned_stop", "state": "held"},
            "the calendar does not plan production then (in the shift day, in a break or planned maintenance)",
        ),
        (
            [*running(7270, 7190)],
            {"category": "production", "unscheduled": True},
            "in a break or planned maintenance), but execute held",
        ),
        ([(60, {"wait": True}), (64, {})], {"category": "starved"}, "it wants to hold for 3s, and then counts from"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_each_step_of_the_precedence(places: Places, steps: list[Any], match: dict[str, Any], expected: str) -> None:
    told = words(places, decide(places, *running(60), *steps), "machine.state", **match)
    assert expected in told


def test_what_a_source_time_dates_is_said_to_be(places: Places) -> None:
    """The PLC's clock is 3 s behind; the stop came 0.4 s after it was dated."""
    count = {"value": 120, "source_time": "2026-11-23T07:00:57.000Z"}
    hold = {"value": True, "source_time": "2026-11-23T07:00:58.600Z"}
    events = decide(places, *running(60), (60, {"count": count}), (62, {"hold": hold}))
    told = words(places, events, "machine.state", state="held")
    assert "it began at 2026-11-23 08:01:01.600, as what showed it is dated, to within 1.6 s" in told
    assert "plc.hold was true, good, since 2026-11-23 08:00:58.600" in told


def test_a_lost_plc_and_a_bad_signal_are_named(places: Places) -> None:
    told = words(places, decide(places, *running(60), (60, None)), "machine.state", state="unknown")
    assert "rule 0 of filler, counted from 0, `plc.change`" in told
    assert "cannot be decided, for a signal of it is bad" in told
    assert "plc.change was nothing, bad: device lost: no answer" in told


def test_a_stop_with_its_intervals_and_its_revisions(places: Places) -> None:
    steps = [*running(60), (60, {"hold": True, "fault": 17}), (90, {"hold": False}), (95, {"hold": True})]
    events = decide(places, *steps, (200, {"hold": False}), *running(300, 200))
    told = words(places, events, "machine.stop", kind="own")
    assert "filler had a stop of kind own from 2026-11-23 08:01:00, to 2026-11-23 08:03:20, 2 min 20 s (rev" in told
    assert "production began there that lasted 10s (`resume`); shorter production stays inside" in told
    assert "its time is accounted to unplanned_stop: the machine itself stood" in told
    assert "it was not shorter than `short_stop` of 2min: a downtime, by its whole length" in told
    assert "its reason says that it is no failure" in told
    assert "first out: plc.fault was 17, since 2026-11-23 08:01:00" in told
    assert "held (unplanned_stop) from 2026-11-23 08:01:00, 30 s" in told
    assert "execute (production) from 2026-11-23 08:01:30, 5 s" in told
    assert "over the ideal cycle of 0.5 s" in told
    assert "whether it is a minor stop became false (was nothing)" in told
    assert "final: nothing can change it any more" in told


def test_parts_with_their_readings(places: Places) -> None:
    told = words(places, decide(places, *running(200), (200, {"rejects": 3})), "machine.production")
    assert "filler made 40 parts, 37 good, from 2026-11-23 08:03:00 to 2026-11-23 08:03:20" in told
    assert "ended with 398; the event before it ended with 358, a step of 40" in told
    assert "good parts are the total less scrap" in told
    assert line_of("total: plc.count") in told


def test_parts_of_an_outage_are_recovered(places: Places) -> None:
    events = decide(places, *running(60), (60, None), (100, {**FIRST, "count": 190}))
    told = words(places, events, "machine.production", recovered=72)
    assert "72 parts are recovered: they were made while the PLC or the gateway was away" in told


def test_a_counter_fault_with_its_limits(places: Places) -> None:
    steps = [(60, {"count": 30_000}), (61, {"count": 30_002})]
    told = words(places, decide(places, *running(60), *steps), "counter.fault")
    assert told.startswith("plc.count made a step that no production explains: 118 to 30,000")
    assert "it has 65,536 values, so that the step is 29,882 forward" in told
    assert "it can count 360 a minute, 3 times the ideal" in told
    assert "else it is a jump: nothing is counted" in told


def test_a_link_that_would_hold_more_than_it_can(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    packer = "  packer: {states: [{state: idle}], parts: {total: plc.mode}}\n"
    flow = "flow: [{from: [filler], to: [packer], capacity: 50}]\n"
    path.write_text(FILE.replace("    mode: plc.mode\n", "").replace("calendar:", f"{packer}{flow}calendar:"))
    places = Places(load_config(path).config, places_of(path))
    told = words(places, decide(places, *running(60)), "counter.fault")
    assert told.startswith("between filler > packer 54 parts would have had to lie, where 50 fit")
    assert "one of them misses parts" in told


def test_what_people_said_of_a_stop_is_told_with_what_was_taken_back(places: Places, tmp_path: Path) -> None:
    began = NOW - HOUR
    name = f"filler-stop-{began}"
    jam = {"code": "17", "text": "cap jam", "source": "operator", "group": None}
    told = [
        stop("filler", began, began + 600_000, reason=jam),
        entry("filler", 1, NOW, "reason", name, reason={**jam, "code": "4"}, note="perhaps"),
        entry("filler", 2, NOW + 1000, "undo", "filler-reason-1"),
        entry("filler", 3, NOW + 2000, "split", name, at="2026-11-22T05:05:00.000Z"),
        entry("filler", 4, NOW + 3000, "reason", f"{name}/2", reason=jam),
        entry("filler", 5, NOW + 4000, "note", f"filler-stop-{began - 1}", note="of another stop"),
        entry("filler", 6, NOW + 5000, "merge", f"filler-stop-{began - 1}", other=f"{name}/1"),
    ]
    envelope = Envelope("/acme/x", "s")
    stored = [
        StoredEvent(seq, seq - 1, one.type, one.subject, one.time, json.dumps(one.data).encode())
        for seq, one in enumerate(told, 1)
    ]
    events = [json.loads(envelope.json(one)) for one in stored]
    assert "anna said of filler at 2026-11-22 07:00:03: the reason is 17, cap jam" in words(
        places, events, "operator.entry", what="reason"
    )
    said = words(places, events, "machine.stop")
    assert "  a person gave the reason: 17, cap jam" in said
    people = said[said.index("What people said of it") :].split("\n\n")[0].splitlines()[1:]
    assert people == [
        '  anna, at 2026-11-22 07:00:00: the reason is 4, cap jam; "perhaps"; it was taken back',
        "  anna, at 2026-11-22 07:00:01: what was said before is taken back",
        "  anna, at 2026-11-22 07:00:02: it was two, and the second began at 2026-11-22 06:05:00",
        people[3],
        f"  anna, at 2026-11-22 07:00:05: filler-stop-{began - 1} and {name}/1 were one",
    ]
    place = f"{tmp_path / 'line.yaml'}:{line_of('17: {text')[10:-1]}:"
    assert people[3].startswith(f"  anna, at 2026-11-22 07:00:03: the reason is 17, cap jam ({place}")
    assert people[3].endswith(" (of its part 2)")


def test_an_open_stop_is_made_of_what_came_to_it_since_it_was_told(places: Places) -> None:
    events = decide(
        places, *running(60), (60, {"hold": True}), (70, {"hold": False, "run": False}), (90, {"hold": True})
    )
    open_ones = [one for one in events if one["type"] == "linegate.machine.stop.v1" and one["data"]["rev"] == 0]
    out = io.StringIO()
    explain(Found(open_ones[-1], events), places).show(out)
    made = out.getvalue()[out.getvalue().index("What it is made of") :].split("\n\n")[0].splitlines()[1:]
    assert [line.split()[0] for line in made] == ["held", "complete", "held"]
    assert made[-1].endswith("still open")


def test_an_entry_says_what_it_does_and_a_window_which_entries_are_in_it(places: Places) -> None:
    began = NOW - HOUR
    name = f"filler-stop-{began + 60_000}"
    jam = {"code": "17", "text": "cap jam", "source": "operator", "group": None}
    said = [
        entry("filler", 1, NOW, "reason", name, reason=jam, note="again"),
        entry("filler", 2, NOW + 1000, "scrap", None, amount=1200, at=rfc3339(began + 1000)),
        entry("filler", 3, NOW + 2000, "scrap", None, amount=7),
        entry("filler", 4, NOW + 3000, "undo", "filler-reason-1", who="bo"),
    ]
    window = {**KPI, "began": rfc3339(began), "ended": rfc3339(NOW)}
    told = [stop("filler", began + 60_000, began + 120_000), *said]
    told.append(replace(said[0], type="machine.kpi", data={**said[0].data, **window}))
    envelope = Envelope("/acme/x", "s")
    stored = [
        StoredEvent(seq, seq - 1, one.type, one.subject, one.time, json.dumps(one.data).encode())
        for seq, one in enumerate(told, 1)
    ]
    events = [json.loads(envelope.json(one)) for one in stored]
    shown = words(places, [*events[2:], events[1]], "operator.entry")
    assert shown.startswith("anna said of filler at 2026-11-22 07:00:00: the reason is 17, cap jam (")
    assert f'the stop or interval {name}\n  with the note "again"' in shown
    assert "The category of its time stays" in shown
    assert "bo took it back at 2026-11-22 07:00:03" in shown
    people = words(places, events, "machine.kpi").partition("What people said that is in it\n")[2].split("\n\n")[0]
    assert [line.partition(": ")[2].partition(" (")[0] for line in people.splitlines()] == [
        "the reason is 17, cap jam",
        "1,200 parts were scrap at 2026-11-22 06:00:01",
        "what was said before is taken back",
    ]


def test_what_says_itself_is_told_field_by_field(places: Places, tmp_path: Path) -> None:
    told = words(places, decide(places, *running(60), (60, None)), "device.lost")
    assert "A device was lost, or is back" in told
    assert "why: no answer" in told
    assert "since: 2026-11-23 08:01:00" in told
    assert f"({tmp_path / 'line.yaml'}:4:5)" in told or line_of("protocol") in told


KPI: dict[str, Any] = {
    "kpi": "filler-hour-1", "window": "hour", "began": "2026-11-23T07:00:00.000Z", "ended": "2026-11-23T08:00:00.000Z",
    "rev": 1, "final": False, "policy": "ab12", "flags": ["recovered"],
    "categories": {"planned_stop": 600.0, "production": 2400.0, "unplanned_stop": 480.0, "unknown": 120.0},
    "apt_s": 2400.0, "pbt_s": 3000.0, "unknown_s": 120.0, "unrecovered_s": 0.0, "run_s": 2520.0,
    "minor_stops": {"n": 2, "seconds": 120.0}, "pq": 4500, "gq": 4400, "sq": 100, "rq": None, "recovered": 50,
    "ambiguous": None, "ideal_s": 2250.0, "ideal_good_s": 2200.0, "availability": 0.875, "effectiveness": 0.869048,
    "quality": 0.977778, "oee": 0.733333, "oee_low": 0.733333, "oee_high": 0.733333, "coverage": 0.96,
    "setup_rate": 0.0, "technical_efficiency": 0.833333, "scrap_ratio": 0.022222, "rework_ratio": None,
    "failures": 0, "mtbf_s": None, "mttr_s": None, "inherent_availability": None, "teep": 0.611111,
}  # fmt: skip


def kpi(places: Places, **more: Any) -> str:
    event = {"id": "s-2", "seq": "2", "type": "linegate.machine.kpi.v1", "subject": "filler", "data": {**KPI, **more}}
    out = io.StringIO()
    explain(Found(event, [event]), places).show(out)
    return out.getvalue()


def test_every_figure_of_a_window_with_its_numbers(places: Places) -> None:
    told = kpi(places)
    assert "filler: OEE 73.33 % in the hour from 2026-11-23 08:00:00 to 2026-11-23 09:00:00 (revision 1, not fi" in told
    assert "oee = 2200 / (3000 - 0) = 0.733333: ideal time of good parts over planned busy time" in told
    assert "availability = 2520 / (3000 - 120) = 0.875: run time over planned busy time" in told
    assert "quality = 4400 / 4500 = 0.977778" in told
    assert "technical_efficiency = 2400 / (2400 + 480) = 0.833333" in told
    assert "run time: 40 min of production (APT) and 120 s" not in told
    assert "and 2 min of 2 minor stops, which are a performance loss: 42 min" in told
    assert "mtbf_s is null: its denominator is 0" in told
    assert "rework_ratio is null: something that it needs is not counted, or has no ideal" in told
    assert "50 more were made over an outage that reaches beyond the window" in told
    assert "recovered: over an outage that reaches beyond the window more parts were made" in told
    assert "unknown time (K): 2 min, of which no counter covers 0 s (U)" in told


def test_how_a_line_was_rolled_up(places: Places) -> None:
    rollup = {"rule": "constraint", "machines": ["a", "b"], "out": ["packer"], "cycle_s": 0.5}
    told = kpi(places, rollup=rollup, wip_delta=-12, throughput_yield=0.97, effectiveness=0.857143)
    assert "time is that of a and b, weighed by their ideal rates" in told
    assert "good parts are those that left by packer, scrap is of all stages" in told
    assert "a part ideally takes 0.5 s, as on the slowest stage" in told
    assert "effectiveness = 0.857143: what OEE leaves to it, over availability and quality" in told
    assert "wip_delta = -12: how many parts more than at its begin" in told
    summed = kpi(places, rollup={"rule": "sum", "machines": ["a", "b"], "out": ["a", "b"], "cycle_s": None})
    assert "a and b are independent: their times and counts are summed, and then divided" in summed


def test_a_formula_whose_numbers_are_not_all_in_the_event_shows_none(places: Places) -> None:
    """Parts of unknown time are in `ideal_s`, and not in effectiveness."""
    told = kpi(places, effectiveness=0.85)
    assert "effectiveness = 0.85: ideal time of the parts that were produced in known time over run time" in told


def test_another_configuration_and_a_later_revision_are_said(places: Places, tmp_path: Path) -> None:
    events = decide(places, *running(60), (60, {"hold": True, "fault": 17}), (100, {"hold": False}))
    first = next(one for one in events if one["data"].get("state") == "held")
    moved = FILE.replace("      - {category: setup, when: plc.change}\n", "")
    (tmp_path / "moved.yaml").write_text(moved)
    other = Places(load_config(tmp_path / "moved.yaml").config, places_of(tmp_path / "moved.yaml"))
    explanation = explain(Found(first, events), other)
    assert "of it stands: this event is not the last word" in explanation.notes[1]
    assert "it was decided under configuration" in explanation.notes[0]
    assert "moved.yaml:24:" in explanation.sections[0].lines[0], "where the rule has moved to"


@pytest.mark.parametrize("data", [{}, {"interval": "x", "rev": "much"}, {"state": 5}])
def test_what_is_no_event_of_its_type_is_refused(places: Places, data: dict[str, Any]) -> None:
    event = {"id": "s-1", "seq": "1", "type": "linegate.machine.state.v1", "subject": "filler", "data": data}
    with pytest.raises(EventError, match="the event says it is a"):
        explain(Found(event, [event]), places)


class Terminal(io.StringIO):
    """Says that a person watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_the_same_words_and_no_control_characters(places: Places) -> None:
    events = decide(places, *running(60), (60, {"hold": True, "fault": 17}), (100, {"hold": False}))
    events[-1]["data"]["because"] = {"plc.hold": {"value": "\x1b[2J", "quality": "good", "time": None}}
    out = Terminal()
    explain(Found(events[-1], events), places).show(out)
    assert "Why " in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


def test_durations_and_values_in_words() -> None:
    assert [seconds(one) for one in (0.25, 90.0, 120.0, 3723.5, None)] == [
        "0.25 s", "90 s", "2 min", "1 h 2 min 3.5 s", "an unknown time",
    ]  # fmt: skip
    assert [value_text(one) for one in (True, None, "cola", 0.1, 2**63)] == [
        "true", "nothing", '"cola"', "0.1", "9223372036854775808",
    ]  # fmt: skip
