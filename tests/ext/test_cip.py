"""CIP replies into the table: every type, everything that must be refused, and no byte beyond the reply."""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.cip import PACKET, WRONG_SIZE, CipPlan, Packing, TypeChanged
from ext.table import DecodeError, SignalTable
from tests.ext.cip_replies import READ_FRAGMENT, attribute, packet, reply, structure, tag

FORMATS = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip
WHOLE = [name for name in FORMATS if "int" in name]
DINT, REAL, SINT, BOOL = 0xC4, 0xCA, 0xC2, 0xC1


def one(type_name: str, data: bytes, at: int = 0, **options: Any) -> tuple[object, int, str | None]:
    """Value, quality and why of a single signal in a structure of `data`."""
    table = SignalTable(["s"])
    plan = CipPlan(table)
    plan.structure(0x1234, len(data))
    plan.add(0, 0, at, type_name, **options)
    assert plan.decode(structure(0x1234, data)) == ()
    return table.read(0)[1:4]


@pytest.mark.parametrize("type_name", FORMATS)
@given(data=st.binary(min_size=24, max_size=24), at=st.integers(0, 16))
def test_every_type_at_every_byte(type_name: str, data: bytes, at: int) -> None:
    (expected,) = struct.unpack_from("<" + FORMATS[type_name], data, at)
    value, quality, why = one(type_name, data, at)
    if isinstance(expected, float) and not math.isfinite(expected):
        assert (value, quality) == (None, 0)
        assert why in ("not a number (NaN)", "infinite")
    else:
        assert (value, quality, why) == (expected, 2, None)
        assert type(value) is type(expected)


@pytest.mark.parametrize("type_name", ["int64", "uint64"])
@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1])
def test_64_bits_are_exact(type_name: str, number: int) -> None:
    assert one(type_name, struct.pack("<Q", number)) == (number, 2, None)


@pytest.mark.parametrize(("byte", "value"), [(0, False), (1, True), (0xFF, True), (0x80, True)])
def test_a_bool_is_any_bit(byte: int, value: bool) -> None:
    assert one("bool", bytes((0xFF, byte, 0xFF)), 1) == (value, 2, None)


@given(data=st.binary(min_size=8, max_size=8), type_name=st.sampled_from(WHOLE), draw=st.data())
def test_bits_and_fields(data: bytes, type_name: str, draw: st.DataObject) -> None:
    size = struct.calcsize("<" + FORMATS[type_name])
    raw = int.from_bytes(data[:size], "little")
    mask = draw.draw(st.integers(1, 2 ** (8 * size) - 1))
    assert one(type_name, data, any_of=mask) == (bool(raw & mask), 2, None)
    bit = draw.draw(st.integers(0, 8 * size - 1))
    width = draw.draw(st.integers(1, 8 * size - bit))
    assert one(type_name, data, bit=bit, width=width) == (raw >> bit & (2**width - 1), 2, None)


def test_scale_and_invalid() -> None:
    data = struct.pack("<hxx", -400)
    assert one("int16", data, scale=0.1, offset=-40.0) == (-400 * 0.1 - 40.0, 2, None)
    assert one("int16", data, invalid=[-400]) == (None, 0, "invalid value 0xFE70")
    assert one("uint16", data, invalid=[0xFE70], scale=2.0) == (None, 0, "invalid value 0xFE70")
    assert one("uint16", data, bit=4, width=4, invalid=[7]) == (None, 0, "invalid value 0x7")
    assert one("float32", struct.pack("<f", -9999.0), invalid=[-9999.0])[0] is None
    assert one("uint64", struct.pack("<Q", 2**64 - 1), scale=0.5) == (2.0**63, 2, None)


TEXT = {"capacity": 6, "prefix": 4, "skip": 4}


