"""OPC UA responses against asyncua's decoder, on the same bytes: generated, cut at every offset, and garbled."""

from __future__ import annotations

import json
import struct
import uuid
from array import array
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, variant_to_binary
from hypothesis import given
from hypothesis import strategies as st

from ext.opcua import ValuePlan
from ext.table import DecodeError, Kind, SignalTable
from tests.fuzz.opcua_messages import (
    DataValue,
    data_change,
    extension_object,
    header,
    node_id,
    publish_response,
    read_response,
    string,
    ticks,
)
from tests.fuzz.opcua_reference import Signal, expected, name_of

CORPUS = sorted((Path(__file__).parent.parent / "cases" / "fuzz" / "opcua").glob("*.json"))
NOW, SKEW = 1_790_000_000_000, 60_000
TYPES = ua.VariantType
STATUSES = (0, 0x480, 0x00960000, 0x40900000, 0x40900480, 0x808C0000, 0x80000000, 0xC0FFEE00)
TEXTS = st.sampled_from(["", "a", " a ", "Größe", "12345678", "123456789", "日本", "a\0b"])
INTEGERS = {TYPES.SByte: (-128, 127), TYPES.Byte: (0, 255), TYPES.Int16: (-(2**15), 2**15 - 1),
            TYPES.UInt16: (0, 2**16 - 1), TYPES.Int32: (-(2**31), 2**31 - 1), TYPES.UInt32: (0, 2**32 - 1),
            TYPES.Int64: (-(2**63), 2**63 - 1), TYPES.UInt64: (0, 2**64 - 1)}  # fmt: skip
INVALID = (0, 1, -1, 7, 255, 0x8000, 0xFFFF, 2**31, 2**64 - 1, -(2**63), 0.5, -9999.0, 0.1)


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(
        st.sampled_from([one for one in (0, 1, -1, 7, 127, 255, 0x8000, low, high) if low <= one <= high]),
        st.integers(low, high),
    )


node_ids = st.builds(ua.NodeId, st.integers(0, 2**32 - 1) | st.text(min_size=1, max_size=4), st.integers(0, 65535))
VALUES: dict[ua.VariantType, st.SearchStrategy[Any]] = {
    TYPES.Boolean: st.booleans(),
    **{vtype: integers(*ends) for vtype, ends in INTEGERS.items()},
    TYPES.Float: st.floats(width=32) | st.sampled_from([0.5, -9999.0, 0.1]),
    TYPES.Double: st.floats() | st.sampled_from([0.5, -9999.0, 0.1]),
    TYPES.String: TEXTS | st.none() | st.text(max_size=4),
    TYPES.DateTime: st.just(None),  # written as ticks, in `variants`
    TYPES.Guid: st.uuids(),
    TYPES.ByteString: st.none() | st.binary(max_size=5),
    TYPES.NodeId: node_ids,
    TYPES.ExpandedNodeId: node_ids,
    TYPES.StatusCode: st.builds(ua.StatusCode, st.sampled_from(STATUSES)),
    TYPES.QualifiedName: st.builds(ua.QualifiedName, TEXTS, st.integers(0, 32767)),
    TYPES.LocalizedText: st.builds(ua.LocalizedText, st.none() | TEXTS, st.none() | TEXTS),
    TYPES.ExtensionObject: st.builds(ua.ExtensionObject, node_ids, st.binary(min_size=1, max_size=5)),
    TYPES.DiagnosticInfo: st.builds(ua.DiagnosticInfo, AdditionalInfo=st.none() | TEXTS, SymbolicId=st.integers(0, 9)),
}


