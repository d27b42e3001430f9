"""A device's clock against engine time: at which moment of ours something happened that its source time dates.

A value comes some time after it was dated, never before. So the least distance between a source time and its receipt
in the last minutes is how far the device's clock is from ours (and the way of the quickest value), and what came later
than that was on its way for longer. A clock that goes back or stands still says nothing until it has gone on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MEMORY_MS = 600_000
"""The least distance of so long counts, and of the same time before: a clock that drifts is followed."""


class SourceClock:
    """One device's. Source times are its UTC milliseconds, all others engine milliseconds."""

    def __init__(self) -> None:
        self._least: int | None = None
        self._before: int | None = None
        """The least distance before `_turned_at`, while that counts."""
        self._turned_at = 0
        self._newest: dict[int, int] = {}
        """The newest source time by scan interval: values of one interval come in the order of their times."""

    def distance(self, sources: Sequence[int], interval: int, at: int) -> int:
        """What to add to a source time for its moment, by the times that came together at `at`."""
        newest = max(sources)
        if newest <= self._newest.get(interval, newest - 1):
            self._least = self._before = None
        self._newest[interval] = newest
        if at - self._turned_at >= MEMORY_MS:
            self._before = self._least if at - self._turned_at < 2 * MEMORY_MS else None
            self._least, self._turned_at = None, at
        own = at - newest
        self._least = own if self._least is None else min(own, self._least)
        return self._least if self._before is None else min(self._least, self._before)

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self._least, self._before, self._turned_at, self._newest]

    def restore(self, saved: Sequence[Any]) -> None:
        """Go on from a checkpoint."""
        self._least, self._before, self._turned_at, self._newest = saved
