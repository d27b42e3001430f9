"""The line's windows: told once all machines' are, again when one is, restored from a checkpoint."""

from __future__ import annotations

from typing import Any

from gateway.checkpoint import CheckpointError
from gateway.config.model import Config
from gateway.events import TYPE_VERSION, Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality
from tests.conftest import line_document
from tests.gateway.stories import MONDAY, VALIDATORS

HOUR = 3_600_000
SIGNALS = {
    "run": {"address": "coil:0"},
    "count": {"address": "holding:0", "type": "uint32"},
    "scrap": {"address": "holding:2", "type": "uint32"},
}
RULES = [{"state": "execute", "when": "{}.run"}, {"state": "stopped"}]


def config(**line: Any) -> Config:
    """Two machines, one behind the other, of 1 s and 0.5 s; each behind a device of its own."""
    document = line_document(
        devices={
            name: {"protocol": "modbus_tcp", "host": f"127.0.0.{n}", "scan_interval": "1s", "signals": SIGNALS}
            for n, name in enumerate(("p", "q"), 1)
        },
        machines={
            machine: {
                "states": [{"state": "execute", "when": f"{plc}.run"}, {"state": "stopped"}],
                "parts": {"total": f"{plc}.count", "scrap": f"{plc}.scrap"},
                "ideal": ideal,
            }
            for machine, plc, ideal in (("first", "p", "1s"), ("second", "q", "500ms"))
        },
        **line,
    )
    return Config.model_validate(document)


def good(**values: Any) -> list[Change]:
    return [(list(SIGNALS).index(name), value, Quality.GOOD, None, None) for name, value in values.items()]


def story(minutes: int = 60) -> list[Input]:
    """Both run from the start on; each minute 50 parts more on the first, 49 on the second, of which one is scrap."""
    told: list[Input] = [Reload(MONDAY, 0)]
    for plc in ("p", "q"):
        told += [DeviceState(plc, True, MONDAY), Batch(plc, 0, good(run=True, count=0, scrap=0), MONDAY)]
    for minute in range(1, minutes + 1):
        at = MONDAY + minute * 60_000 - 1_000
        for second in range(-58, 1, 2):
            told.append(Batch("p", 0, good(count=50 * (minute - 1) + (second + 58) * 50 // 58), at + second * 1_000))
            more = 49 * (minute - 1) + (second + 58) * 49 // 58
            told.append(
                Batch("q", 0, good(count=more, scrap=minute if second == 0 else minute - 1), at + second * 1_000)
            )
    return sorted(told, key=lambda one: one.at)


def of_line(events: list[Event]) -> list[dict[str, Any]]:
    found = [event for event in events if event.type == "line.kpi"]
    for event in found:
        VALIDATORS[f"urn:linegate:line.kpi{TYPE_VERSION}"].validate(event.data)
        assert event.subject == "line"
    return [event.data for event in found]


def decided(pipeline: Pipeline, inputs: list[Input]) -> list[Event]:
    return [event for one in inputs for event in pipeline.process(one)[0]]


def test_an_hour_of_the_line() -> None:
    """3,000 parts in, 2,940 out of the second of which 60 are scrap: 2,880 good at the first's second each."""
    events = decided(Pipeline(config()), [*story(), Tick(MONDAY + HOUR + 5_000)])
    (hour,) = of_line(events)
    assert (hour["window"], hour["rev"], hour["final"]) == ("hour", 0, False)
    assert hour["began"] == "2026-11-23T07:00:00.000Z"
    assert hour["ended"] == "2026-11-23T08:00:00.000Z"
    assert (hour["gq"], hour["sq"], hour["pq"]) == (2_880, 60, 2_940)
    assert hour["oee"] == 0.8
    assert hour["wip_delta"] is None, "it began before the counters were read"
    assert hour["rollup"] == {"rule": "constraint", "machines": ["first"], "out": ["second"], "cycle_s": 1.0}
    assert sum(hour["categories"].values()) == 3600.0
    machine = [event.data for event in events if event.type == "machine.kpi"]
    assert [one["gq"] for one in machine] == [3_000, 2_880]
    assert [one["policy"] for one in machine] != [hour["policy"]] * 2


def test_what_freezes_is_told_for_the_last_time() -> None:
    """The second after the last part turned out to be without output: the hour was told twice before."""
    early = of_line(decided(Pipeline(config(kpi={"freeze": "1h"})), [*story(), Tick(MONDAY + 2 * HOUR - 1)]))
    assert [(one["rev"], one["final"]) for one in early] == [(0, False), (1, False)]
    frozen = of_line(decided(Pipeline(config(kpi={"freeze": "1h"})), [*story(), Tick(MONDAY + 2 * HOUR)]))
    assert [one["final"] for one in frozen] == [False] * (len(frozen) - 1) + [True]
    assert frozen[1]["categories"] == {"production": 3599.0, "unplanned_stop": 1.0}


def test_the_change_of_wip_over_an_hour() -> None:
    inputs = [*story(), Tick(MONDAY + HOUR + 5_000), *[one for one in story(121) if one.at > MONDAY + HOUR + 5_000]]
    hours = of_line(decided(Pipeline(config()), [*inputs, Tick(MONDAY + 2 * HOUR + 5_000)]))
    assert [(one["rev"], one["wip_delta"]) for one in hours if one["began"].startswith("2026-11-23T08")] == [(0, 60)]


def test_a_restored_engine_tells_the_same() -> None:
    inputs = [*story(), Tick(MONDAY + HOUR + 5_000), Tick(MONDAY + 80 * HOUR)]
    whole = of_line(decided(Pipeline(config()), inputs))
    for cut in (3, len(inputs) // 2, len(inputs) - 2, len(inputs) - 1):
        old, new = Pipeline(config()), Pipeline(config())
        before = decided(old, inputs[:cut])
        try:
            new.restore(old.checkpoint())
        except CheckpointError as error:  # pragma: no cover - says why
            raise AssertionError(error.why) from error
        assert of_line(before + decided(new, inputs[cut:])) == whole
