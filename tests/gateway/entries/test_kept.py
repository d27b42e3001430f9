"""What is kept of stops and entries, for how long, and what it takes; crews, jobs along the flow, older recordings."""

from __future__ import annotations

from typing import Any

from gateway.config.model import Config
from gateway.inputs import DeviceState, Entry, Reload, Tick
from gateway.pipeline import Pipeline
from gateway.recording.messages import Decoder
from protocols.model import Batch, Change, Quality
from tests.gateway.entries.test_entries import BACK, REASONS, STOP, STOPPED, Line, entry
from tests.gateway.stories import DAY_SHIFT, HOUR, MINUTE, MONDAY, SECOND, Step, inputs, machine
from tests.gateway.work.bottles import SIGNALS as OF_BOTTLES
from tests.gateway.work.bottles import line as bottles

DAY = 24 * HOUR
SHIFTS = {"shifts": {"day": DAY_SHIFT, "late": {**DAY_SHIFT, "from": "14:00", "to": "22:00", "breaks": []}}}
COUNTED: dict[str, Any] = {"ideal": "1s", "parts": {"total": "plc.count"}, "no_output": 0, "reasons": REASONS}


def kept(line: Line) -> list[str]:
    """Names of the rows that entries and stops have."""
    return sorted(name for name in line.pipeline.all_rows() if name.startswith(("entry/", "stop/")))


def test_a_stop_is_kept_until_no_window_can_change_that_it_is_in() -> None:
    line = Line(*STOPPED, *BACK, config=machine(**COUNTED, kpi={"freeze": "1h"}))
    line.say("reason", 20 * MINUTE, target=STOP, reason="jam")
    line.say("note", 21 * MINUTE, note="belt slips")
    assert f"stop/m/{STOP}" in kept(line)
    assert len([name for name in kept(line) if name.startswith("entry/")]) == 2
    stored = line.pipeline.checkpoint()
    line.wait(24 * HOUR)  # the day that it was in ends at 23:00 UTC, and is frozen an hour later
    assert [name for name in kept(line) if STOP in name or name.startswith("entry/")] == []
    gone = {name for name, row in line.pipeline.checkpoint().items() if row == b""}
    assert {name for name in stored if name.startswith("entry/") or STOP in name} <= gone
    kind, why = line.refused("reason", 24 * HOUR + SECOND, target=STOP, reason="jam")
    assert (kind, "no stop" in why) == ("unknown", True)
    assert line.refused("undo", 24 * HOUR + SECOND, target=f"m-note-{MONDAY + 21 * MINUTE}")[0] == "unknown"


def test_what_is_frozen_stays_as_it_was_told() -> None:
    line = Line(*STOPPED, *BACK, config=machine(**COUNTED, kpi={"freeze": "1h"}))
    line.wait(3 * HOUR)  # the hour is frozen, its day is not
    told = line.say("reason", 3 * HOUR, target=STOP, reason="tools")
    assert [event.type for event in told] == ["operator.entry"]
    assert (line.kpi()["final"], line.kpi()["failures"]) == (True, 1)
    line.wait(16 * HOUR + MINUTE)
    assert (line.kpi("day")["failures"], line.kpi("day")["stops"][0]["reason"]) == (0, "tools")


def test_stops_that_began_before_entries_were_kept_are_refused() -> None:
    line = Line(*STOPPED, *BACK)
    rows = {name: row for name, row in line.pipeline.all_rows().items() if not name.startswith(("entry/", "stop/"))}
    line.pipeline = Pipeline(line.pipeline_config)
    line.pipeline.restore(rows)
    assert line.refused("reason", 20 * MINUTE, target=STOP, reason="jam")[0] == "unknown"


def test_a_restless_stop_takes_little_and_is_split_to_the_millisecond() -> None:
    restless: list[Step] = [(at * SECOND, {"run": at % 6 < 3, "stop": at % 6 >= 3}) for at in range(3, 7200, 3)]
    line = Line((0, {"run": True}), *restless, (7200 * SECOND, {"run": True, "stop": False}), (7300 * SECOND, {}))
    rows = {name: len(row) for name, row in line.pipeline.all_rows().items() if name.startswith("stop/")}
    (name,) = [name for name in rows if name.endswith(f"{MONDAY + 3 * SECOND}")]
    assert rows[name] < 4_000
    line.wait(3 * HOUR)
    before = line.kpi()
    stop = name.removeprefix("stop/m/")
    line.say("split", 3 * HOUR, target=stop, moment=MONDAY + 1801 * SECOND)
    line.say("reason", 3 * HOUR + 1, target=f"{stop}/2", reason="jam")
    own = {one["reason"]: one for one in line.kpi()["stops"]}
    assert (own["jam"]["n"], own["operator stop"]["n"]) == (1, 1)
    assert own["jam"]["seconds"] + own["operator stop"]["seconds"] == before["stops"][0]["seconds"]
    assert (line.kpi()["failures"], line.kpi()["losses"]["breakdowns"]) == (2, before["losses"]["breakdowns"])


def test_a_split_makes_a_minor_stop_of_what_is_short() -> None:
    line = Line(*STOPPED, *BACK).wait(2 * HOUR)
    assert (line.kpi()["failures"], line.kpi()["minor_stops"]["n"], line.kpi()["mttr_s"]) == (1, 0, 300.0)
    line.say("split", 2 * HOUR, target=STOP, moment=MONDAY + 11 * MINUTE)
    assert (line.kpi()["failures"], line.kpi()["minor_stops"], line.kpi()["mttr_s"]) == (
        1, {"n": 1, "seconds": 60.0}, 240.0,
    )  # fmt: skip
    line.say("split", 2 * HOUR + 1, target=f"{STOP}/2", moment=MONDAY + 13 * MINUTE)
    assert (line.kpi()["failures"], line.kpi()["minor_stops"]) == (2, {"n": 1, "seconds": 60.0})
    line.say("split", 2 * HOUR + 2, target=f"{STOP}/2/2", moment=MONDAY + 14 * MINUTE)
    assert (line.kpi()["mttr_s"], line.kpi()["minor_stops"]) == (120.0, {"n": 3, "seconds": 180.0})


