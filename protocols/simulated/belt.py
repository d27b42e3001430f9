"""What lies between two simulated machines: bottles with the time at which each arrived."""

from __future__ import annotations

from collections import deque

LEAST = 8
"""Bottles that a machine which ran dry waits for: a sensor upstream of it lets it start again."""


class Belt:
    """Bottles in their order, without a bound. The machine behind it may be behind the one before it in time."""

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()

    def put(self, ms: int) -> None:
        """One more has arrived."""
        self._arrived.append(ms)

    def take(self) -> None:
        """The first is gone."""
        self._arrived.popleft()

    def is_empty(self, ms: int) -> bool:
        """Whether none is there at a time."""
        return not self._arrived or self._arrived[0] > ms

    @property
    def filled_ms(self) -> int | None:
        """When there are enough to start again; None where that is not known yet."""
        return self._arrived[LEAST - 1] if len(self._arrived) >= LEAST else None
