"""The shipped example of a line that splits and joins (config/packing), a day long, beside what its machines did.

A filler of ten bottles a second, two labelers of five, a palletizer that counts cases of twelve. Each PLC is read
twice a second, and never where a window ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality, Value
from tests.gateway.stories import HOUR, MINUTE, SECOND

EXAMPLE = Path(__file__).parents[2] / "config" / "packing" / "line-7.yaml"
SIX = 1_798_088_400_000
"""2026-12-24T05:00:00Z, 06:00 in Berlin: Thursday, of which the example has the day shift alone."""
BEGIN, END = -120, 9000
"""Seconds around it in which the machines are simulated."""
JAM, STARVED, SLOW = (1200, 1500), (2400, 2430), (3000, 3045)
CHANGE, RUNS = 4200, 4200 + 45 * 60
"""The changeover, from the last bottle of one product to the first of the next."""


@dataclass
class Plant:
    """What it has made so far, and what lies between its machines."""

    bottles: int = 990_000
    underfill: int = 0
    labels: dict[str, int] = field(default_factory=lambda: {"a": 100, "b": 200})
    cases: int = 50
    before_labelers: int = 0
    before_palletizer: int = 0

    def go_on(self, runs: bool, labelers: str, speed: int, half: int) -> None:
        """Half a second: what the filler made half a second ago is labelled, what was labelled is packed."""
        self.cases += self.before_palletizer // 12
        self.before_palletizer %= 12
        for name in labelers:
            taken = min(self.before_labelers, 2 + (half == "ab".index(name)))
            self.labels[name] += taken
            self.before_labelers -= taken
            self.before_palletizer += taken
        if runs:
            scrap = self.bottles % 200 == 0
            self.bottles, self.underfill = self.bottles + speed, self.underfill + scrap
            self.before_labelers += speed - scrap


def within(second: int, span: tuple[int, int]) -> bool:
    return span[0] <= second < span[1]


def signals(second: int, half: int, plant: Plant) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
    """What the filler's PLC says fast and slowly, and what the packing PLC says; the plant makes what they say."""
    old = second < CHANGE
    runs = 0 <= second < END - 600 and not within(second, JAM) and not within(second, STARVED)
    runs = runs and not within(second, (CHANGE, RUNS))
    labelers = "b" if within(second, SLOW) else "ab"
    plant.go_on(runs, labelers, 5 if old else 3, half)
    fault = 17 if within(second, JAM) else 0
    fast: dict[str, Value] = {
        "tick": second % 1000, "running": runs, "infeed": not within(second, STARVED),
        "mode": 4 if within(second, (CHANGE + 60, RUNS)) else 1, "fault": fault,
        "bottles": plant.bottles % 1_000_000, "underfill": plant.underfill,
        "order": "" if second < -60 else "A-1" if old else "B-2",
    }  # fmt: skip
    slow: dict[str, Value] = {"recipe": 4711 if old else 4712, "target": 30_000 if old else 40_000}
    moving = plant.before_labelers > 0
    packing: dict[str, Value] = {
        "a_run": "a" in labelers and moving, "a_count": plant.labels["a"], "b_run": moving,
        "b_count": plant.labels["b"], "pal_run": plant.before_palletizer > 0, "cases": plant.cases,
    }  # fmt: skip
    return fast, slow, packing


