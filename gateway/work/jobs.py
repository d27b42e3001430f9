"""The line's job: what it is to make until when, what it has made, and when that will be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from gateway.config.model import Config
from gateway.events import Event, rfc3339
from gateway.kpi.task import Task
from gateway.machine import Machine
from gateway.tell import Teller
from protocols.model import Value

JOB_ROW = "job"
SECONDS_BELOW = 1e11
"""A number that says when: seconds since 1970 below (until the year 5138), milliseconds from here on (since 1973)."""
LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, as late as a text can say."""
SHOWN_MS = 60_000
"""What was made in less planned time than this says nothing of the pace."""
FURTHEST_MS = 3_650 * 86_400_000
MOST_SPANS = 2_000
"""Shifts and breaks that a forecast looks ahead."""


@dataclass(slots=True)
class Job:
    """One job of the line, in the line's unit. Times are engine milliseconds."""

    job: str | None
    product: str | None
    began: int
    began_text: str
    before: list[int] | None
    """Total, good and scrap that had left the line when it began; None where nothing counts them."""
    target: int | None = None
    due: int | None = None
    """UTC milliseconds."""
    is_told: bool = False


class Jobs:
    """Follows the first machine of the line, which takes a job at once, and counts where good parts leave the line."""

    def __init__(self, config: Config, machines: Sequence[Machine], teller: Teller) -> None:
        """`teller` is the line's."""
        named = {machine.name: machine for machine in machines}
        topology = config.topology
        self._stages = [[named[name] for name in stage] for stage in topology.stages]
        self._leader = next((stage[0] for stage in self._stages), None)
        self._planned_as = next(iter(topology.out), "line")
        self._out = [parts for name in topology.out if (parts := named[name].parts) is not None]
        self._zone = ZoneInfo(config.line.time_zone)
        self._has_jobs = config.jobs is not None
        self._target = None if config.jobs is None else config.jobs.target
        self._due = None if config.jobs is None else config.jobs.due
        self.signals = frozenset(one for one in (self._target, self._due) if one is not None)
        """What is said of a job beside its name."""
        self._awaited = [*self.signals] if config.products is None else [*self.signals, config.products.signal]
        self._teller, self._time = teller, teller.time
        self._now: Job | None = None
        self.dirty = False

    def follow(self, at: int, values: Mapping[str, Value], sampled: Callable[[str], int | None]) -> list[Event]:
        """Signals were read; `sampled` tells when one last was. A job is told once all that is said of it was read."""
        task, now = Task() if self._leader is None else self._leader.task, self._now
        events: list[Event] = []
        is_one = task.job is not None if self._has_jobs else task.product is not None
        known = (None, None) if now is None else (now.job, now.product)
        if known != ((task.job, task.product) if is_one else (None, None)):
            events += self._change(task if is_one else None, at)
            now = self._now
        if now is None:
            return events
        self._read(now, values)
        if not now.is_told and all((sampled(signal) or 0) >= now.began for signal in self._awaited):
            events.append(self._started(now))
        return events

    def _change(self, task: Task | None, at: int) -> list[Event]:
        """Another job from `at` on, or none; one that was not told yet was the other one all along."""
        now, self.dirty = self._now, True
        self._teller.work_on(Task() if task is None else task)
        if now is not None and not now.is_told and task is not None and (now.job == task.job or not self._has_jobs):
            now.product = task.product
            return []
        events = []
        if now is not None:
            events += [] if now.is_told else [self._started(now)]
            events.append(self._teller.event("job.ended", "line", at, self._data(now, at, at), now.began))
        self._now = None
        if task is not None:
            self._now = Job(task.job, task.product, at, self._time.text(at), self._made())
        return events

    def _started(self, job: Job) -> Event:
        job.is_told = self.dirty = True
        return self._teller.event("job.started", "line", job.began, self._data(job, job.began, None), job.began)

    def _read(self, job: Job, values: Mapping[str, Value]) -> None:
        """Target and due date as they are said now; what is bad leaves what was said before."""
        target = None if self._target is None else _number(values.get(self._target))
        due = None if self._due is None else self._when(values.get(self._due))
        target = job.target if target is None else max(0, int(target))
        due = job.due if due is None else due
        if (target, due) != (job.target, job.due):
            job.target, job.due, self.dirty = target, due, True

    def _when(self, value: Value) -> int | None:
        """UTC milliseconds of a due date; None for what is none."""
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value.strip(" \t\r\n\0"))
                moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone)
                number: float | None = moment.timestamp() * 1000
            except (ValueError, OverflowError):
                return None
        else:
            number = _number(value)
            number = number * 1000 if number is not None and number < SECONDS_BELOW else number
        return round(number) if number is not None and 0 < number <= LATEST_MS else None

    def _made(self) -> list[int] | None:
        """Total, good and scrap that have left the line so far, in its unit."""
        if not self._out:
            return None
        figures = [(parts.figures(parts.ever), parts.each) for parts in self._out]
        return [sum((figure[role] or 0) * each for figure, each in figures) for role in ("total", "good", "scrap")]

    def _data(self, job: Job, at: int, ended: int | None) -> dict[str, Any]:
        """The fields of a job as it is at `at`."""
        now = self._made()
        made: list[int | None] = [None, None, None]
        if now is not None:
            before = job.before or [0, 0, 0]
            made = [max(0, one - other) for one, other in zip(now, before, strict=True)]
            if all(parts.figures(parts.ever)["scrap"] is None for parts in self._out):
                made[2] = None
        done = ended if ended is not None else self._forecast(job, at, made[1])
        on_time = None if done is None or job.due is None else self._time.utc(done) <= job.due
        if ended is not None and on_time and job.target is not None and made[1] is not None:
            on_time = made[1] >= job.target
        return {
            "job": job.job,
            "product": job.product,
            "target": job.target,
            "due": None if job.due is None else rfc3339(job.due),
            "began": job.began_text,
            "ended": None if ended is None else self._time.text(ended),
            "total": made[0],
            "good": made[1],
            "scrap": made[2],
            "forecast_end": None if done is None else self._time.text(done),
            "on_time": on_time,
        }

    def _forecast(self, job: Job, at: int, good: int | None) -> int | None:
        """When the target will be reached: at the pace since the job began, at first at the slowest stage's ideal."""
        if job.target is None or good is None:
            return None
        if good >= job.target:
            return at
        spent = sum(until - since for since, until in self._spans(job.began, at))
        pace = good / spent if good > 0 and spent >= SHOWN_MS else self._ideal_pace()
        if pace is None:
            return None
        left = (job.target - good) / pace
        if left > FURTHEST_MS:
            return None
        for since, until in self._spans(at, at + FURTHEST_MS):
            if left <= until - since:
                return round(since + left)
            left -= until - since
        return None

    def _spans(self, at: int, end: int) -> Iterator[tuple[int, int]]:
        """Planned time from `at` to `end`."""
        for _ in range(MOST_SPANS):
            planned = self._time.planned(self._planned_as, at)
            until = end if planned.until is None else min(end, planned.until)
            if planned.planned:
                yield at, until
            if until >= end or until <= at:
                return
            at = until

    def _ideal_pace(self) -> float | None:
        """Parts a millisecond of the slowest stage whose ideals are known; those of parallel machines add."""
        paces = []
        for stage in self._stages:
            cycles = [(one.task.ideal_ms, 1 if one.parts is None else one.parts.each) for one in stage]
            if all(ideal is not None for ideal, _ in cycles):
                paces.append(sum(each / ideal for ideal, each in cycles if ideal is not None))
        return min(paces, default=None)

    @property
    def unlisted(self) -> dict[str, list[str]]:
        """Products that are worked on and that the configuration's list does not have, with the machines."""
        found: dict[str, list[str]] = {}
        for machine in (one for stage in self._stages for one in stage if not one.task.listed):
            found.setdefault(machine.task.product or "", []).append(machine.name)
        return found

    def snapshot(self, at: int) -> dict[str, Any] | None:
        """The job that runs, for people; None where none does."""
        return None if self._now is None else self._data(self._now, max(at, self._now.began), None)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {"job": None if self._now is None else asdict(self._now)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._now = None if saved["job"] is None else Job(**saved["job"])
        if self._now is not None:
            self._teller.work_on(Task(self._now.job, self._now.product))


def _number(value: Value) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None  # type: ignore[arg-type]