@st.composite
def variants(draw: st.DrawFn, depth: int = 0) -> bytes:
    """The bytes of a Variant of any type: a scalar, an array or a matrix."""
    vtype = draw(st.sampled_from([*VALUES, TYPES.Null, TYPES.Variant, TYPES.DataValue]))
    shape = draw(st.sampled_from(["scalar", "scalar", "array", "null array", "one dimension", "matrix"]))
    if vtype == TYPES.Null:
        return b"\0"
    if vtype == TYPES.Variant and shape == "scalar":
        shape = "array"  # by itself a Variant holds no other (Part 6, 5.1.6)
    count = {"scalar": 1, "array": draw(st.integers(0, 4)), "one dimension": 3, "matrix": 4}.get(shape, 0)
    if vtype == TYPES.DateTime:
        wide = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2_650_467_744_000_000_000)
        parts = [struct.pack("<q", draw(wide)) for _ in range(count)]
    elif vtype in (TYPES.Variant, TYPES.DataValue):
        inner = variants(depth=depth + 1) if depth < 2 else st.just(b"\x06\1\0\0\0")
        parts = [draw(inner) for _ in range(count)]
        if vtype == TYPES.DataValue:
            parts = [DataValue(one, *draw(st.sampled_from([(None,), (0x80000000,)]))).to_bytes() for one in parts]
    else:
        ready = [variant_to_binary(ua.Variant(draw(VALUES[vtype]), vtype)) for _ in range(count)]
        parts = [one[1:] for one in ready]
    if shape == "scalar":
        return bytes([vtype.value]) + parts[0]
    length = struct.pack("<i", -1 if shape == "null array" else count)
    if shape in ("array", "null array"):
        return bytes([vtype.value | 0x80]) + length + b"".join(parts)
    dimensions = (3,) if shape == "one dimension" else (2, 2)
    packed = struct.pack(f"<i{len(dimensions)}i", len(dimensions), *dimensions)
    return bytes([vtype.value | 0xC0]) + length + b"".join(parts) + packed


times = (
    st.none() | st.integers(-SKEW - 2, SKEW + 2).map(lambda ms: ticks(NOW + ms) + 9_999) | st.sampled_from([0, 2**62])
)
data_values = st.builds(
    DataValue,
    st.none() | variants(),
    st.none() | st.sampled_from(STATUSES) | st.integers(0, 2**32 - 1),
    times,
    st.none() | st.integers(0, 9999),
    times,
    st.none() | st.integers(0, 9999),
)


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    kind = draw(st.sampled_from([kind for kind in Kind if kind != Kind.NONE]))
    bits = None
    if kind in (Kind.UINT, Kind.BOOL) and draw(st.booleans()):
        first = draw(st.integers(0, 63))
        bits = (first, first if kind == Kind.BOOL else draw(st.integers(first, 63)))
    scaled = kind == Kind.FLOAT and draw(st.booleans())
    numeric = kind not in (Kind.BOOL, Kind.TEXT) or (kind == Kind.BOOL and bits is not None)
    return Signal(
        kind,
        draw(st.sampled_from([0.1, -2.0])) if scaled else 1.0,
        draw(st.sampled_from([0.0, 0.3])) if scaled else 0.0,
        draw(st.none() | st.integers(0, 4)),
        bits,
        tuple(draw(st.lists(st.sampled_from(INVALID), max_size=3, unique=True))) if numeric else (),
        draw(st.integers(0, 9)) == 0,
        draw(st.sampled_from([0, 4, 8, 36])),
    )


class Bench:
    """Signals of which several may hang on one handle: signal n on handle n % `handles`."""

    def __init__(self, wanted: list[Signal], handles: int, timestamps: str) -> None:
        self.signals, self.handles, self.timestamps = wanted, handles, timestamps
        self.table = SignalTable([f"s{n}" for n in range(len(wanted))])
        self.plan = ValuePlan(self.table, name_of, timestamps=timestamps, max_skew_ms=SKEW)
        for number, signal in enumerate(wanted):
            length = signal.length if signal.kind == Kind.TEXT else 0
            self.table.define(number, signal.kind, length=length, encoding="utf-8")
            self.table.forward(number)
            self.plan.bind(number % handles, number, **signal.options())
        self.states: list[Any] = [(number, None, 0, "not read yet", None) for number in range(len(wanted))]
        self.left: list[tuple[int, bytes]] = []
        self.skewed = 0

    def expect(self, handle: int, sent: DataValue, found: ua.DataValue) -> None:
        """Note what a value must do: `found` is what asyncua makes of `sent`."""
        mine = [number for number in range(len(self.signals)) if number % self.handles == handle]
        if not mine:
            return
        time = self._time(sent)
        states = [expected(self.signals[number], found) for number in mine]
        for number, state in zip(mine, states, strict=True):
            if state is not None:
                self.states[number] = (number, *state, time)
            else:
                self.states[number] = (*self.states[number][:4], time)
        if None in states:
            assert sent.value is not None
            self.left.append((handle, sent.value))

    def _time(self, sent: DataValue) -> int | None:
        own = {"source": sent.source, "server": sent.server, "gateway": None}[self.timestamps]
        if not own:
            return None
        time = own // 10_000 - 11_644_473_600_000
        if abs(time - NOW) <= SKEW:
            return time
        self.skewed += 1
        return None

    def check(self, body: bytes, left_over: list[tuple[int, int, int, str | None, int | None]]) -> None:
        for number, state in enumerate(self.states):
            held = self.table.read(number)
            assert held == state, self.signals[number]
            assert type(held[1]) is type(state[1])
        assert self.table.good == sum(state[2] != 0 for state in self.states)
        assert [(handle, body[start:end]) for handle, start, end, _, _ in left_over] == self.left
        assert self.plan.skewed == self.skewed


