"""What is in a message: properties, batches, limits of size; against a real broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack
import orjson
import pytest

from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.driver import NotConnected

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker, Script

BATCH = "acme/berlin/filling/line-3/batch"


def publisher(port: int, context: UplinkContext, **settings: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", "state_topic": "off", **settings}
    return MqttPublisher(MqttUplink.model_validate(section), context)


async def test_attributes_as_user_properties(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any
) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, user_properties=True, expiry="1h")
    await uplink.connect()
    (trend,), (state,) = make_events(1, kind="signal.trend"), make_events(2)
    async with broker.listener() as client:
        assert await uplink.write([trend, state]) == 2
        first, second = await receive(client, 2)
    attributes = context.envelope.attributes(trend)
    del attributes["datacontenttype"]
    assert dict(first.properties.UserProperty) == attributes
    assert dict(second.properties.UserProperty)["type"] == "linegate.machine.state.v1"
    assert 3590 < first.properties.MessageExpiryInterval <= 3600
    assert not hasattr(second.properties, "MessageExpiryInterval"), "what is not a trend waits for ever"
    await uplink.close()


@pytest.mark.parametrize("format", ["json", "msgpack"])
async def test_expiry_and_flat(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any, format: str
) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, expiry="10s", shape="flat", format=format)
    await uplink.connect()
    async with broker.listener() as client:
        await uplink.write([*make_events(1, kind="signal.trend", data=b'{"value":1.5}'), *make_events(2)])
        first, second = await receive(client, 2)
    assert hasattr(first.properties, "MessageExpiryInterval")
    assert not hasattr(second.properties, "MessageExpiryInterval")
    assert not hasattr(first.properties, "UserProperty")
    event = orjson.loads(first.payload) if format == "json" else msgpack.unpackb(first.payload)
    assert (event["seq"], event["value"]) == ("1", 1.5)
    await uplink.close()


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_batches(broker: Broker, context: UplinkContext, receive: Any, make_events: Any, version: Any) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, batch=50, version=version)
    await uplink.connect()
    async with broker.listener(BATCH) as client:
        assert await uplink.write(make_events(*range(1, 301))) == 300
        messages: list[Any] = []
        while sum(len(orjson.loads(message.payload)) for message in messages) < 300:
            messages += await receive(client, 1)
    batches = [orjson.loads(message.payload) for message in messages]
    assert [event["seq"] for batch in batches for event in batch] == [str(seq) for seq in range(1, 301)]
    assert len(batches[0]) == 1, "what makes a broker hang up is found alone"
    assert max(map(len, batches)) == 50
    if version == 5:
        assert messages[0].properties.ContentType == "application/cloudevents-batch+json"
    await uplink.close()


async def test_a_batch_fits_what_the_broker_takes(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any
) -> None:
    await broker.start("max_packet_size 3000")
    uplink = publisher(broker.port, context, batch=500)
    await uplink.connect()
    large = orjson.dumps({"text": "x" * 3000})
    events = [*make_events(*range(1, 41)), *make_events(41, data=large), *make_events(*range(42, 50))]
    async with broker.listener(BATCH) as client:
        with pytest.raises(Rejected, match="3000 at most") as rejected:
            await uplink.write(events)
        assert rejected.value.which == 40
        assert await uplink.write(events[41:]) == 8
        seen: list[int] = []
        while len(seen) < 48:
            (message,) = await receive(client, 1)
            seen += [int(event["seq"]) for event in orjson.loads(message.payload)]
    assert seen == [seq for seq in range(1, 50) if seq != 41]
    await uplink.close()


@pytest.mark.parametrize("large_at", [0, 23, 59])
async def test_a_refused_batch_is_divided_until_the_event_stands_alone(
    broker: Broker, context: UplinkContext, receive: Any, make_events: Any, large_at: int
) -> None:
    """By a limit that the broker keeps to itself."""
    await broker.start("message_size_limit 6000")
    uplink = publisher(broker.port, context, batch=100)
    await uplink.connect()
    events = make_events(*range(1, 61))
    (events[large_at],) = make_events(large_at + 1, data=orjson.dumps({"text": "x" * 6000}))
    async with broker.listener(BATCH) as client:
        with pytest.raises(Rejected, match="packet too large") as rejected:
            await uplink.write(events)
        assert rejected.value.which == large_at
        if large_at < 59:
            assert await uplink.write(events[large_at + 1 :]) == 59 - large_at
        seen: set[int] = set()
        while len(seen) < 59:
            (message,) = await receive(client, 1)
            seen |= {int(event["seq"]) for event in orjson.loads(message.payload)}
    assert large_at + 1 not in seen
    await uplink.close()


async def test_a_limit_that_only_the_configuration_knows(
    broker: Broker, context: UplinkContext, make_events: Any
) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, version="3.1.1", max_packet="1kB")
    await uplink.connect()
    with pytest.raises(Rejected, match="1000 at most") as rejected:
        await uplink.write([*make_events(1), *make_events(2, data=orjson.dumps("x" * 1000)), *make_events(3)])
    assert rejected.value.which == 1
    await uplink.close()


async def test_a_broker_that_hangs_up_without_a_word_over_one_event(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    """Whoever reads the remedy finds the event; nothing is quarantined, for it may be the network."""
    script.connack = b"\x20\x02\x00\x00"
    script.answer = lambda _number, _mid: b""
    uplink = publisher(await script.start(), context, version="3.1.1")
    await uplink.connect()
    with pytest.raises(NotConnected, match="the connection broke") as lost:
        await uplink.write(make_events(7, 8))
    assert "event 7 (a message of 4" in lost.value.remedy
    assert "max_packet" in lost.value.remedy
    await uplink.close()


async def test_a_topic_that_is_too_long(broker: Broker, context: UplinkContext, make_events: Any) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, topic="{subject}/" + "x" * 65_536)
    await uplink.connect()
    with pytest.raises(Rejected, match="65535 at most"):
        await uplink.write(make_events(1))
    await uplink.close()
