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


def test_a_text_of_half_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="two or four"):
        decode_one("string", b"abcd", length=3, encoding="utf-16-le")
    with pytest.raises(ValueError, match="ebcdic is none of"):
        decode_one("string", b"abcd", length=4, encoding="ebcdic")


@pytest.mark.parametrize(
    ("encoding", "lacks", "name"),
    [
        ("ascii", "80", "ASCII"),
        ("utf-8", "c3", "UTF-8"),
        ("cp1252", "81", "CP1252"),
        ("utf-16-be", "d800", "UTF-16"),
        ("utf-16-le", "00d8", "UTF-16"),
    ],
)
def test_bytes_that_the_encoding_lacks_are_bad_in_take_and_read_and_good(encoding: str, lacks: str, name: str) -> None:
    table = SignalTable(["text"])
    plan = RegisterPlan(table, 4, 1)
    plan.add(0, 0, "string", length=8, encoding=encoding)
    table.forward(0)
    right = "Ab".encode(encoding).ljust(8, b"\0")
    for _ in range(2):
        plan.decode(right)
        assert (table.good, table.take()) == (1, [(0, "Ab", Quality.GOOD, None, None)])
        plan.decode(bytes.fromhex(lacks).ljust(8, b"\0"))
        bad = (0, None, Quality.BAD, f"not {name} text", None)
        assert (table.good, table.read(0), table.take()) == (0, bad, [bad])


def test_a_text_with_other_padding_is_unchanged() -> None:
    table = SignalTable(["text"])
    plan = RegisterPlan(table, 4, 1)
    plan.add(0, 0, "string", length=8)
    table.forward(0)
    plan.decode(b"4711\0\0\0\0")
    table.take()
    for reply in (b"4711\0abc", b"4711    ", b"4711  \0x"):
        plan.decode(reply)
        assert table.take() == []


def test_string_of_odd_length() -> None:
    assert decode_one("string", b"abcd", length=3)[0] == "abc"


@given(st.integers(-(2**15), 2**15 - 1))
def test_scale_and_offset_make_a_float(raw: int) -> None:
    value, _, _ = decode_one("int16", struct.pack(">h", raw), scale=0.1, offset=-40.0)
    assert value == raw * 0.1 + -40.0
    assert isinstance(value, float)


def test_scaling_beyond_a_float_is_bad() -> None:
    assert decode_one("float64", struct.pack(">d", 1e308), scale=1e10)[1] == Quality.BAD


@pytest.mark.parametrize(
    ("type_name", "bit", "width"),
    [("uint16", 3, 4), ("uint16", 0, 1), ("uint16", 15, 1), ("uint32", 14, 4), ("uint64", 31, 33), ("uint64", 0, 64)],
)
@given(data=st.data(), words_little=st.booleans(), bytes_little=st.booleans())
def test_bit_fields(
    type_name: str, bit: int, width: int, words_little: bool, bytes_little: bool, data: st.DataObject
) -> None:
    size = struct.calcsize(FORMATS[type_name])
    whole = data.draw(st.integers(0, 2 ** (8 * size) - 1))
    wire = reorder(whole.to_bytes(size, "big"), words_little, bytes_little)
    options = {"words_little": words_little, "bytes_little": bytes_little}
    value, quality, _ = decode_one(type_name, wire, bit=bit, width=width, **options)
    assert (value, quality) == (int(f"{whole:0{8 * size}b}"[::-1][bit : bit + width][::-1], 2), Quality.GOOD)
    assert type(value) is int


@pytest.mark.parametrize(
    ("type_name", "options"),
    [
        ("uint16", {"bit": 13, "width": 4}),
        ("uint16", {"bit": -1, "width": 4}),
        ("uint16", {"width": -1}),
        ("uint16", {"bit": 2**31 - 1, "width": 16}),
        ("uint16", {"bit": 1, "width": 2**31 - 1}),
        ("uint32", {"bit": 20, "width": 13}),
        ("int16", {"bit": 3, "width": 4}),
        ("float32", {"width": 1}),
        ("uint16", {"bit": 3, "width": 4, "scale": 0.1}),
        ("uint16", {"bit": 3, "width": 4, "offset": 1.0}),
        ("bool", {"bit": 3, "width": 4}),
        ("bool", {"bit": 16}),
        ("bool", {"scale": 2.0}),
        ("string", {"length": 2, "offset": 1.0}),
        ("bool", {"invalid": [1]}),
        ("string", {"length": 2, "invalid": [0]}),
        ("uint24", {}),
    ],
)
def test_what_cannot_be_is_refused_and_plans_nothing(type_name: str, options: dict[str, float]) -> None:
    table = SignalTable(["s"])
    plan = RegisterPlan(table, 4, 1)
    with pytest.raises(ValueError, match=r"\w"):
        plan.add(0, 0, type_name, **options)  # type: ignore[arg-type]
    assert plan.signals == []
    plan.add(0, 0, "uint16")
    plan.decode(bytes(8))
    assert table.read(0)[1] == 0


