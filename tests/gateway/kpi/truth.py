"""KPI windows computed again from what else was published: final intervals, stops, and minutes of production."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.events import Event
from tests.gateway.stories import MONDAY, latest

Data = dict[str, Any]


@dataclass
class Span:
    """Engine milliseconds, and the event."""

    began: int
    ended: int
    data: Data

    def within(self, other: Span) -> int:
        """Milliseconds of it that lie in another."""
        return max(0, min(self.ended, other.ended) - max(self.began, other.began))


def _engine(name: str) -> int:
    """The engine time at which something began: its id ends with it, or with a number where others began there too."""
    return next(number for part in name.split("-") if part.isdecimal() and (number := int(part)) >= MONDAY)


def windows(events: Iterable[Event]) -> list[Span]:
    """Windows that stand, by their kind and begin."""
    spans = []
    for data in latest(list(events), "machine.kpi", "kpi"):
        began = _engine(data["kpi"])
        spans.append(Span(began, began + round(1000 * sum(data["categories"].values())), data))
    return sorted(spans, key=lambda one: (one.data["window"], one.began))


def spans(events: Iterable[Event], kind: str, key: str, now: int) -> list[Span]:
    """Intervals or stops that stand; what is open ends now."""
    found = []
    for data in latest(list(events), kind, key):
        began = _engine(data[key])
        length = now - began if data["duration_s"] is None else round(1000 * data["duration_s"])
        found.append(Span(began, began + length, data))
    return found


def categories(window: Span, intervals: list[Span]) -> dict[str, float]:
    """Seconds of each category in a window."""
    times: dict[str, int] = defaultdict(int)
    for one in intervals:
        times[one.data["category"]] += one.within(window)
    return {name: ms / 1000 for name, ms in times.items() if ms}


def stop_figures(window: Span, intervals: list[Span], stops: list[Span], short_ms: int) -> Data:
    """What stops come to in a window."""
    minor_n, minor_ms, down_ms, failures, repair = 0, 0, 0, 0, 0
    for stop in stops:
        own = [one for one in intervals if one.data["stop"] == stop.data["stop"] and one.within(window)]
        planned = sum(one.within(window) for one in own if one.data["category"] not in ("planned_stop", "no_demand"))
        lost_in = ("planned_stop", "no_demand", "production", "unknown")
        lost = sum(one.within(window) for one in own if one.data["category"] not in lost_in)
        begins = window.began <= stop.began < window.ended and stop.ended > stop.began
        if stop.data["kind"] != "own":
            continue
        if stop.ended - stop.began < short_ms:
            minor_n, minor_ms = minor_n + begins, minor_ms + lost
            continue
        down_ms += planned
        if begins and stop.data["failure"] is not False:
            failures += 1
            every = (one for one in intervals if one.data["stop"] == stop.data["stop"])
            over = sum(one.ended - one.began for one in every if one.data["category"] == "planned_stop")
            repair += stop.ended - stop.began - over
    return {
        "minor_stops": {"n": minor_n, "seconds": minor_ms / 1000},
        "down_ms": down_ms,
        "failures": failures,
        "repair_ms": repair,
    }


def made(window: Span, events: Iterable[Event]) -> tuple[int, int]:
    """Parts that minutes and outages within a window brought; those of outages that reach beyond it."""
    within, beyond = 0, 0
    for event in events:
        if event.type != "machine.production":
            continue
        began, ended = (_utc(event.data[key]) for key in ("began", "ended"))
        if window.began <= began < window.ended and ended <= window.ended:
            within += event.data["total"]
        elif event.data["recovered"] and began < window.ended and ended > window.began:
            beyond += event.data["total"]
    return within, beyond


def _utc(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
