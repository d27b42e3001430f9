"""Times of events as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_any_time_is_written_as_the_calendar_has_it(utc_ms: int) -> None:
    told = EPOCH + timedelta(milliseconds=utc_ms)
    assert rfc3339(utc_ms) == told.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("utc_ms", [253_402_300_800_000, -62_135_596_800_001, 1 << 62])
def test_what_no_calendar_has_is_an_error(utc_ms: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        rfc3339(utc_ms)
