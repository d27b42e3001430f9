"""Parts that wait until it is certain in which category they were made: unknown time, setup, or any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway.kpi.window import UNKNOWN, Window
from gateway.states.interval import Interval

MOST = 100
"""Beyond so many, parts that follow one another wait together: a rule may wait for an hour before it counts."""


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


class WaitingParts:
    """In order of time."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, part: Part) -> None:
        """One more, or more of the last."""
        last = self._parts[-1] if len(self._parts) >= MOST else None
        if last is not None and (last.since, last.stretch) == (None, part.stretch) and part.since is None:
            self._parts[-1] = part._replace(ns=last.ns + part.ns, scrap_ns=last.scrap_ns + part.scrap_ns)
        else:
            self._parts.append(part)

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
        return [list(part) for part in self._parts]

    def restore(self, saved: Iterable[Sequence[Any]]) -> None:
        """Go on from a checkpoint."""
        self._parts = []
        for at, since, ns, scrap_ns, *more in saved:
            self._parts.append(Part(at, since, ns, scrap_ns, tuple(more[0]) if more else (), *more[1:]))


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
        if category == UNKNOWN and part.ns:
            window.tallies.unknown_ns += part.ns
            window.dirty = True
        elif category == "setup" and part.scrap_ns:
            window.tallies.start_up_ns += part.scrap_ns
            window.dirty = True
