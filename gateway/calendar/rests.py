"""When nothing is meant to be made, and why: breaks, the time between shifts, planned maintenance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.calendar.calendar import Calendar, Rest


class Resting(NamedTuple):
    """Times are UTC milliseconds."""

    began: int
    ended: int
    rest: Rest


def rests(calendar: Calendar, machine: str | None, from_ms: int, to_ms: int) -> list[Resting]:
    """Of one machine, or of all that have no maintenance of their own, what overlaps a time; whole, in order."""
    found: list[Resting] = []
    for rest in _spans(calendar, machine, from_ms, to_ms):
        if found and found[-1].ended == rest.began and found[-1].rest == rest.rest:
            rest = found.pop()._replace(ended=rest.ended)
        found.append(rest)
    return found


def _spans(calendar: Calendar, machine: str | None, from_ms: int, to_ms: int) -> Iterator[Resting]:
    at = from_ms
    while at < to_ms:
        span = calendar.span(at) if machine is None else calendar.of_machine(machine, at)
        if span.rest is not None:
            yield Resting(span.began, span.ended, span.rest)
        at = span.ended