class Day:
    """The inputs of the day, and the plant at each full hour."""

    def __init__(self, config: Config) -> None:
        self._numbers = {
            name: {key: number for number, key in enumerate(device.signal_settings)}
            for name, device in config.devices.items()
        }
        self._endpoints = {name: device.endpoint for name, device in config.devices.items()}
        self.plant = Plant()
        self.at_hour: list[tuple[int, int, dict[str, int], int]] = []
        """Bottles, underfilled ones, labels and cases."""

    def inputs(self) -> Iterator[Input]:
        """Until Monday: from 08:30 on nothing changes but the heartbeat, at 18:00 the PLCs are switched off."""
        yield Reload(SIX + BEGIN * SECOND, 0)
        for name, endpoint in self._endpoints.items():
            yield DeviceState(name, True, SIX + BEGIN * SECOND, endpoint)
        known: dict[tuple[str, str], Value] = {}
        for second in range(BEGIN, END):
            if second % 3600 == 0:
                plant = self.plant
                self.at_hour.append((plant.bottles, plant.underfill, dict(plant.labels), plant.cases))
            for half in (0, 1):
                at = SIX + second * SECOND + 250 + 500 * half
                fast, slow, packing = signals(second, half, self.plant)
                yield self._batch("filler_plc", 0, fast, known, at)
                if second % 2 == half == 0:
                    yield self._batch("filler_plc", 1, slow, known, at)
                yield self._batch("packing_plc", 0, packing, known, at)
        for second in range(END, 12 * 3600, 2):
            yield self._batch("filler_plc", 0, {"tick": second % 1000}, known, SIX + second * SECOND)
        for name, endpoint in self._endpoints.items():
            yield DeviceState(name, False, SIX + 12 * HOUR, endpoint, "no answer", "switch it on")
        yield Tick(SIX + 96 * HOUR + 5 * SECOND)

    def _batch(
        self, device: str, scan: int, values: dict[str, Value], known: dict[tuple[str, str], Value], at: int
    ) -> Batch:
        changes: list[Change] = []
        for name, value in values.items():
            if known.get((device, name)) != value:
                known[device, name] = value
                changes.append((self._numbers[device][name], value, Quality.GOOD, None, None))
        return Batch(device, scan, changes, at)


@dataclass
class Told:
    """What the engine made of it."""

    events: list[Event]
    day: Day

    def standing(self, kind: str, key: str, **fields: Any) -> list[dict[str, Any]]:
        """The last revision of each, in order of time."""
        found = {event.data[key]: event for event in self.events if event.type == kind}
        named = [one for one in found.values() if one.subject == fields.get("subject", one.subject)]
        fields.pop("subject", None)
        return sorted(
            (one.data for one in named if fields.items() <= one.data.items()), key=lambda data: str(data["began"])
        )


@pytest.fixture(scope="module")
def told() -> Told:
    config = load_config(EXAMPLE).config
    pipeline, day = Pipeline(config), Day(config)
    events = [event for one in day.inputs() for event in pipeline.process(one)[0]]
    return Told(events, day)


def test_parts_of_each_hour_are_those_that_were_made(told: Told) -> None:
    for hour in (0, 1):
        before, after = told.day.at_hour[hour : hour + 2]
        made = {
            name: told.standing("machine.kpi", "kpi", subject=name, window="hour")[hour + 1]
            for name in ("filler", "labeler_a", "labeler_b", "palletizer")
        }
        assert (made["filler"]["pq"], made["filler"]["sq"]) == (after[0] - before[0], after[1] - before[1])
        for name in "ab":
            assert made[f"labeler_{name}"]["gq"] == after[2][name] - before[2][name]
        assert made["palletizer"]["gq"] == after[3] - before[3], "cases, not bottles"


def test_the_line_is_what_left_it_at_the_slowest_cycle(told: Told) -> None:
    """The hour from 06:00: all stages are equally fast, and the file names the filler as the constraint."""
    before, after = told.day.at_hour[:2]
    line = told.standing("line.kpi", "kpi", window="hour")[1]
    filler = told.standing("machine.kpi", "kpi", subject="filler", window="hour")[1]
    good = 12 * (after[3] - before[3])
    scrap = after[1] - before[1]
    assert line["rollup"] == {"rule": "constraint", "machines": ["filler"], "out": ["palletizer"], "cycle_s": 0.1}
    assert (line["gq"], line["oee"]) == (good, round(good * 0.1 / 3600, 6))
    assert line["quality"] is None, "nothing says what the labelers scrap"
    assert (line["availability"], line["categories"]) == (filler["availability"], filler["categories"])
    assert line["wip_delta"] == after[0] - before[0] - scrap - good
    assert filler["categories"] == {"production": 3269.75, "unplanned_stop": 300.25, "starved": 30.0}


