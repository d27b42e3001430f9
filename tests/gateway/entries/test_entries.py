"""What operators say, in the engine: what is told at once, what is refused, and what people see."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import Config
from gateway.entries.check import LONGEST_NOTE, Refused
from gateway.events import Event
from gateway.inputs import Entry, Tick
from gateway.pipeline import Pipeline
from tests.gateway.stories import HOUR, MINUTE, MONDAY, SECOND, Step, inputs, latest, machine
from tests.schemas import hold

REASONS = {
    "jam": {"text": "cap jam", "group": "mechanical"},
    "tools": {"text": "tool change", "failure": False},
    17: "low pressure",
}
LINE = machine(ideal="1s", parts={"total": "plc.count"}, no_output=0, reasons=REASONS)
COUNTED = machine(
    ideal="1s", parts={"total": "plc.count", "good": "plc.tick"}, jobs={"signal": "plc.order"},
    products={"signal": "plc.recipe"},
)  # fmt: skip


def entry(what: Any, at: int = 0, **more: Any) -> Entry:
    """Something that Anna says of the machine, at milliseconds after the start."""
    given: dict[str, Any] = {"machine": "m", "who": "anna", "entry": f"m-{what}-{MONDAY + at}", **more}
    return Entry(what=what, at=MONDAY + at, **given)


class Line:
    """An engine to which one speaks at moments after the start."""

    def __init__(self, *steps: Step, config: Config = LINE) -> None:
        self.pipeline_config = config
        self.pipeline, self.events = Pipeline(config), list[Event]()
        for one in inputs(steps):
            self.events += self.pipeline.process(one)[0]

    def wait(self, at: int) -> Line:
        self.events += self.pipeline.process(Tick(MONDAY + at))[0]
        return self

    def say(self, what: Any, at: int, **more: Any) -> list[Event]:
        """What there is to tell of an entry that is not refused."""
        given = entry(what, at, **more)
        self.wait(at).pipeline.entries.check(given)
        told = self.pipeline.process(given)[0]
        for event in told:
            hold(event.type, event.data)
        self.events += told
        return told

    def refused(self, what: Any, at: int, **more: Any) -> tuple[str, str]:
        with pytest.raises(Refused) as refused:
            self.wait(at).pipeline.entries.check(entry(what, at, **more))
        assert refused.value.remedy
        return refused.value.kind, refused.value.why

    def kpi(self, window: str = "hour") -> dict[str, Any]:
        """The first window of a kind, as it stands."""
        return next(one for one in latest(self.events, "machine.kpi", "kpi") if one["window"] == window)


STOPPED: list[Step] = [(0, {"run": True}), (10 * MINUTE, {"hold": True})]
STOP = f"m-stop-{MONDAY + 10 * MINUTE}"
BACK: list[Step] = [(15 * MINUTE, {"hold": False})]
"""Five minutes of downtime; the machine runs again."""


def test_a_reason_is_told_at_once_and_every_later_revision_of_the_stop_carries_it() -> None:
    line = Line(*STOPPED)
    said, stop = line.say("reason", 11 * MINUTE, target=STOP, reason="jam", note="again")
    assert (said.type, said.subject, said.data["who"], said.data["note"]) == ("operator.entry", "m", "anna", "again")
    reason = {"code": "jam", "text": "cap jam", "source": "operator", "group": "mechanical"}
    assert said.data["reason"] == stop.data["reason"] == reason
    assert line.pipeline.snapshot()["m"]["reason"] == {**reason}
    for one in inputs([(15 * MINUTE, {"hold": False}), (16 * MINUTE, {})])[3:]:
        line.events += line.pipeline.process(one)[0]
    (final,) = [one for one in latest(line.events, "machine.stop", "stop") if one["final"] and one["stop"] == STOP]
    assert (final["reason"], final["failure"], final["duration_s"]) == (reason, True, 300.0)


def test_a_final_stop_is_told_no_more() -> None:
    line = Line(*STOPPED, *BACK)
    said = line.say("reason", 20 * MINUTE, target=STOP, reason="jam")
    assert [event.type for event in said] == ["operator.entry"]


def test_a_reason_of_an_interval_is_told_with_it() -> None:
    line = Line(*STOPPED)
    said = line.say("reason", 11 * MINUTE, target=f"m-{MONDAY + 10 * MINUTE}", reason="17")
    assert [event.type for event in said] == ["operator.entry", "machine.state"]
    assert said[1].data["reason"] == {"code": "17", "text": "low pressure", "source": "operator"}
    told = line.say("undo", 12 * MINUTE, target=f"m-reason-{MONDAY + 11 * MINUTE}")
    assert [(event.type, event.data["reason"]) for event in told] == [("operator.entry", None), ("machine.state", None)]


def test_undo_takes_a_reason_back_from_an_open_stop() -> None:
    line = Line(*STOPPED)
    line.say("reason", 11 * MINUTE, target=STOP, reason="jam")
    _, stop = line.say("undo", 12 * MINUTE, target=f"m-reason-{MONDAY + 11 * MINUTE}")
    assert (stop.data["stop"], stop.data["reason"], stop.data["rev"]) == (STOP, None, 3)


@pytest.mark.parametrize(
    ("what", "more", "kind", "why"),
    [
        ("reason", {"target": STOP}, "wrong", "no reason is given"),
        ("reason", {"target": STOP, "reason": "jamm"}, "wrong", "did you mean `jam`"),
        ("reason", {"target": "m-stop-1", "reason": "jam"}, "unknown", "no stop m-stop-1"),
        ("reason", {"reason": "jam"}, "wrong", "none is named"),
        ("reason", {"target": STOP, "reason": "jam", "machine": "n"}, "unknown", "n is no machine"),
        ("reason", {"target": STOP, "reason": "jam", "machine": "line"}, "wrong", "of one machine"),
        ("reason", {"target": STOP, "reason": "jam", "who": " "}, "wrong", "nobody"),
        ("note", {"note": " "}, "wrong", "empty"),
        ("note", {"note": "x" * (LONGEST_NOTE + 1)}, "wrong", "1,001 characters"),
        ("note", {"note": "x\x1b[2J"}, "wrong", "control characters"),
        ("note", {"note": "x", "who": "an\nna"}, "wrong", "more than one line"),
        ("note", {"note": "x", "who": "an\u202ena"}, "wrong", "control characters"),
        ("scrap", {"amount": 1.5}, "wrong", "no number of parts"),
        ("split", {"target": STOP}, "wrong", "no moment"),
        ("split", {"target": STOP, "moment": MONDAY + 9 * MINUTE}, "wrong", "not within the stop"),
        ("split", {"target": STOP, "moment": MONDAY + 15 * MINUTE}, "wrong", "not within the stop"),
        ("merge", {"target": STOP, "other": STOP}, "wrong", "does not follow"),
        ("merge", {"target": STOP}, "wrong", "none is named"),
        ("scrap", {"amount": 0}, "wrong", "no number of parts"),
        ("scrap", {"amount": 1}, "wrong", "only 0 good parts"),
        ("scrap", {"amount": 1, "moment": MONDAY + 3 * HOUR}, "wrong", "in the future"),
        ("scrap", {"amount": 1, "moment": MONDAY - 3 * HOUR}, "unknown", "no KPI window"),
        ("scrap", {"amount": 1, "reason": "nonsense"}, "wrong", "no reason of m"),
        ("job", {}, "wrong", "neither a job nor a product"),
        ("crew", {"crew": "early"}, "wrong", "of the line"),
        ("crew", {"crew": "", "machine": "line"}, "wrong", "no crew"),
        ("undo", {"target": "m-note-1"}, "unknown", "no entry m-note-1"),
        ("scrab", {}, "wrong", "nothing that can be entered"),
    ],
)
def test_what_cannot_be_is_refused_in_words(what: str, more: dict[str, Any], kind: str, why: str) -> None:
    found, words = Line(*STOPPED, *BACK).refused(what, 20 * MINUTE, **more)
    assert (found, why in words) == (kind, True), words


@pytest.mark.parametrize(
    ("what", "more", "why"),
    [
        ("scrap", {"amount": 1}, "its counters give it"),
        ("job", {"job": "A"}, "plc.order gives it"),
        ("job", {"product": "A"}, "plc.recipe gives it"),
    ],
)
def test_what_a_signal_gives_is_not_entered(what: str, more: dict[str, Any], why: str) -> None:
    line = Line(*STOPPED, config=COUNTED)
    kind, words = line.refused(what, 11 * MINUTE, **more)
    assert (kind, why in words) == ("conflict", True), words
    assert line.pipeline.snapshot()["m"]["enters"] == {"scrap": False, "job": False}


def test_an_undo_is_done_once_and_not_undone() -> None:
    line = Line(*STOPPED)
    line.say("note", 11 * MINUTE, note="belt slips")
    line.say("undo", 12 * MINUTE, target=f"m-note-{MONDAY + 11 * MINUTE}")
    assert line.refused("undo", 13 * MINUTE, target=f"m-note-{MONDAY + 11 * MINUTE}")[0] == "conflict"
    assert line.refused("undo", 13 * MINUTE, target=f"m-undo-{MONDAY + 12 * MINUTE}")[0] == "conflict"
    assert line.refused("note", 13 * MINUTE, note="x", entry=f"m-note-{MONDAY + 11 * MINUTE}")[0] == "conflict"


def test_a_stop_that_was_split_or_merged_is_named_as_it_is_now() -> None:
    line = Line(*STOPPED, *BACK)
    line.say("split", 20 * MINUTE, target=STOP, moment=MONDAY + 12 * MINUTE)
    kind, why = line.refused("reason", 21 * MINUTE, target=STOP, reason="jam")
    assert (kind, f"{STOP}/1" in why) == ("conflict", True)
    line.say("reason", 21 * MINUTE, target=f"{STOP}/2", reason="jam")


def test_stops_that_follow_each_other_are_merged() -> None:
    more: list[Step] = [(25 * MINUTE, {"stop": True}), (26 * MINUTE, {"stop": False}), (40 * MINUTE, {"hold": True})]
    line = Line(*STOPPED, *BACK, *more)
    second, third = (f"m-stop-{MONDAY + at * MINUTE}" for at in (25, 40))
    assert "followed by " + second in line.refused("merge", 41 * MINUTE, target=STOP, other=third)[1]
    line.say("merge", 41 * MINUTE, target=STOP, other=second)
    line.say("merge", 42 * MINUTE, target=STOP, other=third)


def test_the_crew_is_the_lines_and_holds_until_the_next() -> None:
    line = Line(*STOPPED)
    (said,) = line.say("crew", 11 * MINUTE, machine="line", crew="Anna, Bo", entry="line-crew-1")
    assert (said.subject, said.data["crew"], line.pipeline.entries.crew(MONDAY + 11 * MINUTE)) == (
        "line",
        "Anna, Bo",
        "Anna, Bo",
    )
    line.say("crew", 12 * MINUTE, machine="line", crew="Cem", entry="line-crew-2")
    line.say("undo", 13 * MINUTE, machine="line", target="line-crew-2", entry="line-undo-1")
    assert line.pipeline.entries.crew(MONDAY + 13 * MINUTE) == "Anna, Bo"


def test_reasons_to_choose_from_are_the_machines_the_lines_and_the_rules() -> None:
    config = machine(reasons={"jam": "cap jam", 3: "x"})
    config = config.model_copy(
        update={"machines": {"m": config.machines["m"].model_copy(update={"reasons": {3: "own"}})}}
    )
    listed = Pipeline(config).entries.reasons_of("m")
    assert [(one["code"], one["text"], one["failure"]) for one in listed] == [
        ("operator stop", "operator stop", True), ("3", "own", True), ("jam", "cap jam", True),
    ]  # fmt: skip


def test_an_entry_of_what_the_line_does_not_have_is_nothing() -> None:
    line = Line(*STOPPED)
    assert line.pipeline.process(entry("reason", SECOND, machine="gone", target=STOP, reason="jam"))[0] == []
