"""Fixed-phase scanning: a late scan is skipped and counted, and the phase stays."""

from __future__ import annotations

import asyncio

import pytest

from protocols.schedule import Scan, Schedule, _on_grid


class Clock:
    """The loop's time and sleep, in simulated time; `whole` are uvloop's, whose milliseconds are rounded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, whole: bool = False) -> None:
        self.now = 1000.0
        self.sleeps = 0
        self._digits = 3 if whole else None
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        assert self.sleeps < 1000, "it wakes again and again"
        self.now = self.now + seconds if self._digits is None else round(self.now + round(seconds, 3), 3)


async def next_scan(schedule: Schedule) -> Scan:
    """The next scan, over at once."""
    while not (due := schedule.take_due()):
        await schedule.wait()
    for scan in due:
        schedule.done(scan)
    return due[0]


async def test_scans_come_on_a_grid_that_lateness_never_shifts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([Scan("plc", 0, 250)])
    moments = []
    for lateness in (0, 0.1, 0.2, 0.6, 0, 0.26, 0):
        await next_scan(schedule)
        moments.append(clock.now)
        clock.now += lateness
    first = moments[0]
    steps = [round((moment - first) / 0.25, 6) for moment in moments]
    assert steps == [0, 1, 2, 3, 5.4, 6, 7.04]  # what is due runs at once, and the grid stays whole
    assert schedule.overruns == 1  # point 4: at 5.4 it was point 5's turn, served late


async def test_every_point_of_the_grid_is_scanned_or_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([Scan("plc", 0, 100)])
    begin = clock.now
    for lateness in (0.05, 0.35, 0.1, 1.0, 0.0, 0.199):
        await next_scan(schedule)
        clock.now += lateness
    points = int((clock.now - begin) / 0.1)
    assert abs(6 + schedule.overruns - points) <= 1


async def test_the_loop_wakes_once_for_each_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, whole=True)
    for name in (f"plc_{number}" for number in range(20)):
        schedule = Schedule([Scan(name, 0, 250)])
        await next_scan(schedule)
        clock.sleeps = 0
        for _ in range(10):
            await next_scan(schedule)
        assert clock.sleeps == 10, name


async def test_a_scan_that_is_under_way_does_not_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([Scan("slow", 0, 100), Scan("other", 0, 100)])
    clock.now += 0.2
    schedule.take_due()  # the first call begins the grid
    clock.now += 0.1
    taken = schedule.take_due()
    slow = taken[0]
    for scan in taken[1:]:
        schedule.done(scan)
    before = schedule.overruns
    for _ in range(3):
        clock.now += 0.1
        due = schedule.take_due()
        assert slow not in due
        for scan in due:
            schedule.done(scan)
    assert schedule.overruns == before + 3
    schedule.done(slow)
    clock.now += 0.1
    assert slow in schedule.take_due()


async def test_the_scan_that_is_due_longest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    schedule = Schedule([Scan("fast", 0, 100), Scan("slow", 0, 1000)])
    schedule.take_due()
    for scan in schedule._scans:
        schedule.done(scan)
    clock.now += 5
    due = schedule.take_due()
    assert [scan.due_ms - scan.period_ms for scan in due] == sorted(scan.due_ms - scan.period_ms for scan in due)
    assert len(due) == 2


def test_a_new_connection_keeps_the_phase() -> None:
    early, late = _on_grid("plc", 250, 10_000), _on_grid("plc", 250, 77_777)
    assert (late - early) % 250 == 0
    assert 77_777 <= late < 77_777 + 250


def test_devices_with_one_period_are_spread_over_it() -> None:
    phases = {_on_grid(f"plc_{n}", 1000, 0) for n in range(20)}
    assert len(phases) > 15
