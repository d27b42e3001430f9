"""Events as MQTT 5 messages: QoS 1, in order, acknowledged only by a PUBACK whose reason code says so."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Never
from urllib.parse import urlsplit

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.config.uplinks import resolved
from gateway.events import StoredEvent
from gateway.uplinks.encoding import Encoding
from gateway.uplinks.mqtt import reasons
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.link import Link, Lost, Refused
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.dial import dial, tls_context
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import in_daemon_thread

CONNACK_S = 10.0
PUBACK_S = 10.0
"""Longest silence of the broker while it owes us an acknowledgement."""
WRITE_S = 1.0
"""A `write` sends nothing more after this long: what a cancellation makes forget, and so repeat, is bounded by it."""

_SILENT = "look at the broker's load and at the network"


class MqttPublisher:
    """One connection to a broker.

    The window of unacknowledged messages begins at one and grows by one with each acknowledgement, up to `in_flight`
    and what the server allows: an event that makes a broker hang up is so found alone at the head sooner or later.
    """

    def __init__(self, config: MqttUplink, context: UplinkContext) -> None:
        parts = urlsplit(config.url)
        self._config = config
        self._encoding = Encoding(context.envelope, config)
        self._host = parts.hostname or ""
        self._tls = parts.scheme == "mqtts"
        self._port = parts.port or (8883 if self._tls else 1883)
        self._client_id = config.client_id or default_client_id(context)
        line = context.line
        self._place = {"enterprise": line.enterprise, "site": line.site, "area": line.area, "line": line.name}
        self._properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        self._properties.ContentType = self._encoding.content_type
        self._properties_size = len(self._properties.pack())  # type: ignore[no-untyped-call]
        self._link: Link | None = None
        self._limit = config.in_flight
        self._window = 1
        self._in_flight: deque[int] = deque()
        """Message ids in the order sent; the answers to them are in `_answers` until their turn comes."""
        self._answers: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._is_silent = False

    @property
    def peer(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self._port}"

    async def connect(self) -> None:
        """Raises ConnectFailed, or ConfigError for a secret or a certificate file that cannot be read."""
        user, password = await in_daemon_thread("secrets", lambda: resolved(self._config.user, self._config.password))
        context = partial(tls_context, self._config.tls) if self._tls else None
        sock = await dial(self._host, self._port, context)
        link = self._link = Link(sock, self._client_id, user, password, self._config.in_flight)
        link.on_puback = self._on_puback
        link.on_lost = self._changed.set
        try:
            await link.connect(CONNACK_S)
        except Refused as refused:
            why = f"{self.peer} refuses the client: {reasons.words(refused.code)}"
            hint = "check `user` and `password`, and what the broker allows this client"
            raise ConnectFailed(
                why, hint if refused.code == reasons.NOT_AUTHORIZED else reasons.remedy(refused.code)
            ) from None
        except Lost as lost:
            remedy = "check that the port fits mqtt:// or mqtts://, and whether the broker wants a client certificate"
            raise ConnectFailed(f"{self.peer}: {lost} before the session began", remedy) from None
        if link.maximum_qos < 1:
            raise ConfigError(f"{self.peer} takes QoS 0 only, which nobody acknowledges", "use a broker with QoS 1")
        self._limit = min(self._config.in_flight, link.receive_maximum)

    async def serve(self) -> Never:
        """Wait for the end of the connection. Raises NotConnected."""
        raise self._not_connected(await self._connected().wait_lost())

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Publish in order; how many of the prefix the broker has acknowledged.

        Raises Rejected for an event that the broker refuses as such, NotConnected where none was acknowledged.
        """
        link = self._connected()
        if self._is_silent:  # it still owes us answers: what is sent now could be too much for it
            raise NotConnected(f"{self.peer} does not acknowledge within {PUBACK_S:g} s", _SILENT)
        loop = asyncio.get_running_loop()
        stop_at = loop.time() + WRITE_S
        self._in_flight.clear()
        self._answers.clear()
        sent = done = 0
        unsendable = ""
        while True:
            while (
                sent < len(events) and len(self._in_flight) < self._window and loop.time() < stop_at and not unsendable
            ):
                unsendable = self._send(link, events[sent])
                sent += not unsendable
            if not self._in_flight:
                break
            code = await self._next_answer(link)
            if code is None:
                return self._broken(link, done)
            self._in_flight.popleft()
            if code not in reasons.SUCCESS:
                await self._drain(link)
                return self._refused(code, done)
            done += 1
            self._window = min(self._window + 1, self._limit)
        if unsendable:
            raise Rejected(done, unsendable)
        return done

    async def close(self) -> None:
        """Idempotent."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _send(self, link: Link, event: StoredEvent) -> str:
        """Publish one event; why it cannot be, or "". What the server would not take is not sent at all."""
        try:
            payload = self._encoding.event(event)
            topic = self._config.topic.format(**self._place, subject=event.subject, type=event.type)
            size = _packet_size(len(topic.encode()), self._properties_size, len(payload))
            if link.maximum_packet_size is not None and size > link.maximum_packet_size:
                return f"the message has {size} bytes, and {self.peer} takes {link.maximum_packet_size} at most"
            self._in_flight.append(link.publish(topic, payload, self._properties))
        except Lost:
            self._in_flight.append(0)  # no answer will come; the link's end says so
        except (ValueError, TypeError, OverflowError) as error:
            return f"the event cannot be sent: {error}"
        return ""

    async def _next_answer(self, link: Link) -> int | None:
        """The reason code of the oldest message, in order; None when the link breaks or stays silent."""
        oldest = self._in_flight[0]
        try:
            while oldest not in self._answers:
                if link.lost is not None:
                    return None
                self._changed.clear()
                async with asyncio.timeout(PUBACK_S):
                    await self._changed.wait()
        except TimeoutError:
            return None
        return self._answers.pop(oldest)

    async def _drain(self, link: Link) -> None:
        """Wait for the answers to what is under way behind a refused event: the server counts those messages."""
        while self._in_flight and await self._next_answer(link) is not None:
            self._in_flight.popleft()

    def _refused(self, code: int, done: int) -> int:
        if code in reasons.ABOUT_THE_EVENT:
            raise Rejected(done, f"{self.peer} refuses the message: {reasons.words(code)}")
        if not done:
            raise NotConnected(f"{self.peer} refuses messages: {reasons.words(code)}", reasons.remedy(code))
        return done

    def _broken(self, link: Link, done: int) -> int:
        self._is_silent = link.lost is None
        if done:
            return done
        if link.lost is None:
            raise NotConnected(f"{self.peer} does not acknowledge within {PUBACK_S:g} s", _SILENT)
        if link.lost.code in reasons.ABOUT_THE_EVENT and len(self._in_flight) == 1:
            raise Rejected(0, f"{self.peer} refuses the message: {reasons.words(link.lost.code)}")
        raise self._not_connected(link.lost)

    def _not_connected(self, lost: Lost) -> NotConnected:
        remedy = "check the broker and the network" if lost.code is None else reasons.remedy(lost.code)
        return NotConnected(f"{self.peer}: {lost}", remedy)

    def _connected(self) -> Link:
        if self._link is None:
            raise NotConnected(f"{self.peer} is not connected")
        return self._link

    def _on_puback(self, mid: int, code: int) -> None:
        self._answers[mid] = code
        self._changed.set()


def default_client_id(context: UplinkContext) -> str:
    """The same for each run of one uplink of one line, of 23 letters and digits: what every server must accept."""
    line = context.line
    place = "\0".join((line.enterprise, line.site, line.area, line.name, context.name))
    return "linegate" + hashlib.sha256(place.encode()).hexdigest()[:15]


def _packet_size(topic: int, properties: int, payload: int) -> int:
    """Bytes of a QoS 1 PUBLISH (3.3): the remaining length, its own length, and the first byte."""
    remaining = 2 + topic + 2 + properties + payload
    return 1 + (1 if remaining < 128 else 2 if remaining < 16_384 else 3 if remaining < 2_097_152 else 4) + remaining
