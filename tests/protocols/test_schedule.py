"""Fixed-phase scanning: a late scan is skipped and counted, and the phase stays."""

from __future__ import annotations

import asyncio

import pytest

from protocols.schedule import Schedule, _on_grid


class Clock:
    """The loop's time and sleep, in simulated time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_scans_come_on_a_grid_that_lateness_never_shifts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([("plc", 250)])
    moments = []
    for lateness in (0, 0.1, 0.2, 0.6, 0, 0.26, 0):
        await schedule.next()
        moments.append(clock.now)
        clock.now += lateness
    first = moments[0]
    steps = [round((moment - first) / 0.25, 6) for moment in moments]
    assert steps == [0, 1, 2, 3, 5.4, 6, 7.04]  # what is due runs at once, and the grid stays whole
    assert schedule.overruns == 1  # point 4: at 5.4 it was point 5's turn, served late


async def test_every_point_of_the_grid_is_scanned_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([("plc", 100)])
    begin = clock.now
    for lateness in (0.05, 0.35, 0.1, 1.0, 0.0, 0.199):
        await schedule.next()
        clock.now += lateness
    last = clock.now
    points = int((last - begin) / 0.1)
    assert abs(6 + schedule.overruns - points) <= 1


async def test_the_scan_that_is_due_longest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    schedule = Schedule([("fast", 100), ("slow", 1000)])
    names = [await schedule.next() for _ in range(44)]
    assert 3 <= names.count("slow") <= 5


def test_a_new_connection_keeps_the_phase() -> None:
    early, late = _on_grid("plc", 250, 10_000.0), _on_grid("plc", 250, 77_777.7)
    assert (late - early) % 250 == pytest.approx(0, abs=1e-6)
    assert 77_777.7 <= late < 77_777.7 + 250


def test_devices_with_one_period_are_spread_over_it() -> None:
    phases = {round(_on_grid(f"plc_{n}", 1000, 0.0)) for n in range(20)}
    assert len(phases) > 15
