"""The QoS 1 messages whose acknowledgement proves that those before them arrived; and those of other gateways there.

Two gateways of one line have one topic. A clone has our stream, and is told by when its first connection was.
"""

from __future__ import annotations

import time

import orjson

from gateway.events import StoredEvent, rfc3339
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.twins import Twins
from gateway.uplinks.uplink import UplinkContext

MOST_BYTES = 4096
PROVEN = "proven"
"""In `context.kept`: what is kept on the topic was ours."""


class Proofs:
    """Of one connection."""

    def __init__(self, config: SparkplugUplink, context: UplinkContext) -> None:
        line = context.line
        place = {"enterprise": line.enterprise, "site": line.site, "area": line.area, "line": line.name}
        self.topic = config.proof_topic.format(**place, uplink=context.name)
        self.may_retain = True
        """So that a gateway that comes again sees who was there meanwhile."""
        self._stream = context.envelope.stream
        self._context = context
        self._since = rfc3339(context.kept.setdefault("since", time.time_ns() // 1_000_000))
        self._twins = Twins(context)

    def message(self, event: StoredEvent | None) -> Message:
        """Proves all up to an event; None for the births."""
        proven = {"stream": self._stream, "seq": None if event is None else str(event.seq), "since": self._since}
        return Message(self.topic, orjson.dumps(proven), retain=self.may_retain)

    def proven(self) -> None:
        """The broker has it, and what it keeps is ours."""
        self._context.kept[PROVEN] = 1

    def hear(self, body: bytes, *, is_retained: bool) -> None:
        """What came on the topic: our own by MQTT 3.1.1, another gateway's, or what anybody may have written there."""
        try:
            said = orjson.loads(body[:MOST_BYTES])
            stream, since = str(said["stream"]), said.get("since")
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            return
        if self._twins.is_ours(stream) and (is_retained or stream != self._stream or since == self._since):
            return  # kept may be one of before a restart, ours or the broker's
        if not is_retained:
            self._twins.heard(stream)
        elif PROVEN in self._context.kept:
            self._twins.met(stream)

    def look(self) -> None:
        """Who is silent has gone."""
        self._twins.look()
