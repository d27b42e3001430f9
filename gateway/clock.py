"""Engine time: milliseconds that never go back, and their distance to UTC.

Engine time is CLOCK_BOOTTIME (which runs through suspend and which no one can set) plus an anchor.
At first it equals UTC; a step of the wall clock changes the distance, never engine time. Across a
restart it goes on from the checkpoint by what the wall clock says has passed, never backwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.ntp import is_synchronised

STEP_MS = 100
"""A change of the distance to UTC beyond this is a step; slewing keeps the distance, since it slews both clocks."""


def _boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class EngineClock:
    """The one source of engine time; runners stamp inputs with `now`."""

    def __init__(
        self,
        resume_at: int | None = None,
        utc_offset: int = 0,
        synchronised: Callable[[], bool | None] = is_synchronised,
    ) -> None:
        """`resume_at`: engine time of the checkpoint; `utc_offset`: UTC minus engine time then."""
        self._synchronised = synchronised
        self.synchronised = synchronised()
        """Whether something keeps the wall clock right; None where that cannot be known."""
        wall = _wall_ms()
        begin = wall - utc_offset
        if resume_at is not None:
            begin = max(begin, resume_at)
        self._anchor = begin - _boot_ms()
        self.utc_offset = wall - begin

    def now(self) -> int:
        """Engine time in milliseconds."""
        return _boot_ms() + self._anchor

    def utc(self) -> int:
        """UTC in milliseconds, as the events have it."""
        return self.now() + self.utc_offset

    @property
    def is_suspect(self) -> bool:
        """Whether dates may be wrong, for all that is known."""
        return self.synchronised is False

    def look(self) -> bool:
        """Ask again whether the clock is synchronised; whether that makes it more or less suspect than before."""
        before, self.synchronised = self.is_suspect, self._synchronised()
        return self.is_suspect != before

    def step(self) -> int | None:
        """Milliseconds by which the wall clock has stepped since the last call, or None; moves the distance to UTC."""
        before = _boot_ms()
        wall = _wall_ms()
        if _boot_ms() - before > STEP_MS // 2:
            return None  # interrupted between the two clocks: ask again next time
        offset = wall - (before + self._anchor)
        stepped = offset - self.utc_offset
        if abs(stepped) <= STEP_MS:
            return None
        self.utc_offset = offset
        return stepped
