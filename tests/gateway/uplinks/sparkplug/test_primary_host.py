"""The primary host: nothing is said before its STATE says online, and a session ends when it says offline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.host import HostState, PrimaryHost
from gateway.uplinks.sparkplug.node import SparkplugNode
from protocols.driver import ConnectFailed
from tests.gateway.uplinks.conftest import Broker
from tests.gateway.uplinks.sparkplug.live import LiveLine
from tests.gateway.uplinks.sparkplug.recording import context
from tests.peers.mqtt_tap import CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE, MqttTap

if TYPE_CHECKING:
    from gateway.uplinks.uplink import UplinkContext

NDEATH, NBIRTH = "spBv1.0/berlin/NDEATH/line-3", "spBv1.0/berlin/NBIRTH/line-3"


def node(port: int, told: UplinkContext, *others: int, **settings: Any) -> SparkplugNode:
    section = {"type": "sparkplug", "url": f"mqtt://127.0.0.1:{port}", "primary_host": "scada", **settings}
    section["others"] = [f"127.0.0.1:{other}" for other in others]
    return SparkplugNode(SparkplugUplink.model_validate(section), told)


async def say(broker: Broker, online: bool, timestamp: int, host: str = "scada") -> None:
    """As a host does, retained."""
    async with broker.listener("nothing") as client:
        body = orjson.dumps({"online": online, "timestamp": timestamp})
        await client.publish(f"spBv1.0/STATE/{host}", body, qos=1, retain=True)


async def heard(one: SparkplugNode, state: HostState) -> None:
    async with asyncio.timeout(5):
        while one._host is None or one._host.state is not state:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.002)


@pytest.fixture
def told(tmp_path: Path) -> UplinkContext:
    return context(LiveLine(), tmp_path)


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_nothing_is_born_before_the_host_is_online(broker: Broker, told: UplinkContext, version: Any) -> None:
    """The host that is configured, and no other; it says so itself, at QoS 1."""
    await broker.start()
    await say(broker, True, 5, host="another")
    await say(broker, False, 5)
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told, version=version)
        connecting = asyncio.ensure_future(one.connect())
        await heard(one, HostState.OFFLINE)
        assert not connecting.done()
        assert [packet.type for packet in tap.packets] == [CONNECT, SUBSCRIBE, SUBSCRIBE]
        assert [(packet.topic, packet.qos) for packet in tap.of(SUBSCRIBE)][1] == ("spBv1.0/STATE/scada", 1)
        await say(broker, True, 6)
        await connecting
        assert tap.of(PUBLISH)[0].topic == NBIRTH
        await one.close()


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_the_session_ends_when_the_host_goes(broker: Broker, told: UplinkContext, version: Any) -> None:
    """By a STATE that is not older than the one by which it was online; an older one is of a session that is over."""
    await broker.start()
    await say(broker, True, 100)
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told, version=version)
        await one.connect()
        serving = asyncio.ensure_future(one.serve())
        await say(broker, False, 99)
        await say(broker, True, 101)
        async with asyncio.timeout(5):
            while one._host is None or one._host._timestamp != 101:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.002)
        assert not serving.done()
        assert await one.write(told_events(told)) == 1
        await say(broker, False, 101)
        with pytest.raises(ConnectFailed, match="the primary host scada is offline"):
            await serving
        with pytest.raises(ConnectFailed):
            await one.write(told_events(told))
        await one.close()
        await tap.idle()
        *_, death, end = tap.packets
        assert (death.type, death.topic, end.type) == (PUBLISH, NDEATH, DISCONNECT)


def told_events(told: UplinkContext) -> Any:
    line = LiveLine(told.view.config)
    return line.see("filler_plc", running=True, fault=0)[:1]


async def test_the_next_broker_is_asked_where_the_host_is_not(
    broker: Broker, told: UplinkContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after another, and never two at a time; an online host is waited for everywhere, round and round."""
    monkeypatch.setattr("gateway.uplinks.sparkplug.node.HOST_S", 0.1)
    (tmp_path / "other").mkdir()
    other = Broker(tmp_path / "other")
    await broker.start()
    await other.start()
    await say(other, True, 7)
    try:
        async with MqttTap(broker.port) as first, MqttTap(other.port) as second:
            one = node(first.port, told, second.port)
            with pytest.raises(ConnectFailed, match=f"the primary host scada says nothing at 127.0.0.1:{first.port}"):
                await one.connect()
            await one.close()
            await first.idle()
            assert [packet.type for packet in first.packets] == [CONNECT, SUBSCRIBE, SUBSCRIBE, DISCONNECT]
            assert not second.packets

            one = node(first.port, told, second.port)
            await one.connect()
            assert second.of(PUBLISH)[0].topic == NBIRTH
            serving = asyncio.ensure_future(one.serve())
            await say(other, False, 8)
            with pytest.raises(ConnectFailed):
                await serving
            await one.close()
            await second.idle()
            assert second.packets[-1].type == DISCONNECT
            assert len(first.of(CONNECT)) == 1

            one = node(first.port, told, second.port)
            with pytest.raises(ConnectFailed, match=f":{first.port}"):
                await one.connect()
            await one.close()
            assert (len(first.of(CONNECT)), len(second.of(CONNECT))) == (2, 1)
    finally:
        await other.kill()


@pytest.mark.parametrize(
    "body",
    [b"", b"OFFLINE", b"{", b"[]", b"true", b'{"online": 1, "timestamp": 5}', b'{"online": true}',
     b'{"online": true, "timestamp": "5"}', b'{"online": true, "timestamp": true}', b"\xff"],
)  # fmt: skip
def test_what_is_no_state_says_nothing(body: bytes) -> None:
    host = PrimaryHost("scada")
    assert not host.hear("spBv1.0/STATE/scada", body)
    assert host.state is HostState.UNHEARD


def test_states_of_the_host() -> None:
    """Equal timestamps count, older ones and other hosts do not."""
    host = PrimaryHost("scada")
    steps = [
        ("scada", False, 5, "offline"), ("other", True, 9, "offline"), ("scada", True, 4, "offline"),
        ("scada", True, 5, "online"), ("scada", False, 4, "online"), ("scada", False, 5, "offline"),
    ]  # fmt: skip
    for name, online, timestamp, state in steps:
        host.hear(f"spBv1.0/STATE/{name}", orjson.dumps({"online": online, "timestamp": timestamp}))
        assert host.state == state
