"""How long an outage may last, by arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.buffer.estimate import estimate
from gateway.config.model import BufferConfig
from gateway.outbox.errors import BufferError

LIMITS = BufferConfig.model_validate({"path": "line.db", "max_size": "80MB", "min_free_disk": "1MB"})
"""Of 80 MB the write-ahead log may take 10 MB."""


def stats(backlog: int, *, ms: int = 3_600_000) -> dict[str, Any]:
    """10 MB used for 20,000 events, 500 bytes each, which came at 1,000 an hour."""
    return {
        "size_bytes": 12_000_000,
        "free_bytes": 2_000_000,
        "backlog": {"plant": backlog, "journal": 0},
        "measured": {"events": 1000, "ms": ms},
    }


def test_room_by_what_an_hour_takes() -> None:
    fits = estimate(stats(20_000), 20_000, 10**12, LIMITS)
    assert (fits.bound, fits.events_per_hour, fits.bytes_per_event) == ("max_size", 1000, 500)
    assert fits.hours == (80_000_000 - 10_000_000 - 10_000_000) / 500_000


def test_what_all_uplinks_have_is_room() -> None:
    """5,000 of 20,000 still wait for the slowest uplink, so 7.5 MB go when they are needed."""
    fits = estimate(stats(5_000), 20_000, 10**12, LIMITS)
    assert fits.hours == (60_000_000 + 7_500_000) / 500_000


def test_the_disk_may_be_what_bounds_it() -> None:
    fits = estimate(stats(20_000), 20_000, 4_000_000, LIMITS)
    assert (fits.bound, fits.hours) == ("min_free_disk", (4_000_000 - 1_000_000 + 2_000_000) / 500_000)
    assert estimate(stats(20_000), 20_000, 0, LIMITS).hours == 1_000_000 / 500_000
    tight = LIMITS.model_copy(update={"min_free_disk": 50_000_000})
    assert estimate(stats(20_000), 20_000, 0, tight).hours == 0


def test_less_than_a_minute_says_no_rate() -> None:
    with pytest.raises(BufferError, match="no rate"):
        estimate(stats(0, ms=59_999), 20_000, 10**12, LIMITS)