@pytest.mark.parametrize(
    ("length", "options", "expected"),
    [
        (3, TEXT, ("abc", 2, None)),
        (0, TEXT, ("", 2, None)),
        (6, TEXT, ("abcd é"[:5] + "é", 2, None)),
        (7, TEXT, (None, 0, "a text that claims more bytes than the 6 there are")),
        (2**32 - 1, TEXT, (None, 0, "a text that claims more bytes than the 6 there are")),
        (4, {**TEXT, "most": 3}, (None, 0, "a text of more bytes than length allows, 3")),
        (3, {**TEXT, "most": 3}, ("abc", 2, None)),
    ],
)
def test_a_text_is_as_long_as_it_says_where_there_is_room(
    length: int, options: dict[str, int], expected: tuple[object, int, str | None]
) -> None:
    data = b"????" + struct.pack("<I", length) + "abcd é".encode("latin-1") + b"!!"
    assert one("string", data, 4, **options) == expected


def test_attributes_of_each_size() -> None:
    table = SignalTable(["word", "mode", "fault", "short", "long"])
    plan = CipPlan(table, Packing.MULTIPLE)
    word, short, long = plan.attribute(2), plan.attribute(prefix=1), plan.attribute(prefix=2)
    plan.add(0, word, 0, "uint16")
    plan.add(1, word, 0, "uint16", bit=4, width=4)
    plan.add(2, word, 0, "uint16", any_of=0x0C00)
    plan.add(3, short, 0, "string", prefix=1, skip=1, capacity=255)
    plan.add(4, long, 0, "string", prefix=2, skip=2, capacity=65535, most=20)
    for name, host, padded in (("1756-L85E", "plc", False), ("L8", "", True), ("1756-L85E/B", "plc-labeler", True)):
        texts = [attribute(bytes((len(name),)) + name.encode())]
        texts += [attribute(struct.pack("<H", len(host)) + host.encode())]
        plan.decode(packet([attribute(b"\x60\x38"), *texts], padded=padded))
        assert [table.read(n)[1] for n in range(5)] == [0x3860, 6, True, name, host]
    refused = plan.decode(packet([attribute(b"\x70\x30\0\0"), *texts]))
    assert refused == ((word, WRONG_SIZE, 4),)
    with pytest.raises(DecodeError, match="the text of service 1"):
        plan.decode(packet([attribute(b"\x70\x30"), attribute(b"\x05abc"), texts[1]]))


class Mixed:
    """A packet of four services: a DINT, three SINTs of an array, a structure and a status word."""

    def __init__(self) -> None:
        self.table = SignalTable(["dint", "first", "third", "real", "bit", "word"])
        self.plan = plan = CipPlan(self.table, Packing.MULTIPLE)
        dint, array, udt, status = plan.tag(DINT, 4), plan.tag(SINT, 3), plan.structure(0xBEEF, 12), plan.attribute(2)
        plan.add(0, dint, 0, "int32")
        plan.add(2, array, 2, "int8")
        plan.add(1, array, 0, "int8")
        plan.add(3, udt, 8, "float32")
        plan.add(4, udt, 1, "uint8", any_of=0x10)
        plan.add(5, status, 0, "uint16")

    def services(
        self, dint: int = 7, first: int = -1, third: int = 3, real: float = 1.5, bit: bool = True
    ) -> list[bytes]:
        return [
            tag(DINT, struct.pack("<i", dint)),
            tag(SINT, struct.pack("<bbb", first, 99, third)),
            structure(0xBEEF, struct.pack("<BB6xf", 0, bit << 4, real)),
            attribute(b"\x60\x30"),
        ]

    def values(self) -> list[object]:
        return [self.table.read(number)[1] for number in range(6)]


