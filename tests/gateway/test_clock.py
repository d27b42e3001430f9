"""Engine time never goes back, whatever the wall clock does, and goes on across a restart."""

from __future__ import annotations

import pytest

from gateway import clock as clock_module
from gateway.clock import EngineClock

UTC = 1_795_327_200_000


class Clocks:
    """Both of the machine's clocks, in milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.boot, self.wall = 5_000, UTC
        monkeypatch.setattr(clock_module, "_boot_ms", lambda: self.boot)
        monkeypatch.setattr(clock_module, "_wall_ms", lambda: self.wall)

    def advance(self, milliseconds: int) -> None:
        self.boot += milliseconds
        self.wall += milliseconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_begins_as_utc(clocks: Clocks) -> None:
    clock = EngineClock()
    clocks.advance(250)
    assert (clock.now(), clock.utc(), clock.utc_offset) == (UTC + 250, UTC + 250, 0)


@pytest.mark.parametrize("step", [-3_600_000, -101, 101, 86_400_000])
def test_step_moves_utc_and_not_engine_time(clocks: Clocks, step: int) -> None:
    clock = EngineClock()
    clocks.advance(1000)
    clocks.wall += step
    assert clock.step() == step
    assert (clock.now(), clock.utc()) == (UTC + 1000, UTC + 1000 + step)
    assert clock.step() is None


def test_small_differences_are_no_step(clocks: Clocks) -> None:
    clock = EngineClock()
    clocks.wall += 100
    assert clock.step() is None
    assert clock.utc_offset == 0


def test_goes_on_after_a_restart_by_wall_time(clocks: Clocks) -> None:
    assert EngineClock(resume_at=UTC - 60_000).now() == UTC
    assert EngineClock(resume_at=UTC - 90_000, utc_offset=30_000).now() == UTC - 30_000


def test_wall_clock_set_back_while_off_is_no_negative_time(clocks: Clocks) -> None:
    clock = EngineClock(resume_at=UTC + 7_200_000)
    assert clock.now() == UTC + 7_200_000
    assert clock.utc() == UTC


def test_the_real_clocks() -> None:
    clock = EngineClock()
    first = clock.now()
    assert clock.now() >= first
    assert clock.step() is None


def test_suspect_while_nothing_synchronises_it_and_news_once(clocks: Clocks) -> None:
    said: list[bool | None] = [False, False, True, True, None, False]
    clock = EngineClock(synchronised=lambda: said.pop(0))
    assert clock.is_suspect
    assert [(clock.look(), clock.is_suspect) for _ in range(5)] == [
        (False, True), (True, False), (False, False), (False, False), (True, True)
    ]  # fmt: skip