some_signals = st.lists(signals(), min_size=1, max_size=8)
timestamps = st.sampled_from(["source", "server", "gateway"])


@given(some_signals, st.integers(1, 4), timestamps, st.lists(data_values, max_size=4), st.sampled_from([1, 2]))
def test_a_read_response(wanted: list[Signal], handles: int, which: str, values: list[DataValue], form: int) -> None:
    bench = Bench(wanted, handles, which)
    body = read_response(values, form=form)
    theirs = struct_from_binary(ua.ReadResponse, Buffer(body)).Results
    for handle, (sent, found) in enumerate(zip(values, theirs, strict=True)):
        bench.expect(handle, sent, found)
    status, left_over = bench.plan.read(body, array("I", range(len(values))), NOW)
    assert status == 0
    bench.check(body, left_over)
    assert bench.plan.strange == max(0, len(values) - min(handles, len(wanted)))


items = st.tuples(st.integers(0, 4), data_values)


@given(some_signals, st.integers(1, 4), timestamps, st.lists(st.lists(items, max_size=4), max_size=3))
def test_a_publish_response(
    wanted: list[Signal], handles: int, which: str, parts: list[list[tuple[int, DataValue]]]
) -> None:
    bench = Bench(wanted, handles, which)
    body = publish_response(*map(data_change, parts))
    theirs = struct_from_binary(ua.PublishResponse, Buffer(body)).Parameters
    for part, notification in zip(parts, theirs.NotificationMessage.NotificationData, strict=True):
        for (handle, sent), one in zip(part, notification.MonitoredItems, strict=True):
            assert one.ClientHandle == handle
            bench.expect(handle, sent, one.Value)
    publication = bench.plan.publish(body, NOW)
    assert publication.subscription_id == theirs.SubscriptionId
    assert publication.sequence_number == theirs.NotificationMessage.SequenceNumber
    assert publication.available == theirs.AvailableSequenceNumbers
    assert publication.results == [one.value for one in theirs.Results]
    left_over = publication.decode()
    assert publication.done
    bench.check(body, left_over)
    known = [sent for part in parts for handle, sent in part if handle < min(handles, len(wanted))]
    assert publication.values == len(known)
    assert publication.overflows == sum((sent.status or 0) & 0xC80 == 0x480 for sent in known)


RICH = [
    DataValue(variant_to_binary(ua.Variant(1.5, TYPES.Double)), 0, ticks(NOW), 10, ticks(NOW), 20),
    DataValue(variant_to_binary(ua.Variant(["a", None, "Größe"], TYPES.String)), 0x40900000),
    DataValue(b"\x16" + extension_object(5001, b"abc"), None, ticks(NOW)),
    DataValue(variant_to_binary(ua.Variant([[1, 2], [3, 4]], TYPES.Int32, Dimensions=[2, 2]))),
    DataValue(variant_to_binary(ua.Variant(ua.LocalizedText("Text", "de"), TYPES.LocalizedText))),
    DataValue(b"\x98\2\0\0\0" + b"\x06\1\0\0\0" + b"\x97\1\0\0\0" + DataValue(b"\x0b" + bytes(8)).to_bytes()),
    DataValue(variant_to_binary(ua.Variant(ua.NodeId("abc", 3), TYPES.NodeId))),
    DataValue(variant_to_binary(ua.Variant(uuid.UUID(int=7), TYPES.Guid)), 0x808C0000),
    DataValue(b"\x19" + b"\x7f" + struct.pack("<4i", 1, 2, 3, 4) + string("info") + bytes(4) + b"\0"),
]
WANTED = [Signal(Kind.FLOAT), Signal(Kind.TEXT, element=2), *[Signal(Kind.INT)] * 5, Signal(Kind.TEXT, length=36)]
HEAD = header(diagnostics=b"\x41" + struct.pack("<i", 3) + b"\x10" + string("x"), strings=[string("a"), string(None)])
MESSAGES = {
    "read": read_response(RICH, head=HEAD),
    "publish": publish_response(
        extension_object(916, bytes(4)), data_change(enumerate(RICH)), data_change([(0, RICH[0])]), head=HEAD
    ),
}


