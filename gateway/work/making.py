"""What one machine makes, and of what: its parts go to the job and product that it works on when they are counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gateway.config.model import MachineConfig
from gateway.entries.word import Word
from gateway.events import Event
from gateway.kpi.counting import Counting, Made, Since, is_certain
from gateway.kpi.tally import Tally
from gateway.kpi.task import Task
from gateway.kpi.windows import Windows
from gateway.states.interval import Timeline, recovered
from gateway.states.output import OutputWatch
from gateway.states.stops import Stops
from gateway.tell import Teller
from gateway.work.assignment import Assignment
from gateway.work.changeover import Changeover
from gateway.work.claims import Claim
from gateway.work.queue import Queue
from protocols.model import Value


class Making:
    """Works on engine time."""

    def __init__(
        self,
        config: MachineConfig,
        assignment: Assignment,
        counting: Counting | None,
        timeline: Timeline,
        watch: OutputWatch,
        stops: Stops,
        windows: Windows,
        teller: Teller,
    ) -> None:
        self.changeover = Changeover(timeline, assignment.standards)
        self.changes: list[Tally] | None = None
        """What it had ever made at each change of job or product, for whoever sets it to a list, and empties that."""
        self._config, self._assignment, self._counting = config, assignment, counting
        self._timeline, self._watch, self._stops, self._windows = timeline, watch, stops, windows
        self._teller = teller

    @property
    def task(self) -> Task:
        """What it works on now."""
        return self._assignment.task

    @property
    def queue(self) -> Queue:
        """What it will work on next."""
        return self._assignment.queue

    def count(
        self,
        changed: Collection[str],
        values: Mapping[str, Value],
        at: int,
        since: Since,
        uncertainty: int | None,
        *,
        planned: bool,
    ) -> list[Event]:
        """Counters were read; where what came in until now shows that the next job is there, it begins with that."""
        counting = self._counting
        if counting is None:
            return []
        blind = counting.blind_since
        if blind is None and counting.signals.isdisjoint(changed):
            return []
        made, events = counting.read(changed, values, at, since)
        is_sure, rest = is_certain(blind, made, events), made
        while (divided := self.queue.divide(rest, counting.parts)) is not None:
            before, rest = divided
            events += self._add(counting, before, at, uncertainty, planned)
            events += self.take(values, at, uncertainty)
        events += self._add(counting, rest, at, uncertainty, planned)
        if blind is not None or counting.blind_since is not None:
            self._windows.see(counting.blind_since, at, certain=is_sure)
        return events

    def _add(
        self, counting: Counting, made: Sequence[Made], at: int, uncertainty: int | None, planned: bool
    ) -> list[Event]:
        """Parts came while somebody looked, or were made over an outage."""
        if not made:
            return []
        counts_at = counting.counts_at(at)
        events = counting.add(made, counts_at)
        for one in made:
            parts, outage_from = one.counted.parts, one.counted.outage_from
            self._windows.made(one, counts_at, self.task, self._timeline.stretch)
            self._timeline.count(one.role, parts)
            if outage_from is not None:
                if parts > 0:
                    self._timeline.rewrite(outage_from, recovered)
            elif one.role in ("total", "good") and parts > 0 and self._timeline.current is not None:
                self._watch.counted(parts, at, uncertainty, planned)
        good = counting.parts.net(counting.parts.ever)[1]
        self.changeover.counted(good, at, uncertainty, self.task.product)
        return events

    def follow(
        self, changed: Collection[str], values: Mapping[str, Value], at: int, uncertainty: int | None
    ) -> list[Event]:
        """Another job or product, or another ideal, where the signals say so."""
        before = self.task
        if self._assignment.signals.isdisjoint(changed) or not self._assignment.follow(changed, values):
            return []
        return self._change(before, at, uncertainty)

    def take(self, values: Mapping[str, Value], at: int, uncertainty: int | None) -> list[Event]:
        """The flow has brought the next job or product."""
        before = self.task
        return self._change(before, at, uncertainty) if self._assignment.take(values) else []

    def hear(self, word: Word, values: Mapping[str, Value], *, of_line: bool) -> list[Event]:
        """A person says what it works on, or takes that back: then parts made since are of what was said before."""
        before, given = self.task, self._assignment
        if word.what != "undo":
            is_other = given.say(Claim(word.entry, word.job, word.product), values, of_line=of_line)
        else:
            entry = word.target or ""
            if entry in given.claims:
                self._windows.disclaim(entry, given.before(entry))
            is_other = given.unsay(entry, values)
        return self._change(before, word.at, None) if is_other else []

    def _change(self, before: Task, at: int, uncertainty: int | None) -> list[Event]:
        is_same, counting = (before.job, before.product) == (self.task.job, self.task.product), self._counting
        events = [] if is_same or counting is None else counting.close_minute(at)
        if not is_same and self.changes is not None:
            self.changes.append(Tally() if counting is None else replace(counting.parts.ever))
        if self._windows.are_placed:
            self._windows.place(at, self.task)
        self.pace(at)
        self.changeover.change(before.product, self.task.product, at, uncertainty)
        return events

    def pace(self, at: int) -> None:
        """How fast it is meant to be, and what it works on, as far as others have to know."""
        ideal, config = self._assignment.pace_ms, self._config
        self._stops.resume, no_output = config.resume_ms(ideal), config.no_output_ms(ideal)
        self.changeover.resume = self._stops.resume
        self._watch.pace(no_output, no_output or self._stops.resume, ideal or 0.0, at)
        if self._counting is not None:
            self._counting.parts.pace(ideal, self._assignment.fastest_ms)
        self._teller.work_on(self.task)
