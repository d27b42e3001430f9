"""Parts that wait until it is certain in which category they were made: unknown time, setup, or any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway.kpi.task import Task
from gateway.kpi.window import UNKNOWN, Window
from gateway.states.interval import Interval

MOST = 100
"""Beyond so many, parts that follow one another wait together: a rule may wait for an hour before it counts."""


SUMS = ("ns", "scrap_ns", "base_ns", "base_scrap_ns", "pq", "sq")


class Part(NamedTuple):
    """Parts that were seen at a moment, or one after another until then; ideal times in nanoseconds."""

    at: int
    since: int | None
    """The begin of the outage over which they were made."""
    ns: int
    scrap_ns: int
    stretch: tuple[int, ...] = ()
    """Of time in which they were seen, and which no boundary divides."""
    job: str | None = None
    """On which they were made."""
    claim: str = ""
    """The entry that says their product, where a person does; and what was made in the ideal time without it."""
    base_ns: int = 0
    base_scrap_ns: int = 0
    pq: int = 0
    sq: int = 0


class WaitingParts:
    """In order of time."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, part: Part) -> None:
        """One more, or more of the last."""
        last = self._parts[-1] if len(self._parts) >= MOST else None
        alike = (None, None, part.stretch, part.claim)
        if last is not None and (last.since, part.since, last.stretch, last.claim) == alike:
            self._parts[-1] = part._replace(**{name: getattr(last, name) + getattr(part, name) for name in SUMS})
        else:
            self._parts.append(part)

    def disclaim(self, entry: str, earlier: Task | None) -> None:
        """A person's word of the product was taken back: the one before stands, or none."""
        self._parts = [_disclaimed(part, earlier) if part.claim == entry else part for part in self._parts]

    def until(self, sure: int) -> list[Part]:
        """Those whose time is certain, which wait no more."""
        ready = 0
        while ready < len(self._parts) and self._parts[ready].at <= sure:
            ready += 1
        done, self._parts = self._parts[:ready], self._parts[ready:]
        return done

    def classified(self, intervals: Sequence[Interval]) -> list[tuple[Part, str]]:
        """Of all of them, what they are as far as it is known now."""
        return classified(self._parts, intervals)

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [list(part if part.claim else part[:6]) for part in self._parts]

    def restore(self, saved: Iterable[Sequence[Any]]) -> None:
        """Go on from a checkpoint."""
        self._parts = []
        for at, since, ns, scrap_ns, *more in saved:
            self._parts.append(Part(at, since, ns, scrap_ns, tuple(more[0]) if more else (), *more[1:]))


def _disclaimed(part: Part, earlier: Task | None) -> Part:
    if earlier is None:
        return Part(part.at, part.since, part.base_ns, part.base_scrap_ns, part.stretch, part.job)
    if earlier.ideal_ms == earlier.base_ms:
        return part._replace(ns=part.base_ns, scrap_ns=part.base_scrap_ns, claim=earlier.claim)
    ideal = 0 if earlier.ideal_ms is None else round(earlier.ideal_ms * 1e6)
    return part._replace(ns=part.pq * ideal, scrap_ns=part.sq * ideal, claim=earlier.claim)


def classified(parts: Iterable[Part], intervals: Sequence[Interval]) -> list[tuple[Part, str]]:
    """Those that were made in unknown time or in setup; what is seen at a moment was made before it."""
    found = []
    for part in parts:
        for one in intervals:
            if one.began < part.at and (one.ended is None or part.at <= one.ended):
                if one.account.category in (UNKNOWN, "setup"):
                    found.append((part, one.account.category))
                break
    return found


def classify(window: Window, parts: Iterable[tuple[Part, str]]) -> None:
    """Put those that are in a window into its sums."""
    for part, category in parts:
        if not window.takes(part.since, part.at, part.job):
            continue
        name, times = "unknown_ns", (part.ns, part.base_ns, part.pq)
        if category != UNKNOWN:
            name, times = "start_up_ns", (part.scrap_ns, part.base_scrap_ns, part.sq)
        if any(times):
            setattr(window.tallies, name, getattr(window.tallies, name) + times[0])
            window.dirty = True
            if part.claim in window.claimed:
                window.claimed[part.claim].early(name, times)