def bench_of_all() -> Bench:
    return Bench([*WANTED, Signal(Kind.INT)], 9, "source")


def decode(bench: Bench, service: str, body: bytes) -> None:
    """As a driver does; all that is handed out lies in the body."""
    if service == "read":
        places = bench.plan.read(body, array("I", range(9)), NOW)[1]
    else:
        publication, places = bench.plan.publish(body, NOW), []
        while not publication.done:
            places += publication.decode()
        assert all(0 <= start <= end <= len(body) for _, start, end in publication.others)
    assert all(0 < start < end <= len(body) for _, start, end, _, _ in places)


def error_at(bench: Bench, service: str, body: bytes) -> int:
    """The offset of the error; the body's end where there is none."""
    try:
        decode(bench, service, body)
    except DecodeError as error:
        return error.offset
    return len(body)


def check_whole(bench: Bench) -> None:
    held = [bench.table.read(number) for number in range(len(bench.table))]
    assert bench.table.good == sum(quality != 0 for _, _, quality, _, _ in held)
    assert all((value is None) == (quality == 0) for _, value, quality, _, _ in held)
    bench.table.take()


@pytest.mark.parametrize("service", MESSAGES)
def test_every_truncation_is_an_error_with_its_place(service: str) -> None:
    body = MESSAGES[service]
    decode(bench_of_all(), service, body)
    for length in range(len(body)):
        bench = bench_of_all()
        with pytest.raises(DecodeError) as error:
            decode(bench, service, body[:length])
        assert 0 <= error.value.offset <= length
        check_whole(bench)
    with pytest.raises(DecodeError, match="behind its end"):
        decode(bench_of_all(), service, body + b"\0")


@given(st.data(), st.sampled_from(sorted(MESSAGES)))
def test_a_garbled_message_is_decoded_or_an_error(data: st.DataObject, service: str) -> None:
    body = bytearray(MESSAGES[service])
    spots = st.integers(len(node_id(634)) + 12, len(body) - 1)
    raw = st.sampled_from(
        [b"\xff", b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0", b"\x40", b"\x98"]
    )
    for spot, new in data.draw(st.lists(st.tuples(spots, raw | st.binary(max_size=6)), min_size=1, max_size=4)):
        body[spot : spot + data.draw(st.sampled_from([0, len(new)]))] = new
    bench = bench_of_all()
    assert 0 <= error_at(bench, service, bytes(body)) <= len(body)
    check_whole(bench)


@given(st.binary(max_size=200), st.sampled_from(sorted(MESSAGES)))
def test_any_bytes_are_decoded_or_an_error(tail: bytes, service: str) -> None:
    start = MESSAGES[service][: len(node_id(634) + HEAD)]
    bench = bench_of_all()
    for body in (tail, start + tail):
        assert 0 <= error_at(bench, service, body) <= len(body)
        check_whole(bench)


@pytest.mark.parametrize("nested", [b"\x18", b"\x98\1\0\0\0", b"\x17\1"])
def test_nesting_has_an_end(nested: bytes) -> None:
    inside = b"\x06\1\0\0\0"
    for depth, allowed in ((99, True), (200_000, False)):
        body = read_response([DataValue(nested * depth + inside)])
        plan = Bench([Signal(Kind.INT)], 1, "source").plan
        if allowed:
            ((_, start, end, _, _),) = plan.read(body, array("I", [0]), NOW)[1]
            assert body[start:end] == nested * depth + inside
        else:
            with pytest.raises(DecodeError, match="nested too deeply"):
                plan.read(body, array("I", [0]), NOW)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_decodes_as_it_did(path: Path) -> None:
    case = json.loads(path.read_text())
    wanted = [Signal(**{**one, "kind": Kind[one["kind"]]}) for one in case["signals"]]
    bench = Bench(wanted, len(wanted), case.get("timestamps", "source"))
    body, places = bytes.fromhex(case["body"]), []
    try:
        if case["service"] == "read":
            places = bench.plan.read(body, array("I", range(len(wanted))), NOW)[1]
        else:
            publication = bench.plan.publish(body, NOW)
            places = publication.decode()
            assert publication.done
        error = None
    except DecodeError as raised:
        error = str(raised)
    assert error == case.get("error")
    assert [list(bench.table.read(number)[1:]) for number in range(len(wanted))] == case["states"]
    assert [[handle, body[start:end].hex()] for handle, start, end, _, _ in places] == case.get("left_over", [])


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) >= 15
