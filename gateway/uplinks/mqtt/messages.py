"""Which MQTT messages events become: topics, properties, batches, and the retained copy of each machine's state.

CloudEvents' MQTT binding, structured mode: the payload is the whole event, and the content type says so. Whoever gets
only the payload (MQTT 3.1.1, bridges, files) still has everything, and it is the same in every uplink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway import __version__
from gateway.events import StoredEvent, rfc3339
from gateway.uplinks.encoding import Encoding, Unencodable
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.uplink import UplinkContext

STATE = "machine.state"
TREND = "signal.trend"
LONGEST_TOPIC = 65_535
MOST_FRAMING = 8
"""Bytes that a list and a longer length can add to a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; QoS 1, unless its receivers want 0."""

    topic: str
    payload: bytes
    properties: Properties | None = None
    """None in MQTT 3.1.1, which has none."""
    retain: bool = False
    qos: Literal[0, 1] = 1
    events: int = 0
    """How many events are delivered once this message and those before it are acknowledged."""
    is_alone: bool = True
    """Whether it is about one event, which is to blame if it is refused."""

    @property
    def size(self) -> int:
        """Bytes of the PUBLISH (MQTT 5.0, 3.3): the remaining length, its own length, and the first byte."""
        properties = 0 if self.properties is None else len(self.properties.pack())  # type: ignore[no-untyped-call]
        remaining = 2 + len(self.topic.encode()) + 2 + properties + len(self.payload)
        return (
            1 + (1 if remaining < 128 else 2 if remaining < 16_384 else 3 if remaining < 2_097_152 else 4) + remaining
        )


class Packed(Properties):
    """Of many messages: paho looks through every property that there is each time that it writes some."""

    def __init__(self, properties: Properties) -> None:
        self.__dict__.update(properties.__dict__)
        self.__dict__["_packed"] = properties.pack()  # type: ignore[no-untyped-call]

    def pack(self) -> bytes:
        """paho's: as on the wire."""
        packed: bytes = self.__dict__["_packed"]
        return packed


class Messages:
    """Makes the messages of one connection."""

    def __init__(self, config: MqttUplink, context: UplinkContext) -> None:
        self.most_bytes = config.max_packet
        """Largest message that the broker takes, where anybody says so."""
        self.may_retain = True
        self.fits: Callable[[int], bool] = lambda _size: True
        """Whether several events of so many bytes may go as one message over this link."""
        self._config = config
        self._context = context
        self._encoding = Encoding(context.envelope, config)
        self._expiry_s = None if config.expiry is None else config.expiry // 1000
        self._plain = self._properties(self._encoding.content_type)
        self._trend = self._properties(self._encoding.content_type, self._expiry_s)
        line = context.line
        self._place = {"enterprise": line.enterprise, "site": line.site, "area": line.area, "line": line.name}
        self._intervals: dict[str, str | None] | None = None

    def begin(self) -> None:
        """Before the first message of some events: which states still hold is looked up anew."""
        self._intervals = None

    def next(self, events: Sequence[StoredEvent], most: int) -> list[Message]:
        """What delivers the first event, or in a batch as many as fit, `most` at most.

        Raises Unencodable for the first alone.
        """
        return self._batch(events[:most]) if self._config.batch > 1 else self._single(events[0])

    def state(self, state: str, utc_ms: int | None = None) -> Message | None:
        """What is said of the gateway itself, `online` or `offline`; None where it says nothing."""
        if self._config.state_topic == "off" or not self.may_retain:
            return None
        envelope = self._context.envelope
        body = {"state": state, "source": envelope.source, "stream": envelope.stream, "uplink": self._context.name}
        body |= {"version": __version__} | ({} if utc_ms is None else {"time": rfc3339(utc_ms)})
        topic = self._config.state_topic.format(**self._place)
        return Message(topic, orjson.dumps(body), self._properties("application/json"), retain=True)

    def _single(self, event: StoredEvent) -> list[Message]:
        payload = self._encoding.event(event)
        topic = self._config.topic.format(**self._place, subject=event.subject, type=event.type)
        properties = self._trend if event.type == TREND else self._plain
        if self._config.user_properties:
            properties = self._properties(
                self._encoding.content_type,
                self._expiry_s if event.type == TREND else None,
                [item for item in self._context.envelope.attributes(event).items() if item[0] != "datacontenttype"],
            )
        message = self._fitting(Message(topic, payload, properties, events=1))
        return [*self._copy(event, payload), message]

    def _batch(self, events: Sequence[StoredEvent]) -> list[Message]:
        topic = self._config.batch_topic.format(**self._place)
        properties = self._properties(self._encoding.batch_content_type)
        room = math.inf if self.most_bytes is None else self.most_bytes
        room -= Message(topic, b"", properties).size + MOST_FRAMING
        size = 0
        payloads: list[bytes] = []
        copies: dict[str, Message] = {}
        for event in events:
            try:
                payload = self._encoding.event(event)
                room -= len(payload) + 1
                size += len(payload)
                if payloads and (room < 0 or not self.fits(size)):
                    break
                copies |= {copy.topic: copy for copy in self._copy(event, payload)}
            except Unencodable:
                if payloads:
                    break  # those before it first
                raise
            payloads.append(payload)
        is_alone = len(payloads) == 1
        whole = Message(topic, self._encoding.batch(payloads), properties, events=len(payloads), is_alone=is_alone)
        return [*(replace(copy, is_alone=is_alone) for copy in copies.values()), self._fitting(whole)]

    def _copy(self, event: StoredEvent, payload: bytes) -> list[Message]:
        """The retained copy of a state that still holds: an earlier one, or its late revision, must not replace it."""
        if event.type != STATE or not self._config.retain_state or not self.may_retain:
            return []
        if self._intervals is None:
            machines = self._context.view.machines()
            self._intervals = {name: machine["interval"] for name, machine in machines.items()}
        if self._intervals.get(event.subject) != orjson.loads(event.data)["interval"]:
            return []
        topic = self._config.retain_topic.format(**self._place, subject=event.subject)
        return [self._fitting(Message(topic, payload, self._plain, retain=True))]

    def _fitting(self, message: Message) -> Message:
        if (size := len(message.topic.encode())) > LONGEST_TOPIC:
            raise Unencodable(f"the topic has {size} bytes, and MQTT takes {LONGEST_TOPIC} at most")
        if self.most_bytes is not None and (size := message.size) > self.most_bytes:
            raise Unencodable(f"the message has {size} bytes, and the broker takes {self.most_bytes} at most")
        return message

    def _properties(
        self, content_type: str, expiry_s: int | None = None, user: Sequence[tuple[str, str]] = ()
    ) -> Properties | None:
        if self._config.version != 5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = content_type
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        if user:
            properties.UserProperty = list(user)
            return properties
        return Packed(properties)
