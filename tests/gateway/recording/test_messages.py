"""Messages: whatever the engine is given is read back as it was."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inputs import Input, Reload, Tick
from gateway.recording.messages import Decoder, Encoder, End
from protocols.model import Batch, Change, Learned, Notice, Quality

DEVICES = ("plc", "kapper_π")
times = st.integers(0, 2**45)
texts = st.text(max_size=20)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.just("\udcff")
)
changes = st.lists(
    st.tuples(st.integers(0, 10_000), values, st.sampled_from(Quality), st.none() | texts, st.none() | times),
    max_size=6,
)
notices = st.lists(st.builds(Notice, st.integers(0, 99), st.booleans(), texts, texts, st.floats(0, 1e6)), max_size=2)
learned = st.none() | st.dictionaries(
    st.integers(0, 99),
    st.builds(Learned, st.just("uint16"), st.dictionaries(st.integers(-9, 9), texts), st.none() | texts),
    max_size=2,
)
devices = st.sampled_from(DEVICES)
batches = st.builds(Batch, devices, st.integers(0, 9), changes, times, notices, learned)


def within_range(one: Any) -> Any:
    """Numbers as they are in the field."""
    numbers = {name.name: getattr(one, name.name) for name in dataclasses.fields(one)}
    return dataclasses.replace(one, **{name: n % 2**45 for name, n in numbers.items() if type(n) is int})


others = st.one_of([st.from_type(kind).map(within_range) for kind in get_args(Input) if kind is not Batch])
inputs: st.SearchStrategy[Any] = st.lists(batches | others, max_size=20)


@given(inputs, times, st.integers(1, 50))
def test_inputs_are_read_as_they_were_given(told: list[Input], at: int, size: int) -> None:
    encoder = Encoder(DEVICES, at)
    data = b"".join(encoder.encode(one) for one in told) + encoder.end(at, len(told))
    decoder = Decoder(DEVICES, at)
    read = [one for begin in range(0, len(data), size) for one in decoder.feed(data[begin : begin + size])]
    assert read == [*told, End(at, len(told))]
    kinds = [[type(change[1]) for change in one.changes] for one in told if isinstance(one, Batch)]
    assert kinds == [[type(change[1]) for change in one.changes] for one in read if isinstance(one, Batch)]


def test_every_field_of_a_batch_is_recorded() -> None:
    """A field that is added must be recorded, or the replay is another."""
    assert [field.name for field in dataclasses.fields(Batch)] == [
        "device", "scan", "changes", "at", "notices", "learned",
    ]  # fmt: skip
    assert len(get_args(Change)) == 5


def test_what_cannot_be_packed_is_refused_and_leaves_no_trace() -> None:
    encoder = Encoder(DEVICES, 0)
    with pytest.raises(OverflowError):
        encoder.encode(Batch("plc", 0, [(0, 2**70, Quality.GOOD, None, None)], 5))
    assert list(Decoder(DEVICES, 0).feed(encoder.encode(Tick(7)) + encoder.encode(Reload(9, 3, "stop")))) == [
        Tick(7), Reload(9, 3, "stop"),
    ]  # fmt: skip
