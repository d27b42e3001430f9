"""The line's job: what it is to make until when, what it has made, and when that will be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from gateway.checkpoint import plain
from gateway.config.model import Config
from gateway.entries.check import LATEST_MS
from gateway.entries.word import Word
from gateway.events import Event, rfc3339
from gateway.kpi.parts import UNBOUNDED
from gateway.kpi.task import Task
from gateway.machine import Machine
from gateway.tell import Teller
from gateway.work.outlet import Job, Outlet
from protocols.model import Value

SECONDS_BELOW = 1e11
"""A number that says when: seconds since 1970 below (until the year 5138), milliseconds from here on (since 1973)."""
SHOWN_MS = 60_000
"""What was made in less planned time than this says nothing of the pace."""
FURTHEST_MS = 3_650 * 86_400_000
MOST_SPANS = 2_000
"""Shifts and breaks that a forecast looks ahead."""


class Jobs:
    """A job begins with the first machine of the line, and ends when the last `out` machine has taken the next one."""

    def __init__(self, config: Config, machines: Sequence[Machine], teller: Teller) -> None:
        """`teller` is the line's."""
        named = {machine.name: machine for machine in machines}
        topology = config.topology
        self._stages = [[named[name] for name in stage] for stage in topology.stages]
        self._leader = next((stage[0] for stage in self._stages), None)
        self._planned_as = next(iter(topology.out), "line")
        self._out = [Outlet(named[name]) for name in topology.out]
        self._counted = [parts for one in self._out if (parts := one.machine.parts) is not None]
        for machine in [one.machine for one in self._out] + [*filter(None, [self._leader])]:
            machine.making.changes = []
        self._zone = ZoneInfo(config.line.time_zone)
        self._has_jobs = config.jobs is not None
        self._target = None if config.jobs is None else config.jobs.target
        self._due = None if config.jobs is None else config.jobs.due
        self.signals = frozenset(one for one in (self._target, self._due) if one is not None)
        """What is said of a job beside its name."""
        product = None if config.products is None else config.products.signal
        self._awaited = [*self.signals, *([] if product is None else [product])]
        self._teller, self._time = teller, teller.time
        self._jobs: list[Job] = []
        """Those that have not ended, the oldest first."""
        self._number = 0
        """Of the first machine's last change of job or product."""
        self._wanted: Sequence[Word] | None = None
        """What people said of jobs, where they have said more of it since a job was last looked at."""
        self.dirty = False

    @property
    def _now(self) -> Job | None:
        """What the first machine works on."""
        return self._jobs[-1] if self._jobs and self._jobs[-1].until is None else None

    @property
    def has_one(self) -> bool:
        """Whether the line works on a job."""
        return self._now is not None

    def follow(self, at: int, values: Mapping[str, Value], sampled: Callable[[str], int | None]) -> list[Event]:
        """Signals were read; `sampled` tells when one last was. A job is told once all that is said of it was read."""
        leader, now = self._leader, self._now
        if leader is None:
            return []
        task, events = leader.task, list[Event]()
        changes = len(leader.making.changes or ())
        is_one = task.job is not None or (not self._has_jobs and task.product is not None)
        known = (None, None) if now is None else (now.job, now.product)
        if known != ((task.job, task.product) if is_one else (None, None)):
            self._number += max(1, changes)
            events += self._change(task if is_one else None, at)
        else:
            self._number += changes
        for one in self._out:
            self._follow_outlet(one, at)
        leader.making.changes = []
        while self._jobs and self._is_over(self._jobs[0]):
            job, self.dirty = self._jobs.pop(0), True
            events.append(self._teller.event("job.ended", "line", at, self._data(job, at, at), job.began))
        if (now := self._now) is None:
            return events
        if self._wanted is not None:
            self._hear(now, self._wanted)
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
            now.until = self._number
        if task is not None:
            self._jobs.append(Job(task.job, task.product, at, self._time.text(at), self._number))
        return events

    def _follow_outlet(self, one: Outlet, at: int) -> None:
        """It has taken what the first machine took, but for what is still on its way to it."""
        making = one.machine.making
        number = max(0, self._number - len(making.queue.waiting))
        changes, making.changes = making.changes or [], []
        for back, tally in zip(range(len(changes) - 1, -1, -1), changes, strict=True):
            one.hand_over(self._of(one.number), one.made(tally))
            one.turn(number - back, at)
            self.dirty = True
        if one.number != number:
            one.hand_over(self._of(one.number), one.now)
            one.turn(number, at)
            self.dirty = True

    def reject(self, machine: str, parts: int, moment: int) -> None:
        """A person says that so many good parts were scrap, or below 0 that they were none after all."""
        for one in self._out:
            number = one.number_at(moment) if one.machine.name == machine else None
            if number is not None and (job := self._of(number)) is not None:
                job.scrapped, self.dirty = job.scrapped + parts * one.machine.each, True

    def _of(self, number: int) -> Job | None:
        """The job that a change brought, if it has not ended."""
        alike = (one for one in self._jobs if one.number <= number and (one.until is None or number < one.until))
        return next(alike, None)

    def _is_over(self, job: Job) -> bool:
        return job.until is not None and all(one.number >= job.until for one in self._out)

    def _started(self, job: Job) -> Event:
        job.is_told = self.dirty = True
        return self._teller.event("job.started", "line", job.began, self._data(job, job.began, None), job.began)

    def want(self, words: Sequence[Word]) -> None:
        """What people say of jobs is this now, in its order: target and due date of the one that runs follow."""
        self._wanted = words

    def _hear(self, job: Job, words: Sequence[Word]) -> None:
        """Where no signal gives them, target and due date are what was said of this job, or in it."""
        self._wanted = None
        name, target, due = None, None, None
        for word in words:
            is_another = word.job is not None and (word.job or None) != name
            if is_another or (word.job is None and word.product is not None and name is None):
                name, target, due = word.job or None, None, None
            elif self._has_jobs and word.at < job.began:
                continue
            target = target if word.job_target is None else word.job_target
            due = due if word.job_due is None else word.job_due
        if not self._has_jobs and name != job.job:
            target, due = None, None
        job.target = target if self._target is None else job.target
        job.due = due if self._due is None else job.due
        self.dirty = True

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

    def _made(self, job: Job) -> list[int | None]:
        """Total, good and scrap of it that have left the line so far; None where nothing counts them."""
        if not self._counted:
            return [None, None, None]
        at_it = [one for one in self._out if self._of(one.number) is job]
        made = [sum(each) for each in zip(job.made, *(one.since for one in at_it), strict=True)]
        no_scrap = all(parts.figures(parts.ever)["scrap"] is None for parts in self._counted)
        total, good, scrap = (max(0, one) for one in made)
        rejected = min(job.scrapped, good)
        return [total, good - rejected, None if no_scrap and not rejected else scrap + rejected]

    def _missing(self, job: Job) -> list[int]:
        """What may be missing in what it has made; any number where a counter cannot be read."""
        at_it = [one for one in self._out if self._of(one.number) is job]
        missing = [sum(each) for each in zip(job.missing, *(one.missing_since for one in at_it), strict=True)]
        if all(one.is_certain for one in at_it):
            return missing
        return [one + UNBOUNDED for one in missing]

    def _data(self, job: Job, at: int, ended: int | None) -> dict[str, Any]:
        """The fields of a job as it is at `at`."""
        made, missing = self._made(job), self._missing(job)
        is_sure = missing[0] < UNBOUNDED
        done = ended if ended is not None else self._forecast(job, at, made[1]) if is_sure else None
        on_time = None if done is None or job.due is None else self._time.utc(done) <= job.due
        if ended is not None and on_time and job.target is not None and made[1] is not None:
            least, most = made[1] - missing[2], made[1] + missing[1]
            on_time = None if least < job.target <= most else most >= job.target
        total = made[0]
        spread = (
            None if total is None or not missing[0] else {"low": total, "high": total + missing[0] if is_sure else None}
        )
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
            "ambiguous": spread,
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
        pace = good / spent if good > 0 and spent >= SHOWN_MS else self._ideal_pace(job.product)
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

    def _ideal_pace(self, product: str | None) -> float | None:
        """Parts a millisecond of the slowest stage whose ideals are known; those of parallel machines add."""
        paces = []
        for stage in self._stages:
            cycles = [(one.ideal_of(product), one.each) for one in stage]
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
        """The job that began last and has not ended, for people; None where there is none."""
        return self._data(self._jobs[-1], max(at, self._jobs[-1].began), None) if self._jobs else None

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        outlets = {one.machine.name: [one.number, [*one.before], one.turns, one.missed] for one in self._out}
        return {"jobs": [plain(one) for one in self._jobs], "number": self._number, "out": outlets}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint; one that is older has one job, and what the outlets together made before it."""
        if "jobs" in saved:
            self._jobs, self._number = [Job(**one) for one in saved["jobs"]], saved["number"]
            for one in self._out:
                anew = self._number, one.now, [(0, self._number)], one.missing
                one.number, before, turns, one.missed = saved["out"].get(one.machine.name, anew)
                one.turns = [(at, number) for at, number in turns]
                one.before = [min(each) for each in zip(before, one.now, strict=True)]  # it may count anew since then
        elif saved["job"] is not None:
            job = dict(saved["job"])
            before = job.pop("before") or [0, 0, 0]
            self._jobs = [Job(**job, made=[-one for one in before])]
        if (now := self._now) is not None:
            self._teller.work_on(Task(now.job, now.product))


def _number(value: Value) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and isfinite(value) else None  # type: ignore[arg-type]
