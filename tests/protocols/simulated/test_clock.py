"""Simulated time runs at its speed, and stands still when told to."""

from __future__ import annotations

import pytest

from protocols.simulated.clock import SimulatedClock

UTC_NS = 1_795_000_000_000_000_000


class RealTime:
    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def clock(self, speed: float, frozen: bool = False) -> SimulatedClock:
        return SimulatedClock(speed, frozen, lambda: self.ns, lambda: UTC_NS + self.ns)


def test_it_runs_at_its_speed() -> None:
    time = RealTime()
    clock = time.clock(10)
    assert clock.now_ms() == 0
    time.ns += 123_400_000
    assert clock.now_ms() == 1_234


def test_it_stands_still_and_goes_on_from_there() -> None:
    time = RealTime()
    clock = time.clock(2)
    time.ns += 1_000_000_000
    clock.freeze()
    time.ns += 60_000_000_000
    assert clock.now_ms() == 2_000
    clock.thaw()
    time.ns += 500_000_000
    clock.thaw()
    assert clock.now_ms() == 3_000


def test_it_can_begin_frozen() -> None:
    time = RealTime()
    clock = time.clock(2, frozen=True)
    time.ns += 1_000_000_000
    assert clock.now_ms() == 0


def test_the_wall_clocks_time_of_what_happened() -> None:
    time = RealTime()
    clock = time.clock(10)
    time.ns += 1_000_000_000
    assert clock.utc_ms(0) == (UTC_NS + 5_000_000_000) // 1_000_000
    assert clock.utc_ms(10_000) == clock.utc_ms(0) + 1_000
    clock.freeze()
    time.ns += 7_000_000_000
    clock.thaw()
    assert clock.utc_ms(10_000) == (UTC_NS + time.ns) // 1_000_000


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_an_impossible_speed(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        SimulatedClock(speed)