@pytest.mark.parametrize(
    ("type_name", "invalid", "wire", "why"),
    [
        ("int16", 0x8000, "8000", "0x8000"),
        ("int16", -32768, "8000", "0x8000"),
        ("uint16", 255, "00ff", "0x00FF"),
        ("uint64", 2**64 - 1, "ff" * 8, "0x" + "F" * 16),
        ("float32", -9999, "c61c3c00", "0xC61C3C00"),
        ("float32", -9999.0, "c61c3c00", "0xC61C3C00"),
        ("float32", 0x7FC00000, "7fc00000", "0x7FC00000"),
        ("bcd16", 9999, "9999", "0x9999"),
        ("bcd16", 0xFFFF, "ffff", "0xFFFF"),
    ],
)
def test_an_invalid_value_is_bad_and_says_which(type_name: str, invalid: float, wire: str, why: str) -> None:
    raw = bytes.fromhex(wire)
    assert decode_one(type_name, raw, invalid=[7, invalid]) == (None, Quality.BAD, f"invalid value {why}")
    assert decode_one(type_name, raw, invalid=[invalid], scale=0.1)[2] == f"invalid value {why}"
    assert decode_one(type_name, bytes(len(raw)), invalid=[invalid])[:2] == (0, Quality.GOOD)


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


@pytest.mark.parametrize("lender", [bytes, bytearray, memoryview])
@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_part_of_a_buffer(
    lender: type[bytes] | type[bytearray] | type[memoryview], before: bytes, after: bytes
) -> None:
    table, plan, payload = mixed_plan()
    plan.decode(lender(before + payload + after), len(before), len(payload))
    assert [table.read(n)[1] for n in range(4)] == [1.5, 2**63, "recipe", True]
    plan.fail("no")
    plan.decode(lender(before + payload), len(before))
    assert table.read(2)[1] == "recipe"


@pytest.mark.parametrize(
    ("start", "size", "word", "offset"),
    [
        (3, 17, "short", 17),
        (3, 21, "long", 20),
        (3, 60, "long", 20),
        (10, 25, "long", 20),
        (16, 20, "short", 14),
        (11, -1, "short", 19),
        (9, -1, "long", 20),
        (30, 20, "short", 0),
        (31, 20, "short", 0),
        (2**62, -1, "short", 0),
    ],
)
def test_the_part_must_be_there_and_of_the_planned_length(start: int, size: int, word: str, offset: int) -> None:
    table, plan, _ = mixed_plan()
    with pytest.raises(DecodeError, match=word) as error:
        plan.decode(bytes(30), start, size)
    assert error.value.offset == offset
    assert table.good == 0


def test_no_part_before_the_buffer_and_nothing_that_lends_no_bytes() -> None:
    _, plan, payload = mixed_plan()
    with pytest.raises(ValueError, match="no part"):
        plan.decode(payload, -1)
    with pytest.raises(ValueError, match="no part"):
        plan.decode(payload, 0, -2)
    with pytest.raises(BufferError):
        plan.decode(memoryview(payload + payload)[::2])
    for wrong in (None, "text", 20):
        with pytest.raises(TypeError):
            plan.decode(wrong)  # type: ignore[arg-type]
    lent = bytearray(payload)
    plan.decode(lent)
    lent.append(0)  # which a buffer that is still lent would refuse
    with pytest.raises(DecodeError):
        plan.decode(lent)
    lent.append(0)


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
        (2**63 - 1, "uint16", {}),
        (-(2**63), "uint16", {}),
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


@pytest.mark.parametrize("signals", [0, 1, 2, 9])
def test_a_full_plan_takes_no_more(signals: int) -> None:
    table = SignalTable([f"s{n}" for n in range(signals + 1)])
    plan = RegisterPlan(table, 16, signals)
    for number in range(signals):
        plan.add(number, number, "uint16")
    with pytest.raises(ValueError, match="full"):
        plan.add(signals, signals, "uint16")
    assert plan.signals == list(range(signals))


@pytest.mark.parametrize("length", [-1, 251])
def test_a_text_longer_than_a_reply_is_refused(length: int) -> None:
    table = SignalTable(["text"])
    plan = RegisterPlan(table, 200, 1)
    with pytest.raises(ValueError, match="out of range"):
        plan.add(0, 0, "string", length=length)
    plan.add(0, 0, "string", length=250)


def test_more_invalid_values_than_are_counted_are_refused() -> None:
    table = SignalTable(["s"])
    plan = RegisterPlan(table, 2, 1)
    with pytest.raises(ValueError, match="65535 invalid values"):
        plan.add(0, 0, "uint32", invalid=range(65536))
    plan.add(0, 0, "uint32", invalid=range(3))
