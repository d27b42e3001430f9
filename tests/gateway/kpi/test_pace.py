"""How fast a machine is now: exact while it runs evenly, never more than what is seen, unknown until it is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.kpi.pace import LOOK_MS, MOST, Pace


def ran(cycle_ms: int, scan_ms: int, until: int) -> Pace:
    """A machine that runs from 0 on and makes a part each cycle, which every scan counts."""
    pace = Pace()
    for at in range(scan_ms, until + 1, scan_ms):
        if parts := at // cycle_ms - (at - scan_ms) // cycle_ms:
            pace.counted(parts, at)
    return pace


@given(st.integers(20, 60_000), st.sampled_from([50, 250, 1000, 5000]), st.integers(5, 40))
def test_of_what_runs_evenly_it_is_as_good_as_its_scans(cycle_ms: int, scan_ms: int, cycles: int) -> None:
    until = max(cycles * cycle_ms, 5 * scan_ms)
    found = ran(cycle_ms, scan_ms, until).per_minute(0, until, runs=True)
    assert found is not None
    seen_ms = min(until - max(cycle_ms, scan_ms) - scan_ms, max(LOOK_MS - cycle_ms - scan_ms, 3 * cycle_ms))
    seen_ms = min(seen_ms, (MOST - 1) * scan_ms)
    wrong = 2 * (scan_ms + cycle_ms * (scan_ms > cycle_ms)) / seen_ms
    assert found == pytest.approx(60_000 / cycle_ms, rel=wrong, abs=0.06)


@given(st.lists(st.integers(1, 90_000), min_size=1), st.integers(0, 300_000), st.integers(0, 10**6), st.booleans())
def test_it_falls_while_nothing_comes(gaps: list[int], passed: int, more: int, runs: bool) -> None:
    pace, at = Pace(), 0
    for gap in gaps:
        at += gap
        pace.counted(1, at)
    earlier = pace.per_minute(0, at + LOOK_MS + passed, runs=runs)
    later = pace.per_minute(0, at + LOOK_MS + passed + more, runs=runs)
    assert (earlier is None) == (later is None)
    if earlier is not None and later is not None:
        assert 0 <= later <= earlier
        assert later <= 60_000 * 5 / (LOOK_MS + passed + more) + 0.1, "no more than if the next part came now"


def test_what_stands_makes_nothing_and_what_starts_is_not_known_yet() -> None:
    pace = ran(500, 250, 20_000)
    assert pace.per_minute(20_000, 20_000, runs=False) == 0.0, "from when it stands, whatever it made before"
    assert pace.per_minute(20_000, 21_000, runs=True) is None, "as it starts"
    pace.counted(1, 21_500)
    assert pace.per_minute(20_000, 21_500, runs=True) is None
    pace.counted(1, 22_500)
    assert pace.per_minute(20_000, 22_500, runs=True) == 60.0
    assert Pace().per_minute(0, LOOK_MS, runs=True) == 0.0, "it says that it runs, and makes nothing"
    pace.forget()
    assert pace.per_minute(0, 22_600, runs=True) is None


def test_what_is_taken_back_is_not_below_nothing_and_one_time_is_one_step() -> None:
    pace = Pace()
    for at, parts in ((1000, 5), (2000, 1), (2000, 1), (3000, -4)):
        pace.counted(parts, at)
    assert pace.per_minute(0, 3000, runs=True) == 0.0
    assert pace.per_minute(0, 3000, runs=False) == 0.0
