"""Registers into the table: every type and order against an independent decoder, and no byte beyond the reply."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.registers import RegisterPlan
from ext.table import DecodeError, SignalTable
from protocols.model import Quality

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip


def reorder(payload: bytes, words_little: bool, bytes_little: bool) -> bytes:
    """A big-endian value as a device with other orders sends it."""
    words = [payload[i : i + 2] for i in range(0, len(payload), 2)]
    if words_little:
        words.reverse()
    if bytes_little:
        words = [word[::-1] for word in words]
    return b"".join(words)


def decode_one(type_name: str, payload: bytes, **options: object) -> tuple[object, int, str | None]:
    table = SignalTable(["s"])
    plan = RegisterPlan(table, len(payload) // 2, 1)
    plan.add(0, 0, type_name, **options)  # type: ignore[arg-type]
    plan.decode(payload)
    _, value, quality, why, _ = table.read(0)
    return value, quality, why


@pytest.mark.parametrize("words_little", [False, True])
@pytest.mark.parametrize("bytes_little", [False, True])
@pytest.mark.parametrize("type_name", FORMATS)
@given(data=st.data())
def test_numbers_in_every_order(type_name: str, words_little: bool, bytes_little: bool, data: st.DataObject) -> None:
    fmt = ">" + FORMATS[type_name]
    big = data.draw(st.binary(min_size=struct.calcsize(fmt), max_size=struct.calcsize(fmt)))
    (expected,) = struct.unpack(fmt, big)
    wire = reorder(big, words_little, bytes_little)
    value, quality, _ = decode_one(type_name, wire, words_little=words_little, bytes_little=bytes_little)
    if isinstance(expected, float) and not math.isfinite(expected):
        assert (value, quality) == (None, Quality.BAD)
    else:
        assert (value, quality) == (expected, Quality.GOOD)
        assert type(value) is type(expected)


@given(st.integers(0, 9999), st.booleans())
def test_bcd16(number: int, bytes_little: bool) -> None:
    wire = reorder(bytes.fromhex(f"{number:04d}"), False, bytes_little)
    assert decode_one("bcd16", wire, bytes_little=bytes_little)[0] == number


@given(st.integers(0, 99_999_999), st.booleans(), st.booleans())
def test_bcd32(number: int, words_little: bool, bytes_little: bool) -> None:
    wire = reorder(bytes.fromhex(f"{number:08d}"), words_little, bytes_little)
    assert decode_one("bcd32", wire, words_little=words_little, bytes_little=bytes_little)[0] == number


@pytest.mark.parametrize(("type_name", "wire"), [("bcd16", "12a4"), ("bcd32", "1234567f")])
def test_digits_above_nine_are_bad(type_name: str, wire: str) -> None:
    assert decode_one(type_name, bytes.fromhex(wire)) == (None, Quality.BAD, "not BCD")


@pytest.mark.parametrize("bit", range(16))
def test_bits_of_a_register(bit: int) -> None:
    assert decode_one("bool", struct.pack(">H", 1 << bit), bit=bit)[0] is True
    assert decode_one("bool", struct.pack(">H", 0xFFFF ^ (1 << bit)), bit=bit)[0] is False


@pytest.mark.parametrize("bytes_little", [False, True])
def test_strings(bytes_little: bool) -> None:
    wire = reorder(b"4711-A\0\0", False, bytes_little)
    assert decode_one("string", wire, length=8, bytes_little=bytes_little)[0] == "4711-A"


def test_string_of_odd_length() -> None:
    assert decode_one("string", b"abcd", length=3)[0] == "abc"


@given(st.integers(-(2**15), 2**15 - 1))
def test_scale_and_offset_make_a_float(raw: int) -> None:
    value, _, _ = decode_one("int16", struct.pack(">h", raw), scale=0.1, offset=-40.0)
    assert value == raw * 0.1 + -40.0
    assert isinstance(value, float)


def test_scaling_beyond_a_float_is_bad() -> None:
    assert decode_one("float64", struct.pack(">d", 1e308), scale=1e10)[1] == Quality.BAD


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_bit_tables(bits: list[bool]) -> None:
    table = SignalTable([f"b{n}" for n in range(len(bits))])
    plan = RegisterPlan(table, len(bits), len(bits), bits=True)
    for number in range(len(bits)):
        plan.add(number, number, "bool")
    packed = sum(bit << n for n, bit in enumerate(bits)).to_bytes((len(bits) + 7) // 8, "little")
    plan.decode(packed)
    assert [table.read(n)[1] for n in range(len(bits))] == bits


def mixed_plan() -> tuple[SignalTable, RegisterPlan, bytes]:
    table = SignalTable(["a", "b", "c", "d"])
    plan = RegisterPlan(table, 10, 4)
    plan.add(0, 0, "float32")
    plan.add(1, 2, "uint64")
    plan.add(2, 6, "string", length=6)
    plan.add(3, 9, "bool", bit=3)
    return table, plan, struct.pack(">fQ6sH", 1.5, 2**63, b"recipe", 8)


@given(cut=st.integers(0, 19))
def test_a_short_reply_changes_nothing_and_names_the_offset(cut: int) -> None:
    table, plan, payload = mixed_plan()
    table.take()
    with pytest.raises(DecodeError, match="short") as error:
        plan.decode(payload[:cut])
    assert error.value.offset == cut
    assert table.take() == []


@given(extra=st.binary(min_size=1, max_size=30))
def test_a_long_reply_changes_nothing(extra: bytes) -> None:
    table, plan, payload = mixed_plan()
    table.take()
    with pytest.raises(DecodeError, match="long") as error:
        plan.decode(payload + extra)
    assert error.value.offset == len(payload)
    assert table.take() == []


@given(st.binary(min_size=20, max_size=20))
def test_any_bytes_of_the_right_length_decode(payload: bytes) -> None:
    table, plan, _ = mixed_plan()
    plan.decode(payload)
    for number in range(4):
        _, value, quality, why, _ = table.read(number)
        assert (value is None) == (quality == Quality.BAD) == (why is not None)


@pytest.mark.parametrize(
    ("position", "type_name", "options"),
    [
        (10, "uint16", {}),
        (9, "uint32", {}),
        (-1, "uint16", {}),
        (7, "float64", {}),
        (6, "string", {"length": 10}),
        (0, "string", {}),
    ],
)
def test_a_signal_outside_its_block_is_refused_at_planning(
    position: int, type_name: str, options: dict[str, int]
) -> None:
    plan = RegisterPlan(SignalTable(["a"]), 10, 1)
    with pytest.raises(ValueError, match="outside a block"):
        plan.add(0, position, type_name, **options)  # type: ignore[arg-type]


def test_fail_makes_the_blocks_signals_bad_and_no_others() -> None:
    table, plan, payload = mixed_plan()
    other = RegisterPlan(table, 1, 0)
    plan.decode(payload)
    other.fail("no")
    assert table.read(0)[2] == Quality.GOOD
    plan.fail("exception 2")
    assert {table.read(n)[3] for n in range(4)} == {"exception 2"}
    assert plan.signals == [0, 1, 2, 3]
