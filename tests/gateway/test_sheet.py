"""Tables for people: columns, rows on a narrow terminal, and numbers without the noise of their type."""

from __future__ import annotations

import io
import struct
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.sheet import Sheet, aligned, drawn, shown_number

SHEET = Sheet(
    "machines",
    ("machine", "state", ">good", "reason"),
    [("filler", "execute", "13948", ""), ("labeler", "suspended", "7", "no bottles at the infeed")],
)


def on_a_terminal(width: int, colours: Literal["standard"] | None = None) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colours is not None, color_system=colours)
    console.print(drawn(SHEET, lambda cell: "green" if cell == "execute" else ""))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_in_columns_where_their_words_fit() -> None:
    assert on_a_terminal(60) == [
        "machine state      good reason",
        "filler  execute   13948",
        "labeler suspended     7 no bottles at the infeed",
    ]
    assert len(on_a_terminal(35)) == 5, "a text of several words may take several lines"
    assert "\x1b[32mexecute" in on_a_terminal(60, "standard")[1]


def test_row_by_row_on_a_narrow_terminal() -> None:
    assert on_a_terminal(24) == [
        "filler",
        "  state: execute",
        "  good: 13948",
        "labeler",
        "  state: suspended",
        "  good: 7",
        "  reason: no bottles at",
        "the infeed",
    ]
    assert "\x1b[32mexecute" in on_a_terminal(24, "standard")[1]


def test_in_a_pipe() -> None:
    assert [*aligned(SHEET)][1] == "  filler   execute    13948"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (114.50381469726562, "114.503815"),
        (102.70000000000002, "102.7"),
        (0.10000000149011612, "0.1"),
        (1234567890.5, "1234567890.5"),
        (1e300, "1e+300"),
        (4711, "4711"),
        (True, "True"),
        ("00042", "00042"),
    ],
)
def test_a_number_has_the_digits_that_it_means(value: object, shown: str) -> None:
    assert shown_number(value) == shown


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_none_of_a_float32_is_lost(value: float) -> None:
    assert struct.pack("f", float(shown_number(value))) == struct.pack("f", value)
