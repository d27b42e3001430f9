"""The decoder against the reference: random plans, replies and interruptions, and the corpus of those that mattered.

A new input for the corpus is any case that fails here: hypothesis prints it, `Case.to_json` writes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.registers import RegisterPlan
from ext.table import DecodeError, SignalTable
from tests.fuzz.reference import BYTES, NUMBERS, Case, Model, Signal, Step

CORPUS = sorted((Path(__file__).parent.parent / "cases" / "fuzz").glob("*.json"))
ENCODINGS = ("latin-1", "ascii", "utf-8", "cp1252", "utf-16-be", "utf-16-le")
TEXTS = ("Rezept 7", "Größe", "naïve €", "日本", "😀", "a\0b", " x  ", "\ufeffa", "\x81", "")
BLOBS = [
    *(text.encode(encoding, "ignore") for text in TEXTS for encoding in ENCODINGS),
    *(bytes.fromhex(digits) for digits in ("8000", "ffff", "9999", "1234", "12345678", "00009999", "0000000a")),
    *(struct.pack(">f", value) for value in (float("nan"), float("inf"), -0.0, -9999.0, 1e-45)),
    *(struct.pack(">d", value) for value in (float("nan"), float("-inf"), -0.0, 1e308)),
    *(bytes.fromhex(text) for text in ("c080", "eda080", "f4908080", "e282", "f0808080", "d800", "dc00d800", "00d8")),
]  # fmt: skip
INVALID = (0, 1, 10, 9999, 39321, 0x8000, 0xFFFF, -1, -32768, -9999)
WIDE_INVALID = (*INVALID, 0x7FC00000, 0x80000000, 0x99999999, -(2**31))
FLOAT_INVALID = (*WIDE_INVALID, -9999.0, 0.0, 0.1, float("inf"), float("nan"))


class Bench:
    """One table with two plans of the same block, of which the second was planned backwards."""

    def __init__(self, case: Case, thinned: bool) -> None:
        self.case, self.model = case, Model(case, thinned)
        self.table = SignalTable([f"s{n}" for n in range(len(case.signals))])
        self.plans = [self._plan(range(len(case.signals))), self._plan(reversed(range(len(case.signals))))]
        for number, signal in enumerate(case.signals):
            self.table.forward(number, deadband=signal.deadband if thinned else 0.0)

    def _plan(self, numbers: Iterable[int]) -> RegisterPlan:
        plan = RegisterPlan(self.table, self.case.count, len(self.case.signals), bits=self.case.bits)
        for number in numbers:
            signal = self.case.signals[number]
            plan.add(number, signal.position, signal.type, **signal.options())
        return plan

    def do(self, step: Step) -> None:
        kind = step[0]
        if kind == "decode":
            self._decode(self.plans[step[1]], step[2])
        elif kind == "take":
            expected = self.model.take()
            taken = self.table.take()
            assert {number: (value, quality, why) for number, value, quality, why, _ in taken} == expected
            assert len(taken) == len(expected)
        elif kind == "fail":
            self.model.set(step[1], (None, 0, "one"))
            self.table.fail(step[1], "one")
        elif kind == "put":
            if self.case.signals[step[1]].type == "bool":
                self.model.set(step[1], (True, 2, None))
                self.table.put(step[1], True)
        elif kind == "fail block":
            self.model.fail("block")
            self.plans[step[1]].fail("block")
        else:
            self.model.fail("all")
            self.table.fail_all("all")

    def _decode(self, plan: RegisterPlan, reply: bytes) -> None:
        if len(reply) == self.case.size:
            self.model.decode(reply)
            plan.decode(reply)
            return
        with pytest.raises(DecodeError) as error:
            plan.decode(reply)
        assert error.value.offset == min(len(reply), self.case.size)

    def check(self) -> None:
        """The table holds what the model does, each value in its type."""
        for number, state in enumerate(self.model.states):
            _, value, quality, why, _ = self.table.read(number)
            assert (value, quality, why) == state, (self.case.signals[number], state)
            assert type(value) is type(state[0])
        assert self.table.good == sum(quality != 0 for _, quality, _ in self.model.states)


def replay(case: Case) -> None:
    """Both of a table with deadbands and one without do what the model does, and hold the same after each step."""
    benches = [Bench(case, thinned=False), Bench(case, thinned=True)]
    for step in case.steps:
        for bench in benches:
            bench.do(step)
            bench.check()
        plain, thinned = (bench.table for bench in benches)
        assert [plain.read(n) for n in range(len(plain))] == [thinned.read(n) for n in range(len(thinned))]
        assert plain.good == thinned.good


@st.composite
def signals(draw: st.DrawFn, count: int) -> Signal:
    kind = draw(st.sampled_from([*BYTES, "string"]))
    encoding, length, bit, width = "latin-1", 0, 0, 0
    orders: dict[str, Any] = {"words_little": draw(st.booleans()), "bytes_little": draw(st.booleans())}
    if kind == "string":
        encoding = draw(st.sampled_from(ENCODINGS))
        length = draw(st.integers(1, min(2 * count, 20)))
        length += length % 2 if encoding.startswith("utf-16") else 0
    size = (length + 1) // 2 if kind == "string" else BYTES[kind] // 2
    if size > count:
        kind, size = "uint16", 1
    position = draw(st.integers(0, count - size))
    if kind == "string":
        return Signal(position, kind, length=length, encoding=encoding, **orders)
    if kind == "bool":
        return Signal(position, kind, bit=draw(st.integers(0, 15)), **orders)
    deadband = draw(st.sampled_from([0.0, 0.5, 1.0, 100.0, 1e6]))
    invalid: tuple[int | float, ...] = ()
    if draw(st.booleans()):
        pool = FLOAT_INVALID if kind.startswith("float") else INVALID if size == 1 else WIDE_INVALID
        invalid = tuple(draw(st.lists(st.sampled_from(pool), max_size=3)))
    if kind in ("uint16", "uint32", "uint64") and draw(st.booleans()):
        bit = draw(st.integers(0, 16 * size - 1))
        width = draw(st.integers(1, 16 * size - bit))
        inside = tuple(one for one in invalid if -(1 << width - 1) <= one < 1 << width)
        return Signal(position, kind, bit=bit, width=width, invalid=inside, deadband=deadband, **orders)
    scale, offset = draw(st.sampled_from([(1.0, 0.0), (0.1, -40.0), (1.0, 7.0), (-1e10, 0.0)]))
    return Signal(position, kind, scale=scale, offset=offset, invalid=invalid, deadband=deadband, **orders)


@st.composite
def replies(draw: st.DrawFn, case: Case, before: bytes) -> bytes:
    """The reply before with a few bytes changed, or one of any bytes; rarely too short or too long."""
    reply = bytearray(
        draw(st.binary(min_size=case.size, max_size=case.size)) if draw(st.integers(0, 3)) == 0 else before
    )
    for _ in range(draw(st.integers(0, 4))):
        at = 2 * draw(st.sampled_from(case.signals)).position if not case.bits else draw(st.integers(0, case.size - 1))
        blob = draw(st.sampled_from(BLOBS) | st.binary(min_size=1, max_size=2))
        if draw(st.booleans()):
            blob = b"".join(blob[n : n + 2][::-1] for n in range(0, len(blob), 2))
        reply[at : at + len(blob)] = blob[: case.size - at]
    wrong = draw(st.integers(0, 15))
    if wrong == 0:
        return bytes(reply[: draw(st.integers(0, case.size - 1))])
    return bytes(reply) + (draw(st.binary(min_size=1, max_size=9)) if wrong == 1 else b"")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bits = draw(st.integers(0, 7)) == 0
    count = draw(st.integers(1, 200 if bits else 40))
    one = st.builds(Signal, st.integers(0, count - 1), st.just("bool")) if bits else signals(count)
    case = Case(count, bits, tuple(draw(st.lists(one, min_size=1, max_size=12))))
    before = bytes(case.size)
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 10))):
        kind = draw(st.sampled_from(["decode"] * 8 + ["take"] * 6 + ["fail", "put", "fail block", "fail all"]))
        if kind == "decode":
            reply = draw(replies(case, before))
            before = reply if len(reply) == case.size else before
            steps.append((kind, draw(st.integers(0, 5)) // 5, reply))
        elif kind in ("fail", "put"):
            steps.append((kind, draw(st.integers(0, len(case.signals) - 1))))
        else:
            steps.append((kind, draw(st.integers(0, 1))) if kind == "fail block" else (kind,))
    return Case(count, bits, case.signals, tuple(steps))


@settings(max_examples=500, deadline=None)
@given(cases())
def test_any_plan_and_any_reply_against_the_reference(case: Case) -> None:
    replay(case)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_signal_among_neighbours_decodes_as_it_does_alone(data: st.DataObject) -> None:
    """Whatever is skipped because it did not change: after any replies the table is as if only the last had come."""
    case = data.draw(cases())
    replies_of = [step[2] for step in case.steps if step[0] == "decode" and len(step[2]) == case.size]
    together = Bench(case, thinned=False)
    for reply in replies_of:
        together.plans[0].decode(reply)
    for number, signal in enumerate(case.signals):
        alone = Bench(Case(case.count, case.bits, (signal,)), thinned=False)
        for reply in replies_of[-1:]:
            alone.plans[0].decode(reply)
        assert together.table.read(number)[1:] == alone.table.read(0)[1:]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path) -> None:
    case = Case.from_json(path.read_text())
    assert case.to_json() == path.read_text()
    replay(case)


def test_the_corpus_has_every_type_and_every_cause() -> None:
    """A corpus that lost its reach would still pass."""
    everything = [Case.from_json(path.read_text()) for path in CORPUS]
    types = {signal.type for case in everything for signal in case.signals}
    assert types == {*NUMBERS, "bcd16", "bcd32", "bool", "string"}
    causes = set()
    for case in everything:
        model = Model(case, thinned=False)
        for step in case.steps:
            if step[0] == "decode" and len(step[2]) == case.size:
                model.decode(step[2])
                causes |= {" ".join(state[2].split()[:2]) for state in model.states if state[2]}
    assert causes >= {
        "not a",
        "infinite",
        "not BCD",
        "not ASCII",
        "not UTF-8",
        "not CP1252",
        "not UTF-16",
        "invalid value",
    }
