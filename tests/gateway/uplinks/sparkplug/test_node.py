"""One connection of an edge node: what it may not do there, what is too large, what a trial leaves alone, reloads."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload
from structlog.testing import capture_logs

from gateway.events import StoredEvent
from gateway.uplinks.sparkplug.births import next_bd_seq
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.node import SparkplugNode
from gateway.uplinks.sparkplug.payload import DataType, Metric, payload
from gateway.uplinks.sparkplug.session import REBIRTH
from gateway.uplinks.uplink import Rejected
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from tests.gateway.uplinks.sparkplug.live import LiveLine, configuration
from tests.gateway.uplinks.sparkplug.recording import context
from tests.peers.mqtt_tap import CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE, MqttTap
from tests.processes import until

if TYPE_CHECKING:
    from gateway.uplinks.uplink import UplinkContext
    from tests.gateway.uplinks.conftest import Broker, Script


@pytest.fixture
def line() -> LiveLine:
    one = LiveLine()
    one.see("filler_plc", running=True, fault=0, bottles=1)
    return one


@pytest.fixture
def told(line: LiveLine, tmp_path: Path) -> UplinkContext:
    return context(line, tmp_path)


def node(port: int, told: UplinkContext, **settings: Any) -> SparkplugNode:
    section = {"type": "sparkplug", "url": f"mqtt://127.0.0.1:{port}", **settings}
    return SparkplugNode(SparkplugUplink.model_validate(section), told)


def state(seq: int, text: str) -> StoredEvent:
    data = {"state": text, "began": "2026-11-22T06:00:00.000Z"}
    return StoredEvent(seq, seq - 1, "machine.state", "filler", 1_795_327_200_000, orjson.dumps(data))


async def test_a_trial_says_nothing_and_takes_no_number(broker: Broker, told: UplinkContext, tmp_path: Path) -> None:
    """`linegate check --connect` beside the daemon, whose session and will it leaves alone."""
    await broker.start()
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, dataclasses.replace(told, trial=True))
        await one.connect()
        await one.close()
        await tap.idle()
        assert [packet.type for packet in tap.packets] == [CONNECT, SUBSCRIBE, DISCONNECT]
        assert tap.packets[-1].reason == 0
    assert not [*tmp_path.glob("sparkplug-*")]


async def test_a_denied_subscription_is_a_matter_for_a_person(script: Script, told: UplinkContext) -> None:
    script.suback = lambda mid: b"\x90\x04" + mid + b"\x00\x87"
    one = node(await script.start(), told)
    with pytest.raises(ConfigError, match="NCMD/line-3: not authorized") as refused:
        await one.connect()
    assert "access list" in refused.value.remedy
    await one.close()


async def test_a_denied_proof_is_no_receipt(broker: Broker, told: UplinkContext, tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite spBv1.0/#\n")
    await broker.start(f"acl_file {tmp_path / 'acl'}")
    one = node(broker.port, told)
    with pytest.raises(NotConnected, match=r"refuses the proof on linegate/.*not authorized") as refused:
        await one.connect()
    assert "access list" in refused.value.remedy
    await one.close()


async def test_births_that_are_too_large_for_the_broker(broker: Broker, told: UplinkContext) -> None:
    await broker.start("max_packet_size 1000")
    one = node(broker.port, told)
    with pytest.raises(ConfigError, match=r"the NBIRTH has [0-9]+ bytes, and the broker takes 1000") as refused:
        await one.connect()
    assert "signals" in refused.value.remedy
    await one.close()


async def test_an_event_that_is_too_large_stands_alone(broker: Broker, told: UplinkContext) -> None:
    """Those before it are delivered, it is rejected, and what is after it goes on; history is divided to fit."""
    await broker.start()
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told, max_packet="4kB")
        await one.connect()
        one._most = 100
        events = [state(1, "a"), state(2, "b" * 2000), state(3, "c" * 2000), state(4, "d" * 4000), state(5, "e")]
        with pytest.raises(Rejected, match=r"its state has [0-9]+ bytes") as rejected:
            await one.write(events)
        assert rejected.value.which == 3
        assert await one.write(events[4:]) == 1
        sizes = [len(packet.payload) for packet in tap.of(PUBLISH) if "DDATA" in packet.topic]
        assert len(sizes) == 3
        assert max(sizes) < 4000
        await one.close()


async def test_the_proofs_grow_apart(broker: Broker, told: UplinkContext) -> None:
    """From one event on: over whatever a broker hangs up, the next connection finds it alone."""
    await broker.start()
    one = node(broker.port, told)
    await one.connect()
    events = [state(number, str(number)) for number in range(1, 101)]
    counts = []
    while events:
        counts.append(await one.write(events))
        del events[: counts[-1]]
    assert counts == [1, 4, 16, 64, 15]
    await one.close()


async def test_data_wait_for_the_births_that_a_host_asked_for(
    broker: Broker, line: LiveLine, told: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None go out from the request on, be they events or what a look shows."""
    monkeypatch.setattr("gateway.uplinks.sparkplug.node.REBIRTH_S", 0.3)
    await broker.start()
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told, interval="100ms")
        await one.connect()
        serving = asyncio.ensure_future(one.serve())
        wanted = payload([Metric(DataType.BOOLEAN, True, None, name=REBIRTH)], timestamp=None, seq=None)
        one._on_message("spBv1.0/berlin/NCMD/line-3", wanted, False)
        line.see("capper_plc", caps=99)
        assert await one.write([state(1, "a")]) == 1
        serving.cancel()
        await one.close()
        await tap.idle()
        kinds = [packet.topic.split("/")[2] for packet in tap.of(PUBLISH) if packet.topic.startswith("spBv1.0")]
        assert kinds == ["NBIRTH", "DBIRTH", "DBIRTH"] * 2 + ["DDATA", "NDEATH"]


