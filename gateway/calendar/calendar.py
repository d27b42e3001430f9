"""From UTC to what was planned: the shift, whether production is meant, the production day, and until when.

A time of day is the first instant at which the line's clock shows it or later: one that a clock change leaves
out is the change itself, one that it shows twice is its first. All lengths are true ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from gateway.config.calendar import CalendarConfig, Day, ShiftConfig

Rest: TypeAlias = Literal["break", "no_shift", "maintenance"]
HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
_WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AROUND = range(-2, 3)
"""Days around one whose shifts and boundaries can touch it: a shift lasts a day, a zone is up to 14 h from UTC."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time over which the calendar says one thing; UTC milliseconds."""

    began: int
    ended: int
    shift: str | None
    planned: bool
    production_date: str
    shift_began: int | None = None
    """When this occurrence of the shift began."""
    rest: Rest | None = None
    """Why production is not meant."""


@dataclass(frozen=True, slots=True)
class _Occurrence:
    """One shift on one day."""

    name: str
    began: int
    ended: int
    breaks: tuple[tuple[int, int], ...]


class Calendar:
    """A line's calendar; without one all time is planned, in days from midnight to midnight."""

    def __init__(self, time_zone: str, config: CalendarConfig | None) -> None:
        self._zone = ZoneInfo(time_zone)
        self._shifts: dict[str, ShiftConfig] = {} if config is None else dict(config.shifts)
        self._day_begins = 0 if config is None else config.day_begins
        self.is_given = config is not None
        """Whether there is one at all."""
        self._exceptions = {} if config is None else {one.date: one.shifts or () for one in config.exceptions}
        self._maintenance: dict[str, list[tuple[int, int]]] = {}
        for window in () if config is None else config.maintenance:
            spans = self._maintenance.setdefault(window.machine, [])
            spans.append((self._utc(window.from_), self._utc(window.to)))
        self.maintained = frozenset(self._maintenance)
        """Machines that have maintenance of their own."""
        self._span = Span(0, 0, None, True, "")

    def span(self, utc: int) -> Span:
        """What is planned around an instant."""
        if not self._span.began <= utc < self._span.ended:
            self._span = self._find(utc)
        return self._span

    def of_machine(self, machine: str, utc: int) -> Span:
        """The same for one machine, with its maintenance."""
        span = self.span(utc)
        windows = self._maintenance.get(machine)
        if windows is None:
            return span
        marks = sorted({moment for window in windows for moment in window if span.began < moment < span.ended})
        marks = [span.began, *marks, span.ended]
        index = bisect_right(marks, utc)
        is_maintained = any(began <= utc < ended for began, ended in windows)
        planned, rest = (False, "maintenance") if is_maintained else (span.planned, span.rest)
        return replace(span, began=marks[index - 1], ended=marks[index], planned=planned, rest=rest)

    def hour(self, utc: int) -> int:
        """When the hour of the line's clock around an instant began."""
        offset = datetime.fromtimestamp(utc / 1000, UTC).astimezone(self._zone).utcoffset()
        assert offset is not None
        return utc - (utc + offset // timedelta(milliseconds=1)) % HOUR_MS

    def _find(self, utc: int) -> Span:
        day = datetime.fromtimestamp(utc / 1000, UTC).astimezone(self._zone).date()
        days = [day + timedelta(days=offset) for offset in _AROUND]
        begins = [self._utc(_at(one, self._day_begins)) for one in days]
        occurrences = [occurrence for one in days for occurrence in self._on(one)]
        marks = set(begins)
        for one in occurrences:
            marks.update((one.began, one.ended), *one.breaks)
        current = max((one for one in occurrences if one.began <= utc < one.ended), key=_by_begin, default=None)
        rest: Rest | None = None
        if self.is_given and current is None:
            rest = "no_shift"
        elif current is not None and any(began <= utc < ended for began, ended in current.breaks):
            rest = "break"
        return Span(
            max(mark for mark in marks if mark <= utc),
            min(mark for mark in marks if mark > utc),
            None if current is None else current.name,
            rest is None,
            max(one for one, began in zip(days, begins, strict=True) if began <= utc).isoformat(),
            None if current is None else current.began,
            rest,
        )

    def _on(self, day: date) -> Iterator[_Occurrence]:
        """The shifts that begin on a day."""
        named = self._exceptions.get(day)
        for name, shift in self._shifts.items():
            if name in named if named is not None else _WEEK[day.weekday()] in shift.days:
                breaks = [shift.after_begin(one) for one in shift.breaks]
                clock = [shift.from_ + minutes for minutes in (0, shift.minutes, *(m for one in breaks for m in one))]
                began, ended, *rest = (self._utc(_at(day, minutes)) for minutes in clock)
                yield _Occurrence(name, began, ended, tuple(zip(rest[::2], rest[1::2], strict=True)))

    def _utc(self, local: datetime) -> int:
        """The first instant at which the line's clock shows a time or later."""
        utc = _milliseconds(local.replace(tzinfo=self._zone))
        if self._local(utc) == local:
            return utc
        low = _milliseconds(local.replace(tzinfo=self._zone, fold=1))  # left out by a change between these two
        while utc - low > _MINUTE_MS:
            middle = (low + utc) // 2 // _MINUTE_MS * _MINUTE_MS
            if self._local(middle) >= local:
                utc = middle
            else:
                low = middle
        return utc

    def _local(self, utc: int) -> datetime:
        return datetime.fromtimestamp(utc / 1000, UTC).astimezone(self._zone).replace(tzinfo=None)


def _at(day: date, minutes: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - a clock's face


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp()) * 1000


def _by_begin(occurrence: _Occurrence) -> int:
    return occurrence.began
