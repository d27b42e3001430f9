"""Events from an MQTT broker: QoS 1, each message acknowledged only when its events were taken."""

from __future__ import annotations

import logging
from typing import Any

import aiomqtt
import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.config.uplinks import resolved
from gateway.receive.decode import decode
from gateway.receive.follower import NotAnEvent
from gateway.receive.source import KEPT_S, MOST_MESSAGES, Receiver, Settings
from gateway.uplinks.mqtt import reasons
from protocols.dial import dial, tls_context
from protocols.driver import ConfigError, LinkError, NotConnected
from protocols.worker import in_daemon_thread

KEEPALIVE_S = 15
ANSWER_S = 10.0

_REMEDIES = {
    0x84: "give --mqtt 3.1.1 for a broker that does not speak MQTT 5",
    0x85: "give another --name",
    0x87: "let the broker's access list allow this user and client to subscribe to the topic",
    0x8E: "another client has this name: give another --name, or end the other one",
    0x8F: "check the topic filter: # stands last and alone, + for one level",
    0xA2: "this broker takes no wildcards: write the topic in full",
}
_LOGIN = "check --user, and what --password-env or --password-file names, and that the broker knows this user"
UNSPECIFIED = 0x80
"""Also paho's word for a connection that broke."""
_OF_311 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""What CONNACK's codes of MQTT 3.1.1 (3.2.2.3) are in MQTT 5."""

_unheard = logging.getLogger("mqtt.receive")
_unheard.setLevel(logging.CRITICAL)


class MqttSource:
    """`mqtt://host:1883/topic/filter`, `mqtts://`; without a topic all of them.

    With a name the session stays at the broker, and with it what comes while this consumer is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.path or "#"
        self._host = settings.host
        if not self._host:
            raise ConfigError(f"{settings.url} names no host", "write mqtt://host/topic, or mqtts://host/topic for TLS")
        self._port = settings.port(8883 if settings.is_secure else 1883)

    async def run(self, receiver: Receiver) -> None:
        """See `Source`."""
        settings = self._settings
        user, password = await in_daemon_thread("secrets", lambda: resolved(settings.user, settings.password))
        context = None
        if settings.is_secure:
            context = await in_daemon_thread("certificates", lambda: tls_context(settings.tls))
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=settings.name,
            username=user,
            password=password,
            tls_context=context,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
            logger=_unheard,
            **self._session(),
        )
        client._client.manual_ack_set(True)  # aiomqtt would acknowledge what nobody has looked at yet
        is_connected = False
        try:
            async with client:
                is_connected = True
                await self._subscribe(client)
                receiver.ready(f"{self._topic} at {self._host}:{self._port}")
                await self._receive(client, receiver)
        except aiomqtt.MqttError as error:
            raise await self._in_words(error, is_connected) from None

    def _session(self) -> dict[str, Any]:
        keeps = self._settings.name is not None
        if self._settings.mqtt != 5:
            return {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": not keeps}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = KEPT_S if keeps else 0
        return {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": not keeps, "properties": properties}

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        try:
            (granted,) = await client.subscribe(self._topic, qos=1)
        except ValueError:
            raise ConfigError(f"{self._topic} is no topic filter", _REMEDIES[0x8F]) from None
        code = granted if isinstance(granted, int) else granted.value
        if code >= 0x80:
            raise ConfigError(
                f"{self._host}:{self._port} refuses the subscription to {self._topic}: {reasons.words(code)}",
                _REMEDIES.get(code, "let the broker's access list allow it, and see its log"),
            )
        if code < 1:
            words = f"{self._host}:{self._port} grants {self._topic} at QoS 0 only"
            raise ConfigError(words, "let the broker grant QoS 1: what QoS 0 loses comes never again")

    async def _receive(self, client: aiomqtt.Client, receiver: Receiver) -> None:
        incoming = client.messages
        async for message in incoming:
            messages = [message]
            while len(incoming) and len(messages) < MOST_MESSAGES:
                messages.append(await anext(incoming))
            events = []
            for one in messages:
                payload = bytes(one.payload) if isinstance(one.payload, bytes | bytearray) else b""
                if words := _state(payload):
                    receiver.note(words)
                elif not one.retain:  # what is kept for who comes late has its place in the chain when it is sent
                    try:
                        events += decode(payload)
                    except NotAnEvent as error:
                        receiver.strange(str(one.topic), str(error))
            receiver.take(events)
            for one in messages:
                client._client.ack(one.mid, one.qos)

    async def _in_words(self, error: aiomqtt.MqttError, is_connected: bool) -> LinkError:
        """What happened, and what to do; where paho hides why it did not connect, a second attempt finds out."""
        peer = f"{self._host}:{self._port}"
        code = _code(error, is_connected)
        if code is not None and code > UNSPECIFIED:
            words = f"{peer} {'ended the connection' if is_connected else 'refuses this client'}: {reasons.words(code)}"
            kind = ConfigError if code in reasons.ABOUT_THE_CLIENT or code == 0x8E else NotConnected
            return kind(words, _LOGIN if code in (0x86, 0x87) else _REMEDIES.get(code, "see the broker's log"))
        if is_connected:
            return NotConnected(f"{peer}: the connection broke", "check the broker and the network")
        settings = self._settings
        try:
            (
                await dial(self._host, self._port, (lambda: tls_context(settings.tls)) if settings.is_secure else None)
            ).close()
        except LinkError as failed:
            return failed
        remedy = "check that the port fits mqtt:// or mqtts://, and whether the broker wants a client certificate"
        return NotConnected(f"{peer} ended the connection before the session began", remedy)


def _state(payload: bytes) -> str:
    """What a gateway, or the broker in its stead, says on its state topic; empty for anything else."""
    try:
        found = orjson.loads(payload)
        return (
            f"gateway of {found['source']}, uplink {found['uplink']}: {found['state']} {found.get('time', '')}".strip()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _code(error: aiomqtt.MqttError, is_connected: bool) -> int | None:
    """The broker's reason, in the numbers of MQTT 5, where it gave one."""
    rc = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    cause = error.__cause__
    if rc is None and isinstance(cause, aiomqtt.MqttCodeError):
        rc = cause.rc
    if rc is None or isinstance(rc, int):
        return None if is_connected or rc is None else _OF_311.get(rc)
    return int(rc.value)
