"""`calendar:` as it is written: shifts, breaks, exceptions and planned maintenance, in the line's time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from protocols.settings import Keyed, Name, Settings, gathered, misplaced, shown

DAY_MINUTES = 24 * 60
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2})")


def _time_of_day(written: object) -> int:
    """Minutes after midnight."""
    if isinstance(written, str) and _TIME.fullmatch(written):
        hours, minutes = written.split(":")
        return int(hours) * 60 + int(minutes)
    raise ValueError(f'{shown(written)} is not a time of day; write it in quotes, like "06:00"')


def _date(written: object) -> date:
    if isinstance(written, date) and not isinstance(written, datetime):
        return written
    try:
        if isinstance(written, str) and _DATE.fullmatch(written):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise ValueError(f"{shown(written)} is not a date; write it like 2026-12-24")


def _moment(written: object) -> datetime:
    if isinstance(written, datetime):
        return written
    try:
        if isinstance(written, str) and (match := _MOMENT.fullmatch(written)):
            return datetime.fromisoformat(f"{match[1]}T{match[2]}")
    except ValueError:
        pass
    raise ValueError(f'{shown(written)} is not a date and time; write them like "2026-12-24 06:00"')


def _written(check: Callable[[object], Any], kind: str, pattern: re.Pattern[str], example: str) -> tuple[Any, Any]:
    form = {"type": "string", "pattern": f"^(?:{pattern.pattern})$", "x-kind": kind, "examples": [example]}
    return BeforeValidator(check), WithJsonSchema(form)


TimeOfDay = Annotated[int, *_written(_time_of_day, "time", _TIME, '"06:00"')]
Date = Annotated[date, *_written(_date, "date", _DATE, "2026-12-24")]
Moment = Annotated[datetime, *_written(_moment, "moment", _MOMENT, '"2026-12-24 06:00"')]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""In the order of `date.weekday`."""


class BreakConfig(Settings):
    """A planned break of a shift."""

    from_: TimeOfDay = Field(alias="from", examples=['"10:00"'])
    """When it begins."""
    to: TimeOfDay = Field(examples=['"10:15"'])
    """When it ends."""


class ShiftConfig(Settings):
    """A shift; it belongs to the day on which it begins."""

    # lists become tuples: what is loaded stays as it was loaded
    days: Annotated[tuple[Day, ...], Field(strict=False)] = Field(examples=["[mon, tue, wed, thu, fri]"])
    """The days of the week on which it begins; none for one that only exceptions name."""
    from_: TimeOfDay = Field(alias="from", examples=['"06:00"'])
    """When it begins."""
    to: TimeOfDay = Field(examples=['"14:00"'])
    """When it ends; what is not after `from` is on the next day."""
    breaks: Annotated[tuple[BreakConfig, ...], Field(strict=False)] = ()
    """Its planned breaks."""

    @property
    def minutes(self) -> int:
        """Its length by the clock on the wall; after midnight this goes on counting."""
        return (self.to - self.from_ - 1) % DAY_MINUTES + 1

    def after_begin(self, one: BreakConfig) -> tuple[int, int]:
        """Minutes by the clock from the shift's begin to a break's begin and end."""
        began = (one.from_ - self.from_) % DAY_MINUTES
        return began, began + (one.to - one.from_) % DAY_MINUTES

    @model_validator(mode="after")
    def _check(self) -> ShiftConfig:
        problems = []
        for index, one in enumerate(self.breaks):
            if self.after_begin(one)[1] > self.minutes or one.from_ == one.to:
                problems.append(misplaced("lies outside its shift; a break begins and ends within it", "breaks", index))
        if problems:
            raise gathered(problems)
        return self


class ExceptionConfig(Settings):
    """A date on which other shifts begin than the day of the week says."""

    date: Date
    """The day."""
    closed: Annotated[str, Field(min_length=1)] | None = Field(default=None, examples=["Christmas"])
    """No shift begins, and why."""
    shifts: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, examples=["[early]"]
    )
    """The shifts that begin, whatever their days."""

    @model_validator(mode="after")
    def _check(self) -> ExceptionConfig:
        if (self.closed is None) == (self.shifts is None):
            raise misplaced("is either `closed: why` or has `shifts`, the names of those that begin")
        return self


class MaintenanceConfig(Settings):
    """A window in which a machine is not meant to produce, whatever the shift."""

    machine: Name = Field(examples=["filler"])
    """The machine."""
    from_: Moment = Field(alias="from")
    """When it begins, in the line's time zone."""
    to: Moment
    """When it ends."""

    @model_validator(mode="after")
    def _check(self) -> MaintenanceConfig:
        if self.to <= self.from_:
            raise misplaced("ends before it begins", "to")
        return self


class CalendarConfig(Settings):
    """When the line is meant to produce; without a calendar always."""

    production_day: TimeOfDay | None = Field(default=None, examples=['"06:00"'])
    """When the production day begins, which has the date on which it begins; the first shift's begin by default."""
    shifts: Annotated[Keyed[Name, ShiftConfig], Field(min_length=1)] = Field(
        examples=['{early: {days: [mon, tue, wed, thu, fri], from: "06:00", to: "14:00"}}']
    )
    """Time outside all of them is not planned; where two overlap, time is the later one's from its begin on."""
    exceptions: Annotated[tuple[ExceptionConfig, ...], Field(strict=False)] = ()
    """Holidays, and days with other shifts."""
    maintenance: Annotated[tuple[MaintenanceConfig, ...], Field(strict=False)] = ()
    """Planned maintenance windows of machines."""

    @property
    def day_begins(self) -> int:
        """Minutes after midnight at which the production day begins."""
        first = next(iter(self.shifts.values())).from_
        return (first if self.production_day is None else self.production_day) % DAY_MINUTES
