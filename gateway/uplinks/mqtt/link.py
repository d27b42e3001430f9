"""The one place that reaches through aiomqtt into paho, for what aiomqtt hides: reason codes and the socket.

aiomqtt 2.5.1 drops the reason code of a PUBACK, so that a message that the broker refused counts as delivered; it keeps
the CONNACK's limits to itself; and it connects in an executor, whose threads hold the exit of the process. So:

- `on_publish` is ours instead of aiomqtt's, which serves only its own `publish`, that is not used here;
- `on_connect` and `on_disconnect` take their notes and pass on to aiomqtt's;
- paho is given a socket that is connected already (`_create_socket`), so that its connecting cannot block;
- `on_message` is ours: aiomqtt has a queue for a task that we do not have;
- `on_socket_register_write` is ours: aiomqtt's waits for the socket a turn of the loop later, by a number that may be
  closed by then, or another socket's;
- `_sock_recv` is ours: it says why TLS ended, and paho takes a packet of any length, 256 MB, while what is subscribed
  anybody may publish to;
- PUBACK may carry 0x95: brokers send it, paho's table lacks it and the whole connection would end.

`tests/gateway/uplinks/mqtt/test_link.py` fails when aiomqtt or paho change any of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.uplinks.mqtt import reasons
from gateway.uplinks.mqtt.messages import Message

KEEPALIVE_S = 15
CLOSE_S = 2.0
MOST_BYTES = 1_000_000
"""Of a packet that we take; what is subscribed has a few thousand."""


def _allow_too_large() -> None:
    packets = ReasonCode.names[reasons.PACKET_TOO_LARGE]["Packet too large"]
    if PacketTypes.PUBACK not in packets:
        packets.append(PacketTypes.PUBACK)


_allow_too_large()


# as in `clean_session` and `clean_start`: nothing is kept for us, since we have it ourselves
_VERSIONS: dict[Literal[5, "3.1.1"], dict[str, Any]] = {
    5: {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": True},
    "3.1.1": {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": True},
}

_unheard = logging.getLogger("mqtt.unheard")
_unheard.setLevel(logging.CRITICAL)  # what paho logs of a lost connection the runner says, once


class Refused(Exception):
    """The broker answered CONNECT with a reason code of 0x80 or more."""

    def __init__(self, code: int) -> None:
        super().__init__(reasons.words(code))
        self.code = code


class Lost(Exception):
    """The connection is gone; `code` is the broker's reason where it gave one, `tls` that by which TLS ended."""

    def __init__(self, why: str, code: int | None = None, tls: ssl.SSLError | None = None) -> None:
        super().__init__(why)
        self.code = code
        self.tls = tls


@dataclass(frozen=True, slots=True)
class Client:
    """Who connects, and how."""

    client_id: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    version: Literal[5, "3.1.1"] = 5
    in_flight: int = 20
    will: Message | None = None
    """What the broker publishes when the connection ends without DISCONNECT."""


