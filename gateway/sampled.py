"""When each signal of the line was last sampled, and for how long it may be taken to hold."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.devices import Device
from gateway.trends.ways import Seen

HELD_SCANS, HELD_MS = 5, 60_000
"""Scan intervals, or time if that is longer, for which a trend takes a value to hold beyond its last sample.

A driver that hears nothing says so itself within a minute; a subscription without changes is sampled far more rarely
than its interval says.
"""


def held_ms(interval: int) -> int:
    """Milliseconds for which a value of a scan interval is taken to hold."""
    return max(HELD_SCANS * interval, HELD_MS)


class Sampled:
    """All as it is before what is being processed."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        self._devices = devices

    def since(self, signal: str) -> int | None:
        """When a signal was last sampled."""
        device = self._devices[signal.partition(".")[0]]
        return device.sampled.get(device.interval[signal])

    def known(self, signal: str) -> int | None:
        """Until when a signal is known not to have been as it is: by source times of its scan, where it has any."""
        device = self._devices[signal.partition(".")[0]]
        interval = device.interval[signal]
        seen = device.seen.get(interval) if device.seen else None
        known = device.sampled.get(interval) if seen is None else seen[1]
        return None if known == -1 else known

    def seen(self, signal: str) -> Seen:
        """The samples of a signal."""
        device = self._devices[signal.partition(".")[0]]
        interval = device.interval[signal]
        return Seen(device.sampled.get(interval), held_ms(interval), device.scans.get(interval, 0))
