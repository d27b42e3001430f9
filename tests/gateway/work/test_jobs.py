"""The line's job: begun and ended as signals say, counted where parts leave the line, with forecast and due date."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Value
from tests.conftest import line_document
from tests.gateway.stories import HOUR, MINUTE, MONDAY, SIGNALS, Step, inputs, machine, parts, run, said, tick

JOBS = {"signal": "plc.order", "target": "plc.target", "due": "plc.due"}
PRODUCTS: dict[str, Any] = {"signal": "plc.recipe", "list": {1: {"ideal": "1s"}, 2: {"ideal": "1s"}}}
ON = {"run": True, "recipe": 1, "order": "A", "target": 600}
START = "2026-11-23T07:00:00.000Z"


def told(events: list[Event]) -> list[tuple[str, str | None, str | None]]:
    """Begins and ends with job and product."""
    return [(e.type, e.data["job"], e.data["product"]) for e in events if e.type.startswith("job.")]


def line(**settings: Any) -> Config:
    return machine(**{"jobs": JOBS, "products": PRODUCTS, "parts": {"total": "plc.count"}, **settings})


def story(config: Config, *steps: Step) -> tuple[Pipeline, list[Event]]:
    """The pipeline afterwards, and its events."""
    pipeline = Pipeline(config)
    told_inputs = inputs(sorted(steps, key=lambda step: step[0]))
    return pipeline, [event for one in told_inputs for event in pipeline.process(one)[0]]


def snapshot(pipeline: Pipeline) -> dict[str, Any]:
    job = pipeline.jobs.snapshot(pipeline.at)
    assert job is not None
    return job


def test_a_job_begins_and_ends_with_what_it_made() -> None:
    events = run(
        line(parts={"total": "plc.count", "scrap": "plc.scrap"}),
        (0, ON),
        *parts(1_000, 101_000, 1_000, 1),
        (102_000, {"scrap": 4}),
        (110_000, {"order": "B", "target": 50, "count": 101}),
        *parts(111_000, 121_000, 1_000, 102),
        (130_000, {"order": ""}),
    )
    assert told(events) == [
        ("job.started", "A", "1"), ("job.ended", "A", "1"), ("job.started", "B", "1"), ("job.ended", "B", "1"),
    ]  # fmt: skip
    begun, ended, _, last = [e for e in events if e.type.startswith("job.")]
    assert (begun.subject, begun.data["began"], begun.data["ended"], begun.data["good"]) == ("line", START, None, 0)
    made = [ended.data[key] for key in ("target", "total", "good", "scrap", "began", "ended")]
    assert made == [600, 101, 97, 4, START, "2026-11-23T07:01:50.000Z"], "the new target is the next job's"
    assert [last.data[key] for key in ("target", "total", "good", "scrap")] == [50, 10, 10, 0]


def test_another_product_of_the_same_job_is_told_too() -> None:
    events = run(line(), (0, ON), (10_000, {"recipe": 2}))
    assert told(events) == [("job.started", "A", "1"), ("job.ended", "A", "1"), ("job.started", "A", "2")]


def test_products_alone_are_told_without_a_job() -> None:
    events = run(machine(products=PRODUCTS), (0, {"recipe": 1}), (10_000, {"recipe": 2}))
    assert told(events) == [("job.started", None, "1"), ("job.ended", None, "1"), ("job.started", None, "2")]
    assert {e.data["good"] for e in events if e.type.startswith("job.")} == {None}, "nothing counts"


def test_neither_products_nor_jobs_are_no_job() -> None:
    pipeline, events = story(machine(parts={"total": "plc.count"}), (0, {"run": True}), tick(MINUTE))
    assert told(events) == []
    assert pipeline.jobs.snapshot(pipeline.at) is None


def test_what_is_read_more_seldom_is_waited_for() -> None:
    """Order at once, recipe and target every 10 s: one job begins, with its own product and target."""
    slow = {name: {**SIGNALS[name], "scan_interval": "10s"} for name in ("recipe", "target")}
    config = machine({"signals": {**SIGNALS, **slow}}, jobs=JOBS, products=PRODUCTS, parts={"total": "plc.count"})
    pipeline = Pipeline(config)
    numbers = {list(config.devices["plc"].signal_settings).index(name) for name in slow}
    events: list[Event] = []
    for one in inputs([(10_000, ON), (20_500, {"order": "B"}), (30_000, {"recipe": 2, "target": 70})]):
        batches: list[Input] = [one]
        if isinstance(one, Batch):
            batches = [replace(one, changes=[c for c in one.changes if c[0] not in numbers])]
            if one.at % 10_000 == 0:
                batches.append(Batch("plc", 1, [c for c in one.changes if c[0] in numbers], one.at))
        for each in batches:
            events += pipeline.process(each)[0]
    assert told(events) == [("job.started", "A", "1"), ("job.ended", "A", "1"), ("job.started", "B", "2")]
    started = [e.data for e in events if e.type == "job.started"][-1]
    assert (started["target"], started["began"]) == (70, "2026-11-23T07:00:20.500Z")


@pytest.mark.parametrize(
    ("value", "due"),
    [
        ("2026-11-23T14:00:00Z", "2026-11-23T14:00:00.000Z"),
        ("2026-11-23T14:00:00+01:00", "2026-11-23T13:00:00.000Z"),
        ("2026-11-23 14:00", "2026-11-23T13:00:00.000Z"),
        ("1795417200", None),
        (1_795_417_200, START),
        (1_795_417_200_000, START),
        ("tomorrow", None),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        (0, None),
        (1e300, None),
        (None, None),
    ],
)
def test_a_due_date_is_a_text_or_a_number(value: Value, due: str | None) -> None:
    device = {"signals": {**SIGNALS, "due": {"address": "holding:18", "type": "float64"}}}
    config = machine(None if isinstance(value, str) else device, jobs=JOBS)
    events = run(config, (0, {"order": "A", "due": value}))
    (started,) = [e.data for e in events if e.type == "job.started"]
    assert started["due"] == due


def test_a_forecast_at_the_ideal_and_then_at_the_pace() -> None:
    """600 parts at 1 s each are done in ten minutes; at the pace of one part in 2 s in twenty."""
    config = line(no_output=0)
    due = {"due": "2026-11-23T07:15:00Z"}
    pipeline, events = story(config, (0, {**ON, **due}), *parts(2_000, 302_000, 2_000, 1))
    started = next(e.data for e in events if e.type == "job.started")
    assert (started["forecast_end"], started["on_time"]) == ("2026-11-23T07:10:00.000Z", True)
    now = snapshot(pipeline)
    assert (now["good"], now["forecast_end"], now["on_time"]) == (150, "2026-11-23T07:20:00.000Z", False)


def test_a_forecast_leaves_out_what_is_not_planned() -> None:
    """At 08:00 in Berlin 3 hours' work: the break of a quarter of an hour from 10:00 on is none."""
    shift = {"days": ["mon"], "from": "06:00", "to": "14:00", "breaks": [{"from": "10:00", "to": "10:15"}]}
    events = run(line(calendar={"shifts": {"day": shift}}), (0, {**ON, "target": 3 * 3600}))
    started = next(e.data for e in events if e.type == "job.started")
    assert started["forecast_end"] == "2026-11-23T10:15:00.000Z"


