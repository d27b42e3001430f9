"""Golden cases of the engine: a line, a recording, and what must stand of it in the end, each derived in its why.md.

A line of expected.ndjson holds the decisive fields of one event. Of each type and subject that it names (and of a
machine's or the line's KPIs: of each kind of window) these events stand, in order of time, and no others.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load_config
from gateway.events import Event
from gateway.replay.plain import PlainLines, read_plain
from gateway.replay.replay import Replay

CASES = Path(__file__).parents[1] / "cases" / "engine"
NAMES = sorted(path.name for path in CASES.iterdir())
REVISED = {"machine.state": "interval", "machine.stop": "stop", "machine.kpi": "kpi", "line.kpi": "kpi"}


def standing(events: list[Event]) -> list[Event]:
    """The last revision of each interval, stop and window, and all other events; no stops that were taken back."""
    found: dict[Any, Event] = {}
    for number, event in enumerate(events):
        key = REVISED.get(event.type)
        found[number if key is None else (event.type, event.data[key])] = event
    stand = [event for event in found.values() if event.type != "machine.stop" or event.data["duration_s"] != 0]
    return sorted(stand, key=lambda one: (one.data.get("began") or "", one.data.get("ended") or "9"))


def group(kind: str, subject: str, data: dict[str, Any]) -> tuple[str, str, str]:
    """What is compared as one list."""
    return kind, subject, data["window"] if kind.endswith(".kpi") else ""


def agrees(expected: Any, told: Any) -> bool:
    """Whether an event is as its decisive fields say; numbers to six digits, more keys are no matter."""
    if isinstance(expected, dict):
        return isinstance(told, dict) and all(agrees(value, told.get(key)) for key, value in expected.items())
    if isinstance(expected, float) and isinstance(told, (int, float)):
        return bool(told == pytest.approx(expected, rel=1e-6, abs=1e-9))
    return bool(expected == told)


def decisive(expected: Any, told: Any) -> Any:
    """What an event says of the decisive fields, to be shown."""
    if isinstance(expected, dict) and isinstance(told, dict):
        return {key: decisive(value, told.get(key)) for key, value in expected.items()}
    return told


def replayed(case: Path) -> list[Event]:
    """As `linegate replay` decides: what runs is closed at the last time of the recording."""
    config = read_plain(load_config(case / "line.yaml").config)
    events: list[Event] = []
    replay = Replay(config, events.extend, lambda: None)
    problems: list[str] = []
    lines = (case / "recording.ndjson").read_bytes().splitlines()
    replay.plain(config, PlainLines(config, problems.append).inputs(case.name, lines))
    replay.finish()
    assert not problems
    return events


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_is_what_the_semantics_say(name: str) -> None:
    case = CASES / name
    events = replayed(case)
    hold_always(standing(events))
    expected = [json.loads(line) for line in (case / "expected.ndjson").read_text().splitlines()]
    told: dict[tuple[str, str, str], list[Event]] = {}
    for event in standing(events):
        told.setdefault(group(event.type, event.subject, event.data), []).append(event)
    wanted: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in expected:
        wanted.setdefault(group(one["type"], one["subject"], one["data"]), []).append(one["data"])
    for key, mine in wanted.items():
        said = [event.data for event in told.get(key, [])]
        shown = [decisive(mine[min(number, len(mine) - 1)], one) for number, one in enumerate(said)]
        assert len(said) == len(mine), (key, shown)
        for number, (one, other) in enumerate(zip(mine, said, strict=True)):
            if not agrees(one, other):
                pytest.fail(f"{key}, number {number}: said {decisive(one, other)}, which should be {one}")


def hold_always(events: list[Event]) -> None:
    """What no recording may show otherwise."""
    for subject in {event.subject for event in events if event.type == "machine.state"}:
        mine = [event.data for event in events if (event.type, event.subject) == ("machine.state", subject)]
        assert all(before["ended"] == after["began"] for before, after in pairwise(mine)), subject


def test_each_case_says_why() -> None:
    """Its title and the arithmetic behind its figures."""
    assert len(NAMES) > 10
    for name in NAMES:
        files = {path.name for path in (CASES / name).iterdir()}
        assert files >= {"line.yaml", "recording.ndjson", "expected.ndjson", "why.md"}, name
        assert (CASES / name / "why.md").read_text().startswith("# "), name
