"""Fixed-phase scanning: every scan is due on its own grid of time, and one that is late never shifts it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Scan:
    """Signals of one device that are sampled together."""

    device: str
    number: int
    """Scan class of the device."""
    period_ms: int
    due_ms: int = 0
    under_way: bool = False


class Schedule:
    """Hands out scans when they are due, the one that is due longest first.

    A scan's grid is multiples of its period on the monotonic clock plus a phase made from its name,
    so that devices with one period are spread over it, and a new connection keeps the old phase. It is of whole
    milliseconds, as uvloop's timers are: what is due in 0.4 ms, it calls again and again until that is over.
    """

    def __init__(self, scans: Iterable[Scan]) -> None:
        self._scans = list(scans)
        self._begun = False
        self.overruns = 0
        """Points of the grid that passed while their scan was still under way or not begun; each was skipped."""

    def take_due(self) -> list[Scan]:
        """The scans that are due now, longest first; each is under way until `done`."""
        now = round(asyncio.get_running_loop().time() * 1000)
        if not self._begun:
            self._begun = True
            for scan in self._scans:
                scan.due_ms = _on_grid(f"{scan.device}#{scan.number}", scan.period_ms, now)
        due = [scan for scan in self._scans if scan.due_ms <= now]
        for scan in due:
            missed = (now - scan.due_ms) // scan.period_ms
            self.overruns += missed + scan.under_way
            scan.due_ms += (missed + 1) * scan.period_ms
        ready = [scan for scan in due if not scan.under_way]
        for scan in ready:
            scan.under_way = True
        return sorted(ready, key=lambda scan: scan.due_ms - scan.period_ms)

    @staticmethod
    def done(scan: Scan) -> None:
        """The scan has ended; it can begin again at its next point."""
        scan.under_way = False

    async def wait(self) -> None:
        """Until the next scan is due."""
        await asyncio.sleep(max(0.0, self.next_due() - asyncio.get_running_loop().time()))

    def next_due(self) -> float:
        """When the next scan is due, by the loop's clock in seconds."""
        return min(scan.due_ms for scan in self._scans) / 1000


def _on_grid(name: str, period_ms: int, now_ms: int) -> int:
    """The first point of a scan's grid that is not before `now_ms`."""
    phase = zlib.crc32(name.encode()) % 1009 * period_ms // 1009
    return -(-(now_ms - phase) // period_ms) * period_ms + phase
