"""Engine time as people read it: UTC, the line's production date, and where its minutes end."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.events import rfc3339

MINUTE_MS = 60_000


class LineTime:
    """Maps engine milliseconds to UTC and to the line's calendar; `utc_offset` changes when the wall clock steps."""

    def __init__(self, time_zone: str) -> None:
        self.utc_offset = 0
        self._zone = ZoneInfo(time_zone)
        self._date_of_minute: tuple[int, str] = (-1, "")

    def utc(self, at: int) -> int:
        """UTC milliseconds of an engine time."""
        return at + self.utc_offset

    def text(self, at: int) -> str:
        """RFC 3339 of an engine time."""
        return rfc3339(self.utc(at))

    def production_date(self, at: int) -> str:
        """The day, in the line's zone, that an engine time belongs to."""
        minute = self.utc(at) // MINUTE_MS
        if minute != self._date_of_minute[0]:
            day = datetime.fromtimestamp(minute * 60, UTC).astimezone(self._zone).date()
            self._date_of_minute = (minute, day.isoformat())
        return self._date_of_minute[1]

    def window(self, at: int, length: int) -> tuple[int, int]:
        """Engine times at which the window around `at` begins and ends; windows begin at multiples of it in UTC."""
        began = at - self.utc(at) % length
        return began, began + length

    def minute(self, at: int) -> tuple[int, int]:
        """Engine times at which the minute of UTC around `at` begins and ends."""
        return self.window(at, MINUTE_MS)
