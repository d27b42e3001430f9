"""The MQTT uplink against a real broker: order, acknowledgement, refusals, limits, losses."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

import msgpack
import orjson
import pytest

from gateway.uplinks.mqtt.broker import default_client_id
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.link import Link
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import ConfigError, NotConnected

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker

EVERYTHING = "acme/berlin/filling/line-3/filler/machine.state"


def publisher(broker: Broker, context: UplinkContext, **settings: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{broker.port}", "state_topic": "off", **settings}
    return MqttPublisher(MqttUplink.model_validate(section), context)


async def test_events_arrive_in_order_and_count_when_acknowledged(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any
) -> None:
    await broker.start()
    uplink = publisher(broker, context, in_flight=7)
    await uplink.connect()
    async with broker.listener() as client:
        events = make_events(*range(1, 101), data=b'{"state":"held"}')
        assert await uplink.write(events) == 100
        messages = await receive(client, 100)
    first = messages[0]
    assert (first.topic.value, first.qos, first.retain) == (EVERYTHING, 1, False)
    assert first.properties.ContentType == "application/cloudevents+json"
    assert first.payload == context.envelope.json(events[0])
    assert [orjson.loads(message.payload)["prevseq"] for message in messages] == [str(n) for n in range(100)]
    await uplink.close()
    await uplink.close()


async def test_messagepack_and_a_topic_of_ones_own(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any
) -> None:
    await broker.start()
    uplink = publisher(broker, context, format="msgpack", topic="plant/{line}/{type}")
    await uplink.connect()
    async with broker.listener("plant/line-3/machine.state") as client:
        assert await uplink.write(make_events(5, data=b'{"n":18446744073709551615}')) == 1
        (message,) = await receive(client, 1)
    assert message.properties.ContentType == "application/cloudevents+msgpack"
    event = msgpack.unpackb(message.payload)
    assert (event["type"], event["seq"], event["prevseq"]) == ("linegate.machine.state.v1", "5", "4")
    assert event["data"] == {"n": 2**64 - 1}
    await uplink.close()


async def test_never_more_in_flight_than_both_allow(
    broker: Broker, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await broker.start("max_inflight_messages 3")
    under_way: list[int] = []
    publish = Link.publish

    def count(self: Link, *arguments: Any) -> int:
        under_way.append(len(uplink._in_flight) + 1)
        return publish(self, *arguments)

    monkeypatch.setattr(Link, "publish", count)
    uplink = publisher(broker, context, in_flight=20)
    await uplink.connect()
    assert await uplink.write(make_events(*range(1, 30))) == 29
    assert under_way[:5] == [1, 1, 2, 2, 3], "one more with each acknowledgement"
    assert max(under_way) == 3
    await uplink.close()


async def test_a_denied_topic_is_no_success_and_no_reason_for_quarantine(
    broker: Broker, context: UplinkContext, make_events: Any, tmp_path: Any
) -> None:
    (tmp_path / "acl").write_text("topic readwrite allowed/#\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    uplink = publisher(broker, context)
    await uplink.connect()
    with pytest.raises(NotConnected, match=r"not authorized \(0x87\)") as refused:
        await uplink.write(make_events(1, 2))
    assert "access list" in refused.value.remedy
    await uplink.close()


async def test_what_was_acknowledged_before_a_refusal_counts(
    broker: Broker, context: UplinkContext, make_events: Any, tmp_path: Any
) -> None:
    (tmp_path / "acl").write_text("topic readwrite +/+/+/+/+/machine.state\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    uplink = publisher(broker, context)
    await uplink.connect()
    events = [*make_events(1, 2, 3), *make_events(4, kind="machine.kpi"), *make_events(5)]
    assert await uplink.write(events) == 3
    with pytest.raises(NotConnected, match="not authorized"):
        await uplink.write(events[3:])
    await uplink.close()


async def test_too_large_for_what_the_broker_announced(
    broker: Broker, context: UplinkContext, make_events: Any, receive: Any
) -> None:
    await broker.start("max_packet_size 2000")
    uplink = publisher(broker, context)
    await uplink.connect()
    large = orjson.dumps({"text": "x" * 2000})
    events = [*make_events(1, 2), *make_events(3, data=large), *make_events(4)]
    with pytest.raises(Rejected, match="2000 at most") as rejected:
        await uplink.write(events)
    assert rejected.value.which == 2
    assert await uplink.write(make_events(4)) == 1, "the connection goes on"
    await uplink.close()


async def test_the_size_is_that_on_the_wire(broker: Broker, context: UplinkContext, make_events: Any) -> None:
    """One byte decides: the largest message that is let through is taken by the broker, one more is not sent."""
    await broker.start("max_packet_size 2000")
    uplink = publisher(broker, context)
    await uplink.connect()

    def make_message(events: Any) -> bytes:
        """A QoS 1 PUBLISH of 128 to 16383 bytes, as MQTT 5 (3.3) lays it out."""
        properties = b"\x03" + _text("application/cloudevents+json")
        payload = context.envelope.json(events[0])
        return b"\x32??" + _text(EVERYTHING) + b"id" + bytes([len(properties)]) + properties + payload

    size = len(make_message(make_events(1)))
    largest = make_events(1, data=orjson.dumps("x" * (2000 - size)))
    assert len(make_message(largest)) == 2000
    assert await uplink.write(largest) == 1
    with pytest.raises(Rejected, match="2001 bytes"):
        await uplink.write(make_events(1, data=orjson.dumps("x" * (2001 - size))))
    await uplink.close()


async def test_too_large_for_a_limit_that_the_broker_keeps_to_itself(
    broker: Broker, context: UplinkContext, make_events: Any
) -> None:
    """It answers PUBACK with 0x95, which paho's table does not know."""
    await broker.start("message_size_limit 1000")
    uplink = publisher(broker, context)
    await uplink.connect()
    large = orjson.dumps({"text": "x" * 2000})
    assert await uplink.write(make_events(1, 2, 3)) == 3
    with pytest.raises(Rejected, match="packet too large") as rejected:
        await uplink.write([*make_events(4), *make_events(5, data=large), *make_events(6, 7)])
    assert rejected.value.which == 1
    assert await uplink.write(make_events(6, 7)) == 2
    await uplink.close()


