"""Time that passes when a test says so, for the outbox: a day in seconds, and a wall clock that can be set."""

from __future__ import annotations

import sys
import time

import pytest


class SimulatedTime:
    """Stands for the module `time` in all modules of the outbox. Real time goes on passing in it as well."""

    def __init__(self, utc_ms: int) -> None:
        self._ahead = 0.0
        self._wall_ns = utc_ms * 1_000_000 - time.time_ns()

    def install(self, patch: pytest.MonkeyPatch) -> SimulatedTime:
        """Until the end of the test."""
        found = [m for name, m in sys.modules.items() if name.startswith("gateway.outbox") and hasattr(m, "time")]
        for module in found:
            if module.time is time:
                patch.setattr(module, "time", self)
        return self

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        self._ahead += seconds
        self._wall_ns += round(seconds * 1e9)

    def set_wall_clock(self, seconds: float) -> None:
        """Somebody sets the wall clock, forward or back by so much; what is monotonic goes on."""
        self._wall_ns += round(seconds * 1e9)

    def monotonic(self) -> float:
        """See `time.monotonic`."""
        return time.monotonic() + self._ahead

    def time_ns(self) -> int:
        """See `time.time_ns`."""
        return time.time_ns() + self._wall_ns

    def time(self) -> float:
        """See `time.time`."""
        return self.time_ns() / 1e9
