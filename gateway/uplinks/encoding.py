"""The one place that makes bytes of events: CloudEvents or flat, JSON or MessagePack, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack
import orjson

from gateway.config.uplinks import ShapedUplink
from gateway.events import Envelope, StoredEvent

FLAT = ("type", "subject", "time", "stream", "seq", "prevseq", "source")
"""The attributes that stand beside the data's fields in the flat shape; no event has fields of these names."""

_CONTENT_TYPES = {
    ("cloudevents", "json"): ("application/cloudevents+json", "application/cloudevents-batch+json"),
    ("cloudevents", "msgpack"): ("application/cloudevents+msgpack", "application/cloudevents-batch+msgpack"),
    ("flat", "json"): ("application/json", "application/json"),
    ("flat", "msgpack"): ("application/vnd.msgpack", "application/vnd.msgpack"),
}
"""Of one event and of a batch. The MessagePack ones of CloudEvents are ours: the specification has none."""


class Unencodable(ValueError):
    """An event that the format cannot carry, whatever is tried."""


class Encoding:
    """How one uplink writes events."""

    def __init__(self, envelope: Envelope, config: ShapedUplink) -> None:
        self._envelope = envelope
        self._is_json = config.format == "json"
        self._is_flat = config.shape == "flat"
        self.content_type, self.batch_content_type = _CONTENT_TYPES[config.shape, config.format]

    def event(self, event: StoredEvent) -> bytes:
        """One event; JSON on one line. Raises Unencodable."""
        try:
            if self._is_flat:
                return self._pack(self._flat(event))
            if self._is_json:
                return self._envelope.json(event)
            return self._pack({**self._envelope.attributes(event), "data": orjson.loads(event.data)})
        except (ValueError, TypeError, OverflowError) as error:
            raise Unencodable(f"the event cannot be written: {error}") from None

    def batch(self, events: Sequence[bytes]) -> bytes:
        """Several events that are written already as one list (CloudEvents' JSON batch format)."""
        if self._is_json:
            return b"[" + b",".join(events) + b"]"
        header: bytes = msgpack.Packer().pack_array_header(len(events))
        return header + b"".join(events)

    def _flat(self, event: StoredEvent) -> dict[str, Any]:
        attributes = self._envelope.attributes(event)
        beside = {name: attributes[name] for name in FLAT}
        return {**beside, **orjson.loads(event.data), **beside}

    def _pack(self, event: dict[str, Any]) -> bytes:
        packed: bytes = orjson.dumps(event) if self._is_json else msgpack.packb(event)
        return packed