@pytest.mark.parametrize("padded", [False, True])
def test_services_of_a_packet(padded: bool) -> None:
    mixed = Mixed()
    assert mixed.plan.decode(packet(mixed.services(), padded=padded)) == ()
    assert mixed.values() == [7, -1, 3, 1.5, True, 0x3060]
    assert mixed.plan.decode(memoryview(b"--" + packet(mixed.services(dint=8, bit=False), padded=padded) + b"-"), 2,
                             len(packet(mixed.services(), padded=padded))) == ()  # fmt: skip
    assert mixed.values() == [8, -1, 3, 1.5, False, 0x3060]
    assert mixed.plan.signals() == [0, 1, 2, 3, 4, 5]
    assert mixed.plan.signals(1) == [1, 2]


def test_only_what_changed_is_handed_out() -> None:
    mixed = Mixed()
    for number in range(6):
        mixed.table.forward(number, exact=True)
    mixed.plan.decode(packet(mixed.services()))
    assert len(mixed.table.take()) == 6
    mixed.plan.decode(packet(mixed.services()))
    assert mixed.table.take() == []
    mixed.plan.decode(packet(mixed.services(third=4, real=2.5)))
    assert [(number, value) for number, value, *_ in mixed.table.take()] == [(2, 4), (3, 2.5)]
    mixed.table.fail(0, "gone")
    mixed.plan.decode(packet(mixed.services(third=4, real=2.5)))
    assert mixed.values() == [7, -1, 4, 2.5, True, 0x3060]


def test_a_reply_that_is_cut_anywhere_is_refused_and_changes_nothing() -> None:
    mixed = Mixed()
    whole = packet(mixed.services())
    mixed.plan.decode(whole)
    other = packet(mixed.services(dint=1, first=2, third=5, real=4.0, bit=False))
    for end in range(len(other) - 2):  # of the attribute at the end, the size is what is wrong
        with pytest.raises(DecodeError):
            mixed.plan.decode(other[:end])
        assert mixed.values() == [7, -1, 3, 1.5, True, 0x3060]
    for end in (len(other) - 2, len(other) - 1):
        assert mixed.plan.decode(other[:end]) == ((3, WRONG_SIZE, end - len(other) + 2),)
    assert mixed.plan.decode(other + b"\0\0") == ((3, WRONG_SIZE, 4),)
    mixed.plan.decode(other)
    assert mixed.values() == [1, 2, 5, 4.0, False, 0x3060]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({2: reply(0x52, b"\xa0\x02\xef\xbe" + bytes(12))}, "service 2 is answered by 0xd2, 0xcc was expected"),
        ({2: reply(0x4C, b"\xa0\x02\xef\xbe" + bytes(12), 0, 1)[:8]}, "service 2"),
        ({3: b"\x8e\0\0"}, "the head of service 3"),
        ({3: b"\x8e\0\0\x02\0\0"}, "the status of service 3"),
        ({0: reply(0x4C, b"\xc4")}, "the type of service 0"),
        ({2: reply(0x4C, b"\xa0\x02\xef")}, "the type of service 2"),
    ],
)
def test_a_garbled_service_makes_the_packet_unbelieved(known: bool, services: dict[int, bytes], words: str) -> None:
    mixed = Mixed()
    before: list[object] = [None] * 6
    if known:
        mixed.plan.decode(packet(mixed.services()))
        before = mixed.values()
    parts = mixed.services(dint=1, first=2, third=5)
    for number, part in services.items():
        parts[number] = part
    with pytest.raises(DecodeError, match=words) as raised:
        mixed.plan.decode(packet(parts))
    assert not isinstance(raised.value, TypeChanged)
    assert mixed.values() == before


