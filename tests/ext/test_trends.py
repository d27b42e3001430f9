"""What trends compute at every sample, against the same in Python."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ext.trends import Doors, Sums

NUMBERS = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(-1e12, 1e12))
VALUES = st.one_of(NUMBERS, st.booleans(), st.text(max_size=3))


@given(st.lists(st.tuples(VALUES, st.integers(0, 60_000), st.integers(0, 9)), min_size=1, max_size=30))
def test_sums_of_a_window(held: list[tuple[bool | int | float | str, int, int]]) -> None:
    """Extremes keep their type and every digit; texts and truths have none, and no mean."""
    sums = Sums(1000)
    for value, milliseconds, scans in held:
        sums.take(value)
        sums.hold(value, milliseconds, scans)
    numbers = [value for value, _, _ in held if isinstance(value, (int, float)) and not isinstance(value, bool)]
    assert (sums.first, sums.last) == (held[0][0], held[-1][0])
    assert (sums.low, sums.high) == ((min(numbers), max(numbers)) if numbers else (None, None))
    assert type(sums.low) is type(min(numbers) if numbers else None)
    assert (sums.n, sums.known_ms) == (sum(one[2] for one in held), sum(one[1] for one in held))
    exact = sum(Fraction(one[0]) * one[1] for one in held if one[0] in numbers and not isinstance(one[0], (bool, str)))
    assert abs(Fraction(sums.weighted) - exact) <= Fraction(1, 10**9) * sum(abs(Fraction(n)) * 60_000 for n in numbers)
    assert Sums(*sums.saved()).saved() == sums.saved()  # type: ignore[arg-type]


@given(
    st.lists(st.floats(-1000, 1000), min_size=2, max_size=40),
    st.floats(0.01, 100),
    st.booleans(),
)
def test_a_line_that_passes_is_near_every_sample(values: list[float], deviation: float, again: bool) -> None:
    """From the hinge to the last sample that passes; a checkpoint in between changes nothing."""
    doors, start, passed = Doors(), values[0], [(0.0, values[0])]
    for number, value in enumerate(values[1:], 1):
        if again:
            doors = Doors(doors.steepest, doors.flattest)
        if not doors.passes(value - start, deviation, number):
            break
        passed.append((float(number), value))
    end, rise = passed[-1][0], passed[-1][1] - start
    for at, value in passed[1:]:
        assert abs(start + rise * at / end - value) <= deviation + 1e-9
    slopes = [doors.flattest, doors.steepest]
    assert (None in slopes) == (len(passed) == 1)
    assert all(low <= high + 1e-9 for low, high in pairwise(slope for slope in slopes if slope is not None))
