"""Plain recordings: what anyone can write replays, and what is wrong is said with line and remedy."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.config.model import Config
from gateway.inputs import DeviceState, Entry, Input, Reload
from gateway.replay.plain import PlainLines, read_plain
from gateway.replay.replay import Replay
from protocols.model import Batch, Quality
from tests.conftest import FILLER_SIGNALS, line_document

CONFIG = Config.model_validate(line_document())
NUMBER = {name: number for number, name in enumerate(FILLER_SIGNALS)}
AT = 1_795_327_200_250
"""2026-11-22T06:00:00.250Z."""


def read(*lines: Any, config: Config = CONFIG) -> tuple[list[Input], list[str]]:
    """Inputs and complaints of some lines."""
    said: list[str] = []
    texts = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    return list(PlainLines(config, said.append).inputs("day.ndjson", texts)), said


def scan(seconds: float, **values: Any) -> dict[str, Any]:
    time = f"2026-11-22T06:{int(seconds // 60):02d}:{seconds % 60:06.3f}Z"
    return {"time": time, "device": "filler_plc", "values": values}


def changes(given: Input) -> dict[str, list[Any]]:
    assert isinstance(given, Batch)
    names = list(FILLER_SIGNALS)
    return {names[number]: list(change) for number, *change in given.changes}


def test_the_lines_of_the_documentation() -> None:
    inputs, said = read(
        {"time": "2026-11-22T06:00:00.250Z", "device": "filler_plc", "values": {"running": True, "bottles": 4711}},
        {
            "time": "2026-11-22T07:00:01+01:00",
            "device": "filler_plc",
            "values": {"speed": {"value": 3, "quality": "uncertain"}, "level": {"value": 3, "quality": "bad"}},
        },
        {"time": "2026-11-22T06:00:02Z", "device": "filler_plc", "lost": True},
        {"time": "2026-11-22T06:00:03Z", "device": "filler_plc", "lost": True},
        b"",
        {"time": "2026-11-22T06:00:04Z", "device": "filler_plc", "values": {"recipe": "cola", "fault": None}},
    )
    assert said == []
    assert [(type(one), one.at - AT) for one in inputs] == [
        (Reload, 0), (DeviceState, 0), (Batch, 0), (Batch, 750), (DeviceState, 1750), (DeviceState, 3750),
        (Batch, 3750),
    ]  # fmt: skip
    assert [one.connected for one in inputs if isinstance(one, DeviceState)] == [True, False, True]
    assert changes(inputs[2]) == {"running": [True, 2, None, None], "bottles": [4711, 2, None, None]}
    assert changes(inputs[3]) == {
        "speed": [3.0, Quality.UNCERTAIN, None, None], "level": [None, Quality.BAD, "bad in the recording", None],
    }  # fmt: skip
    assert changes(inputs[6])["recipe"] == ["cola", 2, None, None]
    assert changes(inputs[6])["fault"][:2] == [None, Quality.BAD]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"time": ', "day.ndjson:2: no JSON: "),
        (b"[1]", 'day.ndjson:2: expected an object, found a list; write {"time": ..., "device": ..., "values"'),
        ({"device": "filler_plc", "values": {}}, 'time nothing is no time; write it like "2026-11-22T06:00:00.250Z"'),
        ({**scan(5), "time": "yesterday"}, "is no time; write it like"),
        ({**scan(5), "time": "2026-11-22T06:00:05"}, "says no zone; write it like"),
        ({**scan(5), "time": "1969-11-22T06:00:05Z"}, "is before 1970"),
        (scan(0.5), "is before that of the lines above; sort the lines by time"),
        ({**scan(5), "device": "filer_plc"}, "is not in the configuration; did you mean `filler_plc`?"),
        ({"specversion": "1.0", "time": scan(5)["time"]}, "this is an event; replay decides events from"),
        ({**scan(5), "device": 7}, "device 7 is not in the configuration; the line is left out"),
        ({"time": scan(5)["time"], "device": "filler_plc"}, "has neither `values` nor `lost`"),
        ({**scan(5), "values": [1]}, "expected an object of signals and values"),
    ],
)
def test_a_bad_line_is_said_and_loses_no_other(line: Any, words: str) -> None:
    inputs, said = read(scan(1, running=False), line, scan(9, running=True))
    assert len(said) == 1
    assert words in said[0]
    assert said[0].startswith("day.ndjson:2: ")
    assert [one.at - AT for one in inputs if isinstance(one, Batch)] == [750, 8750]


@pytest.mark.parametrize(
    ("values", "words", "kept"),
    [
        ({"runing": True, "fault": 3}, "filler_plc.runing is not in the configuration; did you mean `running`?", []),
        ({"running": 1, "fault": 3}, "filler_plc.running: 1 is not true or false; it is bad from here on", ["running"]),
        ({"bottles": "many", "fault": 3}, "is not a whole number", ["bottles"]),
        ({"bottles": 1.5, "fault": 3}, "1.5 is not a whole number", ["bottles"]),
        ({"speed": True, "fault": 3}, "is not a number", ["speed"]),
        ({"recipe": 5, "fault": 3}, "5 is not a text", ["recipe"]),
        ({"speed": {"value": 1, "quality": "great"}, "fault": 3}, "is none of bad, uncertain, good", ["speed"]),
        ({"speed": {"quality": "good"}, "fault": 3}, 'expected {"value": ..., "quality"', ["speed"]),
    ],
)
def test_a_bad_value_is_said_and_loses_no_other(values: dict[str, Any], words: str, kept: list[str]) -> None:
    inputs, said = read(scan(1, **values))
    assert len(said) == 1
    assert words in said[0]
    found = changes(inputs[2])
    assert found["fault"] == [3, 2, None, None]
    assert [name for name, change in found.items() if change[0] is None] == kept


def test_a_mistake_that_every_line_makes_is_said_once() -> None:
    said: list[str] = []
    lines = PlainLines(CONFIG, said.append)
    list(lines.inputs("a", [orjson.dumps({**scan(at, runing=True), "site": "x"}) for at in range(5)]))
    assert len(said) == 2


def test_whole_floats_are_whole_numbers_where_the_signal_is() -> None:
    inputs, said = read(scan(1, bottles=4711.0, speed=9))
    assert said == []
    assert [type(change[0]) for change in changes(inputs[2]).values()] == [int, float]


def decide(config: Config, *lines: Any) -> list[Any]:
    events: list[Any] = []
    replay = Replay(config, events.extend, lambda: None)
    inputs, said = read(*lines, config=config)
    assert said == []
    replay.plain(read_plain(config), iter(inputs))
    replay.finish()
    return events


def test_a_line_is_a_scan_of_the_whole_device() -> None:
    """Seen between the last line that did not show it and the first that did; and it is closed at the last time."""
    first = {"running": True, "infeed_ready": True, "estop": False, "fault": 0, "speed": 60, "bottles": 0, "rejects": 0}
    count = [scan(at, bottles=2 * at) for at in range(2, 60, 2)]
    told = decide(CONFIG, scan(0, **first), *count, scan(60, bottles=120, estop=True), scan(70, bottles=121))
    last = {e.data["interval"]: e.data for e in told if e.type == "machine.state"}.values()
    states = [(one["state"], one["duration_s"], one["uncertainty_s"]) for one in last]
    assert states == [("execute", 60.0, None), ("aborted", None, 2.0)]
    assert [e.data["total"] for e in told if e.type == "machine.production"] == [116, 5], "the last minute is closed"


def test_a_value_holds_as_long_as_no_line_says_otherwise() -> None:
    """Whoever writes lines only where something changes loses no trend to the time between them."""
    trends = {"filler_plc.level": {"every": "1h"}}
    config = Config.model_validate(line_document(trends=trends))
    late = {**scan(0, level=3.0), "time": "2026-11-22T07:30:00Z"}
    told = decide(config, scan(0, level=1.0), late)
    figures = [(e.data["mean"], e.data["bad_s"]) for e in told if e.type == "signal.trend"]
    assert figures == [(1.0, 0.0), (1.0, 0.0)]


SAID = {"what": "scrap", "machine": "filler", "amount": 3, "at": "2026-11-22T05:59:59Z", "who": "anna"}


def test_what_somebody_says_is_a_line_of_its_own() -> None:
    inputs, said = read({"time": "2026-11-22T06:00:00.250Z", "entry": SAID}, scan(1, running=True))
    assert said == []
    name = f"filler-scrap-{AT}"
    assert inputs[:2] == [
        Reload(AT, 0),
        Entry(entry=name, what="scrap", machine="filler", amount=3, moment=AT - 1250, who="anna", at=AT),
    ]


def test_a_job_has_what_it_is_to_make_and_when() -> None:
    said = {"what": "job", "machine": "line", "job": "A", "job_target": 500, "job_due": "2026-11-22T07:00:00+01:00"}
    (_, entry, *_), problems = read({"time": "2026-11-22T06:00:00.250Z", "entry": said}, scan(1, running=True))
    assert isinstance(entry, Entry)
    assert (entry.job_target, entry.job_due, problems) == (500, AT - 250, [])


def test_a_value_has_a_source_time() -> None:
    dated = {"value": True, "source_time": "2026-11-22T06:00:00.120Z"}
    inputs, problems = read(scan(1, running=dated), scan(2, running={**dated, "source_time": "noon"}))
    batches = [one for one in inputs if isinstance(one, Batch)]
    assert batches[0].changes[0][4] == AT - 130
    assert batches[1].changes[0][2] is Quality.BAD
    assert len(problems) == 1
    assert "is no time" in problems[0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"what": "scrab"}, "an entry needs `what`"),
        ({"machine": 7}, "and `machine`"),
        ({"ammount": 3}, "is nothing that an entry has"),
        ({"at": "noon"}, "is no time; write it"),
    ],
)
def test_an_entry_that_is_none_is_said_and_left_out(wrong: dict[str, Any], words: str) -> None:
    inputs, said = read({"time": "2026-11-22T06:00:00.250Z", "entry": {**SAID, **wrong}}, scan(1, running=True))
    assert len(said) == 1
    assert words in said[0]
    assert [type(one) for one in inputs] == [Reload, DeviceState, Batch]
