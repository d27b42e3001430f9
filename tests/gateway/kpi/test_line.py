"""The line's windows: told once all machines' are, again when one is, restored from a checkpoint."""

from __future__ import annotations

from typing import Any

from gateway.checkpoint import CheckpointError
from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality
from tests.conftest import line_document
from tests.gateway.stories import MONDAY

HOUR = 3_600_000
SIGNALS = {
    "run": {"address": "coil:0"},
    "count": {"address": "holding:0", "type": "uint32"},
    "scrap": {"address": "holding:2", "type": "uint32"},
}
RULES = [{"state": "execute", "when": "{}.run"}, {"state": "stopped"}]


def config(**line: Any) -> Config:
    """Two machines, one behind the other, of 1 s and 0.5 s; each behind a device of its own."""
    return Config.model_validate(document(**line))


def document(**line: Any) -> dict[str, Any]:
    return line_document(
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


def test_the_windows_that_run_are_shown_as_they_would_be_told() -> None:
    """Half an hour: 1,500 parts in, 1,440 good ones out, at the first machine's second each."""
    pipeline = Pipeline(config())
    decided(pipeline, [*story(30), Tick(MONDAY + HOUR // 2)])
    now = pipeline.line.snapshot(pipeline.at)
    assert now.keys() == {"hour", "day"}
    assert (now["hour"]["began"], now["hour"]["gq"], now["hour"]["sq"]) == ("2026-11-23T07:00:00.000Z", 1_440, 30)
    assert now["hour"]["rollup"]["machines"] == ["first"]
    pipeline.process(Reload(pipeline.at, 0, "stop"))
    (told, day) = of_line(pipeline.finish())
    assert {**told, **now["hour"]} == told
    assert {**day, **now["day"]} == day


def test_a_job_is_shown_once_it_has_come_to_the_end_of_the_line() -> None:
    made = document(jobs={"signal": "p.order"})
    made["devices"]["p"]["signals"] = {**SIGNALS, "order": {"address": "holding:4", "type": "uint16"}}
    pipeline = Pipeline(Config.model_validate(made))
    decided(pipeline, story(2))
    assert "job" not in pipeline.line.snapshot(pipeline.at)
    decided(pipeline, [Batch("p", 0, [(3, 7, Quality.GOOD, None, None)], MONDAY + 120_000), *story(10)[250:]])
    shown = pipeline.line.snapshot(pipeline.at)["job"]
    assert (shown["job"], shown["oee"] > 0) == ("7", True)


def test_a_line_is_not_told_again_where_nothing_of_it_has_changed() -> None:
    """The second machine, which is not the constraint, stands still over the end of the hour: it is told twice."""
    stop: list[Input] = [Batch("q", 0, good(run=False), MONDAY + HOUR - 500)]
    stop += [Batch("q", 0, good(run=True), MONDAY + HOUR + 300_000)]
    events = decided(Pipeline(config()), sorted([*story(70), *stop], key=lambda one: one.at))
    second = [event.data for event in events if (event.type, event.subject) == ("machine.kpi", "second")]
    hours = [one["rev"] for one in of_line(events) if one["began"] == "2026-11-23T07:00:00.000Z"]
    assert len([one for one in second if one["began"] == "2026-11-23T07:00:00.000Z"]) == 2
    assert hours == [0]


def test_a_job_ends_on_one_machine_after_the_other_and_is_one_window_of_the_line() -> None:
    """The second machine has what lay before it to use up, so that its job begins and ends later."""
    made = document(jobs={"signal": "p.order"})
    made["devices"]["p"]["signals"] = {**SIGNALS, "order": {"address": "holding:4", "type": "uint16"}}

    def order(number: int, second: int) -> Batch:
        return Batch("p", 0, [(3, number, Quality.GOOD, None, None)], MONDAY + second * 1_000 + 500)

    inputs = sorted([*story(30), order(7, 300), order(8, 900)], key=lambda one: one.at)
    events = decided(Pipeline(Config.model_validate(made)), [*inputs, Tick(MONDAY + HOUR // 2 + 5_000)])
    jobs = [event.data for event in events if event.data.get("window") == "job" and event.data["job"] == "7"]
    first, second, line = jobs
    assert first["ended"] < second["ended"]
    assert (line["kpi"].split("-")[0], line["gq"], line["began"]) == ("line", second["gq"], first["began"])
    assert line["categories"] == first["categories"]


def test_a_window_that_lasted_no_time_leaves_nothing_behind() -> None:
    """A job that comes and goes in one instant."""
    made = document(jobs={"signal": "p.order"})
    made["devices"]["p"]["signals"] = {**SIGNALS, "order": {"address": "holding:4", "type": "uint16"}}
    pipeline = Pipeline(Config.model_validate(made))
    at = MONDAY + 120_000
    orders: list[Input] = [Batch("p", 0, [(3, number, Quality.GOOD, None, None)], at) for number in (7, 0)]
    decided(pipeline, [*story(2), *orders, Tick(at + HOUR)])
    assert pipeline.line.checkpoint()["deltas"].keys() <= {f"first-hour-{MONDAY}"}


def test_a_job_that_never_comes_to_the_end_of_the_line_is_forgotten_when_it_freezes() -> None:
    """The first machine works on it for a minute, the second takes none of it."""
    made = document(jobs={"signal": "p.order"}, kpi={"freeze": "1h"})
    made["devices"]["p"]["signals"] = {**SIGNALS, "order": {"address": "holding:4", "type": "uint16"}}
    pipeline = Pipeline(Config.model_validate(made))

    def order(number: int, second: int) -> Batch:
        return Batch("p", 0, [(3, number, Quality.GOOD, None, None)], MONDAY + second * 1_000)

    def rows() -> list[str]:
        return [name for name in pipeline.all_rows() if "-job-" in name]

    told = decided(pipeline, [*story(1), order(7, 61), order(0, 121), Tick(MONDAY + HOUR)])
    assert len(rows()) == 2, "the first machine's, and what the line knows of it"
    told += decided(pipeline, [Tick(MONDAY + 3 * HOUR)])
    assert [(one.subject, one.data["job"]) for one in told if one.data.get("window") == "job"] == [("first", "7")] * 2
    assert rows() == []


def test_an_hour_in_which_nothing_was_made_of_a_product_has_an_oee_of_0() -> None:
    """Only the product has an ideal, and the line stands still all hour: 0, not null; the second stage is slower."""
    made = document(products={"signal": "p.recipe", "list": {"7": {"ideal": {"first": "1s", "second": "2s"}}}})
    made["devices"]["p"]["signals"] = {**SIGNALS, "recipe": {"address": "holding:4", "type": "uint16"}}
    for one in made["machines"].values():
        del one["ideal"]
    told: list[Input] = [Reload(MONDAY, 0)]
    for plc in ("p", "q"):
        told += [DeviceState(plc, True, MONDAY), Batch(plc, 0, good(run=False, count=0, scrap=0), MONDAY)]
    told += [Batch("p", 0, [(3, 7, Quality.GOOD, None, None)], MONDAY), Tick(MONDAY + HOUR + 5_000)]
    (hour,) = of_line(decided(Pipeline(Config.model_validate(made)), told))
    assert (hour["oee"], hour["availability"], hour["rollup"]["machines"]) == (0.0, 0.0, ["second"])


def test_what_is_not_certain_of_a_counter_leaves_no_change_of_wip() -> None:
    """In the second hour the first machine's counter is reset: what it made before is not known."""
    inputs = story(121)
    reset = next(n for n, one in enumerate(inputs) if isinstance(one, Batch) and one.at > MONDAY + 5_400_000)
    told = []
    for number, one in enumerate(inputs):
        if isinstance(one, Batch) and one.device == "p" and number >= reset:
            one = Batch("p", 0, good(count=int(str(one.changes[0][1])) - 4_500), one.at)
        told.append(one)
    hours = of_line(decided(Pipeline(config()), [*told, Tick(MONDAY + 2 * HOUR + 5_000)]))
    second = [one for one in hours if one["began"].startswith("2026-11-23T08")]
    assert [one["wip_delta"] for one in second] == [None]


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