def test_nothing_is_forecast_of_what_is_not_known() -> None:
    for config in (line(jobs={"signal": "plc.order"}), machine(jobs=JOBS)):
        (started,) = [e.data for e in run(config, (0, ON)) if e.type == "job.started"]
        assert (started["forecast_end"], started["on_time"]) == (None, None)


@pytest.mark.parametrize(("made", "on_time"), [(600, True), (599, False)])
def test_on_time_is_what_is_due_by_then_and_all_of_it(made: int, on_time: bool) -> None:
    steps = [(0, {**ON, "due": "2026-11-23T08:00:00Z"}), *parts(1_000, 1_000 * (made + 1), 1_000, 1)]
    events = run(line(), *steps, (30 * MINUTE, {"order": "B"}))
    (ended,) = [e.data for e in events if e.type == "job.ended"]
    assert (ended["good"], ended["on_time"], ended["forecast_end"]) == (made, on_time, ended["ended"])
    late = run(line(), *steps, (HOUR + MINUTE, {"order": "B"}))
    assert [e.data["on_time"] for e in late if e.type == "job.ended"] == [False]


def test_a_job_goes_on_over_a_restart() -> None:
    """From the rows of its checkpoint, with what was made meanwhile."""
    config = line()
    first, _ = story(config, (0, ON), *parts(1_000, 61_000, 1_000, 1))
    second = Pipeline(config)
    second.restore(first.all_rows())
    events = second.process(Reload(first.at + 5_000, 0))[0]
    rest = inputs([(66_000, {**ON, "hold": False, "stop": False, "starved": False, "count": 64})])[-1:]
    rest += inputs([(70_000, {"order": "B"})])[-1:]
    for one in rest:
        events += second.process(one)[0]
    assert told(events) == [("job.ended", "A", "1"), ("job.started", "B", "1")]
    assert next(e.data for e in events if e.type == "job.ended")["good"] == 64