def test_scrap_of_which_nobody_says_when_is_of_the_hour_that_has_as_much() -> None:
    made: list[Step] = [(at * SECOND, {"count": at // 60 * 57}) for at in range(59, 3600, 60)]
    line = Line((0, {"run": True}), *made, (3660 * SECOND, {"count": 59 * 57 + 5})).wait(HOUR + 2 * MINUTE)
    (said, *again) = line.say("scrap", HOUR + 2 * MINUTE, amount=40, reason="jam")
    assert said.data["at"] == "2026-11-23T07:59:59.999Z"
    assert [(event.type, event.data["sq"]) for event in again] == [("machine.kpi", 40), ("line.kpi", 40)]
    (said,) = line.say("scrap", HOUR + 3 * MINUTE, amount=2)
    assert said.data["at"] is None
    assert "only 3 good parts" in line.refused("scrap", HOUR + 4 * MINUTE, amount=9_000)[1]


def test_the_crew_stands_in_the_kpis_of_its_shift() -> None:
    line = Line((0, {"run": True}), config=machine(**COUNTED, calendar=SHIFTS))
    line.say("crew", HOUR, machine="line", crew="Anna, Bo", entry="line-crew-1")
    line.wait(7 * HOUR)  # the late shift has begun
    assert line.pipeline.entries.crew(MONDAY + 7 * HOUR) is None
    shifts = [e.data for e in line.events if e.type in ("machine.kpi", "line.kpi") and e.data["window"] == "shift"]
    assert [(one["rev"], one.get("crew")) for one in shifts] == [(0, "Anna, Bo"), (0, "Anna, Bo")]
    told = line.say("undo", 7 * HOUR, machine="line", target="line-crew-1", entry="line-undo-1")
    again = [event.data for event in told if event.type.endswith(".kpi")]
    assert [(one["window"], one["rev"], "crew" in one) for one in again] == [("shift", 1, False), ("shift", 1, False)]


def bottled(**values: int) -> list[Change]:
    return [([*OF_BOTTLES].index(name), value, Quality.GOOD, None, None) for name, value in values.items()]


def along(config: Config) -> Pipeline:
    """A line whose machines have counted: 30 bottles lie before the two beside each other, and some behind."""
    pipeline = Pipeline(config)
    pipeline.process(Reload(MONDAY, 0))
    for device in config.devices:
        pipeline.process(DeviceState(device, True, MONDAY))
        pipeline.process(Batch(device, 0, bottled(count=0, scrap=0, speed=120), MONDAY))
    return pipeline


def jobs(pipeline: Pipeline) -> list[str | None]:
    return [one["job"] for one in pipeline.snapshot().values()]


def test_a_job_of_the_line_comes_along_the_flow_and_is_taken_back_everywhere() -> None:
    pipeline = along(bottles(planned=False))

    def say(number: int, what: Any, **more: Any) -> None:
        given = Entry(entry=f"line-{number}", what=what, machine="line", who="anna", at=MONDAY + number * 1000, **more)
        pipeline.entries.check(given)
        pipeline.process(given)

    say(1, "job", job="A")
    assert jobs(pipeline) == ["A"] * 4  # nothing says what they worked on before
    pipeline.process(Batch("filler_plc", 0, bottled(count=30), MONDAY + 2000))
    say(3, "job", job="B")
    assert jobs(pipeline) == ["B", "A", "A", "A"]
    pipeline.process(Batch("left_plc", 0, bottled(count=31), MONDAY + 4000))
    pipeline.process(Batch("filler_plc", 0, bottled(count=40), MONDAY + 5000))
    assert jobs(pipeline)[:2] == ["B", "B"]
    rows = pipeline.all_rows()
    say(6, "undo", target="line-3")
    assert jobs(pipeline) == ["A"] * 4
    restored = Pipeline(bottles(planned=False))
    restored.restore(rows)
    assert jobs(restored)[:2] == ["B", "B"]
    restored.process(Entry(entry="u", what="undo", machine="line", target="line-3", who="anna", at=MONDAY + 6000))
    assert jobs(restored) == ["A"] * 4
    restored.process(Tick(MONDAY + DAY))
    assert jobs(restored) == ["A"] * 4


def test_a_note_of_an_older_recording_is_an_entry() -> None:
    import msgpack

    message = msgpack.packb([2, 5, "Note", {"machine": "m", "text": "again", "who": "anna", "at": MONDAY + 5}])
    (read,) = Decoder(["plc"], MONDAY).feed(message)
    assert read == entry("note", 5, note="again")
    told = Pipeline(machine()).process(read)[0]
    assert (told[0].data["entry"], told[0].data["note"], told[0].data["who"]) == (
        f"m-note-{MONDAY + 5}", "again", "anna",
    )  # fmt: skip


def test_an_entry_that_came_while_nobody_had_looked_is_told() -> None:
    pipeline = Pipeline(machine())
    pipeline.process(inputs([])[0])
    assert [event.type for event in pipeline.process(entry("note", 5, note="x"))[0]] == ["operator.entry"]