def test_stops_have_the_reasons_of_the_file(told: Told) -> None:
    """The cap jam is the filler's own and a failure; where the infeed was empty for 30 s, another was to blame."""
    stops = told.standing("machine.stop", "stop", subject="filler")
    jam = next(one for one in stops if one["reason"] is not None and one["reason"]["code"] == "17")
    assert (jam["kind"], jam["duration_s"], jam["minor"], jam["failure"]) == ("own", 300.0, False, True)
    assert jam["reason"] == {"code": "17", "text": "cap jam", "group": "mechanical", "source": "signal"}
    starved = next(one for one in stops if one["category"] == "starved")
    assert (starved["kind"], starved["duration_s"], starved["minor"]) == ("external", 30.0, False)
    labeler = told.standing("machine.stop", "stop", subject="labeler_a")
    assert 45.0 in [one["duration_s"] for one in labeler if one["minor"]]


def test_changing_over_took_longer_than_its_standard(told: Told) -> None:
    """45 minutes from the last bottle of 4711 to the first of 4712 (half a second between readings), standard 40."""
    (shift,) = told.standing("machine.kpi", "kpi", subject="filler", window="shift", shift="day")
    setup = shift["categories"]["setup"]
    assert setup == 45 * 60 + 0.5
    assert shift["changeover_excess_s"] == setup - 40 * 60


def test_jobs_of_the_line(told: Told) -> None:
    jobs = [event.data for event in told.events if event.type == "job.started"]
    assert [(one["job"], one["product"], one["target"]) for one in jobs] == [
        ("A-1", "4711", 30_000), ("B-2", "4712", 40_000),
    ]  # fmt: skip
    (ended,) = (event.data for event in told.events if event.type == "job.ended")
    assert (ended["job"], ended["good"] % 12) == ("A-1", 0)


def test_the_calendar_of_the_days_before_christmas(told: Told) -> None:
    """The night of the 23rd ends at 06:00, the 24th has the day shift alone, the 25th is closed, then a weekend."""
    shifts = told.standing("line.kpi", "kpi", window="shift")
    assert [(one["shift"], one["production_date"], one["began"][:16], one["ended"][:16]) for one in shifts] == [
        ("night", "2026-12-23", "2026-12-24T04:58", "2026-12-24T05:00"),
        ("day", "2026-12-24", "2026-12-24T05:00", "2026-12-24T17:00"),
    ]
    assert shifts[1]["pbt_s"] == 11.5 * 3600, "12 hours, and a break of half an hour"
    days = told.standing("line.kpi", "kpi", window="day")
    assert [one["production_date"] for one in days] == [f"2026-12-{n}" for n in (23, 24, 25, 26, 27)]
    assert [one["pbt_s"] for one in days[2:]] == [0.0, 0.0, 0.0]
    assert all(sum(one["categories"].values()) == 86_400.0 for one in days[1:])


def test_the_change_of_wip_of_a_shift_that_none_follows(told: Told) -> None:
    """It is that of its end, and does not wait for the next one."""
    began, made = told.day.at_hour[0], told.day.plant
    good = 12 * (made.cases - began[3])
    (day,) = told.standing("line.kpi", "kpi", window="shift", shift="day")
    assert day["wip_delta"] == made.bottles - began[0] - (made.underfill - began[1]) - good
    first = next(event for event in told.events if event.type == "line.kpi" and event.data["kpi"] == day["kpi"])
    assert first.data["wip_delta"] == day["wip_delta"]
    assert first.time <= SIX + 12 * HOUR + MINUTE
