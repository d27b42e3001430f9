"""Fixed-phase scanning: every scan is due on its own grid of time, and one that is late never shifts it."""

from __future__ import annotations

import asyncio
import heapq
import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(order=True, slots=True)
class _Entry:
    due_ms: float
    order: int
    name: str
    period_ms: int


class Schedule:
    """Hands out names of scans when they are due, the one that is due longest first.

    A scan's grid is multiples of its period on the monotonic clock plus a phase made from its name,
    so that devices with one period are spread over it, and a new connection keeps the old phase.
    """

    def __init__(self, scans: Iterable[tuple[str, int]]) -> None:
        """`scans`: name and period in milliseconds of each."""
        self._periods = list(scans)
        self._heap: list[_Entry] = []
        self.overruns = 0
        """Points of the grid that passed while a scan was still under way; each was skipped."""

    async def next(self) -> str:
        """Wait for the next scan. It counts as under way until `next` is called again."""
        loop = asyncio.get_running_loop()
        now = loop.time() * 1000
        if not self._heap:
            self._heap = [
                _Entry(_on_grid(name, period, now), order, name, period)
                for order, (name, period) in enumerate(self._periods)
            ]
            heapq.heapify(self._heap)
        entry = self._heap[0]
        if entry.due_ms > now:
            await asyncio.sleep((entry.due_ms - now) / 1000)
            now = loop.time() * 1000
        missed = int(max(0.0, now - entry.due_ms) // entry.period_ms)
        self.overruns += missed
        heapq.heapreplace(
            self._heap, _Entry(entry.due_ms + (missed + 1) * entry.period_ms, entry.order, entry.name, entry.period_ms)
        )
        return entry.name


def _on_grid(name: str, period_ms: int, now_ms: float) -> float:
    """The first point of a scan's grid that is not before `now_ms`."""
    phase = zlib.crc32(name.encode()) % 1009 / 1009 * period_ms
    return (-(-(now_ms - phase) // period_ms)) * period_ms + phase