class Link:
    """One MQTT connection over a connected socket, which it owns from here on. Make it on the running loop."""

    def __init__(self, sock: socket.socket, client: Client) -> None:
        self.receive_maximum = 65_535
        """QoS 1 messages that the server takes at once; known after `connect`."""
        self.maximum_packet_size: int | None = None
        self.maximum_qos = 2
        self.may_retain = True
        self.lost: Lost | None = None
        """Set as soon as the connection is known to be gone."""
        self.on_puback: Callable[[int, int], None] = lambda _mid, _code: None
        """Called with message id and reason code of a QoS 1 message, and of one of QoS 0 when it is written."""
        self.on_message: Callable[[str, bytes, bool], None] = lambda _topic, _payload, _retained: None
        """Called with topic, payload, and whether it was kept for us, of what is subscribed."""
        self.on_lost: Callable[[], None] = lambda: None
        self._socket = sock
        self._version = client.version
        self._loop = asyncio.get_running_loop()
        self._given = False
        self._established = False
        self._refusal: Refused | None = None
        self._deadline: asyncio.Timeout | None = None
        self._client = aiomqtt.Client(
            "given",  # the socket is connected: paho only wants a name here
            1,
            identifier=client.client_id,
            username=client.user,
            password=client.password,
            will=None if client.will is None else _will(client.will),
            keepalive=KEEPALIVE_S,
            timeout=CLOSE_S,
            logger=_unheard,
            max_inflight_messages=client.in_flight,
            properties=_limits() if client.version == 5 else None,
            **_VERSIONS[client.version],
        )
        paho = self._paho = self._client._client
        self._aiomqtt_on_connect: Any = paho.on_connect
        self._aiomqtt_on_disconnect: Any = paho.on_disconnect
        paho.on_connect = self._on_connect
        paho.on_disconnect = self._on_disconnect
        paho.on_publish = self._on_publish
        paho.on_message = self._on_message
        paho.on_socket_register_write = self._on_register_write
        paho._create_socket = self._give_socket  # type: ignore[method-assign]
        self._receive = paho._sock_recv
        paho._sock_recv = self._receive_bounded  # type: ignore[method-assign]

    async def connect(self, timeout_s: float) -> None:
        """CONNECT and CONNACK. Raises Refused, or Lost where the server closes or stays silent."""
        self._client.timeout = timeout_s + 1  # ours ends it, and knows why
        try:
            async with asyncio.timeout(timeout_s) as self._deadline:
                await self._client.__aenter__()
                self._established = True
        except (TimeoutError, aiomqtt.MqttError) as error:
            if self._refusal is not None:
                raise self._refusal from None
            raise self.lost or Lost(str(error) or "no answer to CONNECT") from None
        finally:
            self._deadline = None
            self._client.timeout = CLOSE_S

    def publish(self, message: Message) -> int:
        """Hand one message to the socket; its message id. Raises Lost, or ValueError for what cannot be sent."""
        told = self._paho.publish(
            message.topic, message.payload, qos=message.qos, retain=message.retain, properties=message.properties
        )
        if told.rc != 0:
            raise self._note_lost("the connection is gone")
        return told.mid

    async def subscribe(self, topic: str, *, no_local: bool = False) -> int:
        """Have what is published on a topic at QoS 1; the reason code, 0x80 or more for a refusal. Raises Lost.

        With `no_local` what we publish there ourselves is left out, by MQTT 5 alone (3.8.3.1).
        """
        how: dict[str, Any] = {"qos": 1}
        if no_local and self._version == 5:
            how = {"options": SubscribeOptions(qos=1, noLocal=True)}
        try:
            (granted,) = await self._client.subscribe(topic, **how)
        except aiomqtt.MqttError as error:
            raise self._note_lost(f"no answer to SUBSCRIBE: {error}") from None
        return granted if isinstance(granted, int) else granted.value

    async def wait_lost(self) -> Lost:
        """Wait until the connection is gone."""
        try:
            async for _ in self._client.messages:
                pass  # what is subscribed goes to `on_message`
        except aiomqtt.MqttError as error:
            return self._note_lost(str(error.__cause__ or error))
        return self._note_lost("the connection is gone")

    async def close(self, *, disconnect: bool = True, with_will: bool = False) -> None:
        """DISCONNECT where that still works, then close the socket whatever happened; idempotent.

        Without DISCONNECT the broker publishes the will, and `with_will` too, which MQTT 5 alone knows (3.14.2.1).
        """
        try:
            if disconnect and self._established and self.lost is None:
                if with_will:
                    self._paho.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=reasons.WITH_WILL))
                async with asyncio.timeout(CLOSE_S):
                    await self._client.__aexit__(None, None, None)
        except (aiomqtt.MqttError, TimeoutError):
            pass
        finally:
            self._given = True  # an executor that is late finds nothing to connect with
            self._paho._sock_close()
            self._socket.close()
            for future in (self._client._connected, self._client._disconnected):
                if future.done() and not future.cancelled():
                    future.exception()  # seen: nobody else will ask, and asyncio would complain

    def _give_socket(self) -> socket.socket:
        if self._given:
            raise ConnectionAbortedError("the connection was given up")
        self._given = True
        return self._socket

    def _receive_bounded(self, bufsize: int) -> bytes:
        """What there is of the bytes that a packet lacks."""
        if bufsize > MOST_BYTES:
            self._note_lost(f"the broker sends a packet of {bufsize:,} bytes")
            raise ConnectionAbortedError
        try:
            return self._receive(bufsize)
        except ssl.SSLError as error:  # a client certificate is refused after the handshake (TLS 1.3)
            words = (error.reason or str(error)).replace("_", " ").lower()
            self._note_lost(f"the broker ended TLS: {words}", tls=error)
            raise

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refusal = Refused(reason.value)
        if properties is not None:
            self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
            self.maximum_packet_size = getattr(properties, "MaximumPacketSize", None)
            self.maximum_qos = getattr(properties, "MaximumQoS", self.maximum_qos)
            self.may_retain = bool(getattr(properties, "RetainAvailable", 1))
        # paho follows the server's keep alive (3.2.2.3.14): asking more often is allowed, and a dead link has to show
        self._paho._keepalive = min(self._paho._keepalive or KEEPALIVE_S, KEEPALIVE_S)
        self._aiomqtt_on_connect(client, userdata, flags, reason, properties)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._note_lost(f"the broker ended the connection: {reasons.words(reason.value)}", reason.value)
        else:
            self._note_lost("the connection broke")
        self._aiomqtt_on_disconnect(client, userdata, flags, reason, properties)
        if (
            self._deadline is not None and self._refusal is None
        ):  # aiomqtt would wait for a CONNACK that cannot come any more
            with contextlib.suppress(RuntimeError):
                self._deadline.reschedule(asyncio.get_running_loop().time())

    def _on_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._await_writable, sock)  # paho connects in a thread

    def _await_writable(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._paho.loop_write()
        except OSError as error:
            if not self._client._disconnected.done():
                self._client._disconnected.set_exception(error)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason: ReasonCode, properties: Properties) -> None:
        self.on_puback(mid, reason.value)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        self.on_message(message.topic, message.payload, message.retain)

    def _note_lost(self, why: str, code: int | None = None, tls: ssl.SSLError | None = None) -> Lost:
        if self.lost is None:
            self.lost = Lost(why, code, tls)
            self.on_lost()
        return self.lost


def _limits() -> Properties:
    """Of CONNECT: a broker that keeps to it leaves out what is longer (3.1.2.11.4)."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = MOST_BYTES
    return properties


def _will(message: Message) -> aiomqtt.Will:
    content_type = getattr(message.properties, "ContentType", None)
    properties = None
    if content_type is not None:
        properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        properties.ContentType = content_type
    return aiomqtt.Will(message.topic, message.payload, qos=1, retain=message.retain, properties=properties)
