"""Engine time as people read it: UTC, the line's shifts and production days, and where its minutes end."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from gateway.calendar.calendar import HOUR_MS, Calendar
from gateway.config.calendar import CalendarConfig
from gateway.events import rfc3339

MINUTE_MS = 60_000
MOST_STEPS = 16
"""Steps of the wall clock that are remembered, so that an instant before one keeps the name it was told by."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What the calendar says of a machine at one instant, and until when it says so."""

    shift: str | None = None
    production_date: str = ""
    planned: bool = True
    until: int | None = None
    """Engine time; None where there is no calendar."""


ALWAYS = Planned()
"""Without a calendar."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The hour, the shift and the production day that an instant is in, each by a name of its own, and until when."""

    hour: str
    shift: str | None
    day: str
    until: int
    """Engine time at which one of them ends."""


class LineTime:
    """Maps engine milliseconds to UTC and to the line's calendar; `utc_offset` changes when the wall clock steps."""

    def __init__(self, time_zone: str, calendar: CalendarConfig | None = None) -> None:
        self._calendar = Calendar(time_zone, calendar)
        self._steps: list[tuple[int, int]] = [(0, 0)]
        """Engine time of each step, and the offset from then on."""
        self.is_suspect = False
        """Whether nothing synchronises the wall clock."""

    @property
    def utc_offset(self) -> int:
        """UTC minus engine time, as it is now."""
        return self._steps[-1][1]

    def set_offset(self, offset: int, at: int) -> None:
        """The wall clock stepped at an engine time."""
        if offset != self.utc_offset:
            self._steps = [*self._steps, (at, offset)][-MOST_STEPS:]

    def utc(self, at: int) -> int:
        """UTC milliseconds of an engine time, as the clock was then."""
        steps = self._steps
        if at >= steps[-1][0]:
            return at + steps[-1][1]
        return at + steps[max(0, bisect_right(steps, at, key=lambda step: step[0]) - 1)][1]

    def text(self, at: int) -> str:
        """RFC 3339 of an engine time."""
        return rfc3339(self.utc(at))

    def production_date(self, at: int) -> str:
        """The production day, in the line's zone, that an engine time belongs to."""
        return self._calendar.span(self.utc(at)).production_date

    def of_event(self, at: int) -> dict[str, str | None]:
        """`shift` and `production_date`, as every event of a machine carries them."""
        span = self._calendar.span(self.utc(at))
        return {"shift": span.shift, "production_date": span.production_date}

    def planned(self, machine: str, at: int) -> Planned:
        """What the calendar says of a machine at `at`."""
        if not self._calendar.is_given:
            return ALWAYS
        utc = self.utc(at)
        span = self._calendar.of_machine(machine, utc)
        return Planned(span.shift, span.production_date, span.planned, at + span.ended - utc)

    def periods(self, at: int) -> Periods:
        """What KPI windows an instant belongs to; the line's clock says where an hour ends, all lengths are true."""
        utc = self.utc(at)
        span, hour = self._calendar.span(utc), self._calendar.hour(utc)
        shift = None if span.shift is None else f"{span.shift}@{span.shift_began}"
        return Periods(f"{hour}", shift, span.production_date, at + min(span.ended, hour + HOUR_MS) - utc)

    def window(self, at: int, length: int) -> tuple[int, int]:
        """Engine times at which the window around `at` begins and ends; windows begin at multiples of it in UTC."""
        began = at - self.utc(at) % length
        return began, began + length

    def minute(self, at: int) -> tuple[int, int]:
        """Engine times at which the minute of UTC around `at` begins and ends."""
        return self.window(at, MINUTE_MS)

    def checkpoint(self) -> list[list[int]]:
        """Plain values from which `restore` goes on."""
        return [[at, offset] for at, offset in self._steps]

    def restore(self, saved: list[list[int]]) -> None:
        """Go on from a checkpoint."""
        self._steps = [(at, offset) for at, offset in saved]