@pytest.mark.parametrize(
    ("service", "part", "words"),
    [
        (0, tag(REAL, bytes(4)), "service 0 brings type 0x00ca, 0x00c4 was planned at byte 18"),
        (2, structure(0xBEF0, bytes(12)), "service 2 brings structure 0xbef0, 0xbeef was planned"),
        (2, tag(DINT, bytes(12)), "service 2 brings type 0x00c4, 0x02a0 was planned"),
        (0, structure(1, bytes(4)), "service 0 brings type 0x02a0, 0x00c4 was planned"),
        (0, tag(DINT, b"\1\0\0"), "service 0 brings 3 bytes, not 4"),
        (0, tag(DINT, bytes(6)), "service 0 brings 6 bytes, not 4"),
        (1, tag(SINT, bytes(5)), "service 1 brings 5 bytes, not 3"),
    ],
)
def test_another_type_is_raised_as_such_and_nothing_is_believed(service: int, part: bytes, words: str) -> None:
    mixed = Mixed()
    mixed.plan.decode(packet(mixed.services()))
    parts = mixed.services(dint=1, first=2, third=5)
    parts[service] = part
    with pytest.raises(TypeChanged, match=words) as raised:
        mixed.plan.decode(packet(parts))
    assert raised.value.service == service
    assert mixed.values() == [7, -1, 3, 1.5, True, 0x3060]


def test_offsets_that_cannot_be() -> None:
    mixed = Mixed()
    right = packet(mixed.services())
    for place, number in ((4, 3), (4, 5), (6, 9), (6, 12), (8, 10), (8, 13), (10, 0), (12, 0xFFFF), (12, len(right))):
        wrong = right[:place] + struct.pack("<H", number) + right[place + 2 :]
        with pytest.raises(DecodeError):
            mixed.plan.decode(wrong)
    assert mixed.values() == [None] * 6


def test_what_is_refused_stands_alone() -> None:
    mixed = Mixed()
    mixed.plan.decode(packet(mixed.services()))
    parts = mixed.services(dint=1, first=2, third=5)
    parts[0], parts[2] = reply(0x4C, b"", 0x05, 0x1234, 7), reply(0x4C, b"", 0x0F)
    for _ in range(2):  # as a new reply, and as one like the last
        assert mixed.plan.decode(packet(parts, 0x1E)) == ((0, 0x05, 0x1234), (2, 0x0F, 0))
        assert mixed.values() == [7, 2, 5, 1.5, True, 0x3060]
    mixed.plan.fail("refused", 0)
    assert mixed.table.read(0)[1:4] == (None, 0, "refused")
    assert mixed.values()[1:] == [2, 5, 1.5, True, 0x3060]
    assert mixed.plan.decode(packet(mixed.services())) == ()
    assert mixed.values() == [7, -1, 3, 1.5, True, 0x3060]
    mixed.plan.fail("refused")
    assert mixed.table.good == 0


def test_a_long_text_that_changes_at_its_end_is_seen() -> None:
    table = SignalTable(["text", "after"])
    plan = CipPlan(table)
    plan.structure(1, 88)
    plan.add(0, 0, 0, "string", capacity=82, most=82)
    plan.add(1, 0, 86, "int16")
    for end in ("a", "b", "c"):
        plan.decode(structure(1, struct.pack("<I82sh", 82, ("x" * 81 + end).encode(), -1)))
        assert table.read(0)[1] == "x" * 81 + end


def test_a_text_attribute_that_says_another_length_in_as_many_bytes_is_not_believed() -> None:
    table = SignalTable(["text"])
    plan = CipPlan(table)
    plan.attribute(prefix=1)
    plan.add(0, 0, 0, "string", prefix=1, skip=1, capacity=255)
    assert plan.decode(attribute(b"\4abcd")) == ()
    with pytest.raises(DecodeError, match="the text of service 0"):
        plan.decode(attribute(b"\5abcd"))
    assert plan.decode(attribute(b"\4abcd")) == ()
    assert plan.decode(attribute(b"\2abcd")) == ((0, WRONG_SIZE, 5),)
    assert table.read(0)[1] == "abcd"


