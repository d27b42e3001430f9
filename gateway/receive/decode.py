"""Events from what uplinks deliver: JSON or MessagePack, one event or a list, attributes inside or as headers."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import orjson

from gateway.receive.follower import NotAnEvent, read

MOST_BYTES = 64_000_000
"""Of one body when it is not compressed any more."""


def decode(body: bytes) -> list[dict[str, Any]]:
    """The events of a message, a request or a line. Raises NotAnEvent.

    JSON begins with a bracket or a space, with which no MessagePack of an event or a list does: the content type is
    not needed, and MQTT 3.1.1 has none.
    """
    try:
        found = orjson.loads(body) if body.lstrip()[:1] in (b"{", b"[") else msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:  # orjson's and most of msgpack's are ValueErrors
        raise NotAnEvent(f"this is neither JSON nor MessagePack: {error}") from None
    events = found if isinstance(found, list) else [found]
    for event in events:
        check(event)
    return events


def decode_message(headers: Mapping[str, str], prefix: str, body: bytes) -> list[dict[str, Any]]:
    """The same of a message with headers; in CloudEvents' binary content mode they are the attributes."""
    if f"{prefix}specversion" not in headers:
        return decode(body)
    event: dict[str, Any] = {key.removeprefix(prefix): headers[key] for key in headers if key.startswith(prefix)}
    try:
        event["data"] = orjson.loads(body)
    except ValueError as error:
        raise NotAnEvent(f"this is no JSON: {error}") from None
    check(event)
    return [event]


def check(event: Any) -> None:
    """Raise NotAnEvent for what cannot be followed, or not be written as JSON again."""
    read(event)
    try:
        orjson.dumps(event)
    except TypeError as error:
        raise NotAnEvent(f"this is no event of linegate: {error}") from None


def decompress(coding: str, body: bytes) -> bytes:
    """A body without its content coding. Raises NotAnEvent where it is damaged or too large, KeyError for another."""
    plain = CODINGS[coding](body)
    if len(plain) > MOST_BYTES:
        raise NotAnEvent(f"the body has more than {MOST_BYTES} bytes")
    return plain


def _gunzip(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise NotAnEvent(f"this is no gzip: {error}") from None


def _unzstd(body: bytes) -> bytes:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)).read(MOST_BYTES + 1)
    except zstandard.ZstdError as error:
        raise NotAnEvent(f"this is no zstd: {error}") from None


CODINGS: dict[str, Callable[[bytes], bytes]] = {"": lambda body: body, "gzip": _gunzip, "zstd": _unzstd}
"""Content codings by name."""
