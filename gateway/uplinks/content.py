"""CloudEvents' content modes for messages with headers (Kafka, NATS): all in the payload, or attributes beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from gateway.config.uplinks import ShapedUplink
from gateway.events import Envelope, StoredEvent
from gateway.uplinks.encoding import Encoding, Unencodable
from protocols.settings import misplaced

CONTENT_TYPE = "content-type"


class MessageUplink(ShapedUplink):
    """What uplinks may say whose messages have headers."""

    content: Literal["structured", "binary"] = "structured"
    """CloudEvents' content mode: the whole event as payload; or `data` alone, and the attributes as headers."""

    @model_validator(mode="after")
    def _check_content(self) -> MessageUplink:
        if self.content == "binary" and (self.format, self.shape) != ("json", "cloudevents"):
            raise misplaced("binary content is the data as JSON; leave `format` and `shape` out", "content")
        return self


class Content:
    """Makes headers and payload of events; `prefix` is the binding's for attributes."""

    def __init__(self, envelope: Envelope, config: MessageUplink, prefix: str) -> None:
        self._envelope = envelope
        self._encoding = Encoding(envelope, config)
        self._is_binary = config.content == "binary"
        self._prefix = prefix

    def of(self, event: StoredEvent) -> tuple[dict[str, str], bytes]:
        """Headers and payload. Raises Unencodable."""
        if not self._is_binary:
            return {CONTENT_TYPE: self._encoding.content_type}, self._encoding.event(event)
        try:
            attributes = self._envelope.attributes(event)
        except (ValueError, OverflowError) as error:
            raise Unencodable(f"the event cannot be written: {error}") from None
        content_type = attributes.pop("datacontenttype")
        return {CONTENT_TYPE: content_type, **{self._prefix + key: attributes[key] for key in attributes}}, event.data
