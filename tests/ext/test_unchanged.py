"""What did not change is skipped, but never after something else than the plan's last reply set the signals."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.registers import RegisterPlan
from ext.table import Kind, SignalTable
from protocols.model import Quality

REPLY = struct.pack(">4H", 1, 2, 3, 4)


def planned(*positions: int, count: int = 4) -> tuple[SignalTable, RegisterPlan]:
    table = SignalTable([f"s{n}" for n in range(len(positions))])
    plan = RegisterPlan(table, count, len(positions))
    for number, position in enumerate(positions):
        plan.add(number, position, "uint16")
        table.forward(number)
    return table, plan


def values(table: SignalTable) -> list[object]:
    return [table.read(number)[1] for number in range(len(table))]


@pytest.mark.parametrize(
    "interrupt",
    [
        lambda table, plan: table.fail(1, "frozen"),
        lambda table, plan: table.fail_all("lost"),
        lambda table, plan: plan.fail("exception 2"),
        lambda table, plan: table.put(1, 99),
        lambda table, plan: table.define(1, Kind.UINT),
    ],
    ids=["fail", "fail_all", "fail block", "put", "define"],
)
def test_the_same_reply_counts_after_whatever_else_set_a_signal(
    interrupt: Callable[[SignalTable, RegisterPlan], None],
) -> None:
    table, plan = planned(0, 1, 2, 3)
    for _ in range(2):
        plan.decode(REPLY)
        assert values(table) == [1, 2, 3, 4]
        table.take()
        interrupt(table, plan)
        assert values(table)[1] != 2
    plan.decode(REPLY)
    assert values(table) == [1, 2, 3, 4]
    assert table.good == 4


def test_two_plans_of_the_same_signal_take_turns() -> None:
    table, plan = planned(0, 1)
    other = RegisterPlan(table, 2, 2)
    other.add(0, 1, "uint16")
    other.add(1, 0, "uint16")
    pair = struct.pack(">2H", 8, 9)
    for _ in range(3):
        plan.decode(REPLY)
        assert values(table) == [1, 2]
        for _ in range(2):
            other.decode(pair)
            assert values(table) == [9, 8]
    other.fail("no")
    plan.decode(REPLY)
    assert values(table) == [1, 2]


def test_a_signal_that_is_planned_twice_in_one_plan_has_the_value_of_the_last() -> None:
    table = SignalTable(["s"])
    plan = RegisterPlan(table, 8, 2)
    plan.add(0, 7, "uint16")
    plan.add(0, 0, "uint16")
    for first, last in ((1, 2), (1, 3), (4, 3), (4, 3)):
        plan.decode(struct.pack(">8H", first, 0, 0, 0, 0, 0, 0, last))
        assert values(table) == [first]


def test_a_signal_that_is_added_later_is_decoded_from_the_same_reply() -> None:
    table = SignalTable(["a", "b"])
    plan = RegisterPlan(table, 4, 2)
    plan.add(0, 3, "uint16")
    plan.decode(REPLY)
    plan.add(1, 0, "uint16")
    plan.decode(REPLY)
    assert values(table) == [4, 1]
    plan.decode(struct.pack(">4H", 5, 2, 3, 6))
    assert values(table) == [6, 5]
    assert plan.signals == [0, 1]


@given(st.lists(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2)), max_size=4), max_size=12))
def test_every_register_that_changes_is_seen_and_no_other(rounds: list[list[tuple[int, int]]]) -> None:
    table, plan = planned(*range(1, 100, 3), count=100)
    registers = [0] * 100
    plan.decode(bytes(200))
    table.take()
    for changes in rounds:
        before = registers.copy()
        for register, value in changes:
            registers[register] = value
        plan.decode(struct.pack(">100H", *registers))
        assert values(table) == registers[1::3]
        expected = {n for n, (old, new) in enumerate(zip(before[1::3], registers[1::3], strict=True)) if old != new}
        assert {change[0] for change in table.take()} == expected


def test_a_refused_reply_is_not_the_last_reply() -> None:
    table, plan = planned(0, 3)
    plan.decode(REPLY)
    for wrong in (REPLY[:-1], REPLY + b"\0", b""):
        with pytest.raises(ValueError, match="asked for"):
            plan.decode(wrong)
    plan.decode(REPLY)
    assert values(table) == [1, 4]
    plan.decode(struct.pack(">4H", 1, 2, 3, 5))
    assert values(table) == [1, 5]


def test_blocks_of_many_signals() -> None:
    table = SignalTable([f"b{n}" for n in range(2000)])
    plan = RegisterPlan(table, 2000, 2000, bits=True)
    for number in reversed(range(2000)):
        plan.add(number, number, "bool")
    for lit in (0, 7, 64, 1999):
        plan.decode((1 << lit).to_bytes(250, "little"))
        assert [number for number, value in enumerate(values(table)) if value] == [lit]


def test_quality_is_good_again_by_an_unchanged_reply_alone() -> None:
    table, plan = planned(0)
    plan.decode(REPLY)
    table.take()
    plan.fail("timeout")
    assert table.take()[0][2:4] == (Quality.BAD, "timeout")
    plan.decode(REPLY)
    assert table.take() == [(0, 1, Quality.GOOD, None, None)]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 125])
def test_every_byte_of_the_first_reply_is_known_at_the_second(count: int) -> None:
    for at in range(2 * count):
        table, plan = planned(*range(count), count=count)
        first = bytearray(2 * count)
        first[at] = 1
        plan.decode(first)
        plan.decode(bytes(2 * count))
        assert values(table) == [0] * count, f"byte {at}"
