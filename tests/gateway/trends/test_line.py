"""Trends in the engine: events of the right shape, through lost PLCs, restarts and pauses."""

from __future__ import annotations

from typing import Any

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Quality, Value
from tests.conftest import FILLER_SIGNALS, line_document

T0 = 1_795_327_200_000  # 2026-11-22T06:00:00Z
NAMES = list(FILLER_SIGNALS)


def line(**trends: Any) -> Config:
    return Config.model_validate(line_document(trends={f"filler_plc.{name}": trend for name, trend in trends.items()}))


def scan(at: int, **values: Value) -> Batch:
    changes = [
        (NAMES.index(name), value, Quality.BAD if value is None else Quality.GOOD, None, at - 5)
        for name, value in values.items()
    ]
    return Batch("filler_plc", 0, changes, at)  # type: ignore[arg-type]


def trends(pipeline: Pipeline, *inputs: Input) -> list[dict[str, Any]]:
    events: list[Event] = [event for one in inputs for event in pipeline.process(one)[0]]
    found = [event for event in events if event.type == "signal.trend"]
    for event in found:
        assert event.subject == event.data["signal"]
    return [event.data for event in found]


def test_which_changes_the_table_must_hand_out() -> None:
    ways = {"level": {"on_change": True}, "recipe": {"on_change": True}, "speed": {"on_change": True}}
    pipeline = Pipeline(line(**ways, rejects={"every": "1min"}))
    assert pipeline.thinned == {"filler_plc.level", "filler_plc.recipe"}
    assert {"filler_plc.speed", "filler_plc.rejects"} <= pipeline.signals, "a rule and a counter use them"


def test_a_change_is_told_with_its_quality_and_source_time() -> None:
    pipeline = Pipeline(line(level={"on_change": True}))
    found = trends(
        pipeline, Reload(T0, 0), scan(T0 + 250, level=3.5), scan(T0 + 500, level=3.6), scan(T0 + 750, level=9.0)
    )
    assert found == [
        {
            "signal": "filler_plc.level",
            "unit": "mm",
            "value": value,
            "quality": "good",
            "source_time": f"2026-11-22T06:00:00.{ms}Z",
        }
        for value, ms in ((3.5, 245), (9.0, 745))
    ]


def test_a_lost_plc_is_bad_at_once_and_not_repeated() -> None:
    pipeline = Pipeline(line(level={"on_change": True, "at_least_every": "10s"}))
    lost = DeviceState("filler_plc", False, T0 + 2_000, "h:502", "no answer")
    found = trends(pipeline, Reload(T0, 0), scan(T0, level=3.5), lost, Tick(T0 + 100_000))
    assert [(one["value"], one["quality"]) for one in found] == [(3.5, "good"), (None, "bad")]


def test_windows_begin_at_whole_minutes_and_know_what_was_not_seen() -> None:
    pipeline = Pipeline(line(level={"every": "1min", "aggregates": ["mean", "max"]}))
    at = T0 + 30_000
    scans = [scan(at + 250 * n, level=10.0) if n == 0 else scan(at + 250 * n) for n in range(120)]
    lost = DeviceState("filler_plc", False, T0 + 60_000, "h:502", "no answer")
    found = trends(pipeline, Reload(at, 0), *scans, lost, Tick(T0 + 500_000))
    assert found == [
        {
            "signal": "filler_plc.level",
            "unit": "mm",
            "began": "2026-11-22T06:00:00.000Z",
            "ended": "2026-11-22T06:01:00.000Z",
            "n": 120,
            "mean": 10.0,
            "max": 10.0,
            "bad_s": 30.0,
        }
    ]


def test_an_unchanged_value_is_known_again_after_a_pause_in_scanning() -> None:
    pipeline = Pipeline(line(level={"every": "20s"}))
    scans = [scan(T0, level=7.0), scan(T0 + 100_000), scan(T0 + 100_250)]
    found = trends(pipeline, Reload(T0, 0), *scans, Tick(T0 + 140_000))
    assert [(one["began"][14:19], one["mean"], one["bad_s"]) for one in found] == [
        ("00:00", 7.0, 0.0),
        ("00:20", 7.0, 0.0),
        ("00:40", 7.0, 0.0),
        ("01:40", 7.0, 0.0),
        ("02:00", 7.0, 0.0),
    ]


def test_a_subscription_that_seldom_says_that_nothing_changed_is_known_all_the_time() -> None:
    """Sampled every 250 ms, and told once in 20 s: far more rarely than its interval says, and no gap."""
    ways = {"level": {"every": "1min"}, "recipe": {"on_change": True, "at_least_every": "10s"}}
    pipeline = Pipeline(line(**ways))
    rare = [scan(T0 + 20_000 * number) for number in range(1, 7)]
    found = trends(pipeline, Reload(T0, 0), scan(T0, level=7.0, recipe="cola"), *rare)
    windows = [one for one in found if "began" in one]
    assert [(one["mean"], one["bad_s"]) for one in windows] == [(7.0, 0.0)] * 2
    assert {one["value"] for one in found if "value" in one} == {"cola"}


def test_a_crash_before_the_first_whole_checkpoint_loses_no_time_before_the_last_value() -> None:
    """The rows of an event's signal are stored with it, the engine's own time only every few seconds."""
    config = line(level={"on_change": True})
    pipeline = Pipeline(config)
    trends(pipeline, Reload(T0, 0), scan(T0, level=3.5))
    restarted = Pipeline(config)
    restarted.restore(pipeline.checkpoint({"filler_plc.level"}))
    events, _ = restarted.process(Reload(T0 + 60_000, 0))
    assert [(event.data["value"], event.time) for event in events if event.type == "signal.trend"] == [(None, T0)]


def test_a_restart_is_a_gap_and_no_value_is_told_of_it() -> None:
    config = line(level={"on_change": True, "at_least_every": "1min"}, rejects={"every": "1min"})
    pipeline = Pipeline(config)
    trends(pipeline, Reload(T0, 0), scan(T0, level=3.5, rejects=4), scan(T0 + 250))
    restarted = Pipeline(config)
    restarted.restore(pipeline.checkpoint())
    day = 86_400_000
    again = scan(T0 + day + 100, level=3.5, rejects=5)
    found = trends(restarted, Reload(T0 + day, 0), again, Tick(T0 + day + 60_000))
    told = [(one["signal"], one.get("value"), one.get("last"), one.get("bad_s")) for one in found]
    assert told == [
        ("filler_plc.level", None, None, None),
        ("filler_plc.rejects", None, 4, 59.75),
        ("filler_plc.level", 3.5, None, None),
        ("filler_plc.rejects", None, 5, 0.1),
    ]
