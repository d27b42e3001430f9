"""The signal table: types survive, changes are noticed once, deadbands and quality do what they promise."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.table import Kind, SignalTable
from protocols.model import Quality

NUMBERS = {
    Kind.INT: st.integers(-(2**63), 2**63 - 1),
    Kind.UINT: st.integers(0, 2**64 - 1),
    Kind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    Kind.BOOL: st.booleans(),
}


def table_of(*kinds: Kind, length: int = 16) -> SignalTable:
    table = SignalTable([f"s{n}" for n in range(len(kinds))])
    for number, kind in enumerate(kinds):
        table.define(number, kind, length=length if kind == Kind.TEXT else 0)
        table.forward(number)
    table.take()
    return table


def test_begins_bad_and_says_so() -> None:
    table = SignalTable(["a"])
    assert table.read(0) == (0, None, Quality.BAD, "not read yet", None)


@pytest.mark.parametrize("kind", NUMBERS)
@given(data=st.data())
def test_value_and_type_survive(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(NUMBERS[kind])
    table = table_of(kind)
    table.put(0, value)
    (change,) = table.take()
    assert change == (0, value, Quality.GOOD, None, None)
    assert type(change[1]) is type(value)


@given(st.lists(st.integers(0, 3), min_size=1))
def test_hands_out_exactly_what_changed(values: list[int]) -> None:
    table, known = table_of(Kind.INT), None
    for value in values:
        table.put(0, value)
        assert [change[1] for change in table.take()] == ([] if value == known else [value])
        known = value


def test_several_changes_between_two_takes_are_one() -> None:
    table = table_of(Kind.INT, Kind.INT)
    for value in (1, 2, 3):
        table.put(1, value)
    assert table.take() == [(1, 3, Quality.GOOD, None, None)]


@given(st.lists(st.floats(-100, 100), min_size=1), st.floats(0.1, 20))
def test_deadband_passes_what_moved_enough_since_it_last_passed(values: list[float], deadband: float) -> None:
    table, reported = table_of(Kind.FLOAT), None
    table.forward(0, deadband=deadband)
    for value in values:
        table.put(0, value)
        passes = reported is None or (value != reported and abs(value - reported) >= deadband)
        assert [change[1] for change in table.take()] == ([value] if passes else [])
        assert table.read(0)[1] == value  # the table itself always has the newest
        if passes:
            reported = value


@pytest.mark.parametrize("kind", [Kind.INT, Kind.UINT])
def test_a_deadband_counts_integers_exactly(kind: Kind) -> None:
    table = table_of(kind)
    table.forward(0, deadband=2.0)
    for step, passes in ((0, True), (1, False), (2, True), (1, False), (3, False), (0, True)):
        table.put(0, 2**60 + step)
        assert bool(table.take()) == passes, step


def test_a_deadband_counts_from_what_was_handed_out() -> None:
    table = table_of(Kind.FLOAT)
    table.forward(0, deadband=1.0)
    for value in (0.0, 50.0, 0.25):  # the 50 was over before anyone looked
        table.put(0, value)
    assert table.take()[0][1] == 0.25
    for value, passes in ((1.0, False), (1.25, True)):
        table.put(0, value)
        assert bool(table.take()) == passes, value
    table.put(0, 1.5)
    table.touch_all()
    assert table.take()[0][1] == 1.5
    table.put(0, 2.25)
    assert table.take() == []


def test_exact_signal_ignores_its_deadband() -> None:
    table = table_of(Kind.FLOAT)
    table.forward(0, deadband=10.0, exact=True)
    for value in (1.0, 1.5, 1.25):
        table.put(0, value)
        assert [change[1] for change in table.take()] == [value]


def test_bad_quality_passes_a_deadband_and_resets_it() -> None:
    table = table_of(Kind.FLOAT)
    table.forward(0, deadband=10.0)
    table.put(0, 50.0)
    table.take()
    table.fail(0, "exception 2")
    assert table.take() == [(0, None, Quality.BAD, "exception 2", None)]
    table.put(0, 50.0)
    assert table.take() == [(0, 50.0, Quality.GOOD, None, None)]


@pytest.mark.parametrize(
    ("value", "why"), [(math.nan, "not a number (NaN)"), (math.inf, "infinite"), (-math.inf, "infinite")]
)
def test_nan_and_infinity_are_bad(value: float, why: str) -> None:
    table = table_of(Kind.FLOAT)
    table.put(0, 1.0)
    table.take()
    table.put(0, value)
    assert table.take() == [(0, None, Quality.BAD, why, None)]
    table.put(0, value)
    assert table.take() == []  # still bad for the same cause


def test_what_nobody_asked_for_is_kept_and_not_handed_out() -> None:
    table = SignalTable(["a"])
    table.define(0, Kind.INT)
    table.put(0, 7)
    assert table.take() == []
    assert table.read(0)[1] == 7
    table.forward(0)
    assert table.take() == [(0, 7, Quality.GOOD, None, None)]


@pytest.mark.parametrize("deadband", [-1.0, math.nan])
def test_a_deadband_is_a_distance(deadband: float) -> None:
    with pytest.raises(ValueError, match="below 0"):
        table_of(Kind.INT).forward(0, deadband=deadband)


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 2))))
def test_good_counts_the_signals_that_are_not_bad(steps: list[tuple[int, int | None]]) -> None:
    table = table_of(Kind.INT, Kind.UINT, Kind.FLOAT)
    for signal, value in steps:
        if value is None:
            table.fail(signal, "no")
        else:
            table.put(signal, value)
        assert table.good == sum(table.read(number)[2] != Quality.BAD for number in range(3))


def test_64_bits_never_go_through_a_double() -> None:
    table = table_of(Kind.UINT)
    table.put(0, 2**63 + 1)
    table.put(0, 2**63 + 2)
    assert table.take()[0][1] == 2**63 + 2


def test_text_ends_at_its_padding() -> None:
    table = table_of(Kind.TEXT)
    table.put(0, "recipe 7 \0junk")
    assert table.take()[0][1] == "recipe 7"


def test_text_longer_than_its_place_is_cut() -> None:
    table = table_of(Kind.TEXT, Kind.TEXT, length=4)
    table.put(0, "abcdefgh")
    assert [table.read(n)[1] for n in range(2)] == ["abcd", None]


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("latin-1", "Größe ?"),
        ("ascii", "Gr??e ?"),
        ("utf-8", "Größe "),  # the Euro sign does not fit any more, and half of it is no text
        ("cp1252", "Größe €"),
        ("utf-16-be", "Größ"),
        ("utf-16-le", "Größ"),
    ],
)
def test_text_is_kept_in_its_encoding_and_cut_at_a_character(encoding: str, stored: str) -> None:
    table = SignalTable(["a"])
    table.define(0, Kind.TEXT, length=9, encoding=encoding)
    table.put(0, "Größe €")
    assert table.read(0)[1:3] == (stored.rstrip(), Quality.GOOD)


def test_fail_all_and_touch_all_reach_every_signal() -> None:
    table = table_of(Kind.INT, Kind.BOOL)
    table.put(0, 7)
    table.take()
    table.fail_all("lost")
    assert [change[3] for change in table.take()] == ["lost", "lost"]
    table.touch_all()
    assert [change[0] for change in table.take()] == [0, 1]


@pytest.mark.parametrize("number", [-1, 1, 2**40])
def test_no_signal_outside_the_table(number: int) -> None:
    table = table_of(Kind.INT)
    with pytest.raises(IndexError, match="outside"):
        table.put(number, 1)
    with pytest.raises(IndexError, match="outside"):
        table.read(number)


def test_kind_must_be_known_before_a_value() -> None:
    table = SignalTable(["a"])
    with pytest.raises(ValueError, match="no kind"):
        table.put(0, 1)
    with pytest.raises(ValueError, match="not a kind"):
        table.define(0, 9)


@pytest.mark.parametrize(("kind", "value"), [(Kind.INT, 2**63), (Kind.UINT, -1), (Kind.INT, "7")])
def test_a_value_that_is_not_of_the_kind_is_refused(kind: Kind, value: int) -> None:
    table = table_of(kind)
    with pytest.raises((OverflowError, TypeError)):
        table.put(0, value)
    assert table.read(0)[2] == Quality.BAD


def test_causes_have_an_end_and_are_never_mixed_up() -> None:
    """A device decides on the words of its errors: a table keeps some thousands of them apart, and no more."""
    table = table_of(Kind.INT, Kind.INT)
    table.fail(1, "kept from before")
    seen = set()
    for number in range(20_000):
        table.fail(0, f"element {number} of the array is not there")
        seen.add(table.read(0)[3])
    assert 1_000 < len(seen) < 20_000
    assert table.read(0)[3] == "one of too many different causes to keep them apart"
    assert table.read(1)[3] == "kept from before"
    table.fail(0, "element 7 of the array is not there")
    assert table.read(0)[3] == "element 7 of the array is not there"
