"""Simulated time: real time sped up, which can be made to stand still."""

from __future__ import annotations

import time
from collections.abc import Callable


class SimulatedClock:
    """Milliseconds of simulated time from 0 on, `speed` of them in a real one. Never goes back.

    It follows the monotonic clock; a step of the wall clock shows in `utc_ms` only after the next `thaw`.
    """

    def __init__(
        self,
        speed: float = 1.0,
        frozen: bool = False,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if not 0 < speed <= 10_000:
            raise ValueError(f"speed {speed} is not above 0 and at most 10000")
        self.speed = speed
        self.frozen = frozen
        self._monotonic_ns, self._utc_ns = monotonic_ns, utc_ns
        self._ms = 0
        self._anchor()

    def now_ms(self) -> int:
        """Simulated time."""
        if self.frozen:
            return self._ms
        return self._ms + int((self._monotonic_ns() - self._since_ns) * self.speed) // 1_000_000

    def freeze(self) -> None:
        """Time stands still from now on."""
        self._ms = self.now_ms()
        self.frozen = True

    def thaw(self) -> None:
        """Time goes on from where it stood."""
        if self.frozen:
            self.frozen = False
            self._anchor()

    def utc_ms(self, ms: int) -> int:
        """The wall clock's time, in UTC milliseconds, at a simulated time since the last `thaw`."""
        return (self._wall_ns + int((ms - self._ms) * 1_000_000 / self.speed)) // 1_000_000

    def _anchor(self) -> None:
        self._since_ns, self._wall_ns = self._monotonic_ns(), self._utc_ns()
