"""What the broker knows of the gateway itself (birth, farewell, will) and of each machine (the retained state)."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.events import StoredEvent
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.uplink import UplinkContext
from protocols.driver import ConfigError, NotConnected

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker, Script

TOPIC = "acme/berlin/filling/line-3/gateway/state"
FILLER = "acme/berlin/filling/line-3/filler/state"


def publisher(port: int, context: UplinkContext, **settings: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}", **settings}
    return MqttPublisher(MqttUplink.model_validate(section), context)


async def retained(broker: Broker, receive: Any, topic: str) -> dict[str, Any]:
    """What the broker has kept on a topic, for who subscribes now."""
    async with broker.listener(topic) as client:
        (message,) = await receive(client, 1)
    assert message.retain
    body: dict[str, Any] = orjson.loads(message.payload)
    return body


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_birth_and_farewell(broker: Broker, context: UplinkContext, receive: Any, version: Any) -> None:
    await broker.start()
    async with broker.listener(TOPIC) as client:
        uplink = publisher(broker.port, context, version=version)
        await uplink.connect()
        (birth,) = await receive(client, 1)
        assert await retained(broker, receive, TOPIC) == orjson.loads(birth.payload)
        await uplink.close()
        (farewell,) = await receive(client, 1)
    online, offline = orjson.loads(birth.payload), orjson.loads(farewell.payload)
    assert online | {"state": "offline", "time": offline["time"]} == offline
    assert online == {
        "state": "online", "source": "/acme/berlin/filling/line-3", "stream": context.envelope.stream,
        "uplink": "mes", "version": online["version"], "time": online["time"],
    }  # fmt: skip
    assert await retained(broker, receive, TOPIC) == offline
    if version == 5:
        assert birth.properties.ContentType == "application/json"


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_the_will_speaks_where_the_gateway_cannot(
    broker: Broker, context: UplinkContext, receive: Any, version: Any
) -> None:
    await broker.start()
    uplink = publisher(broker.port, context, version=version)
    await uplink.connect()
    async with broker.listener(TOPIC) as client:
        await receive(client, 1)
        assert uplink._link is not None
        uplink._link._socket.shutdown(socket.SHUT_RDWR)
        (will,) = await receive(client, 1)
    said = orjson.loads(will.payload)
    assert said["state"] == "offline"
    assert "time" not in said, "the broker says it, whenever that is"
    assert await retained(broker, receive, TOPIC) == said
    await uplink.close()


async def test_a_farewell_that_is_not_acknowledged_leaves_it_to_the_will(
    script: Script, context: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.FAREWELL_S", 0.05)
    script.answer = lambda number, mid: b"\x40\x02" + mid if number == 1 else b"nothing"
    uplink = publisher(await script.start(), context)
    await uplink.connect()
    await uplink.close()
    await script.stop()
    assert script.kinds == [1, 8, 3, 3], "CONNECT, SUBSCRIBE, birth, farewell, and no DISCONNECT"


async def test_a_birth_that_nobody_acknowledges_is_no_connection(
    script: Script, context: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.05)
    script.answer = lambda _number, _mid: b"nothing"
    uplink = publisher(await script.start(), context)
    with pytest.raises(NotConnected, match="does not acknowledge"):
        await uplink.connect()
    await uplink.close()


async def test_a_state_that_is_denied_holds_no_event_back(
    broker: Broker, context: UplinkContext, make_events: Any, tmp_path: Any
) -> None:
    (tmp_path / "acl").write_text("topic readwrite +/+/+/+/+/machine.state\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    with capture_logs() as logs:
        for _ in range(3):
            uplink = publisher(broker.port, context)
            await uplink.connect()
            assert await uplink.write(make_events(1, 2)) == 2
            await uplink.close()
    (said,) = logs
    assert said["event"] == "state_is_not_published"
    assert "not authorized" in said["why"]
    assert "access list" in said["remedy"]


async def test_a_broker_that_retains_nothing(broker: Broker, context: UplinkContext, make_events: Any) -> None:
    await broker.start("retain_available false")
    uplink = publisher(broker.port, context)
    with pytest.raises(ConfigError, match="retain not supported") as refused:
        await uplink.connect()
    assert "state_topic: off" in refused.value.remedy
    await uplink.close()
    with capture_logs() as logs:
        uplink = publisher(broker.port, with_intervals(context), state_topic="off", retain_state=True)
        await uplink.connect()
        assert await uplink.write([state(1, "b", 0)]) == 1
        await uplink.close()
    assert [entry["event"] for entry in logs] == ["states_are_not_retained"]


class View:
    """The line's current intervals."""

    def machines(self) -> dict[str, dict[str, Any]]:
        return {"filler": {"interval": "b"}, "capper": {"interval": None}}


def with_intervals(context: UplinkContext) -> UplinkContext:
    return dataclasses.replace(context, view=cast(Any, View()))


def state(seq: int, interval: str, rev: int, machine: str = "filler") -> StoredEvent:
    return StoredEvent(
        seq,
        seq - 1,
        "machine.state",
        machine,
        1_795_327_200_000,
        b'{"interval":"%s","rev":%d}' % (interval.encode(), rev),
    )


@pytest.mark.parametrize("batch", [1, 10])
async def test_only_a_state_that_holds_is_retained(
    broker: Broker, context: UplinkContext, receive: Any, batch: int
) -> None:
    """A late revision of an earlier interval is an event like any other, and not the machine's state."""
    await broker.start()
    uplink = publisher(broker.port, with_intervals(context), retain_state=True, batch=batch)
    await uplink.connect()
    uplink._most = batch
    events = [state(1, "a", 0), state(2, "b", 0), state(3, "b", 1), state(4, "a", 1), state(5, "x", 0, "capper")]
    async with broker.listener("acme/#") as client:
        assert await uplink.write(events) == 5
        copies = {message.topic.value: message for message in await receive(client, 2 if batch > 1 else 7)}
    kept = await retained(broker, receive, FILLER)
    assert kept == orjson.loads(context.envelope.json(events[2]))
    assert FILLER in copies
    assert "acme/berlin/filling/line-3/capper/state" not in copies
    await uplink.close()


async def test_an_event_whose_copy_is_denied_is_not_acknowledged(
    broker: Broker, context: UplinkContext, tmp_path: Any
) -> None:
    """The copy goes first: were it second, a state that was never retained would count as done."""
    (tmp_path / "acl").write_text(f"topic readwrite +/+/+/+/+/machine.state\ntopic readwrite {TOPIC}\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    uplink = publisher(broker.port, with_intervals(context), retain_state=True)
    await uplink.connect()
    assert await uplink.write([state(1, "a", 0), state(2, "b", 0)]) == 1
    with pytest.raises(NotConnected, match="not authorized"):
        await uplink.write([state(2, "b", 0)])
    await uplink.close()


async def test_what_3_1_1_hides_is_said_once(
    broker: Broker, context: UplinkContext, make_events: Any, tmp_path: Any
) -> None:
    (tmp_path / "acl").write_text(f"topic readwrite {TOPIC}\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    with capture_logs() as logs:
        for _ in range(2):
            uplink = publisher(broker.port, context, version="3.1.1")
            await uplink.connect()
            assert await uplink.write(make_events(1)) == 1, "acknowledged, and thrown away"
            await uplink.close()
            await asyncio.sleep(0)
    (said,) = logs
    assert said["event"] == "denials_are_not_seen"
    assert "version: 5" in said["remedy"]
