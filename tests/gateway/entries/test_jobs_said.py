"""What people say of the line's job beside its name: target and due date, and scrap that its totals have to know."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import Config
from gateway.entries.check import Refused
from gateway.events import Event
from gateway.inputs import Entry
from gateway.pipeline import Pipeline
from protocols.model import Batch
from tests.gateway.stories import HOUR, MINUTE, MONDAY, SECOND, inputs, machine, said

COUNTED: dict[str, Any] = {"ideal": "1s", "parts": {"total": "plc.count"}, "no_output": 0}
DUE = MONDAY + HOUR


class Shift:
    """A line of one machine that makes a part each second, and people who speak."""

    def __init__(self, config: Config) -> None:
        self.config, self.pipeline, self.number = config, Pipeline(config), 0
        self.events = [event for one in inputs([]) for event in self.pipeline.process(one)[0]]

    def say(self, at: int, what: Any = "job", machine: str = "line", **more: Any) -> str:
        self.number += 1
        name = f"{machine}-{self.number}"
        entry = Entry(entry=name, what=what, machine=machine, who="anna", at=MONDAY + at, **more)
        self.pipeline.entries.check(entry)
        self.events += self.pipeline.process(entry)[0]
        return name

    def read(self, at: int, **values: Any) -> None:
        self.events += self.pipeline.process(Batch("plc", 0, said(**values), MONDAY + at))[0]

    def restart(self) -> None:
        """From its whole checkpoint, with nothing between."""
        rows, self.pipeline = self.pipeline.all_rows(), Pipeline(self.config)
        self.pipeline.restore(rows)

    @property
    def job(self) -> list[Any]:
        now = self.pipeline.jobs.snapshot(self.pipeline.at)
        assert now is not None
        return [now["job"], now["target"], now["due"]]

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]


def test_a_job_that_is_entered_has_a_target_and_is_due() -> None:
    it = Shift(machine(**COUNTED))
    it.read(0, run=True)
    it.say(SECOND, job="A", job_target=600, job_due=DUE)
    (begun,) = it.told("job.started")
    assert (begun.data["target"], begun.data["due"], begun.data["on_time"]) == (600, "2026-11-23T08:00:00.000Z", True)
    assert begun.data["forecast_end"] == "2026-11-23T07:10:01.000Z", "600 parts at the ideal of a second"
    (entry,) = it.told("operator.entry")
    assert (entry.data["given_target"], entry.data["given_due"]) == (600, "2026-11-23T08:00:00.000Z")
    it.read(2 * MINUTE, count=90)
    it.restart()
    assert it.job == ["A", 600, "2026-11-23T08:00:00.000Z"]
    it.say(3 * MINUTE, job_target=90)
    assert it.job == ["A", 90, "2026-11-23T08:00:00.000Z"], "what is said of the job that runs"
    it.say(4 * MINUTE, job="B")
    (ended,) = it.told("job.ended")
    assert (ended.data["target"], ended.data["good"], ended.data["on_time"]) == (90, 90, True)
    assert it.job == ["B", None, None], "what was said of another job is not its own"


def test_what_is_taken_back_leaves_what_was_said_before() -> None:
    it = Shift(machine(**COUNTED))
    it.say(SECOND, job="A", job_target=600)
    second = it.say(2 * SECOND, job_target=700)
    assert it.job == ["A", 700, None]
    it.say(3 * SECOND, "undo", target=second)
    assert it.job == ["A", 600, None]
    other = it.say(4 * SECOND, job="B", job_target=50)
    it.say(5 * SECOND, job_due=DUE)
    it.say(6 * SECOND, "undo", target=other)
    assert it.job[:2] == ["A", 600]


def test_a_target_of_the_job_that_a_signal_names_is_of_that_one_alone() -> None:
    it = Shift(machine(**COUNTED, jobs={"signal": "plc.order"}))
    it.read(SECOND, order="A")
    it.say(2 * SECOND, job_target=600)
    assert it.job == ["A", 600, None]
    it.read(3 * SECOND, order="B")
    assert it.job == ["B", None, None]
    it.say(4 * SECOND, job_due=DUE)
    assert it.job == ["B", None, "2026-11-23T08:00:00.000Z"]


SIGNALS = {"signal": "plc.order", "target": "plc.target", "due": "plc.due"}


@pytest.mark.parametrize(
    ("settings", "given", "words"),
    [
        ({}, {"machine": "m", "job": "A", "job_target": 5}, "a target is of the line's job"),
        ({}, {"job": "", "job_target": 5}, "there is no job that a target could be of"),
        ({}, {"job": "A", "job_target": 0}, "no number of parts"),
        ({}, {"job": "A", "job_due": MONDAY}, "a time that has been"),
        ({}, {"job_target": 5}, "the line has no job"),
        ({}, {}, "neither a job nor a product"),
        ({"jobs": SIGNALS}, {"job_target": 5}, "plc.target gives it"),
        ({"jobs": SIGNALS}, {"job_due": DUE}, "plc.due gives it"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings: dict[str, Any], given: dict[str, Any], words: str) -> None:
    it = Shift(machine(**COUNTED, **settings))
    with pytest.raises(Refused, match=words):
        it.say(SECOND, **given)


def test_a_job_ends_with_the_scrap_that_was_entered_of_it() -> None:
    """Ten of A, of which one is taken back again, are not good; what is said of A while B runs is A's no more."""
    it = Shift(machine(**COUNTED))
    it.say(SECOND, job="A", job_target=95)
    it.read(2 * MINUTE, run=True, count=100)
    it.say(3 * MINUTE, "scrap", "m", amount=9)
    gone = it.say(3 * MINUTE + 1, "scrap", "m", amount=1)
    it.restart()
    it.say(3 * MINUTE + 2, "undo", "m", target=gone)
    it.say(4 * MINUTE, job="B")
    (ended,) = it.told("job.ended")
    made = [ended.data[name] for name in ("total", "good", "scrap", "on_time")]
    assert made == [100, 91, 9, None]
    it.read(5 * MINUTE, count=150)
    it.say(6 * MINUTE, "scrap", "m", amount=2, moment=MONDAY + 3 * MINUTE)
    it.say(6 * MINUTE + 1, "scrap", "m", amount=3)
    it.say(7 * MINUTE, job="")
    last = it.told("job.ended")[-1]
    assert [last.data[name] for name in ("job", "total", "good", "scrap")] == ["B", 50, 47, 3]
    windows = {
        one.data["job"]: (one.data["gq"], one.data["sq"])
        for one in it.events + it.pipeline.finish()
        if one.type == "machine.kpi" and one.data["window"] == "job"
    }
    assert windows == {"A": (89, 11), "B": (47, 3)}, "the windows know of all of it"


def test_a_late_target_makes_a_job_late() -> None:
    it = Shift(machine(**COUNTED))
    it.say(SECOND, job="A", job_target=95, job_due=DUE)
    it.read(2 * MINUTE, run=True, count=100)
    it.say(3 * MINUTE, "scrap", "m", amount=9)
    it.say(4 * MINUTE, job="")
    (ended,) = it.told("job.ended")
    assert (ended.data["good"], ended.data["on_time"]) == (91, False), "five are missing"
