"""OPC UA values into signals: exactly or not at all, with the quality and time that the server gave them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
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


BEHIND = good(12, "x" * 40)
"""For a handle that is not bound: what is not near the end of its message is decoded in another way."""

EXACT = [
    (Kind.BOOL, 1, True), (Kind.BOOL, 1, False),
    (Kind.INT, 2, -128), (Kind.INT, 3, 255), (Kind.INT, 4, -32768), (Kind.INT, 5, 65535), (Kind.INT, 6, -(2**31)),
    (Kind.INT, 7, 2**32 - 1), (Kind.INT, 8, -(2**63)),
    (Kind.UINT, 3, 255), (Kind.UINT, 5, 65535), (Kind.UINT, 7, 2**32 - 1), (Kind.UINT, 9, 2**64 - 1),
    (Kind.FLOAT, 10, 0.5), (Kind.FLOAT, 11, 0.1), (Kind.FLOAT, 2, -128.0), (Kind.FLOAT, 6, -(2.0**31)),
    (Kind.FLOAT, 7, 2.0**32 - 1),
    (Kind.TEXT, 12, "Größe"), (Kind.TEXT, 12, " a "), (Kind.TEXT, 21, "Auftrag"), (Kind.TEXT, 16, "<a/>"),
]  # fmt: skip


@pytest.mark.parametrize("behind", [(), (BEHIND,)])
@pytest.mark.parametrize(("kind", "type_id", "value"), EXACT)
def test_a_value_arrives_as_it_is(kind: Kind, type_id: int, value: object, behind: tuple[DataValue, ...]) -> None:
    bench = Bench(kind)
    bench.plan.bind(0, 0)
    raw = int(value) if isinstance(value, float) and type_id < 10 else value
    assert bench.read(good(type_id, raw), *behind) == []
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


@pytest.mark.parametrize(
    ("kind", "type_id", "raw", "why"),
    [
        (Kind.BOOL, 6, 1, "Int32 does not fit a bool"),
        (Kind.INT, 9, 7, "UInt64 does not fit a signed integer"),
        (Kind.INT, 11, 7.0, "Double does not fit a signed integer"),
        (Kind.UINT, 2, 7, "SByte does not fit an unsigned integer"),
        (Kind.FLOAT, 8, 7, "Int64 does not fit a float"),
        (Kind.FLOAT, 1, True, "Boolean does not fit a float"),
        (Kind.TEXT, 6, 7, "Int32 does not fit a text"),
        (Kind.INT, 12, "7", "String does not fit a signed integer"),
        (Kind.INT, 6, [1, 2], "an array of Int32 where one value is expected"),
        (Kind.TEXT, 12, "x" * 17, "a text of 17 bytes where length allows 16"),
        (Kind.TEXT, 12, b"a\xff", "not UTF-8 text"),
        (Kind.FLOAT, 11, float("nan"), "not a number (NaN)"),
    ],
)
def test_nothing_is_converted_with_a_loss(kind: Kind, type_id: int, raw: object, why: str) -> None:
    bench = Bench(kind)
    bench.plan.bind(0, 0)
    for behind in ((), (BEHIND,)):
        bench.read(good(type_id, raw), *behind)
        assert bench.state() == (None, Quality.BAD, why)


def test_elements_of_one_array_go_into_several_signals() -> None:
    bench = Bench(Kind.FLOAT, Kind.INT, Kind.TEXT, Kind.TEXT, Kind.INT)
    for number, element in enumerate((0, 2)):
        bench.plan.bind(0, number, element=element)
    bench.plan.bind(1, 2, element=1)
    bench.plan.bind(1, 3, element=3)
    bench.plan.bind(2, 4, element=0)
    bench.read(good(5, [1, 2, 65535]), good(21, ["a", "Größe", "c"]), good(6, 7))
    assert [bench.table.read(n)[1] for n in range(3)] == [1.0, 65535, "Größe"]
    assert bench.state(3) == (None, Quality.BAD, "no element 3: the array has 3 elements")
    assert bench.state(4) == (None, Quality.BAD, "no element 0: one Int32, and no array")
    bench.read(good(5, [4, 5, 6], [3]), good(21, []), DataValue(b"\x86\xff\xff\xff\xff"))
    assert [bench.table.read(n)[1] for n in range(2)] == [4.0, 6]
    assert bench.state(2)[2] == "no element 1: the array has 0 elements"
    assert bench.state(4)[2] == "no element 0: the array has 0 elements"
    assert len(bench.read(good(5, [1, 2, 3, 4], [2, 2]))) == 1


def test_scale_bits_and_invalid_raw_values() -> None:
    bench = Bench(Kind.FLOAT, Kind.UINT, Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.FLOAT)
    bench.plan.bind(0, 0, scale=0.1, offset=-3.0, invalid=[0x8000])
    bench.plan.bind(1, 1, bits=(4, 7))
    bench.plan.bind(1, 2, bits=(15, 15))
    bench.plan.bind(2, 3, invalid=[2**32 - 1])
    bench.plan.bind(3, 4, invalid=[-9999])
    bench.plan.bind(4, 5, scale=2.0)
    bench.read(good(4, 123), good(4, -(2**15) + 0xA5), good(6, -2), good(10, 0.5), good(9, 2**64 - 1))
    assert [bench.table.read(n)[1] for n in range(6)] == [123 * 0.1 - 3.0, 10, True, -2, 0.5, float(2**64 - 1) * 2.0]
    bench.read(good(4, -(2**15)), good(3, 0xA5), good(6, -1), good(11, -9999.0))
    assert [bench.table.read(n)[3] for n in (0, 3, 4)] == [f"invalid value {n}" for n in (0x8000, 2**32 - 1, -9999)]
    assert bench.table.read(1)[1] == 10
    assert bench.state(2) == (None, Quality.BAD, "Byte has no bit 15")


def test_the_ends_of_the_calendar_are_written_out() -> None:
    day = 864_000_000_000
    texts = {
        0: "1601-01-01T00:00:00.000Z",
        -5: "1601-01-01T00:00:00.000Z",
        ticks(0) - 1: "1969-12-31T23:59:59.999Z",
        ticks(951_782_400_000): "2000-02-29T00:00:00.000Z",
        ticks(951_782_400_000) + day: "2000-03-01T00:00:00.000Z",
        ticks(978_307_200_000) - 1: "2000-12-31T23:59:59.999Z",
        ticks(978_307_200_000) - 366 * day: "2000-01-01T00:00:00.000Z",
        ticks(1_709_164_800_000): "2024-02-29T00:00:00.000Z",
        299 * 365 * day + 72 * day - 1: "1899-12-31T23:59:59.999Z",
        2_650_467_743_999_999_999: "9999-12-31T23:59:59.999Z",
        2**63 - 1: "9999-12-31T23:59:59.999Z",
    }
    bench = Bench(Kind.TEXT, length=24)
    bench.plan.bind(0, 0)
    for raw, text in texts.items():
        bench.read(good(13, raw))
        assert bench.state() == (text, Quality.GOOD, None), raw


@pytest.mark.parametrize(("which", "time"), [("source", NOW - 5), ("server", NOW + 7), ("gateway", None)])
def test_the_time_is_that_which_was_chosen(which: str, time: int | None) -> None:
    bench = Bench(Kind.INT, timestamps=which, max_skew_ms=1000)
    bench.plan.bind(0, 0)
    value = variant(6, 7)
    bench.read(DataValue(value, None, ticks(NOW - 5), 9999, ticks(NOW + 7), 9999))
    assert bench.table.take() == [(0, 7, Quality.GOOD, None, time)]
    bench.read(DataValue(value, None, ticks(NOW - 4), None, ticks(NOW + 8)))
    assert bench.table.take() == []  # of the same value a later time is no change
    bench.read(DataValue(variant(6, 8), None, ticks(NOW - 1001), None, ticks(NOW + 1001)))
    assert bench.table.take() == [(0, 8, Quality.GOOD, None, None)]
    assert bench.plan.skewed == (which != "gateway")
    bench.read(DataValue(variant(6, 9), SENSOR_FAILURE, ticks(NOW), None, ticks(NOW)))
    assert bench.table.read(0)[4] == (None if which == "gateway" else NOW)
    bench.read(DataValue(variant(6, 9), None, 0, None, 0))
    assert bench.table.read(0)[4] is None
    assert bench.plan.skewed == (which != "gateway")


@pytest.mark.parametrize(
    ("which", "lone"), [("source", DataValue(server=ticks(NOW))), ("server", DataValue(source=ticks(NOW)))]
)
@pytest.mark.parametrize("raw", [variant(6, 7), variant(12, "a")])
def test_without_the_time_that_was_chosen_there_is_none(which: str, lone: DataValue, raw: bytes) -> None:
    bench = Bench(Kind.TEXT if raw[0] == 12 else Kind.INT, timestamps=which)
    bench.plan.bind(0, 0)
    bench.read(replace(lone, value=raw), BEHIND)
    assert bench.table.read(0)[2:] == (Quality.GOOD, None, None)


@pytest.mark.parametrize("raw", [variant(6, 7), variant(12, "a")])
def test_the_window_of_times_has_its_ends_in_it(raw: bytes) -> None:
    bench = Bench(Kind.TEXT if raw[0] == 12 else Kind.INT, max_skew_ms=1000)
    bench.plan.bind(0, 0)
    for ms, held in ((-1001, False), (-1000, True), (1000, True), (1001, False)):
        bench.read(DataValue(raw, None, ticks(NOW + ms)), BEHIND)
        assert bench.table.read(0)[4] == (NOW + ms if held else None)
    assert bench.plan.skewed == 2


def test_an_invalid_number_outside_the_type_means_nothing() -> None:
    bench = Bench(Kind.INT, Kind.UINT)
    bench.plan.bind(0, 0, invalid=[-65537, 65536 + 7, 2**64 - 1, 0.5])
    bench.plan.bind(1, 1, invalid=[-32769])
    for raw in (-1, 7):
        bench.read(good(4, raw), good(5, 32767))
        assert bench.state(0) == (raw, Quality.GOOD, None)
        assert bench.state(1) == (32767, Quality.GOOD, None)


def test_a_number_waits_for_a_value_before_it_that_was_left_over() -> None:
    bench = Bench(Kind.INT, exact=True)
    bench.plan.bind(0, 0)
    one = bench.publish((0, DataValue(b"\x16" + extension_object(5001, b"abc"))), (0, good(6, 2)), (9, BEHIND))
    assert len(one.decode()) == 1
    assert not one.done
    assert bench.state()[2] == "not read yet"
    assert one.decode() == []
    assert bench.state()[0] == 2


def test_a_value_that_is_not_there_is_bad() -> None:
    bench = Bench(*[Kind.INT] * 4)
    for number in range(4):
        bench.plan.bind(number, number, by_caller=number == 3)
    bench.read(DataValue(), DataValue(b"\0", SUB_NORMAL), DataValue(b"\x80\2\0\0\0"), DataValue(b"\0"))
    whys = ["no value", "UncertainSubNormal (0x40900000)", "no value", "no value"]
    assert [bench.table.read(n)[2:4] for n in range(4)] == [(Quality.BAD, why) for why in whys]


def test_signals_by_the_caller_get_only_a_bad_status_here() -> None:
    bench = Bench(Kind.INT, Kind.INT)
    bench.plan.bind(0, 0)
    bench.plan.bind(0, 1, by_caller=True)
    assert len(bench.read(good(6, 7))) == 1
    assert [bench.table.read(n)[1:3] for n in range(2)] == [(7, Quality.GOOD), (None, Quality.BAD)]
    assert bench.read(DataValue(variant(6, 7), SENSOR_FAILURE)) == []
    assert [bench.table.read(n)[3] for n in range(2)] == ["BadSensorFailure (0x808C0000)"] * 2


def test_values_that_are_left_over_are_not_lost_either() -> None:
    bench = Bench(Kind.INT, exact=True)
    bench.plan.bind(0, 0, by_caller=True)
    body = publish_response(data_change([(0, good(6, 1)), (0, good(6, 2))]), data_change([(0, good(6, 3))]))
    one, seen = bench.plan.publish(body, NOW), []
    while not one.done:
        for handle, start, end, _, _ in one.decode():
            bench.table.put(handle, int.from_bytes(body[start + 1 : end], "little"))
        seen += [change[1] for change in bench.table.take()]
    assert seen == [1, 2, 3]


def test_thinned_signals_have_the_newest_and_nothing_waits_for_them() -> None:
    bench = Bench(Kind.INT)
    bench.plan.bind(0, 0)
    one = bench.publish(*((0, good(6, n)) for n in range(3)))
    one.decode()
    assert one.done
    assert [change[1] for change in bench.table.take()] == [2]


def test_who_never_takes_gets_on_all_the_same() -> None:
    bench = Bench(Kind.INT, exact=True)
    bench.plan.bind(0, 0)
    one, steps = bench.publish(*((0, good(6, n)) for n in range(5))), 0
    while not one.done:
        one.decode()
        steps += 1
    assert steps == 5
    assert bench.state()[0] == 4


def test_overflows_and_strange_handles_are_counted() -> None:
    bench = Bench(Kind.INT, Kind.INT)
    bench.plan.bind(5, 0)
    value = variant(6, 7)
    one = bench.publish((5, DataValue(value, 0x480)), (4, DataValue(value, 0x480)), (2**32 - 1, DataValue(value)))
    assert one.decode() == []
    assert (one.values, one.overflows, bench.plan.strange) == (1, 1, 2)
    assert bench.state() == (7, Quality.GOOD, None)


def test_many_statuses_keep_their_own_words_and_their_number_has_an_end() -> None:
    bench = Bench(Kind.INT)
    bench.plan.bind(0, 0)
    for code in range(0x80000000, 0x80000000 + 5000):
        bench.read(DataValue(None, code))
        if code < 0x80000000 + 4000:
            assert bench.state()[2] == f"Bad (0x{code:08X})"
    assert bench.state()[2] == "a bad status"
    bench.read(DataValue(None, 0x80000001))
    assert bench.state()[2] == "Bad (0x80000001)"


def test_fail_reaches_a_handles_signals_or_all() -> None:
    bench = Bench(Kind.INT, Kind.INT, Kind.INT)
    for handle, number in ((0, 0), (0, 1), (1, 2)):
        bench.plan.bind(handle, number)
    bench.read(DataValue(variant(6, 1), None, ticks(NOW)), good(6, 2))
    bench.plan.fail(bench.plan.why(0x80340000), 0)
    assert [bench.table.read(n)[3] for n in range(3)] == ["BadNodeIdUnknown (0x80340000)"] * 2 + [None]
    assert bench.table.read(0)[4] is None
    bench.plan.fail("lost")
    assert [bench.table.read(n)[3] for n in range(3)] == ["lost"] * 3
    bench.plan.fail("nobody", 99)
    assert bench.table.read(2)[3] == "lost"


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        (Kind.INT, {"scale": 2.0}, "FLOAT"),
        (Kind.INT, {"bits": (0, 3)}, "kind UINT"),
        (Kind.BOOL, {"bits": (0, 1)}, "one bit for BOOL"),
        (Kind.UINT, {"bits": (3, 64)}, "outside 0..63"),
        (Kind.UINT, {"bits": (3, 2)}, "outside 0..63"),
        (Kind.INT, {"element": -1}, "no element -1"),
        (Kind.INT, {"element": 2**31}, "no element"),
        (Kind.TEXT, {"invalid": [1]}, "invalid"),
        (Kind.BOOL, {"invalid": [1]}, "invalid"),
        (Kind.INT, {"invalid": [2**64]}, "no integer has"),
    ],
)
def test_what_cannot_be_is_not_bound(kind: Kind, options: dict[str, Any], match: str) -> None:
    bench = Bench(kind)
    with pytest.raises(ValueError, match=match):
        bench.plan.bind(0, 0, **options)
    bench.read(good(6, 1))
    assert bench.plan.strange == 1


def test_a_plan_is_for_signals_of_its_table_and_handles_that_are_numbers_of_an_array() -> None:
    table = SignalTable(["a", "b"])
    table.define(1, Kind.TEXT, length=4)
    plan = ValuePlan(table, str)
    for handle, signal, match in ((0, 0, "no kind yet"), (0, 1, "UTF-8"), (-1, 0, "outside"), (2**24, 0, "outside")):
        with pytest.raises(ValueError, match=match):
            plan.bind(handle, signal)
    with pytest.raises(IndexError, match="outside"):
        plan.bind(0, 2)
    for options in ({"timestamps": "plc"}, {"max_skew_ms": -1}, {"max_skew_ms": 2**53}):
        with pytest.raises(ValueError, match=r"none of|out of range"):
            ValuePlan(table, str, **options)
    body = read_response([])
    for handles in (b"\0\0\0\0", array("f", [0]), array("i", [0])):
        with pytest.raises(ValueError, match="32-bit"):
            plan.read(body, handles, NOW)
    for now, start in ((-1, 0), (2**53, 0), (NOW, -1), (NOW, len(body) + 1)):
        with pytest.raises(ValueError, match="out of range"):
            plan.read(body, array("I"), now, start)
    with pytest.raises(DecodeError, match="0 values where 1 were asked for"):
        plan.read(body, array("I", [0]), NOW)


def test_an_error_of_the_names_is_not_hidden_and_the_table_stays_whole() -> None:
    bench = Bench(Kind.INT, Kind.INT)
    bench.plan = ValuePlan(bench.table, lambda status: NAMES[status])
    bench.plan.bind(0, 0)
    bench.plan.bind(1, 1)
    with pytest.raises(KeyError):
        bench.read(good(6, 1), DataValue(None, 0x80FE0000))
    assert [bench.table.read(n)[1:3] for n in range(2)] == [(1, Quality.GOOD), (None, Quality.BAD)]
    bench.read(good(6, 2), good(6, 3))
    assert [bench.table.read(n)[1] for n in range(2)] == [2, 3]


@pytest.mark.parametrize("size", [999, 1000, 3000])
def test_long_responses_are_decoded_without_the_interpreters_lock_alike(size: int) -> None:
    bench = Bench(*[Kind.INT] * size)
    for number in range(size):
        bench.plan.bind(size - 1 - number, number)
    values = [good(6, n) if n % 7 else DataValue(None, 0x80000000 + n) for n in range(size)]
    bench.read(*values)
    for number in range(size):
        sent = size - 1 - number
        wanted = (sent, 2, None) if sent % 7 else (None, 0, f"Bad (0x{0x80000000 + sent:08X})")
        assert bench.state(number) == wanted
    publication = bench.publish(*((n, one) for n, one in enumerate(reversed(values))))
    assert publication.decode() == []
    assert [bench.table.read(n)[1] for n in range(size)] == [n if n % 7 else None for n in range(size)]


@pytest.mark.parametrize("place", range(16))
def test_a_wrong_byte_is_seen_wherever_it_is_in_a_text(place: int) -> None:
    bench = Bench(Kind.TEXT)
    bench.plan.bind(0, 0)
    text = bytearray(b"sixteen letters!")
    text[place] = 0x80
    bench.read(good(12, bytes(text)))
    assert bench.state() == (None, Quality.BAD, "not UTF-8 text")
