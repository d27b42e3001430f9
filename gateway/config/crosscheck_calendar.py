"""What is wrong with a calendar as a whole: names that lead nowhere, dates given twice, shifts that overlap."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.calendar import DAY_MINUTES, ShiftConfig
from gateway.config.findings import Finding
from gateway.config.nearest import unknown_name
from gateway.config.salvage import Parsed

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK_MINUTES = 7 * DAY_MINUTES


def calendar_findings(parsed: Parsed) -> Iterator[Finding]:
    """Everything that the calendar's parts together have wrong, and what is worth a note."""
    calendar = parsed.calendar
    dates = set()
    for index, exception in calendar.exceptions.items():
        if exception.date in dates:
            words = f"{exception.date} has an exception already; keep one of them"
            yield Finding(("calendar", "exceptions", index, "date"), words)
        dates.add(exception.date)
        for position, name in enumerate(exception.shifts or ()):
            if name not in calendar.shifts:
                words = unknown_name("shift", name, list(calendar.shifts))
                yield Finding(("calendar", "exceptions", index, "shifts", position), words)
    for index, window in calendar.maintenance.items():
        if window.machine not in parsed.machine_names:
            words = unknown_name("machine", window.machine, parsed.machine_names)
            yield Finding(("calendar", "maintenance", index, "machine"), words)
    shifts = {name: shift for name, shift in calendar.shifts.items() if shift is not None}
    for position, (name, shift) in enumerate(shifts.items()):
        for other in list(shifts)[:position]:
            if _overlap(shift, shifts[other]):
                words = f"overlaps with {other}; time belongs to the one that began later"
                yield Finding(("calendar", "shifts", name), words, note=True, key=True)


def _overlap(one: ShiftConfig, other: ShiftConfig) -> bool:
    spans = [
        [(_WEEK.index(day) * DAY_MINUTES + shift.from_, shift.minutes) for day in shift.days] for shift in (one, other)
    ]
    return any(
        (second - first) % _WEEK_MINUTES < length or (first - second) % _WEEK_MINUTES < other_length
        for first, length in spans[0]
        for second, other_length in spans[1]
    )
