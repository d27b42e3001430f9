"""A Modbus TCP device that nothing is done to: it notes when it is asked, so that a scan that moves is seen."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from tests.peers.peer import Peer, Unit, tcp_peer

NAME = "witness_plc"


_EARLY = 0.1
"""How much of a period before its point a request still belongs to it: clocks and loops are not exact."""


class Witness:
    """What was asked of the device and when; a scan of it is one request."""

    def __init__(self, peer: Peer, period_s: float) -> None:
        self._peer = peer
        self._period_s = period_s
        self._phase_s = 0.0
        self._last: tuple[int, float] | None = None
        """Point of the grid of the last request, and its time."""
        self.scans = 0
        self.skipped = 0
        """Points of the grid at which it was not asked before the next one was due."""
        self.longest_s = 0.0
        """Longest time between two scans."""

    @property
    def seen(self) -> int:
        """Requests that were not looked at yet."""
        return len(self._peer.asked)

    @property
    def device(self) -> dict[str, Any]:
        """Its section."""
        return {
            "protocol": "modbus_tcp",
            "host": "127.0.0.1",
            "port": self._peer.port,
            "scan_interval": f"{self._period_s * 1000:g}ms",
            "signals": {"level": {"address": "holding:7", "type": "uint16"}},
        }

    def begin(self) -> None:
        """The scans so far, of a calm time, tell the grid; from now on they count."""
        angles = [one.at % self._period_s * math.tau / self._period_s for one in self._peer.asked]
        middle = math.atan2(median(map(math.sin, angles)), median(map(math.cos, angles)))
        self._phase_s = (middle / math.tau - _EARLY) * self._period_s
        self._peer.asked.clear()

    def look(self) -> None:
        """Take note of what was asked since the last look."""
        asked, self._peer.asked = self._peer.asked, []
        for one in asked:
            self.scans += 1
            point = math.floor((one.at - self._phase_s) / self._period_s)
            if self._last is not None:
                before, at = self._last
                self.longest_s = max(self.longest_s, one.at - at)
                self.skipped += max(0, point - before - 1)
            self._last = point, one.at


@asynccontextmanager
async def witness(period_s: float) -> AsyncIterator[Witness]:
    """A device on a free loopback port, to be scanned so often."""
    async with tcp_peer("mbap", {1: Unit()}) as peer:
        yield Witness(peer, period_s)
