"""How many bytes go out at once over a link so slow that a large batch is not answered in time.

A connection begins small and grows, so without a memory each one would grow into the timeout again.
"""

from __future__ import annotations

STEP = 4
PATIENCE = 100
"""Batches at the limit after which a larger one is tried, though they take long: maybe it is the server's time."""
_LIMIT, _TAKEN = "pace", "paced"


class Pace:
    """Of one uplink; it lives in `kept`, its context's numbers."""

    def __init__(self, kept: dict[str, int], timeout_s: float) -> None:
        self._kept = kept
        self._quick_s = timeout_s / (2 * STEP)

    def fits(self, size: int) -> bool:
        """Whether several events of so many bytes together may go."""
        return size <= self._kept.get(_LIMIT, size)

    def too_slow(self, size: int) -> None:
        """Several events together were not answered in time."""
        self._kept[_LIMIT] = max(1, size // STEP)
        self._kept.pop(_TAKEN, None)

    def taken(self, size: int, seconds: float) -> None:
        """So much was answered after so long; more is tried where that was quick, or has gone well for long."""
        limit = self._kept.get(_LIMIT)
        if limit is None or size * STEP <= limit:
            return
        self._kept[_TAKEN] = self._kept.get(_TAKEN, 0) + 1
        if seconds <= self._quick_s or self._kept[_TAKEN] >= PATIENCE:
            self._kept.pop(_TAKEN)
            self._kept[_LIMIT] = limit * STEP