async def test_an_event_that_no_format_carries_is_rejected(
    broker: Broker, context: UplinkContext, make_events: Any
) -> None:
    await broker.start()
    uplink = publisher(broker, context, format="msgpack")
    await uplink.connect()
    with pytest.raises(Rejected, match="cannot be written") as rejected:
        await uplink.write([*make_events(1), *make_events(2, data=b"{broken")])
    assert rejected.value.which == 1
    await uplink.close()


async def test_serve_says_that_the_broker_went(broker: Broker, context: UplinkContext) -> None:
    await broker.start()
    uplink = publisher(broker, context)
    await uplink.connect()
    serving = asyncio.ensure_future(uplink.serve())
    await asyncio.sleep(0)
    await broker.stop()
    with pytest.raises(NotConnected, match=f"127.0.0.1:{broker.port}") as lost:
        await serving
    assert lost.value.remedy
    await uplink.close()


async def test_a_broker_that_dies_under_a_write(broker: Broker, context: UplinkContext, make_events: Any) -> None:
    await broker.start()
    uplink = publisher(broker, context)
    await uplink.connect()
    await broker.kill()
    with pytest.raises(NotConnected):
        async with asyncio.timeout(5):
            await uplink.write(make_events(1))
    await uplink.close()


def test_the_client_id_is_stable_and_every_server_takes_it(context: UplinkContext) -> None:
    name = default_client_id(context)
    assert name == default_client_id(context)
    assert name.isalnum()
    assert len(name) <= 23
    other = UplinkContext("erp", context.line, context.envelope, context.state_dir, context.view)
    assert default_client_id(other) != name


@pytest.mark.parametrize("user", ["gateway", "stranger"])
async def test_wrong_password_or_user(
    broker: Broker, context: UplinkContext, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    await _start_with_password(broker, tmp_path)
    monkeypatch.setenv("PASSWORD", "wrong")
    uplink = publisher(broker, context, user=user, password={"env": "PASSWORD"})
    with pytest.raises(ConfigError, match="refuses the client: not authorized") as refused:
        await uplink.connect()
    assert "password" in refused.value.remedy
    await uplink.close()


async def test_user_and_password_from_secrets(
    broker: Broker, context: UplinkContext, tmp_path: Any, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _start_with_password(broker, tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "user").write_text("gateway\n")
    (tmp_path / "password").write_text("secret\n")
    uplink = publisher(broker, context, user={"credential": "user"}, password={"file": str(tmp_path / "password")})
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    await uplink.close()


async def test_a_missing_secret_is_a_matter_for_a_person(broker: Broker, context: UplinkContext) -> None:
    await broker.start()
    uplink = publisher(broker, context, user="gateway", password={"file": "/nowhere/password"})
    with pytest.raises(ConfigError, match="/nowhere/password"):
        await uplink.connect()
    await uplink.close()


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


async def _start_with_password(broker: Broker, directory: Any) -> None:
    path = directory / "passwords"
    path.write_text("gateway:secret\n")
    subprocess.run(["/usr/bin/mosquitto_passwd", "-U", str(path)], check=True, timeout=60)  # noqa: ASYNC221
    await broker.start("allow_anonymous false", f"password_file {path}")
