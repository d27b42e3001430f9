"""The CIP decoder against the reference: random packets, replies right and wrong, and a corpus of what matters.

A new input for the corpus is any case that fails here: hypothesis prints it, `Case.to_json` writes it.
"""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ext.cip import CipPlan, Packing, TypeChanged
from ext.table import DecodeError, SignalTable
from tests.ext.cip_replies import packet
from tests.fuzz.cip_reference import CODES, FORMATS, Case, Garbled, Model, Service, Signal

CORPUS = sorted((Path(__file__).parent.parent / "cases" / "fuzz_cip").glob("*.json"))
WHOLE = [name for name in FORMATS if "int" in name]
NUMBERS = [
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\x80\xff",
    b"\0\0\0\x80",
    b"\xff" * 8,
    bytes(8),
    b"\0" * 6 + b"\xf0\x7f",
]


def plan_of(case: Case, table: SignalTable) -> CipPlan:
    """The plan, its signals in another order than that of their bytes."""
    plan = CipPlan(table, case.packing)
    for service in case.services:
        if service.kind == "tag":
            plan.tag(service.code, service.size)
        elif service.kind == "structure":
            plan.structure(service.code, service.size)
        elif service.kind == "attribute":
            plan.attribute(service.size)
        elif service.kind == "text":
            plan.attribute(prefix=service.size)
        else:
            plan.edition(service.edition)
    for number in sorted(range(len(case.signals)), key=lambda number: number * 7 % 5):
        signal = case.signals[number]
        plan.add(number, signal.service, signal.at, signal.type, **signal.options())
    return plan


def replay(case: Case) -> None:
    """After each reply the table is what the model is, and says the same of it."""
    table, model = SignalTable([f"s{n}" for n in range(len(case.signals))]), Model(case)
    plan = plan_of(case, table)
    for number in range(len(case.signals)):
        table.forward(number, exact=True)
    table.take()
    for reply in case.replies:
        before = list(model.states)
        assert outcome(plan, reply) == expected_of(model, reply)
        assert plan.received == len(model.received)
        for number, state in enumerate(model.states):
            found = table.read(number)[1:4]
            assert found == state, case.signals[number]
            assert type(found[0]) is type(state[0])
        changed = {number for number, state in enumerate(model.states) if state != before[number]}
        assert {number for number, *_ in table.take()} == changed


def expected_of(model: Model, reply: bytes) -> object:
    """What the model says is refused, or which error it sees."""
    try:
        return model.decode(reply)
    except Garbled as garbled:
        return TypeChanged if garbled.of_type else DecodeError


def outcome(plan: CipPlan, reply: bytes) -> object:
    """What the decoder says is refused, or which error it raises; its offset is in the reply."""
    try:
        return plan.decode(reply)
    except DecodeError as error:
        return type(error) if 0 <= error.offset <= len(reply) else error


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_corpus(path: Path) -> None:
    replay(Case.from_json(path.read_text()))


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) >= 8


@st.composite
def services(draw: st.DrawFn, packing: int) -> Service:
    kinds = ["tag", "structure"] if packing == Packing.FRAGMENTS else ["tag", "structure", "attribute", "text"]
    kind = draw(st.sampled_from(kinds))
    if kind == "text":
        return Service(kind, 0, draw(st.sampled_from([1, 2])))
    return Service(kind, draw(st.integers(0xC1, 0xD4)) if kind != "attribute" else 0, draw(st.integers(1, 24)))


@st.composite
def signals(draw: st.DrawFn, number: int, service: Service) -> Signal:
    if service.kind == "text":
        size = service.size
        return Signal(
            number, 0, "string", prefix=size, skip=size, capacity=(1 << 8 * size) - 1, most=draw(st.integers(1, 12))
        )
    kind = draw(st.sampled_from([*FORMATS, "string"]))
    if kind == "string" and service.size >= 5:
        at = draw(st.integers(0, service.size - 5))
        skip = draw(st.integers(4, service.size - at - 1))
        capacity = draw(st.integers(1, service.size - at - skip))
        return Signal(number, at, kind, skip=skip, capacity=capacity, most=draw(st.integers(1, 24)))
    if kind == "string" or struct.calcsize("<" + FORMATS[kind]) > service.size:
        kind = draw(st.sampled_from(["bool", "uint8", "int8"]))
    size = struct.calcsize("<" + FORMATS[kind])
    at = draw(st.integers(0, service.size - size))
    form = draw(st.sampled_from(["plain", "bits", "field", "scaled", "invalid"]))
    if form == "bits" and kind in WHOLE:
        return Signal(number, at, kind, any_of=draw(st.integers(1, (1 << 8 * size) - 1)))
    if form == "field" and kind in WHOLE:
        bit = draw(st.integers(0, 8 * size - 1))
        return Signal(number, at, kind, bit=bit, width=draw(st.integers(1, 8 * size - bit)))
    if form == "scaled" and kind != "bool":
        return Signal(number, at, kind, scale=draw(st.sampled_from([0.1, -1e10, 1.0])), offset=7.0)
    if form == "invalid" and kind in WHOLE:
        return Signal(number, at, kind, invalid=(0, draw(st.integers(1, (1 << 8 * size - 1) - 1))))
    return Signal(number, at, kind)


