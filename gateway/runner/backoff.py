"""How long to wait before the next attempt: capped, jittered, exponential."""

from __future__ import annotations

import random


class Backoff:
    """Waits that double from `first` to `cap` seconds, each shortened by up to half at random.

    The jitter keeps the gateways of a plant from returning to a broker all in the same second.
    """

    def __init__(self, first: float = 0.5, cap: float = 30.0) -> None:
        self._first = first
        self._cap = cap
        self._next = first

    def next(self) -> float:
        """Seconds until the next attempt."""
        wait, self._next = self._next, min(2 * self._next, self._cap)
        return wait * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: the next trouble begins with a short wait again."""
        self._next = self._first