def test_a_packet_of_another_edition_is_not_believed() -> None:
    table, edition = SignalTable(["a"]), bytes(range(8))
    plan = CipPlan(table, Packing.MULTIPLE)
    plan.tag(DINT, 4)
    plan.add(0, 0, 0, "int32")
    assert plan.edition(edition) == 1
    with pytest.raises(ValueError, match="tells the edition once"):
        plan.edition(edition)

    def answer(number: int, *told: bytes, status: int = 0) -> bytes:
        return packet([tag(DINT, struct.pack("<i", number)), *(reply(0x03, one, status) for one in told)])

    assert plan.decode(answer(1, edition)) == ()
    for place in range(8):
        other = edition[:place] + b"\xff" + edition[place + 1 :]
        with pytest.raises(TypeChanged, match="service 1 brings another edition"):
            plan.decode(answer(2, other))
    for other in (b"", edition[:-1], edition + b"\0"):
        with pytest.raises(TypeChanged):
            plan.decode(answer(2, other))
    assert plan.decode(answer(2, b"", status=5)) == ((PACKET, 5, 0),), "refused, it refuses the packet"
    assert table.read(0)[1] == 1
    assert plan.decode(answer(3, edition)) == ()
    assert table.read(0)[1] == 3


def test_a_partial_reply_is_refused() -> None:
    mixed = Mixed()
    parts = mixed.services()
    parts[1] = tag(SINT, b"\1", status=6)
    assert mixed.plan.decode(packet(parts, 0x1E)) == ((1, 6, 0),)


@pytest.mark.parametrize(("status", "extended"), [(0x08, ()), (0x02, (5,)), (0x06, ()), (0xFF, (0x2105, 1))])
def test_a_packet_refused_as_a_whole(status: int, extended: tuple[int, ...]) -> None:
    mixed = Mixed()
    first = extended[0] if extended else 0
    assert mixed.plan.decode(reply(0x0A, b"", status, *extended)) == ((PACKET, status, first),)
    assert mixed.values() == [None] * 6


def test_a_service_alone() -> None:
    table = SignalTable(["a"])
    plan = CipPlan(table, Packing.SINGLE)
    plan.tag(BOOL, 1)
    plan.add(0, 0, 0, "bool")
    for data, value in ((b"\1", True), (b"\0", False), (b"\xff\0", True)):
        assert plan.decode(tag(BOOL, data)) == ()
        assert table.read(0)[1] is value
    assert plan.decode(reply(0x4C, b"", 0x04)) == ((0, 4, 0),)
    with pytest.raises(TypeChanged):
        plan.decode(tag(SINT, b"\1"))
    for wrong in (b"", b"\xcc\0\0", tag(BOOL, b""), tag(BOOL, b"\1\0\0"), packet([tag(BOOL, b"\1")])):
        with pytest.raises(DecodeError):
            plan.decode(wrong)
    assert table.read(0)[1] is True


class Large:
    """A structure of 1,000 bytes in fragments: its first and last DINT, and one that most cuts run through."""

    HANDLE = 0x4711

    def __init__(self) -> None:
        self.table = SignalTable(["first", "middle", "last"])
        self.plan = CipPlan(self.table, Packing.FRAGMENTS)
        self.plan.structure(self.HANDLE, 1000)
        for number, at in enumerate((0, 498, 996)):
            self.plan.add(number, 0, at, "int32")

    def data(self, number: int) -> bytes:
        data = bytearray(1000)
        for at in (0, 498, 996):
            struct.pack_into("<i", data, at, number)
        return bytes(data)

    def fragments(self, number: int, *cuts: int) -> list[bytes]:
        data, places = self.data(number), [0, *cuts, 1000]
        parts = [data[begin:end] for begin, end in itertools.pairwise(places)]
        return [structure(self.HANDLE, part, READ_FRAGMENT, 6 if n < len(parts) - 1 else 0)
                for n, part in enumerate(parts)]  # fmt: skip

    def values(self) -> list[object]:
        return [self.table.read(number)[1] for number in range(3)]