@st.composite
def parts(draw: st.DrawFn, service: Service) -> bytes:
    """One service's right reply."""
    head = bytes((CODES[service.kind], 0, 0, 0))
    if service.kind == "edition":
        return head + service.edition
    if service.kind == "text":
        text = draw(st.binary(max_size=14))
        return head + len(text).to_bytes(service.size, "little") + text
    data = bytearray(draw(st.sampled_from([bytes(service.size), b"\1" * service.size])))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, service.size - 1))
        blob = draw(st.sampled_from(NUMBERS) | st.binary(min_size=1, max_size=3))
        data[at : at + len(blob)] = blob[: service.size - at]
    return head + service.type + bytes(data)


@st.composite
def replies(draw: st.DrawFn, case: Case) -> bytes:
    """A reply: mostly right, at times refused, cut, longer or with some bytes changed."""
    several = [draw(parts(service)) for service in case.services]
    for number in range(len(several)):
        if draw(st.integers(0, 9)) == 0:
            several[number] = draw(
                st.sampled_from(
                    [
                        several[number][:1] + b"\0\5\1\7\0",
                        several[number][:1] + b"\0\x0f\0",
                        several[number][:-1],
                        several[number] + b"\0",
                        several[number][:4],
                        several[number][:4] + b"\xa0\x02" + several[number][6:],
                    ]
                )
            )
    if case.packing == Packing.MULTIPLE:
        whole = packet(several, draw(st.sampled_from([0, 0, 0, 0x1E, 0x1E, 0x08])), padded=draw(st.booleans()))
    else:
        whole = several[0]
    if case.packing == Packing.FRAGMENTS:
        head = 4 + len(case.services[0].type)
        begin = draw(st.integers(head, len(whole)) if len(whole) >= head else st.just(len(whole)))
        end = draw(st.integers(begin, len(whole)))
        whole = b"\xd2\0" + draw(st.sampled_from([b"\6", b"\6", b"\0", b"\5"])) + whole[3:head] + whole[begin:end]
    damage = draw(st.sampled_from(["none"] * 7 + ["cut", "byte", "more"]))
    if damage == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if damage == "byte" and whole:
        at = draw(st.integers(0, len(whole) - 1))
        return whole[:at] + bytes((draw(st.integers(0, 255)),)) + whole[at + 1 :]
    return whole + (draw(st.binary(min_size=1, max_size=4)) if damage == "more" else b"")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    packing = draw(st.sampled_from([Packing.MULTIPLE, Packing.MULTIPLE, Packing.SINGLE, Packing.FRAGMENTS]))
    count = draw(st.integers(1, 6)) if packing == Packing.MULTIPLE else 1
    chosen = [draw(services(packing)) for _ in range(count)]
    planned = [
        draw(signals(number, service))
        for number, service in enumerate(chosen)
        for _ in range(draw(st.integers(0, 4)) if service.kind != "text" else 1)
    ]
    if packing == Packing.MULTIPLE and draw(st.booleans()):
        chosen.append(Service("edition", draw(st.integers(0, 255)), 10))
    case = Case(int(packing), tuple(chosen), tuple(planned))
    pool = draw(st.lists(replies(case), min_size=1, max_size=5))
    if packing == Packing.FRAGMENTS:
        pool += [
            piece for whole in draw(st.lists(parts(chosen[0]), max_size=3)) for piece in fragments(draw, case, whole)
        ]
    else:
        pool = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=10))
    return Case(case.packing, case.services, case.signals, tuple(pool))


def fragments(draw: st.DrawFn, case: Case, whole: bytes) -> list[bytes]:
    """A right reply in a few pieces."""
    service = case.services[0]
    head = 4 + len(service.type)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, service.size - 1)), max_size=3))) if service.size > 1 else []
    places = [head, *(head + cut for cut in cuts), len(whole)]
    return [
        b"\xd2\0" + (b"\0" if end == len(whole) else b"\6") + whole[3:head] + whole[begin:end]
        for begin, end in itertools.pairwise(places)
    ]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(case=cases())
def test_any_replies(case: Case) -> None:
    replay(case)


@settings(max_examples=100, deadline=None)
@given(case=cases(), noise=st.lists(st.binary(max_size=120), max_size=6))
def test_noise(case: Case, noise: list[bytes]) -> None:
    """Bytes of any kind, between replies of the plan's."""
    mixed = [reply for pair in zip(noise, case.replies, strict=False) for reply in pair]
    replay(Case(case.packing, case.services, case.signals, tuple(mixed)))
