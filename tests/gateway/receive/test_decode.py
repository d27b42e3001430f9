"""Whatever an uplink writes, the reference consumer reads; whatever else comes is refused in words."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import msgpack
import orjson
import pytest
import zstandard

from gateway.config.uplinks import ShapedUplink
from gateway.events import Envelope, StoredEvent
from gateway.receive import decode as module
from gateway.receive.decode import decode, decode_message, decompress
from gateway.receive.follower import Follower, NotAnEvent
from gateway.uplinks.content import Content, MessageUplink
from gateway.uplinks.encoding import Encoding

ENVELOPE = Envelope("/acme/line-3", "s")
STORED = [StoredEvent(seq, seq - 1, "machine.state", "filler", 1, b'{"interval":"i","rev":0}') for seq in (1, 2, 3)]


@pytest.mark.parametrize("shape", ["cloudevents", "flat"])
@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_every_format_and_shape(form: Any, shape: Any) -> None:
    encoding = Encoding(ENVELOPE, ShapedUplink(format=form, shape=shape))
    written = [encoding.event(event) for event in STORED]
    follower = Follower()
    for event in decode(written[0]) + decode(encoding.batch(written[1:])):
        assert follower.take(event).is_new
        assert event.get("data", event)["interval"] == "i"
    assert follower.streams["s"].received == 3
    assert follower.superseded == 2


@pytest.mark.parametrize("content", ["structured", "binary"])
def test_messages_with_headers(content: Any) -> None:
    headers, body = Content(ENVELOPE, MessageUplink(content=content), "ce-").of(STORED[0])
    (event,) = decode_message(headers, "ce-", body)
    assert (event["stream"], event["seq"], event["data"]) == ("s", "1", {"interval": "i", "rev": 0})


@pytest.mark.parametrize(
    "body", [b"", b"x", b"{", b"[1]", b"{}", b"\xc1", b"\x93\x01", b"null", msgpack.packb({"seq": 1}), b"\xff" * 9]
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        decode(body)
    with pytest.raises(NotAnEvent):
        decode_message({"ce-specversion": "1.0"}, "ce-", body)


@pytest.mark.parametrize(
    "more",
    [
        {"seq": "9" * 30},
        {"prevseq": "9" * 30},
        {"data": {"x": b"bytes"}},
        {"data": {1: 2}},
        {"x": msgpack.Timestamp(1)},
    ],
)
def test_what_could_not_be_kept_is_refused_at_the_door(more: dict[str, Any]) -> None:
    event = {"type": "x", "source": "/a", "stream": "s", "seq": "1", "prevseq": "0", "data": {}}
    assert decode(msgpack.packb(event))
    with pytest.raises(NotAnEvent):
        decode(msgpack.packb(event | more))
    deep = orjson.dumps(event).replace(b"{}", b'{"a":' * 900 + b"1" + b"}" * 900)
    with pytest.raises(NotAnEvent):
        decode(deep)


def test_a_body_that_grows_beyond_all_bounds_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1_000_000)
    body = bytes(30_000_000)
    both = {"gzip": gzip.compress(body, 1), "zstd": zstandard.compress(body)}
    tracemalloc.start()
    for coding, packed in both.items():
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(NotAnEvent, match="more than"):
            decompress(coding, packed)
        assert tracemalloc.get_traced_memory()[1] - before < 8_000_000
    tracemalloc.stop()
    assert decompress("gzip", gzip.compress(b"[]")) == decompress("", b"[]") == b"[]"
    assert orjson.loads(decompress("zstd", zstandard.compress(b"[1]"))) == [1]
