"""Messages to viewers: made bit by bit, and packed so that they can follow any other."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.health import stream
from gateway.health.answers import packs
from gateway.health.channels import GZIP_HEAD, RETRY, Channel, message

GZIP = 31
"""zlib's window bits for gzip's format."""


class Slow(Channel):
    """One whose message is of five pieces."""

    def __init__(self) -> None:
        super().__init__(sources=None)  # type: ignore[arg-type]

    def _look(self) -> Iterator[bytes]:
        yield from (b"%d" % number for number in range(5))


@pytest.mark.parametrize(
    ("accepted", "understood"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("gzip; q=0", False),
        ("gzip;q=0.0, br", False),
        ("br", False),
        ("", False),
    ],
)
def test_who_understands_gzip(accepted: str, understood: bool) -> None:
    headers = [(b"accept-encoding", accepted.encode())]
    assert packs(Request({"type": "http", "headers": headers})) is understood


def test_others_have_their_turn_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "TURN_S", 0.0)
    channel = Slow()
    making = stream._Making(channel)
    turns = 0
    while making.goes_on():
        turns += 1
        assert channel.number == 0, "nobody is sent a half of it"
    assert turns >= 5
    assert channel.number == 1
    told = channel.since(0)
    assert told is not None
    assert told.plain == b"01234"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.recursive(st.text() | st.integers(-9, 9), st.lists), max_size=8))
def test_a_viewer_reads_whatever_messages_it_was_sent(data: list[Any]) -> None:
    """Each is packed once, for those who have all of them and those who come late."""
    told = [message("line", one) for one in data]
    for first in range(len(told) + 1):
        sent = [RETRY, *told[first:]]
        unpacked = zlib.decompressobj(GZIP).decompress(GZIP_HEAD + b"".join(one.packed for one in sent))
        assert unpacked == b"".join(one.plain for one in sent)
    assert [orjson.loads(one.plain.removeprefix(b"event: line\ndata: ")) for one in told] == data
