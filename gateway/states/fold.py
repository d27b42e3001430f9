"""From intervals to stops: which stop each interval belongs to, where stops begin, end and are divided by kind."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.kpi.tally import ROLES, Tally
from gateway.states.interval import Interval

KINDS = {
    "unplanned_stop": "own",
    "starved": "external",
    "blocked": "external",
    "suspended": "external",
    "setup": "setup",
    "unknown": "unknown",
    "idle": "idle",
}
"""Kind of a stop by the category of time; planned_stop and no_demand begin none."""
MOST_INTERVALS = 200
"""Intervals that a stop names; those after them name it all the same."""


@dataclass(slots=True)
class Stop:
    """One stop as far as it is known. Times are engine milliseconds."""

    id: str
    began: int
    began_text: str
    kind: str
    category: str
    job: str | None = None
    product: str | None = None
    """What was made when it began."""
    ended: int | None = None
    ended_text: str | None = None
    reason: dict[str, Any] | None = None
    first_out: dict[str, Any] | None = None
    """The signal that gave the reason, or whose change decided where it began; its value and time."""
    planned_ms: int = 0
    """Planned stops in it."""
    parts: Tally = field(default_factory=Tally)
    intervals: list[int] = field(default_factory=list)
    """When they began."""


class Fold:
    """Takes intervals in order of time. Where its `run` is empty, all that it took is decided."""

    def __init__(self, machine: str, resume: int, stop: Stop | None, used: Iterable[str]) -> None:
        """`stop`: the one that is open; `used`: ids that are not free any more."""
        self._machine, self._resume = machine, resume
        self.stop = None if stop is None else replace(stop, parts=copy(stop.parts), intervals=list(stop.intervals))
        self._used = {*used} if stop is None else {*used, stop.id}
        self.run: list[Interval] = []
        """Production that has not lasted yet: it may be within the stop."""
        self.owners: dict[str, str | None] = {}
        """Stop of each interval whose stop is decided."""
        self.ended: list[Stop] = []

    def begin(self, interval: Interval, until: int) -> None:
        """An interval began; as production it has lasted until then. To say so again changes nothing."""
        category = interval.account.category
        if category == "production":
            self._produce(interval, until)
            return
        self._stay()
        kind = KINDS.get(category)
        if self.stop is not None and self.stop.began == interval.began and kind is not None:
            self.stop.kind, self.stop.category = kind, category  # nothing lasted no time
        if self.stop is not None and (category == "no_demand" or _splits(self.stop.kind, kind)):
            self._end(interval)
        if self.stop is None and kind is not None:
            made = interval.context.job, interval.context.product
            self.stop = Stop(self._name(interval), interval.began, interval.began_text, kind, category, *made)
            self.stop.first_out = first_out(interval)
        elif self.stop is not None and self.stop.kind == "idle" and kind not in (None, "idle"):
            self.stop.kind, self.stop.category = str(kind), category
        self.owners[interval.id] = None if self.stop is None else self.stop.id

    def include(self, interval: Interval, until: int) -> None:
        """What an interval that has begun adds to its stop."""
        if self.stop is not None and not self.run:
            _include(self.stop, interval, until)

    def _produce(self, interval: Interval, until: int) -> None:
        if self.stop is None:
            self.owners[interval.id] = None
            return
        self.run.append(interval)
        first = self.run[0]
        if until - first.began >= self._resume:
            self._end(first)
            self.owners.update((one.id, None) for one in self.run)
            self.run = []

    def _stay(self) -> None:
        """Production did not last: it was within the stop."""
        for interval in self.run:
            assert self.stop is not None
            self.owners[interval.id] = self.stop.id
            _include(self.stop, interval, interval.began if interval.ended is None else interval.ended)
        self.run = []

    def _end(self, where: Interval) -> None:
        assert self.stop is not None
        self.stop.ended, self.stop.ended_text = where.began, where.began_text
        self.ended.append(self.stop)
        self.stop = None

    def _name(self, interval: Interval) -> str:
        """Known by the same id as before, as long as no other stop has it."""
        name = of_begin = f"{self._machine}-stop-{interval.began}"
        if interval.stop is not None and interval.stop not in self._used:
            name = interval.stop
        number = 1
        while name in self._used:
            number += 1
            name = f"{of_begin}-{number}"
        self._used.add(name)
        return name


def _splits(kind: str, other: str | None) -> bool:
    """Whether a stop of one kind ends where another begins: idle time belongs to the stop that it is in."""
    return other is not None and kind != other and "idle" not in (kind, other)


def _include(stop: Stop, interval: Interval, until: int) -> None:
    reason = interval.decision.reason
    if stop.reason is None and reason is not None and KINDS.get(interval.account.category) == stop.kind:
        stop.reason, stop.first_out = reason, first_out(interval)
    if interval.account.category == "planned_stop":
        stop.planned_ms += until - interval.began
    for role in ROLES:
        stop.parts.add(role, getattr(interval.parts, role))
    if len(stop.intervals) < MOST_INTERVALS:
        stop.intervals.append(interval.began)


def first_out(interval: Interval) -> dict[str, Any] | None:
    """The signal that gave an interval's reason, or of those that decided the one that changed last: its change did."""
    decision = interval.decision
    signal = decision.gave
    if signal not in decision.because:
        signal = max(decision.because, key=lambda one: decision.because[one]["time"] or "", default=None)
    if signal is None:
        return None
    proof = decision.because[signal]
    return {"signal": signal, "value": proof["value"], "time": proof["time"]}
