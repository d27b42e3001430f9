"""Uncertain values in the signal table, whole texts, and what becomes of a source time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.table import Kind, SignalTable
from protocols.model import Quality

VALUES: dict[Kind, tuple[Any, Any]] = {
    Kind.BOOL: (True, False),
    Kind.INT: (-7, 8),
    Kind.UINT: (7, 8),
    Kind.FLOAT: (0.5, 1.5),
    Kind.TEXT: ("a", "b"),
}


def table_of(kind: Kind, length: int = 8) -> SignalTable:
    table = SignalTable(["a"])
    table.define(0, kind, length=length if kind == Kind.TEXT else 0, encoding="utf-8")
    table.forward(0)
    table.take()
    return table


@pytest.mark.parametrize("kind", VALUES)
def test_only_a_change_of_value_quality_or_why_is_a_change(kind: Kind) -> None:
    one, other = VALUES[kind]
    table = table_of(kind)
    steps = [
        (one, None, True), (one, "x", True), (one, "x", False), (other, "x", True), (other, "y", True),
        (other, "y", False), (other, None, True), (other, None, False),
    ]  # fmt: skip
    for value, uncertain, changes in steps:
        table.put(0, value, uncertain=uncertain)
        quality = Quality.GOOD if uncertain is None else Quality.UNCERTAIN
        assert table.take() == ([(0, value, quality, uncertain, None)] if changes else [])
        assert table.read(0)[1:4] == (value, quality, uncertain)


@given(st.lists(st.tuples(st.sampled_from([None, "", "x", "y"]), st.integers(-9, 9)), min_size=1), st.integers(0, 5))
def test_a_deadband_thins_uncertain_values_as_good_ones(steps: list[tuple[str | None, int]], deadband: int) -> None:
    tables = {kind: table_of(kind) for kind in (Kind.INT, Kind.FLOAT)}
    for kind, table in tables.items():
        table.forward(0, deadband=deadband)
        reported = 0
        state: tuple[Any, int, str | None] = (None, 0, "not read yet")
        for uncertain, value in steps:
            if uncertain == "":
                table.fail(0, "lost")
                new: tuple[Any, int, str | None] = (None, 0, "lost")
            else:
                table.put(0, value, uncertain=uncertain)
                new = (value, 2 if uncertain is None else 1, uncertain)
            moved = new[0] is not None and new[0] != state[0] and abs(new[0] - reported) >= deadband
            passes = new[1:] != state[1:] or moved
            assert [change[1:4] for change in table.take()] == ([new] if passes else []), kind
            reported, state = new[0] if passes and new[0] is not None else reported, new
            assert table.good == (new[1] != 0)


def test_what_is_not_finite_is_bad_however_certain() -> None:
    table = table_of(Kind.FLOAT)
    table.put(0, float("nan"), uncertain="x")
    assert table.read(0)[1:4] == (None, Quality.BAD, "not a number (NaN)")
    table.put(0, 1.0, uncertain="x")
    assert table.read(0)[1:4] == (1.0, Quality.UNCERTAIN, "x")


def test_a_whole_text_is_never_cut_nor_trimmed() -> None:
    table = table_of(Kind.TEXT)
    for text in (" a\0b ", "12345678"):
        table.put(0, text, whole=True)
        assert table.read(0)[1:4] == (text, Quality.GOOD, None)
    table.put(0, "Größe €", whole=True, uncertain="x")
    assert table.read(0)[1:4] == (None, Quality.BAD, "a text of 11 bytes where length allows 8")
    table.put(0, "\udcff", whole=True)
    assert table.read(0)[1:4] == (None, Quality.BAD, "not UTF-8 text")


def test_a_source_time_is_that_of_the_value_and_goes_with_it() -> None:
    table = table_of(Kind.INT)
    ways: tuple[Callable[[], None], ...] = (
        lambda: table.fail(0, "lost"),
        lambda: table.fail_all("gone"),
        lambda: table.define(0, Kind.INT),
    )
    for lose in ways:
        table.put(0, 1, 1000)
        table.put(0, 1, 2000)
        assert [change[4] for change in table.take()] == [2000]  # the later time of the same value is no change
        table.put(0, 1, 3000)
        assert table.take() == []
        lose()
        assert table.read(0)[4] is None


def test_causes_in_a_devices_words_have_an_end() -> None:
    table = SignalTable(["a"])
    table.define(0, Kind.TEXT, length=4, encoding="utf-8")
    for size in range(5, 5000):
        table.put(0, "x" * size, whole=True)
    assert table.read(0)[3] == "a text of more bytes than length allows, 4"
    table.put(0, "x" * 5, whole=True)
    assert table.read(0)[3] == "a text of 5 bytes where length allows 4"
