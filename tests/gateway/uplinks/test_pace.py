"""What a slow link bore is remembered from connection to connection, and more is tried when it is quick again."""

from __future__ import annotations

from gateway.uplinks.pace import PATIENCE, Pace

TIMEOUT_S = 10.0


def delivered(kept: dict[str, int], bytes_per_s: float, *, wait_s: float = 0.0, batches: int = 500) -> list[int]:
    """Sizes of one connection that grows from 1 kB by fours to 256 kB, up to the first not answered in time."""
    pace, most, sizes = Pace(kept, TIMEOUT_S), 1_000, list[int]()
    for _ in range(batches):
        size = most
        while size > 1_000 and not pace.fits(size):
            size //= 4
        seconds = wait_s + size / bytes_per_s
        if seconds > TIMEOUT_S:
            pace.too_slow(size)
            break
        pace.taken(size, seconds)
        sizes.append(size)
        most = min(256_000, size * 4)
    return sizes


def test_a_fast_link_is_not_held_back() -> None:
    kept: dict[str, int] = {}
    assert delivered(kept, 1e6, batches=7) == [1_000, 4_000, 16_000, 64_000, 256_000, 256_000, 256_000]
    assert not kept


def test_a_slow_link_is_not_grown_into_again() -> None:
    kept: dict[str, int] = {}
    assert delivered(kept, 8_000) == [1_000, 4_000, 16_000, 64_000]
    again = delivered(kept, 8_000)
    assert again[:4] == [1_000, 4_000, 16_000, 64_000]
    assert len(again) == 3 + PATIENCE, "then a larger one is tried, which is little to pay"
    assert set(again[3:]) == {64_000}


def test_one_that_is_quick_again_is_used() -> None:
    kept: dict[str, int] = {}
    delivered(kept, 8_000)
    assert 256_000 in delivered(kept, 1e6, batches=7)


def test_a_server_that_takes_its_time_gets_more_in_the_end() -> None:
    """It needs 5 s for each batch, large or small; once it was stuck."""
    kept: dict[str, int] = {}
    Pace(kept, TIMEOUT_S).too_slow(4_000)
    sizes = delivered(kept, 1e6, wait_s=5.0)
    assert sizes[:PATIENCE] == [1_000] * PATIENCE
    assert sizes[-1] > 16_000
