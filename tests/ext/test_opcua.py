"""OPC UA values into signals: exactly or not at all, with the quality and time that the server gave them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import pytest

from ext.opcua import Publication, ValuePlan
from ext.table import DecodeError, Kind, SignalTable
from protocols.model import Quality
from tests.fuzz.opcua_messages import (
    DataValue,
    data_change,
    extension_object,
    header,
    publish_response,
    read_response,
    service_fault,
    ticks,
    variant,
)

NOW = 1_790_000_000_000
NAMES = {0x808C0000: "BadSensorFailure", 0x40900000: "UncertainSubNormal", 0x80340000: "BadNodeIdUnknown"}
SENSOR_FAILURE, SUB_NORMAL = 0x808C0000, 0x40900000


class Bench:
    """A table, a plan over it, and a handle for each signal."""

    def __init__(self, *kinds: Kind, length: int = 16, exact: bool = False, **options: Any) -> None:
        self.table = SignalTable([f"s{n}" for n in range(len(kinds))])
        self.asked: list[int] = []
        self.plan = ValuePlan(self.table, self.name_of, **options)
        for number, kind in enumerate(kinds):
            self.table.define(number, kind, length=length if kind == Kind.TEXT else 0, encoding="utf-8")
            self.table.forward(number, exact=exact)
        self.table.take()

    def name_of(self, status: int) -> str:
        self.asked.append(status)
        return NAMES.get(status, "Bad")

    def read(self, *values: DataValue) -> list[tuple[int, int, int, str | None, int | None]]:
        body = read_response(values)
        status, left_over = self.plan.read(body, array("I", range(len(values))), NOW)
        assert status == 0
        return left_over

    def publish(self, *items: tuple[int, DataValue]) -> Publication:
        return self.plan.publish(publish_response(data_change(items)), NOW)

    def state(self, signal: int = 0) -> tuple[Any, ...]:
        return self.table.read(signal)[1:4]


def good(type_id: int, value: object, dimensions: Sequence[int] = ()) -> DataValue:
    return DataValue(variant(type_id, value, dimensions))


EXACT = [
    (Kind.BOOL, 1, True), (Kind.BOOL, 1, False),
    (Kind.INT, 2, -128), (Kind.INT, 3, 255), (Kind.INT, 4, -32768), (Kind.INT, 5, 65535), (Kind.INT, 6, -(2**31)),
    (Kind.INT, 7, 2**32 - 1), (Kind.INT, 8, -(2**63)),
    (Kind.UINT, 3, 255), (Kind.UINT, 5, 65535), (Kind.UINT, 7, 2**32 - 1), (Kind.UINT, 9, 2**64 - 1),
    (Kind.FLOAT, 10, 0.5), (Kind.FLOAT, 11, 0.1), (Kind.FLOAT, 2, -128.0), (Kind.FLOAT, 6, -(2.0**31)),
    (Kind.FLOAT, 7, 2.0**32 - 1),
    (Kind.TEXT, 12, "Größe"), (Kind.TEXT, 12, " a "), (Kind.TEXT, 21, "Auftrag"), (Kind.TEXT, 16, "<a/>"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "type_id", "value"), EXACT)
def test_a_value_arrives_as_it_is(kind: Kind, type_id: int, value: object) -> None:
    bench = Bench(kind)
    bench.plan.bind(0, 0)
    raw = int(value) if isinstance(value, float) and type_id < 10 else value
    assert bench.read(good(type_id, raw)) == []
    assert bench.state() == (value, Quality.GOOD, None)
    assert type(bench.state()[0]) is type(value)


def test_statuses_become_qualities_and_say_their_whole_code() -> None:
    bench = Bench(Kind.INT, Kind.INT, Kind.INT)
    for number in range(3):
        bench.plan.bind(number, number)
    value = variant(6, 7)
    bench.read(DataValue(value, SENSOR_FAILURE), DataValue(value, SUB_NORMAL | 0x480), DataValue(value, 0x00960000))
    assert bench.state(0) == (None, Quality.BAD, "BadSensorFailure (0x808C0000)")
    assert bench.state(1) == (7, Quality.UNCERTAIN, "UncertainSubNormal (0x40900480)")
    assert bench.state(2) == (7, Quality.GOOD, None)
    bench.read(DataValue(value, SENSOR_FAILURE), DataValue(value, SENSOR_FAILURE), DataValue(value))
    assert bench.asked == [SENSOR_FAILURE, SUB_NORMAL]


def test_a_publication_says_what_lies_around_its_values() -> None:
    bench = Bench(Kind.INT)
    bench.plan.bind(3, 0)
    events = extension_object(916, b"\0\0\0\0")
    body = publish_response(events, data_change([(3, good(6, 41))]), results=(0, 0x803E0000), more=True)
    one = bench.plan.publish(b"xx" + body, NOW, 2)
    assert (one.status, one.subscription_id, one.sequence_number, one.more_notifications) == (0, 5, 9, True)
    assert (one.available, one.results, one.keep_alive, one.done) == ([8, 9], [0, 0x803E0000], False, False)
    ((number, start, end),) = one.others
    assert (number, (b"xx" + body)[start:end]) == (916, b"\0\0\0\0")
    assert one.decode() == []
    assert (one.done, one.values, one.overflows) == (True, 1, 0)
    assert bench.state() == (41, Quality.GOOD, None)


def test_a_fault_and_a_bad_result_decode_nothing() -> None:
    bench = Bench(Kind.INT)
    bench.plan.bind(0, 0)
    handles = array("I", [0])
    assert bench.plan.read(service_fault(0x80B10000), handles, NOW) == (0x80B10000, [])
    assert bench.plan.read(read_response([good(6, 1)], head=header(0x80090000)), handles, NOW) == (0x80090000, [])
    one = bench.plan.publish(service_fault(0x80790000), NOW)
    assert (one.status, one.keep_alive, one.done, one.decode()) == (0x80790000, True, True, [])
    assert bench.state() == (None, Quality.BAD, "not read yet")
    with pytest.raises(DecodeError, match="i=829 where a ReadResponse"):
        bench.plan.read(publish_response(), handles, NOW)


def test_no_pulse_that_a_queue_brought_is_lost() -> None:
    bench = Bench(Kind.BOOL, Kind.INT, exact=True)
    bench.plan.bind(0, 0)
    bench.plan.bind(1, 1)
    one = bench.publish(*((0, good(1, n % 2 == 1)) for n in (1, 2, 3)), (1, good(6, 5)))
    seen = []
    while not one.done:
        assert one.decode() == []
        seen.append([change[:2] for change in bench.table.take()])
    assert seen == [[(0, True)], [(0, False)], [(0, True), (1, 5)]]
    assert one.values == 4


def test_what_is_not_native_is_left_over_and_decoding_goes_on() -> None:
    bench = Bench(Kind.INT, Kind.INT)
    bench.plan.bind(0, 0)
    bench.plan.bind(1, 1)
    structure = b"\x16" + extension_object(5001, b"abc")
    values = [DataValue(structure, SUB_NORMAL, ticks(NOW)), good(6, 2)]
    body = read_response(values)
    _, left_over = bench.plan.read(body, array("I", [0, 1]), NOW)
    ((handle, start, end, uncertain, source_time),) = left_over
    assert (handle, body[start:end], uncertain, source_time) == (0, structure, "UncertainSubNormal (0x40900000)", NOW)
    assert bench.state(1) == (2, Quality.GOOD, None)
