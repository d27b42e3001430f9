"""Matrices by element and range, and sequence numbers that wrap: what neither test server sends."""

from __future__ import annotations

from typing import Any

import pytest

from ext.table import SignalTable
from protocols.driver import LinkStats
from protocols.opcua.config import OpcuaSignal
from protocols.opcua.driver import _plain
from protocols.opcua.point import Shape, Unfit, make_point
from protocols.opcua.subscription import LAST_SEQUENCE, Subscription
from protocols.opcua.unit import Unit
from tests.protocols.opcua.line import device

MATRIX = [[1, 2, 3], [4, 5, 6]]
DOUBLE, INT32 = 11, 6


def taken(held: Any, built_in: int, is_array: bool = True, **settings: Any) -> tuple[Any, str | None]:
    """The value that a signal gets, and why it is bad."""
    signal = OpcuaSignal.model_validate({"node": "i=1", **settings})
    table = SignalTable(["x"])
    point = make_point(0, signal, Shape(built_in, is_array))
    point.define(table)
    point.put(table, held, built_in, None, None)
    _, value, _, why, _ = table.read(0)
    return value, why


@pytest.mark.parametrize(
    ("index", "expected"),
    [("1,2", 6), ("0,0", 1), ("0:1,1", "[2,5]"), ("1,0:1", "[4,5]"), ("0:1,0:1", "[[1,2],[4,5]]"), ("1", "[4,5,6]")],
)
def test_matrices(index: str, expected: object) -> None:
    value, _ = taken(MATRIX, INT32, index=index)
    if index == "1":  # one row of what was described as an array is no single value
        assert value is None
    else:
        assert value == expected


def test_beyond_a_matrix() -> None:
    assert taken(MATRIX, INT32, index="1,3") == (None, "no element 3: the array has 3 elements")
    assert taken(MATRIX, INT32, index="2,0") == (None, "no element 2: the array has 2 elements")


def test_values_that_no_signal_can_have() -> None:
    assert taken(float("nan"), DOUBLE, is_array=False) == (None, "not a number (NaN)")
    assert taken("x" * 300, 12, is_array=False)[0] is None
    assert taken("x" * 300, 12, is_array=False, length=300)[0] == "x" * 300
    with pytest.raises(Unfit, match="int32"):
        make_point(0, OpcuaSignal.model_validate({"node": "i=1", "type": "int16"}), Shape(INT32, False))


async def test_sequence_numbers_that_were_skipped() -> None:
    one = device("opc.tcp://h", {"x": {"node": "i=1"}})
    subscription = Subscription(Unit("plc", one, SignalTable(["x"]), LinkStats(), _plain), 0)
    assert subscription.missing(1, keep_alive=True) == []
    assert subscription.missing(1, keep_alive=False) == []
    assert subscription.missing(4, keep_alive=False) == [2, 3]
    assert subscription.missing(3, keep_alive=False) == []  # what was asked for again, on its way all the time
    assert subscription.missing(7, keep_alive=True) == [5, 6]
    assert subscription.missing(7, keep_alive=False) == []
    subscription.expected = LAST_SEQUENCE
    assert subscription.missing(LAST_SEQUENCE, keep_alive=False) == []
    assert subscription.missing(2, keep_alive=False) == [1]
