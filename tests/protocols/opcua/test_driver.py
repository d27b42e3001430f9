"""Values, types, quality and times of both servers, subscribed and polled, by either decoder."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from protocols.model import Quality
from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer
from tests.protocols.opcua.line import at, device, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODES = ["subscribe", "poll"]
NAMES = {
    "Boolean": "bool", "SByte": "int8", "Byte": "uint8", "Int16": "int16", "UInt16": "uint16", "Int32": "int32",
    "UInt32": "uint32", "Int64": "int64", "UInt64": "uint64", "Float": "float32", "Double": "float64",
    "StatusCode": "uint32",
}  # fmt: skip
TEXTS = {
    "String": "Füller 3", "DateTime": "2026-11-22T06:00:00.250Z", "Guid": "72962b91-fa75-4ae6-8d28-b404dc7daf63",
    "ByteString": "00ff10", "NodeId": "ns=1;s=Torque", "QualifiedName": "1:Füller", "LocalizedText": "läuft",
    "StatusCode": 0x40920000,
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
async def test_every_scalar(peer: OpcUaServer, decoder: str, mode: str) -> None:
    signals = {kind: at(f"Scalars.{kind}") for kind in values.SCALARS}
    async with running(device(peer.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == len(signals))
        for kind, held in values.SCALARS.items():
            assert line.value(kind) == TEXTS.get(kind, held), kind
            assert type(line.value(kind)) is type(TEXTS.get(kind, held)), kind
            assert line.learned(kind).type == NAMES.get(kind, "string"), kind


@pytest.mark.parametrize("mode", MODES)
async def test_arrays_whole_by_element_and_by_range(peer: OpcUaServer, decoder: str, mode: str) -> None:
    signals = {
        "whole": at("Arrays.Int32"), "third": at("Arrays.Int32", index=2), "part": at("Arrays.Int32", index="1:3"),
        "text": at("Arrays.String", index=2), "words": at("Arrays.LocalizedText"),
        "large": at("Arrays.UInt64", index=1),
        "beyond": at("Arrays.Boolean", index=3), "scaled": at("Arrays.Double", index=3, scale=10),
        "plain": at("Scalars.Int32", index=0),
    }  # fmt: skip
    async with running(device(peer.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 7)
        assert line.value("whole") == "[1,-2,3,-4,5]"
        assert line.value("third") == 3
        assert line.value("part") == "[-2,3,-4]"
        assert line.value("text") == "ß"
        assert line.value("words") == '["an","on"]'
        assert line.value("large") == 2**64 - 1
        assert line.value("scaled") == 4.0
        assert line.why("beyond") == "no element 3: the array has 3 elements"
        assert line.why("plain") == "no element 0: one Int32, and no array"


@pytest.mark.parametrize("mode", MODES)
async def test_structures_unions_and_optional_members(peer: OpcUaServer, decoder: str, mode: str) -> None:
    signals = {
        "gross": at("Structures.Weight", member="Gross", type="float64"),
        "stable": at("Structures.Weight", member="Stable"),
        "count": at("Structures.Batch", member="Count"),
        "sample": at("Structures.Batch", member="Samples[1]", scale=2),
        "second": at("Structures.Pallet", member="Batches[1].Id"),
        "number": at(values.UNION[0], member="Number"),
        "all": at("Structures.Weight"),
        "absent": at("Structures.Batch", member="Weight.Net"),
        "unknown": at("Structures.Batch", member="Colour"),
        "deeper": at("Scalars.Int32", member="Count"),
    }
    async with running(device(peer.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 7)
        found = {name: line.value(name) for name in signals if line.quality(name) is Quality.GOOD}
        assert found == {
            "gross": 12.5, "stable": True, "count": 42, "sample": 4.0, "second": "B-8", "number": 2.5,
            "all": '{"Gross":12.5,"Net":11.0,"Stable":true}',
        }  # fmt: skip
        assert line.learned("count").type == "uint32"
        assert line.why("absent") == "the optional member Weight is not set"
        assert line.why("unknown") == ("the structure has no member Colour; it has Id, Count, Weight, Remark, Samples")
        assert line.why("deeper") == "member Count is configured, but the server has Int32 there"
        await peer.tell("set", node=values.UNION[0], value={"Text": "light"})
        await line.until(lambda: line.quality("number") is Quality.BAD)
        assert line.why("number") == "no member Number now; there are Text"
        await peer.tell("set", node=values.UNION[0], value={"Number": 2.5})
        await line.until(lambda: line.value("number") == 2.5)


@pytest.mark.parametrize("peer", ["asyncua", "node-opcua"], indirect=True)
async def test_enumerations_bring_their_texts(peer: OpcUaServer, request: pytest.FixtureRequest) -> None:
    has_own = peer is request.getfixturevalue("asyncua_peer")
    paths = [path for path in values.ENUMERATIONS if has_own or path != "Enumerations.Valve"]
    signals = {path.partition(".")[2]: at(path) for path in paths}
    if has_own:
        signals["Door"] = at(values.TWO_STATES[0])
    async with running(device(peer.url, signals)) as line:
        await line.until(lambda: line.table.good == len(signals))
        for path in paths:
            _, first, texts = values.ENUMERATIONS[path]
            name = path.partition(".")[2]
            assert line.value(name) == first
            assert line.learned(name).texts == texts, path
        if has_own:
            assert line.learned("Door").texts == values.TWO_STATES[2]


async def test_analog_items_bring_their_units(peer: OpcUaServer) -> None:
    signals = {"Pressure": at(values.ANALOG[0]), "Named": at(values.ANALOG[0], unit="mbar")}
    async with running(device(peer.url, signals)) as line:
        await line.until(lambda: line.table.good == 2)
        assert line.learned("Pressure").unit == "bar"
        assert line.learned("Named").unit == "mbar"


@pytest.mark.parametrize("mode", MODES)
async def test_status_is_quality_and_its_code_is_kept(peer: OpcUaServer, decoder: str, mode: str) -> None:
    async with running(device(peer.url, {"x": at("Scalars.Double"), "y": at("Scalars.Int32")}, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await peer.tell("set", node="Scalars.Double", value=7.5, status="UncertainLastUsableValue")
        await line.until(lambda: line.quality("x") is Quality.UNCERTAIN)
        assert line.value("x") == 7.5
        assert line.why("x") == "UncertainLastUsableValue (0x40900000)"
        await peer.tell("set", node="Scalars.Double", status="BadSensorFailure")
        await line.until(lambda: line.quality("x") is Quality.BAD)
        assert line.value("x") is None
        assert line.why("x") == "BadSensorFailure (0x808C0000)"
        await peer.tell("set", node="Scalars.Double", value=3.141592653589793)
        await line.until(lambda: line.quality("x") is Quality.GOOD)
        assert line.quality("y") is Quality.GOOD


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("policy", "usable"), [("source", True), ("server", True), ("gateway", False)])
async def test_times_by_policy(asyncua_peer: OpcUaServer, decoder: str, mode: str, policy: str, usable: bool) -> None:
    one = device(asyncua_peer.url, {"x": at("Scalars.Byte")}, mode=mode, timestamps=policy, max_skew="10min")
    async with running(one) as line:
        for number, (source, fits) in enumerate(((-120.0, True), (-4000.0, False), (4000.0, False), (None, False))):
            await asyncua_peer.tell("set", node="Scalars.Byte", value=number, source=source)
            told = time.time() * 1000
            await line.shows("x", number)
            stamp = line.source_time("x")
            if policy == "gateway" or (policy == "source" and not fits):
                assert stamp is None, (policy, source)
            else:
                expected = told + (source or 0.0) * 1000 if policy == "source" else told
                assert stamp is not None
                assert abs(stamp - expected) < 1500
        skewed = line.runner.counts()["skewed"]
        assert skewed >= 2 if policy == "source" else skewed == 0
        await asyncua_peer.tell("set", node="Scalars.Byte", value=255)


async def test_a_type_that_is_configured_otherwise_costs_that_signal_alone(peer: OpcUaServer, decoder: str) -> None:
    signals = {
        "right": at("Scalars.UInt16", type="uint16"), "wrong": at("Scalars.UInt16", type="int32"),
        "bits": at("Scalars.UInt16", bits=[0, 3]), "high": at("Scalars.UInt16", bits=[8, 20]),
        "scaled": at("Scalars.UInt16", scale=0.1, offset=-1), "none": at("Scalars.String", scale=2),
        "invalid": at("Scalars.UInt16", invalid=65535), "nothing": at("Scalars.UInt16", invalid=-5),
    }  # fmt: skip
    async with running(device(peer.url, signals)) as line:
        await line.until(lambda: line.table.good == 3)
        assert line.value("right") == 65535
        assert line.value("bits") == 15
        assert line.value("scaled") == pytest.approx(6552.5)
        assert line.why("invalid") == "invalid value 65535"
        expected = "type: int32 is configured, but the server has uint16 (UInt16); correct it or leave it out"
        assert line.why("wrong") == expected
        assert "bit 20" in line.why("high")
        assert "scale" in line.why("none")
        assert "-5" in line.why("nothing")
        await line.until(lambda: len(line.notices) >= 4)
        assert {n.signal for n in line.notices if n.quarantined} == {
            list(signals).index(name) for name in ("wrong", "high", "none", "nothing")
        }


@pytest.mark.parametrize("mode", MODES)
async def test_addresses(peer: OpcUaServer, mode: str) -> None:
    uri = values.NAMESPACE
    signals: dict[str, dict[str, Any]] = {
        "path": {"node": f"/Objects/nsu={uri};Test/nsu={uri}:Scalars/nsu={uri};Int32"},
        "state": {"node": "i=2259"},
        "lost": {"node": f"/Objects/nsu={uri};Test/nsu={uri};Elsewhere"},
        "nowhere": {"node": "nsu=urn:nobody;s=x"},
        "object": {"node": "i=2253"},
        "beyond": {"node": "ns=99;s=x"},
        "good": at("Scalars.Int32"),
    }
    async with running(device(peer.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 3)
        assert line.value("path") == line.value("good") == values.SCALARS["Int32"]
        assert line.learned("state").texts[0] == "Running"
        assert line.why("lost").startswith("no such path: BadNoMatch")
        assert line.why("nowhere").startswith("the server has no namespace urn:nobody; it has ")
        assert line.why("object") == "the node is not a variable"
        assert line.why("beyond").startswith("the server has no namespace 99; its last is ")
        await line.until(lambda: len(line.notices) >= 4)
        assert sorted(n.address for n in line.notices) == sorted(
            signals[name]["node"] for name in ("lost", "nowhere", "object", "beyond")
        )


async def test_no_pulse_is_lost_that_the_servers_queue_holds(peer: OpcUaServer, decoder: str) -> None:
    one = device(peer.url, {"x": at("Scalars.Int32")}, scan_interval="10ms", publishing_interval="500ms", queue_size=50)
    async with running(one) as line:
        await line.until(lambda: line.table.good == 1)
        await peer.tell("pulse", node="Scalars.Int32", values=list(range(12)))
        await line.until(lambda: line.value("x") == 11)
        seen = [value for value in line.history("x") if isinstance(value, int) and value >= 0]
        assert seen == list(range(12))
        await peer.tell("set", node="Scalars.Int32", value=values.SCALARS["Int32"])


async def test_what_a_full_queue_dropped_is_counted(node_peer: OpcUaServer, decoder: str) -> None:
    one = device(
        node_peer.url, {"x": at("Scalars.Int16")}, scan_interval="10ms", publishing_interval="1s", queue_size=2
    )
    async with running(one) as line:
        await line.until(lambda: line.table.good == 1)
        await node_peer.tell("pulse", node="Scalars.Int16", values=list(range(8)))
        await line.shows("x", 7)
        assert line.runner.counts()["dropped"] >= 1
        await node_peer.tell("set", node="Scalars.Int16", value=values.SCALARS["Int16"])


async def test_what_the_server_is_asked_to_hold_back(asyncua_peer: OpcUaServer, node_peer: OpcUaServer) -> None:
    path, first = values.ANALOG
    signals = {
        "all": at(path), "absolute": at(path, server_deadband=1), "percent": at(path, server_deadband="20%"),
        "refused": at("Scalars.String", server_deadband=1),
    }  # fmt: skip
    async with running(device(node_peer.url, signals)) as line:
        await line.until(lambda: line.table.good == 3)
        assert line.why("refused").startswith("the server takes no server_deadband here: Bad")
        for value in (first + 0.5, first + 1.75, first + 4.0):
            await node_peer.tell("set", node=path, value=value)
            await line.shows("all", value)
        await asyncio.sleep(0.3)
        assert line.value("absolute") == first + 4.0
        assert len(line.history("absolute")) < len(line.history("all"))
        assert line.value("percent") == first + 4.0
        assert len(line.history("percent")) < len(line.history("absolute"))
        await node_peer.tell("set", node=path, value=first)


async def test_several_devices_share_a_session_and_may_differ(peer: OpcUaServer) -> None:
    devices = {
        "a": device(peer.url, {"x": at("Scalars.Int32"), "slow": at("Scalars.Byte", scan_interval="300ms")}),
        "b": device(peer.url, {"x": at("Scalars.UInt32")}),
        "c": device(
            peer.url, {"x": at("Scalars.Int16"), "slow": at("Scalars.Double", scan_interval="200ms")}, mode="poll"
        ),
    }
    before = (await peer.tell("counts"))["asked"].get("CreateSession", 0)
    async with running(devices) as line:
        await line.until(lambda: [table.good for table in line.tables.values()] == [2, 1, 2])
        assert [line.value("x", name) for name in devices] == [
            values.SCALARS[kind] for kind in ("Int32", "UInt32", "Int16")
        ]
        assert (await peer.tell("counts"))["asked"]["CreateSession"] == before + 1
        await line.until(lambda: {(b.device, b.scan) for b in line.batches} == {(n, s) for n in "abc" for s in (0, 1)}
                         - {("b", 1)})  # fmt: skip
