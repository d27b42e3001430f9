"""A Modbus TCP device that nothing is done to: it notes when it is asked, so that a scan that moves is seen."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.peers.peer import Asked, Peer, Pieces, Unit, tcp_peer

NAME = "witness_plc"


_EARLY = 0.1
"""How much of a period before its point a request still belongs to it: clocks and loops are not exact."""


class Witness:
    """What was asked of the device and when; a scan of it is one request.

    A computer that lets the daemon wait for a processor delays its scans, whatever the daemon does: Linux says for how
    long it did, and the tests' own loop how long this process, which answers, was kept waiting.
    """

    def __init__(self, peer: Peer, period_s: float) -> None:
        peer.script = self._note
        self._port = peer.port
        self._period_s = period_s
        self._phase_s = 0.0
        self._daemon: int | None = None
        self._asked: list[tuple[float, float]] = []
        """When, and for how many seconds the computer had held the two processes by then."""
        self._last: tuple[int, float, float] | None = None
        """Point of the grid of the last request, and the same of it."""
        self._held_s = 0.0
        """By the one before that: a scan that was held may still be under way at its next point."""
        self.scans = 0
        self.skipped = 0
        """Points of the grid at which it was not asked before the next one was due, though the computer held nobody."""
        self.excused = 0
        """Those for which the computer did."""
        self.longest_s = 0.0
        """Longest time between two scans, without that for which the computer held them."""

    @property
    def seen(self) -> int:
        """Requests that were not looked at yet."""
        return len(self._asked)

    @property
    def device(self) -> dict[str, Any]:
        """Its section."""
        return {
            "protocol": "modbus_tcp",
            "host": "127.0.0.1",
            "port": self._port,
            "scan_interval": f"{self._period_s * 1000:g}ms",
            "timeout": "10s",
            "signals": {"level": {"address": "holding:7", "type": "uint16"}},
        }

    def begin(self, daemon: int) -> None:
        """The scans so far, of a calm time, tell the grid; from now on they count. `daemon` is its process."""
        angles = [at % self._period_s * math.tau / self._period_s for at, _ in self._asked]
        middle = math.atan2(median(map(math.sin, angles)), median(map(math.cos, angles)))
        self._phase_s = (middle / math.tau - _EARLY) * self._period_s
        self._daemon = daemon
        self._asked.clear()

    def look(self) -> None:
        """Take note of what was asked since the last look."""
        asked, self._asked = self._asked, []
        for at, held in asked:
            self.scans += 1
            point = math.floor((at - self._phase_s) / self._period_s)
            if self._last is not None:
                before, last_at, last_held = self._last
                self.longest_s = max(self.longest_s, at - last_at - (held - last_held))
                missed = max(0, point - before - 1)
                excused = min(missed, math.floor((held - self._held_s) / self._period_s + 0.5))
                self.excused += excused
                self.skipped += missed - excused
            self._held_s = held if self._last is None else self._last[2]
            self._last = point, at, held

    def _note(self, _: Asked, frame: bytes) -> Pieces:
        now = time.monotonic()
        self._asked.append((now, now - asyncio.get_running_loop().time() + self._waited_s()))
        return [(0.0, frame)]

    def _waited_s(self) -> float:
        """For how long the daemon would have run and was not let (sched-stats of the kernel); 0 where none tells."""
        if self._daemon is None:
            return 0.0
        try:
            told = Path(f"/proc/{self._daemon}/task/{self._daemon}/schedstat").read_text()
        except OSError:
            return 0.0
        return int(told.split()[1]) / 1e9


@asynccontextmanager
async def witness(period_s: float) -> AsyncIterator[Witness]:
    """A device on a free loopback port, to be scanned so often."""
    async with tcp_peer("mbap", {1: Unit()}) as peer:
        yield Witness(peer, period_s)
