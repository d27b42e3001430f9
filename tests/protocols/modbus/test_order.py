"""What a reply without a transaction id proves, against a unit that answers in order, late, or never."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.order import Heard, Order, Shape
from protocols.modbus.rtu import MOST_FENCES

SHAPES: list[Shape] = [(3, 2), (3, 20), (4, 2), (1, 1), (1, 2)]
ANSWERS = ["values", "exception", "never"]


@dataclass(frozen=True)
class Sent:
    """A request as the unit has it."""

    number: int
    shape: Shape
    answer: str

    @property
    def reply(self) -> bytes:
        """What it answers."""
        function, size = self.shape
        return bytes((function, size)) if self.answer == "values" else bytes((function | 0x80, 2))


class Line:
    """An Order, and a unit that takes one request after another."""

    def __init__(self) -> None:
        self.order = Order()
        self.number = 0
        self.owed: deque[Sent] = deque()

    def ask(self, shape: Shape, answer: str) -> None:
        """Send a request."""
        self.number += 1
        self.order.asked(shape)
        if answer != "never":
            self.owed.append(Sent(self.number, shape, answer))

    def answer(self) -> Heard:
        """The unit gives its next reply: what is believed must be right."""
        sent = self.owed.popleft()
        heard = self.order.heard(sent.reply)
        assert heard is not Heard.STRANGE, "every answer that is owed is known of"
        if heard is Heard.ANSWER:
            assert sent.number == self.number, "only the last request's answer is believed"
        return heard

    def check(self) -> None:
        """What is told apart is owed by nobody."""
        for shape in SHAPES:
            if self.order.tells(shape):
                assert shape not in [sent.shape for sent in self.owed if sent.answer == "values"]


STEPS = st.lists(
    st.one_of(st.tuples(st.sampled_from(SHAPES), st.sampled_from(ANSWERS)), st.just("answer"), st.just("answer")),
    max_size=60,
)


@given(STEPS)
def test_only_what_is_proved_is_believed(steps: list[tuple[Shape, str] | str]) -> None:
    line = Line()
    for step in steps:
        if isinstance(step, tuple):
            line.ask(*step)
        elif line.owed:
            line.answer()
        line.check()


@given(STEPS, st.sampled_from(SHAPES), st.sampled_from(["values", "exception"]))
def test_unit_that_is_back_is_believed_soon(steps: list[tuple[Shape, str] | str], shape: Shape, fences: str) -> None:
    """Whatever was lost, and whether it lacks the table that the fence reads: a few fences, and no more for ever."""
    line = Line()
    for step in steps:
        if isinstance(step, tuple):
            line.ask(*step)
        elif line.owed:
            line.answer()
    while line.owed:
        line.answer()
    asked = 0
    while not line.order.tells(shape):
        _, fence = line.order.fence(shape, 100)
        line.ask(fence, fences)
        line.answer()
        asked += 1
        assert asked <= (1 if fences == "values" else len(steps) + MOST_FENCES)
    line.ask(shape, "values")
    assert line.answer() is Heard.ANSWER
    assert all(line.order.tells(each) for each in SHAPES)


@pytest.mark.parametrize("silent", [1, 10, 1000])
def test_long_silence_costs_one_fence(silent: int) -> None:
    line = Line()
    line.ask((3, 20), "never")
    for _ in range(silent):
        _, fence = line.order.fence((3, 20), 0)
        assert fence in ((3, 2), (4, 2)), "no larger one is needed"
        line.ask(fence, "never")
        line.order.fence_was_ignored()
    line.ask(line.order.fence((3, 20), 0)[1], "exception")
    line.answer()
    assert line.order.tells((3, 20))
    line.ask((3, 20), "values")
    assert line.answer() is Heard.ANSWER


@pytest.mark.parametrize("same_table", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (2, 250), (3, 2), (4, 250)])
@pytest.mark.parametrize("address", [0, 40_000, 0xFFFF])
def test_fence_is_small_and_within_the_table(shape: Shape, address: int, same_table: bool) -> None:
    order = Order()
    if same_table:
        order.fence_was_ignored()
    order.asked(shape)
    pdu, fence = order.fence(shape, address)
    function, begin, count = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:], "big")
    assert fence != shape
    assert fence == (function, (count + 7) // 8 if function in (1, 2) else 2 * count)
    assert (function == shape[0]) is same_table
    assert (function in (1, 2)) is (shape[0] in (1, 2)), "a bit's neighbour is a bit"
    assert address - 8 <= begin <= address
    assert 1 <= count <= 9
    assert begin + count <= 0x10000


def test_gateway_that_did_not_reach_the_unit_proves_nothing_of_it() -> None:
    order = Order()
    order.asked((3, 20))
    assert order.heard(b"\x83\x0b") is Heard.ANSWER
    assert not order.tells((3, 20)), "the unit may answer yet"
    assert order.heard(b"\x83\x02") is Heard.ANSWER
    assert order.tells((3, 20))