@given(cuts=st.sets(st.integers(1, 999), max_size=5), again=st.sets(st.integers(1, 999), max_size=5))
def test_fragments_are_decoded_when_they_are_whole(cuts: set[int], again: set[int]) -> None:
    large = Large()
    for number, places in ((7, sorted(cuts)), (-8, sorted(again))):
        before = large.values()
        for fragment, received in zip(large.fragments(number, *places), [*places, 0], strict=True):
            assert large.values() == before
            assert large.plan.decode(fragment) == ()
            assert large.plan.received == received
        assert large.values() == [number] * 3


def test_fragments_of_two_reads_never_meet() -> None:
    large = Large()
    first, second = large.fragments(1, 400), large.fragments(2, 500)
    large.plan.decode(first[0])
    with pytest.raises(DecodeError, match="brings 500 bytes, not 600"):
        large.plan.decode(second[1])
    assert large.plan.received == 0
    large.plan.decode(first[0])
    large.plan.begin()
    for fragment in second:
        large.plan.decode(fragment)
    assert large.values() == [2, 2, 2]


@pytest.mark.parametrize(
    ("fragment", "error"),
    [
        (structure(0x4712, bytes(600), READ_FRAGMENT), TypeChanged),
        (tag(DINT, bytes(600), READ_FRAGMENT), TypeChanged),
        (structure(0x4711, bytes(599), READ_FRAGMENT), DecodeError),
        (structure(0x4711, bytes(601), READ_FRAGMENT), DecodeError),
        (structure(0x4711, bytes(600), READ_FRAGMENT, 6), DecodeError),
        (structure(0x4711, b"", READ_FRAGMENT, 6), DecodeError),
        (structure(0x4711, bytes(600)), DecodeError),
        (b"\xd2\0", DecodeError),
    ],
)
def test_a_wrong_fragment_ends_the_read(fragment: bytes, error: type[DecodeError]) -> None:
    large = Large()
    for whole in large.fragments(1, 400):
        large.plan.decode(whole)
    large.plan.decode(large.fragments(2, 400)[0])
    with pytest.raises(error):
        large.plan.decode(fragment)
    assert large.plan.received == 0
    assert large.values() == [1, 1, 1]


def test_a_refused_fragment_ends_the_read() -> None:
    large = Large()
    large.plan.decode(large.fragments(2, 400)[0])
    assert large.plan.decode(reply(READ_FRAGMENT, b"", 0xFF, 0x2105)) == ((0, 0xFF, 0x2105),)
    assert (large.plan.received, large.values()) == (0, [None] * 3)


def test_two_plans_of_one_signal() -> None:
    table = SignalTable(["a"])
    plans = []
    for _ in range(2):
        plan = CipPlan(table)
        plan.tag(DINT, 4)
        plan.add(0, 0, 0, "int32")
        plans.append(plan)
    for number in (1, 2, 1, 1, 3, 3, 2):
        plans[number % 2].decode(tag(DINT, struct.pack("<i", number)))
        assert table.read(0)[1] == number


@pytest.mark.parametrize(
    ("type_name", "options", "kept"),
    [
        ("int32", {}, True),
        ("int8", {}, True),
        ("uint32", {}, False),
        ("int32", {"scale": 2.0}, False),
        ("float32", {}, False),
        ("string", {"capacity": 4, "prefix": 1, "skip": 1}, False),
    ],
)
def test_planned_again_a_signal_keeps_its_value_unless_it_is_of_another_kind(
    type_name: str, options: dict[str, Any], kept: bool
) -> None:
    table = SignalTable(["a", "b"])
    plan = CipPlan(table)
    plan.structure(1, 12)
    plan.add(0, 0, 0, "int32")
    plan.add(1, 0, 4, "string", prefix=1, skip=1, capacity=7, most=7)
    plan.decode(structure(1, struct.pack("<iB7s", 7, 4, b"text")))
    again = CipPlan(table)
    again.structure(1, 12)
    again.add(0, 0, 4, type_name, **options)
    assert table.read(0)[1:4] == ((7, 2, None) if kept else (None, 0, "not read yet"))
    again.add(1, 0, 4, "string", prefix=1, skip=1, capacity=7, most=5)
    assert table.read(1)[1] == "text"
    longer = CipPlan(table)
    longer.structure(1, 12)
    longer.add(1, 0, 4, "string", prefix=1, skip=1, capacity=7, most=8)
    assert table.read(1)[1] is None
    longer.decode(structure(1, struct.pack("<iB7s", 7, 7, b"longer!")))
    assert table.read(1)[1] == "longer!"


