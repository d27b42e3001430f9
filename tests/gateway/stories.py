"""Stories of one machine: what its PLC says and when, and how its time is accounted to in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality, Value
from tests.conftest import line_document

MONDAY = 1_795_417_200_000
"""2026-11-23T07:00:00Z, 08:00 on a Monday in Berlin."""
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SIGNALS: dict[str, Any] = {
    "run": {"address": "coil:0"},
    "hold": {"address": "coil:1"},
    "starved": {"address": "coil:2"},
    "stop": {"address": "coil:3"},
    "mode": {"address": "holding:0", "type": "uint16"},
    "fault": {"address": "holding:1", "type": "uint16"},
    "word": {"address": "holding:2", "type": "uint16"},
    "tick": {"address": "holding:3", "type": "uint16"},
    "count": {"address": "holding:4", "type": "uint32"},
    "recipe": {"address": "holding:6", "type": "uint16"},
    "order": {"address": "holding:8", "type": "string", "length": 16},
    "target": {"address": "holding:16", "type": "uint32"},
    "due": {"address": "holding:18", "type": "string", "length": 32},
    "speed": {"address": "holding:34", "type": "float32"},
    "scrap": {"address": "holding:36", "type": "uint32"},
}
NAMES = list(SIGNALS)
QUIET: dict[str, Value] = {
    "run": False, "hold": False, "starved": False, "stop": False, "mode": 1, "fault": 0, "word": 0, "tick": 0,
    "count": 0, "recipe": 0, "order": "", "target": 0, "due": "", "speed": 0.0, "scrap": 0,
}  # fmt: skip
RULES: list[dict[str, Any]] = [
    {"state": "held", "when": "plc.hold", "reason": {"signal": "plc.fault"}},
    {"state": "stopped", "when": "plc.stop", "reason": "operator stop"},
    {"state": "suspended", "when": "plc.starved", "cause": "starved"},
    {"state": "execute", "when": "plc.run"},
    {"state": "idle"},
]
WEEK = ["mon", "tue", "wed", "thu", "fri"]
DAY_SHIFT = {"days": WEEK, "from": "06:00", "to": "14:00", "breaks": [{"from": "10:00", "to": "10:15"}]}


def machine(device: dict[str, Any] | None = None, **settings: Any) -> Config:
    """A line of one machine `m` behind one device `plc`; what is the line's own is so here too."""
    line = {
        key: settings.pop(key) for key in ("line", "calendar", "reasons", "products", "jobs", "kpi") if key in settings
    }
    plc = {"protocol": "modbus_tcp", "host": "127.0.0.1", "scan_interval": "1s", "signals": SIGNALS, **(device or {})}
    return Config.model_validate(
        line_document(
            devices={"plc": plc},
            machines={"m": settings if "packml_state" in settings else {"states": RULES, **settings}},
            **line,
        )
    )


def said(**values: Value) -> list[Change]:
    """Good values, and bad ones where there is None."""
    return [
        (NAMES.index(name), value, *((Quality.BAD, "exception 2") if value is None else (Quality.GOOD, None)), None)
        for name, value in values.items()
    ]


Step = tuple[int, Any]
"""Milliseconds after the start, and changed values or an input."""


def inputs(steps: Iterable[Step], start: int = MONDAY) -> list[Input]:
    """The PLC is read at `start`; then its changes, or any inputs, at milliseconds after it."""
    told: list[Input] = [Reload(start, 0), DeviceState("plc", True, start), Batch("plc", 0, said(**QUIET), start)]
    for at, step in steps:
        told.append(
            Batch("plc", 0, said(**step), start + at) if isinstance(step, dict) else replace(step, at=start + at)
        )
    return told


def parts(since: int, until: int, every: int, first: int) -> list[Step]:
    """A part each so often; the counter's value with the first one."""
    return [(at, {"count": first + number}) for number, at in enumerate(range(since, until, every))]


def run(config: Config, *steps: Step, start: int = MONDAY) -> list[Event]:
    """All events."""
    pipeline = Pipeline(config)
    return [event for one in inputs(sorted(steps, key=lambda s: s[0]), start) for event in pipeline.process(one)[0]]


def latest(events: list[Event], kind: str, key: str) -> list[dict[str, Any]]:
    """What stands of each interval or stop, in order of time: its highest revision, which must be the last."""
    known: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.type == kind:
            before = known.get(event.data[key])
            assert event.data["rev"] == (0 if before is None else before["rev"] + 1)
            assert before is None or not before["final"], "final is final"
            known[event.data[key]] = event.data
    return sorted(known.values(), key=lambda one: (one["began"], one["ended"] or "9"))


def intervals(events: list[Event]) -> list[dict[str, Any]]:
    """The intervals that stand, which tile time."""
    told = latest(events, "machine.state", "interval")
    for before, after in pairwise(told):
        assert before["ended"] == after["began"]
        assert after["previous"] == {"state": before["state"], "interval": before["interval"]}
    return told


def times(events: list[Event]) -> list[tuple[str, float | None]]:
    """Category and seconds of each interval, one after the other."""
    return [(one["category"], one["duration_s"]) for one in intervals(events)]


def tick(at: int) -> Step:
    """Time passes."""
    return (at, Tick(0))
