"""Reason codes, and the places in aiomqtt and paho that they are taken from: this fails when those change."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.mqtt.link import Client, Link
from gateway.uplinks.mqtt.publisher import MqttPublisher
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.dial import dial
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from tests.processes import until

if TYPE_CHECKING:
    from tests.gateway.uplinks.conftest import Broker, Script


async def connected(script: Script, context: UplinkContext, **settings: Any) -> MqttPublisher:
    section = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{await script.start()}", "state_topic": "off", **settings}
    uplink = MqttPublisher(MqttUplink.model_validate(section), context)
    try:
        await uplink.connect()
    except BaseException:
        await uplink.close()
        raise
    return uplink


def puback(code: int, mid: bytes) -> bytes:
    return b"\x40\x03" + mid + bytes([code])


async def test_the_places_that_are_reached_through() -> None:
    client = aiomqtt.Client("host", protocol=aiomqtt.ProtocolVersion.V5)
    paho = client._client
    assert isinstance(paho, PahoClient)
    assert paho._callback_api_version is CallbackAPIVersion.VERSION2
    for name in ("on_connect", "on_disconnect", "on_publish", "on_socket_register_write", "_sock_recv"):
        assert callable(getattr(paho, name)), name
    assert not inspect.signature(paho._create_socket).parameters
    assert not inspect.signature(paho._sock_close).parameters
    assert isinstance(paho._keepalive, int)
    assert isinstance(client._connected, asyncio.Future)
    assert isinstance(client._disconnected, asyncio.Future)
    assert "self._sock_recv(self._in_packet['to_process'])" in inspect.getsource(PahoClient._packet_read)
    assert "self._create_socket()" in inspect.getsource(PahoClient.reconnect)
    assert PacketTypes.PUBACK in ReasonCode.names[0x95]["Packet too large"]


async def test_a_connection_that_breaks_as_something_is_to_be_sent(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: complaints.append(said))
    uplink = await connected(script, context)
    link = uplink._link
    assert link is not None
    writing = asyncio.ensure_future(uplink.write(make_events(1)))
    for _ in range(100):
        if link._paho.want_write():
            break
        await asyncio.sleep(0)
    assert link._paho.want_write()
    link._paho._sock_close()
    await uplink.close()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert complaints == []


@pytest.mark.parametrize("code", [0x00, 0x10])
async def test_success(script: Script, context: UplinkContext, make_events: Any, code: int) -> None:
    script.answer = lambda _number, mid: puback(code, mid)
    uplink = await connected(script, context)
    assert await uplink.write(make_events(1, 2, 3)) == 3
    await uplink.close()


@pytest.mark.parametrize("code", [0x90, 0x95, 0x99])
async def test_refusals_of_the_event(script: Script, context: UplinkContext, make_events: Any, code: int) -> None:
    script.answer = lambda number, mid: puback(code if number == 3 else 0, mid)
    uplink = await connected(script, context)
    with pytest.raises(Rejected, match=f"0x{code:02X}") as rejected:
        await uplink.write(make_events(*range(1, 10)))
    assert rejected.value.which == 2
    await uplink.close()


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x97])
async def test_refusals_that_are_not_the_events_fault(
    script: Script, context: UplinkContext, make_events: Any, code: int
) -> None:
    script.answer = lambda _number, mid: puback(code, mid)
    uplink = await connected(script, context)
    with pytest.raises(NotConnected, match=f"0x{code:02X}") as refused:
        await uplink.write(make_events(1, 2))
    assert refused.value.remedy
    await uplink.close()


async def test_acknowledgements_out_of_order(script: Script, context: UplinkContext, make_events: Any) -> None:
    """Only the prefix counts: the broker acknowledges 3 before 2, and then hangs up."""
    held: list[bytes] = []

    def answer(number: int, mid: bytes) -> bytes:
        if number == 2:
            held.append(mid)
            return b"nothing"
        return puback(0, mid) + (b"\xe0\x01\x8b" if number == 3 else b"")

    script.answer = answer
    uplink = await connected(script, context)
    assert await uplink.write(make_events(*range(1, 9))) == 1
    await uplink.close()


async def test_what_is_behind_a_refused_event_is_waited_for(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    script.answer = lambda number, mid: puback(0x99 if number == 2 else 0, mid)
    uplink = await connected(script, context)
    with pytest.raises(Rejected):
        await uplink.write(make_events(*range(1, 9)))
    under_way = len(script.publishes)
    assert not uplink._in_flight
    assert await uplink.write(make_events(3, 4)) == 2
    assert len(script.publishes) == under_way + 2
    await uplink.close()


async def test_the_server_limits_what_is_in_flight(
    script: Script, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.connack = b"\x20\x06\x00\x00\x03\x21\x00\x02"  # Receive Maximum 2
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.1)
    script.answer = lambda number, mid: puback(0, mid) if number < 5 else b"nothing"
    uplink = await connected(script, context)
    assert await uplink.write(make_events(*range(1, 20))) == 4
    assert len(script.publishes) == 6
    await uplink.close()


async def test_silence_is_no_acknowledgement(
    script: Script, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.1)
    script.answer = lambda number, mid: puback(0, mid) if number == 1 else b"nothing"
    uplink = await connected(script, context)
    assert await uplink.write(make_events(1, 2, 3)) == 1
    sent = len(script.publishes)
    with pytest.raises(NotConnected, match="does not acknowledge"):
        await uplink.write(make_events(2, 3))
    assert len(script.publishes) == sent, "nothing more goes to a server that owes answers"
    await uplink.close()


async def test_a_slow_server_is_not_asked_for_ever_more(
    script: Script, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.publisher.WRITE_S", 0.0)
    uplink = await connected(script, context)
    uplink._window = 3
    monkeypatch.setattr("gateway.uplinks.mqtt.publisher.WRITE_S", 0.05)
    count = await uplink.write(make_events(*range(1, 5000)))
    assert 3 <= count < 4999
    assert len(script.publishes) == count
    await uplink.close()


async def test_a_broker_that_hangs_up_over_one_event(script: Script, context: UplinkContext, make_events: Any) -> None:
    """With others under way nobody can tell which one it was; alone at the head it is known."""
    script.answer = lambda number, mid: puback(0, mid) if number < 4 else b"\xe0\x01\x95"
    uplink = await connected(script, context)
    assert await uplink.write(make_events(1, 2, 3)) == 3
    with pytest.raises(NotConnected, match="packet too large"):
        await uplink.write(make_events(4, 5, 6))
    await uplink.close()
    again = MqttPublisher(uplink._config, context)
    await again.connect()
    with pytest.raises(Rejected, match="packet too large") as rejected:
        await again.write(make_events(4, 5, 6))
    assert rejected.value.which == 0
    await again.close()


@pytest.mark.parametrize(("code", "remedy"), [(0x8E, "second gateway"), (0x98, "log")])
async def test_a_broker_that_says_why_it_hangs_up(
    script: Script, context: UplinkContext, make_events: Any, code: int, remedy: str
) -> None:
    script.answer = lambda _number, _mid: b"\xe0\x01" + bytes([code])
    uplink = await connected(script, context)
    serving = asyncio.ensure_future(uplink.serve())
    with pytest.raises(NotConnected, match=f"0x{code:02X}") as lost:
        await uplink.write(make_events(1, 2))
    assert remedy in lost.value.remedy
    with pytest.raises(NotConnected, match=f"0x{code:02X}"):
        await serving
    await uplink.close()


async def test_bytes_that_are_no_mqtt_end_the_connection(
    script: Script, context: UplinkContext, make_events: Any
) -> None:
    script.answer = lambda _number, mid: b"\x40\x03" + mid + b"\x42"
    uplink = await connected(script, context)
    serving = asyncio.ensure_future(uplink.serve())
    writing = asyncio.ensure_future(uplink.write(make_events(1)))
    async with asyncio.timeout(5):
        with pytest.raises(NotConnected):
            await serving
        with pytest.raises(NotConnected):
            await writing
    await uplink.close()


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_a_packet_without_an_end_ends_the_connection(
    script: Script, context: UplinkContext, make_events: Any, version: Any
) -> None:
    """Of 200 MB, as it says: what has come of it is all that is taken."""
    script.connack = script.connack if version == 5 else b"\x20\x02\x00\x00"
    script.answer = lambda _number, _mid: b"\x30\x80\x84\xaf\x5f" + bytes(100_000)
    uplink = await connected(script, context, version=version)
    writing = asyncio.ensure_future(uplink.write(make_events(1)))
    async with asyncio.timeout(5):
        with pytest.raises(NotConnected, match=r"the broker sends a packet of 200,000,000 bytes"):
            await uplink.serve()
        with pytest.raises(NotConnected):
            await writing
    assert len(uplink._link._paho._in_packet["packet"]) == 0  # type: ignore[union-attr]
    await uplink.close()


async def test_brokers_are_told_how_long_a_packet_may_be(broker: Broker, context: UplinkContext) -> None:
    """And leave out what is longer: the connection goes on (MQTT 5, 3.1.2.11.4)."""
    await broker.start()
    heard: list[int] = []
    link = Link(await dial("127.0.0.1", broker.port, None), Client("gateway"))
    link.on_message = lambda _topic, payload, _retained: heard.append(len(payload))
    await link.connect(5)
    await link.subscribe("here")
    async with aiomqtt.Client("127.0.0.1", broker.port) as other:
        for size in (3, 2_000_000, 5):
            await other.publish("here", bytes(size), qos=1)
    async with asyncio.timeout(5):
        while len(heard) < 2:  # noqa: ASYNC110 - paho tells nobody else
            await asyncio.sleep(0.005)
    assert heard == [3, 5]
    assert link.lost is None
    await link.close()


@pytest.mark.parametrize(
    ("connack", "error", "words"),
    [
        (b"", ConnectFailed, "before the session began"),
        (b"\x20\x03\x00\x86\x00", ConfigError, "bad user name or password"),
        (b"\x20\x03\x00\x85\x00", ConfigError, "client identifier not valid"),
        (b"\x20\x03\x00\x88\x00", ConnectFailed, "server unavailable"),
        (b"\x20\x02\x00\x01", ConfigError, "MQTT 5 is not supported"),
        (b"\x20\x05\x00\x00\x02\x24\x00", ConfigError, "QoS 0 only"),
    ],
)
async def test_connecting_that_fails(
    script: Script, context: UplinkContext, connack: bytes, error: type[Exception], words: str
) -> None:
    script.connack = connack
    with pytest.raises(error, match=words) as failed:
        async with asyncio.timeout(3):
            await connected(script, context)
    assert getattr(failed.value, "remedy", "")


async def test_a_server_without_an_answer(
    script: Script, context: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.CONNACK_S", 0.1)
    script.connack = b"nothing"
    with pytest.raises(ConnectFailed, match="no answer to CONNECT"):
        await connected(script, context)


async def test_giving_up_while_connecting_leaves_nothing_behind(script: Script, context: UplinkContext) -> None:
    """At any moment: sockets that nobody closes would be warnings, and warnings are errors."""
    script.connack = b"nothing"
    section = MqttUplink.model_validate({"type": "mqtt", "url": f"mqtt://127.0.0.1:{await script.start()}"})
    for attempt in range(20):
        uplink = MqttPublisher(section, context)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.0005 * attempt):
                await uplink.connect()
        await uplink.close()


async def test_an_idle_connection_that_leads_nowhere_is_noticed(
    script: Script, context: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event is on its way, and the server answers no PINGREQ: two keep-alives later that is known."""
    monkeypatch.setattr("gateway.uplinks.mqtt.link.KEEPALIVE_S", 1)
    uplink = await connected(script, context)
    script.silent = True
    with pytest.raises(NotConnected, match="connection broke"):
        await asyncio.wait_for(uplink.serve(), 10)
    assert 12 in script.kinds, "PINGREQ"
    await uplink.close()


