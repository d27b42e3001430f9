"""Raw values that mean bad: which bit patterns the numbers stand for that people write."""

from __future__ import annotations

import math

import pytest

from ext.invalid import patterns, words


@pytest.mark.parametrize(
    ("type_name", "bits", "value", "expected"),
    [
        ("int16", 16, 0x8000, [0x8000]),
        ("int16", 16, -32768, [0x8000]),
        ("int16", 16, -1.0, [0xFFFF]),
        ("uint16", 16, -1, [0xFFFF]),
        ("uint16", 4, 15, [15]),
        ("uint16", 4, -1, [15]),
        ("uint64", 64, 2**64 - 1, [2**64 - 1]),
        ("int64", 64, -(2**63), [2**63]),
        ("float32", 32, -9999.0, [0xC61C3C00]),
        ("float32", 32, 9999, [9999, 0x461C3C00]),
        ("float32", 32, 0.1, [0x3DCCCCCD]),
        ("float64", 64, 0.1, [0x3FB999999999999A]),
        ("float32", 32, 0, [0, 0x80000000]),
        ("float32", 32, -0.0, [0, 0x80000000]),
        ("float32", 32, math.inf, [0x7F800000]),
        ("float32", 32, math.nan, []),
        ("float64", 64, 2**64 - 1, [0x43F0000000000000, 2**64 - 1]),
        ("bcd16", 16, 9999, [0x9999]),
        ("bcd16", 16, 10, [0x10]),
        ("bcd16", 16, 10000, [10000]),
        ("bcd16", 16, 0xFFFF, [0xFFFF]),
        ("bcd32", 32, 12345678, [0x12345678]),
    ],
)
def test_patterns(type_name: str, bits: int, value: float, expected: list[int]) -> None:
    assert sorted(patterns(type_name, bits, [value])) == expected


@pytest.mark.parametrize(
    ("type_name", "bits", "value"),
    [
        ("int16", 16, 0x10000),
        ("int16", 16, -32769),
        ("uint16", 4, 16),
        ("uint16", 16, 0.5),
        ("int32", 32, math.nan),
        ("int32", 32, -math.inf),
        ("float32", 32, 1e40),
        ("float64", 64, 10**400),
        ("bcd16", 16, 1.5),
        ("bcd16", 16, 0x10000),
    ],
)
def test_what_the_type_cannot_hold(type_name: str, bits: int, value: float) -> None:
    with pytest.raises(ValueError, match="no value"):
        patterns(type_name, bits, [value])


def test_each_pattern_once_and_words_as_wide_as_the_value() -> None:
    assert patterns("int16", 16, [0x8000, -32768, 5, 5]) == [0x8000, 5]
    assert words(0x8000, 16) == "invalid value 0x8000"
    assert words(7, 33) == "invalid value 0x000000007"
    assert words(1, 1) == "invalid value 0x1"