def test_what_cannot_be_planned() -> None:
    table = SignalTable(["a", "b"])
    plan = CipPlan(table, Packing.MULTIPLE)
    with pytest.raises(ValueError, match="no service yet"):
        plan.decode(b"")
    plan.tag(DINT, 4)
    plan.structure(1, 10)
    plan.attribute(2)
    cases: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("no service 3", (0, 3, 0, "int32"), {}),
        ("no service -1", (0, -1, 0, "int32"), {}),
        ("outside a service of 4", (0, 0, 1, "int32"), {}),
        ("outside a service of 4", (0, 0, -1, "int8"), {}),
        ("no type of CIP data", (0, 0, 0, "bcd16"), {}),
        ("only numbers have a scale", (0, 0, 0, "bool"), {"scale": 2.0}),
        ("only numbers have a scale", (0, 1, 0, "string"), {"offset": 2.0, "capacity": 4}),
        ("33 bits from bit 0", (0, 0, 0, "int32"), {"width": 33}),
        ("1 bits from bit 32", (0, 0, 0, "int32"), {"width": 1, "bit": 32}),
        ("unscaled whole number", (0, 0, 0, "float32"), {"width": 1}),
        ("unscaled whole number", (0, 0, 0, "int32"), {"width": 1, "scale": 2.0}),
        ("are no bits", (0, 0, 0, "int8"), {"any_of": 0x100}),
        ("are no bits", (0, 0, 0, "float32"), {"any_of": 1}),
        ("raw values that could be invalid", (0, 0, 0, "bool"), {"invalid": [1]}),
        ("int8 has no value 0.5", (0, 0, 0, "int8"), {"invalid": [0.5]}),
        ("no text of 0 bytes", (0, 1, 0, "string"), {}),
        ("no text of 4 bytes, 3 after", (0, 1, 0, "string"), {"capacity": 4, "skip": 3}),
        ("outside a service of 10", (0, 1, 0, "string"), {"capacity": 7}),
        ("a text of 0 bytes", (0, 1, 0, "string"), {"capacity": 4, "most": 0}),
    ]
    for words, place, options in cases:
        with pytest.raises(ValueError, match=words):
            plan.add(*place, **options)
    with pytest.raises(IndexError):
        plan.add(2, 0, 0, "int32")
    assert plan.signals() == []
    plan.add(0, 0, 0, "int32")
    with pytest.raises(ValueError, match="signal a is planned already"):
        plan.add(0, 1, 0, "int32")
    for wrong in ({"size": 0}, {"size": 1, "prefix": 1}, {"prefix": 4}):
        with pytest.raises(ValueError, match="bytes"):
            plan.attribute(**wrong)
    for call, arguments in ((plan.tag, (0x02A0, 4)), (plan.tag, (-1, 4)), (plan.structure, (0x10000, 4))):
        with pytest.raises(ValueError, match="is no"):
            call(*arguments)
    with pytest.raises(ValueError, match="3 is no way"):
        CipPlan(table, 3)
    alone = CipPlan(table, Packing.FRAGMENTS)
    alone.tag(DINT, 4000)
    with pytest.raises(ValueError, match="no place for another"):
        alone.tag(DINT, 4)
    with pytest.raises(ValueError, match="comes whole"):
        CipPlan(table, Packing.FRAGMENTS).attribute(2)