def test_the_rows_of_a_job_go_with_its_events() -> None:
    pipeline, _ = story(line(), (0, ON))
    assert "job" in pipeline.checkpoint({"line"})
    assert "job" not in pipeline.checkpoint(None), "it is as it was stored"


RESET: list[Step] = [
    (0, {"order": "A", "target": 100, "due": "2026-11-23T08:00:00Z", "run": True, "recipe": 1}),
    (50_000, {}),
    (60_000, {"count": 50}),
    (70_000, {"count": 4}),
    (80_000, {"count": 8}),
]


def test_a_job_over_a_reset_says_what_its_total_lies_between() -> None:
    """50 parts, 4 at least after the reset, 4: 58; at 3 a second since 50 s it were 61 instead of the 4, 57 more."""
    _, events = story(line(), *RESET, (120_000, {"order": "B"}), (180_000, {"order": ""}))
    first, second = [e.data for e in events if e.type == "job.ended"]
    assert (first["total"], first["ambiguous"]) == (58, {"low": 58, "high": 115})
    assert first["on_time"] is None, "100 were to be made: nobody knows"
    assert (second["total"], second["ambiguous"]) == (0, None), "what was not certain was before it"


def test_a_job_that_ends_while_its_outlet_is_lost_has_any_number() -> None:
    """The order is another PLC's."""
    document = line_document(
        devices={
            name: {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": 1000 + n, "signals": SIGNALS}
            for n, name in enumerate(("plc", "plan"))
        },
        machines={"m": {"states": [{"state": "idle"}], "ideal": "1s", "parts": {"total": "plc.count"}}},
        jobs={"signal": "plan.order", "target": "plan.target"},
    )
    config, at = Config.model_validate(document), MONDAY
    rows: list[Input] = [Reload(at, 0), *(DeviceState(name, True, at) for name in ("plc", "plan"))]
    rows += [Batch("plc", 0, said(count=5), at), Batch("plan", 0, said(order="A", target=500), at)]
    pipeline, events = Pipeline(config), list[Event]()
    for number in range(1, 121):
        rows.append(Batch("plc", 0, said(count=5 + number), at + 1000 * number))
    for one in rows:
        events += pipeline.process(one)[0]
    assert snapshot(pipeline)["forecast_end"] == "2026-11-23T07:08:20.000Z"
    lost = DeviceState("plc", False, at + 121_000, "127.0.0.1:1000", "no answer", "")
    for one in (lost, Tick(at + 150_000)):
        events += pipeline.process(one)[0]
    now = snapshot(pipeline)
    assert (now["total"], now["ambiguous"], now["forecast_end"]) == (120, {"low": 120, "high": None}, None)
    events += pipeline.process(Batch("plan", 0, said(order="B"), at + 160_000))[0]
    (ended,) = [e.data for e in events if e.type == "job.ended"]
    assert (ended["job"], ended["total"], ended["ambiguous"]) == ("A", 120, {"low": 120, "high": None})
