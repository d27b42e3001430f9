"""The simulated PLC's memory is that of the example line's filler."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.simulated.machine import CALM, Action, Filler
from protocols.simulated.registers import EXTRA_LIMIT, ExtraUnit, FillerUnit, Table, extra_value


def words(unit: FillerUnit, table: Table, address: int, count: int = 1) -> bytes:
    data = unit.read(table, address, count, 0)
    assert data is not None
    return data


def running_filler() -> tuple[Filler, FillerUnit]:
    filler = Filler(1, CALM, bottles=70_000, rejects=65_530)
    filler.advance(60_000)
    return filler, FillerUnit(filler)


def test_a_running_filler() -> None:
    filler, unit = running_filler()
    made = filler.truth()
    assert words(unit, Table.COIL, 0) == b"\1"
    assert words(unit, Table.DISCRETE, 4) == b"\1"
    assert words(unit, Table.HOLDING, 1) == (600).to_bytes(2, "big")
    assert words(unit, Table.HOLDING, 20)[1] & 1 == 0
    assert words(unit, Table.HOLDING, 21) == b"\0\0"
    speed, bottles, rejects = struct.unpack(">fIH", words(unit, Table.HOLDING, 100, 5))
    assert speed == pytest.approx(filler.speed)
    assert (bottles, rejects) == (70_000 + made.total, (65_530 + made.rejects) & 0xFFFF)
    assert words(unit, Table.HOLDING, 200, 8) == b"cola-500ml\0\0\0\0\0\0"
    assert 105 < made.total < 120


def test_a_level_in_tenths_of_a_millimetre() -> None:
    filler, unit = running_filler()
    seen = set()
    for ms in range(60_000, 120_000, 500):
        filler.advance(ms)
        raw = int.from_bytes(words(unit, Table.INPUT, 7), "big", signed=True)
        seen.add(round(raw * 0.1 - 40, 1))
    assert (min(seen), max(seen)) == (95.0, 105.0)


@pytest.mark.parametrize(
    ("action", "running", "infeed_ready", "estop", "fault"),
    [
        ("fault", False, True, False, 17),
        ("starve", True, False, False, 0),
        ("stop", False, True, False, 0),
        ("estop", False, True, True, 0),
    ],
)
def test_what_each_trouble_shows(action: Action, running: bool, infeed_ready: bool, estop: bool, fault: int) -> None:
    filler, unit = running_filler()
    filler.apply(action)
    assert words(unit, Table.COIL, 0) == bytes((running,))
    assert words(unit, Table.DISCRETE, 4) == bytes((infeed_ready,))
    assert bool(words(unit, Table.HOLDING, 20)[1] & 1) is estop
    assert int.from_bytes(words(unit, Table.HOLDING, 21), "big") == fault
    assert words(unit, Table.HOLDING, 100, 2) == bytes(4)


def test_other_bits_beside_the_emergency_stop_are_not_zero() -> None:
    filler, unit = running_filler()
    assert words(unit, Table.HOLDING, 20) == b"\1\2"
    filler.apply("estop")
    assert words(unit, Table.HOLDING, 20) == b"\1\1"


def test_part_of_a_value_can_be_read() -> None:
    _, unit = running_filler()
    assert words(unit, Table.HOLDING, 103) == words(unit, Table.HOLDING, 100, 5)[6:8]


@pytest.mark.parametrize(
    ("table", "address", "count"),
    [
        (Table.COIL, 1, 1),
        (Table.COIL, 0, 2),
        (Table.DISCRETE, 0, 1),
        (Table.INPUT, 100, 1),
        (Table.HOLDING, 0, 1),
        (Table.HOLDING, 20, 3),
        (Table.HOLDING, 99, 2),
        (Table.HOLDING, 104, 2),
        (Table.HOLDING, 208, 1),
        (Table.HOLDING, 1000, 1),
        (Table.HOLDING, 65535, 1),
    ],
)
def test_other_addresses_are_not_there(table: Table, address: int, count: int) -> None:
    _, unit = running_filler()
    assert unit.read(table, address, count, 0) is None


@given(first=st.integers(0, 1_999), count=st.integers(1, 60), ms=st.integers(0, 10_000_000))
def test_extra_values_follow_their_formula(first: int, count: int, ms: int) -> None:
    count = min(count, 2_000 - first)
    data = ExtraUnit(2_000).read(Table.HOLDING, 1_000 + 2 * first, 2 * count, ms)
    assert data is not None
    assert list(struct.unpack(f">{count}f", data)) == [extra_value(first + place, ms) for place in range(count)]


def test_all_extra_values_change_every_tenth_of_a_second() -> None:
    for index in range(100):
        values = [extra_value(index, ms) for ms in (0, 99, 100, 200)]
        assert values[0] == values[1] != values[2] != values[3]
        assert all(10 <= value <= 90 for value in values)


def test_extra_values_end_where_they_should() -> None:
    filler, _ = running_filler()
    unit = FillerUnit(filler, ExtraUnit(20_000))
    assert unit.read(Table.HOLDING, 40_998, 2, 0) is not None
    assert unit.read(Table.HOLDING, 40_998, 3, 0) is None
    assert unit.read(Table.HOLDING, 998, 4, 0) is None
    assert unit.read(Table.INPUT, 1_000, 2, 0) is None


def test_more_extra_values_than_there_are_addresses() -> None:
    with pytest.raises(ValueError, match="not between 0 and"):
        ExtraUnit(EXTRA_LIMIT + 1)