async def test_what_was_not_proven_comes_again_as_history(
    broker: Broker, script: Script, line: LiveLine, told: UplinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went out as the present, but no receipt came: on the next connection it is the past."""
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.PUBACK_S", 0.1)
    monkeypatch.setattr("gateway.uplinks.mqtt.broker.FAREWELL_S", 0.1)
    script.answer = lambda number, mid: b"\x40\x02" + mid if number <= 4 else b"nothing"  # births and their proof
    silent = node(await script.start(), told)
    await silent.connect()
    events = [event for event in line.see("filler_plc", fault=17) if event.type == "machine.state"]
    silent._most = len(events)
    with pytest.raises(NotConnected, match="does not acknowledge"):
        await silent.write(events)
    await silent.close()
    assert len(script.publishes) == 7, "data, their proof, and the death"
    await broker.start()
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told)
        await one.connect()
        one._most = len(events)
        assert await one.write(events) == len(events)
        (data,) = [packet for packet in tap.of(PUBLISH) if "/DDATA/" in packet.topic]
        metrics = Payload.FromString(data.payload).metrics
        assert "held" in [metric.string_value for metric in metrics]
        assert all(metric.is_historical for metric in metrics)
        await one.close()


async def test_a_reload_is_a_birth_of_the_new_line(broker: Broker, line: LiveLine, told: UplinkContext) -> None:
    """The uplink goes on while another machine comes: hosts get all births anew, with the same bdSeq."""
    await broker.start()
    async with MqttTap(broker.port) as tap:
        one = node(tap.port, told, interval="100ms")
        await one.connect()
        serving = asyncio.ensure_future(one.serve())
        other = LiveLine(configuration(labeler={"states": [{"state": "idle"}]}))
        line.view.show(other.pipeline, other.tables, other.config)
        async with asyncio.timeout(5):
            while not any(packet.topic.endswith("labeler") for packet in tap.of(PUBLISH)):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        kinds = [packet.topic.split("/", 2)[2] for packet in tap.of(PUBLISH) if packet.topic.startswith("spBv1.0")]
        births = ["NBIRTH/line-3", "DBIRTH/line-3/filler", "DBIRTH/line-3/capper", "DBIRTH/line-3/labeler"]
        assert kinds == [*births[:3], *births]
        assert await one.write([state(1, "a")]) == 1
        serving.cancel()
        await one.close()


def test_bd_seq_goes_round_and_survives(tmp_path: Path) -> None:
    file = tmp_path / "sparkplug-scada.bdseq"
    assert [next_bd_seq(file) for _ in range(3)] == [0, 1, 2]
    file.write_text("254\n")
    assert [next_bd_seq(file) for _ in range(3)] == [255, 0, 1]
    for damaged in (b"", b"\xff\x00", b"hello", b"-3", b"256"):
        file.write_bytes(damaged)
        with capture_logs():
            assert next_bd_seq(file) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sparkplug-scada.bdseq"]


async def test_no_session_begins_without_a_number(broker: Broker, told: UplinkContext, tmp_path: Path) -> None:
    await broker.start()
    (tmp_path / "sparkplug-scada.bdseq.new").mkdir()
    one = node(broker.port, told)
    with pytest.raises(ConnectFailed, match="bdseq cannot be written") as failed:
        await one.connect()
    assert failed.value.remedy
    await one.close()


async def test_a_broker_that_ends_the_session_within_the_births(
    script: Script, told: UplinkContext, tmp_path: Path
) -> None:
    """What was born is dead; the next session has a number of its own, and is whole."""
    script.answer = lambda number, _mid: b"" if number == 2 else b"nothing"
    port = await script.start()
    one = node(port, told)
    with pytest.raises(NotConnected):
        await one.connect()
    await one.close()
    born = len(script.publishes)
    script.answer = lambda _number, mid: b"\x40\x02" + mid if len(mid) == 2 else b"nothing"
    again = node(port, told)
    await again.connect()
    assert len(script.publishes) - born == 4, "the node, two machines, and the proof"
    assert (tmp_path / "sparkplug-scada.bdseq").read_text() == "1\n"
    assert await again.write([state(1, "held")]) == 1
    await again.close()


async def test_what_no_host_would_send(broker: Broker, told: UplinkContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, storms and crowds of commands: one birth in a while, a few lines in the log, and the session goes on."""
    monkeypatch.setattr("gateway.uplinks.sparkplug.node.REBIRTH_S", 30.0)
    await broker.start()
    rebirth = payload([Metric(DataType.BOOLEAN, True, 1, name=REBIRTH)], timestamp=(1 << 64) - 1, seq=None)
    others = payload([Metric(DataType.BOOLEAN, True, 1, name=f"n{n}") for n in range(1000)], timestamp=1, seq=None)
    one = node(broker.port, told)
    async with broker.listener("spBv1.0/berlin/NBIRTH/#") as host:
        await one.connect()
        with capture_logs() as said:
            serving = asyncio.ensure_future(one.serve())
            for body in (b"", b"\xff" * 100, rebirth[:-3], others, rebirth * 20, *[rebirth] * 200):
                await host.publish("spBv1.0/berlin/NCMD/line-3", body, qos=1)
            await host.publish("spBv1.0/berlin/NCMD/line-3", rebirth + b"x" * 100_000, qos=1)  # withheld from us
            await until(lambda: one._rebirth_due is not None)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await serving
        assert len(host.messages) == 1, "the rebirth is due in half a minute, once"
        assert len([each for each in said if each["event"] == "command_refused"]) <= 20
    await one.close()