@pytest.mark.parametrize(("asked", "kept"), [(1, 1), (0, 15), (3600, 15)])
async def test_the_servers_keep_alive(script: Script, context: UplinkContext, asked: int, kept: int) -> None:
    """Asking more often than it wants is allowed; less often, and a link that leads nowhere would not be noticed."""
    script.connack = b"\x20\x06\x00\x00\x03\x13" + asked.to_bytes(2, "big")
    uplink = await connected(script, context)
    assert uplink._link is not None
    assert uplink._link._paho._keepalive == kept
    await uplink.close()


async def test_a_farewell_keeps_to_the_servers_limit(
    script: Script, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of messages that it takes at once: where it owes answers to so many, the will speaks."""
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.FAREWELL_S", 0.1)
    script.connack = b"\x20\x06\x00\x00\x03\x21\x00\x02"  # Receive Maximum 2
    script.answer = lambda number, mid: puback(0, mid) if number < 3 else b"nothing"
    uplink = await connected(script, context, state_topic="here")
    writing = asyncio.ensure_future(uplink.write(make_events(*range(1, 9))))
    await until(lambda: len(script.publishes) == 4)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await uplink.close()
    assert len(script.publishes) == 4, "birth and three events"
    assert 14 not in script.kinds, "DISCONNECT"


async def test_what_a_slow_link_bore_is_remembered(
    script: Script, context: UplinkContext, make_events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of batches: the next connection does not grow into the same silence."""
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.3)
    script.answer = lambda _number, mid: puback(0, mid) if script.sizes[-1] < 12_000 else b"nothing"
    events = make_events(*range(1, 200))
    uplink = await connected(script, context, batch=100)
    done = await uplink.write(events)
    while done < 21:
        done += await uplink.write(events[done:])
    with pytest.raises(NotConnected, match="does not acknowledge"):
        await uplink.write(events[done:])
    await uplink.close()
    assert context.kept["pace"] < 12_000
    again = MqttPublisher(uplink._config, context)
    await again.connect()
    sent = len(script.sizes)
    assert await again.write(events[done : done + 21]) == 21
    assert max(script.sizes[sent:]) < 12_000
    await again.close()
