"""What the sampler notices and packs, and that whatever else is given to a curve is refused or passed over."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.curves import LEAST_POINTS, Curve
from ext.samples import BLOCK, Log, Sampler
from ext.table import DecodeError, Kind, SignalTable

BEGIN = 1_795_413_600_000


def a_log() -> Log:
    """Numbers, texts and failures of a block and a half."""
    kinds = (Kind.FLOAT, Kind.TEXT, Kind.INT, Kind.BOOL)
    table = SignalTable([f"s{number}" for number in range(BLOCK + BLOCK // 2)])
    for number in range(len(table)):
        table.define(number, kinds[number % 4], length=10)
    sampler = Sampler({"d": table}, BEGIN)
    for step in range(5):
        for number in range(len(table)):
            value = (step / 3, f"text {step % 3}", step, step % 2 == 0)[number % 4]
            table.put(number, value)
        table.fail(step, "broken")
        sampler.sample(BEGIN + 1 + step * 100)
    return sampler.turn(BEGIN + 1000, BEGIN + 1000)


LOG = a_log()
PACKED = dict(LOG.packed())


def curve(packed: bytes, index: int) -> list[tuple[object, ...]]:
    one = Curve(BEGIN, BEGIN + 1000, 100)
    one.add(packed, index, BEGIN, BEGIN + 1000)
    return list(one.points())


def test_blocks_are_packed_alone() -> None:
    assert [number for number, _ in LOG.packed()] == [0, 1]
    assert LOG.packed([1]) == [(1, PACKED[1])]
    assert LOG.packed([]) == []
    for wrong in (-1, 2):
        with pytest.raises(IndexError):
            LOG.packed([wrong])
    assert [point[1] for point in curve(PACKED[1], 1)] == [
        None, "text 0", "text 1", "text 2", "text 0", "text 1", "text 1",
    ]  # fmt: skip


@given(st.integers(0, len(PACKED[0]) - 1), st.integers(0, 255), st.integers(-1, BLOCK))
def test_another_byte_is_refused_or_another_value(at: int, byte: int, index: int) -> None:
    """Nothing is read beyond the block, and points stay in order and in the time."""
    packed = PACKED[0][:at] + bytes([byte]) + PACKED[0][at + 1 :]
    try:
        points = curve(packed, index)
    except DecodeError:
        return
    times = [point[0] for point in points]
    assert times == sorted(times)  # type: ignore[type-var]
    assert all(BEGIN <= time <= BEGIN + 1000 for time in times)  # type: ignore[operator]


@given(st.binary(max_size=200), st.integers(0, 3))
def test_anything_is_refused_or_samples(packed: bytes, index: int) -> None:
    try:
        points = curve(packed, index)
    except DecodeError:
        return
    assert points


@pytest.mark.parametrize(
    ("packed", "index"),
    [
        (b"", 0),
        (struct.pack("<II", 2**32 - 1, 2**32 - 1), 0),
        (struct.pack("<IIII", 2, 0, 2**32 - 1, 2**32 - 1), 1),
        (struct.pack("<IIIH", 1, 1, 1, 65535), 0),
        (struct.pack("<III", 1, 0, 0), 0),
        (struct.pack("<III", 1, 0, 1) + bytes([5 << 2 | 2]) + bytes(12), 0),
        (struct.pack("<III", 1, 0, 1) + bytes([7 << 2 | 2]) + bytes(12), 0),
    ],
)
def test_what_is_no_block_is_refused(packed: bytes, index: int) -> None:
    """Counts beyond the block, a text that is not there, a signal without a sample, a kind that is none."""
    with pytest.raises(DecodeError):
        curve(packed, index)


def test_a_cut_block_is_refused() -> None:
    for length in range(len(PACKED[1])):
        with pytest.raises(DecodeError):
            curve(PACKED[1][:length], 3)
    with pytest.raises(DecodeError, match="goes on"):
        curve(PACKED[1] + b"\0", 3)


def test_a_curve_has_room_for_its_least_points_and_a_time() -> None:
    with pytest.raises(ValueError, match="less than 10"):
        Curve(0, 1000, LEAST_POINTS - 1)
    with pytest.raises(ValueError, match="empty"):
        Curve(1000, 1000, LEAST_POINTS)
    assert Curve(0, 1000, LEAST_POINTS).points() == []


def test_what_is_handed_over_is_not_noticed_again() -> None:
    """Whole numbers of both kinds, and floats that look like them, are the same to both ways in."""
    values: dict[Kind, bool | int | float | str] = {
        Kind.INT: -7, Kind.UINT: 7, Kind.FLOAT: 7.0, Kind.BOOL: True, Kind.TEXT: "7",
    }  # fmt: skip
    table = SignalTable([kind.name for kind in values])
    for number, kind in enumerate(values):
        table.define(number, kind, length=4)
        table.forward(number, exact=True)
    sampler = Sampler({"other": SignalTable(["x"]), "d": table}, BEGIN)
    for number, value in enumerate(values.values()):
        table.put(number, value)
    sampler.feed("d", table.take(), BEGIN + 1)
    assert sampler.log.samples == len(values)
    sampler.sample(BEGIN + 2)
    assert sampler.log.samples == len(values)
    table.put(1, 2**64 - 1)
    sampler.feed("d", table.take(), BEGIN + 3)
    sampler.sample(BEGIN + 4)
    assert sampler.log.samples == len(values) + 1
    sampler.feed("gone", [(0, 1, 2, None, None)], BEGIN + 5)
    assert sampler.log.samples == len(values) + 1
    for wrong in (-1, len(values)):
        with pytest.raises(IndexError):
            sampler.feed("d", [(wrong, 1, 2, None, None)], BEGIN + 6)


def test_since_when_a_signal_is_so_outlives_another_configuration_of_others() -> None:
    one, other = SignalTable(["x", "y"]), SignalTable(["z"])
    for table in (one, other):
        table.define(0, Kind.INT)
    sampler = Sampler({"one": one, "other": other}, BEGIN)
    one.put(0, 1)
    other.put(0, 1)
    sampler.sample(BEGIN + 500)
    assert [sampler.became("one", 0), sampler.became("one", 1)] == [BEGIN + 500, None]
    again = Sampler({"new": SignalTable(["w"]), "other": SignalTable(["z"]), "one": one}, BEGIN + 900, sampler)
    assert [again.became("one", 0), again.became("one", 1), again.became("other", 0)] == [BEGIN + 500, None, None]
    assert again.became("nobody", 0) is None
