"""Deaths: the will, the edge node's own word when it goes, and that of a device whose PLC is lost."""

from __future__ import annotations

import base64

from sparkplub_b_packets.core.sparkplug_b_pb2 import DataType, Payload

from tests.gateway.uplinks.sparkplug.recording import Recording
from tests.peers.mqtt_tap import CONNECT, DISCONNECT, PUBLISH, Connect, parse_connect

TOPIC = "spBv1.0/berlin/NDEATH/line-3"


def connects(recording: Recording) -> list[Connect]:
    return [parse_connect(packet) for packet in recording.tap.of(CONNECT)]


def bd_seq(payload: bytes) -> int:
    """Of a death, which has nothing else."""
    body = Payload.FromString(payload)
    assert not body.HasField("seq")
    (metric,) = body.metrics
    assert (metric.name, metric.datatype, metric.WhichOneof("value")) == ("bdSeq", DataType.Int64, "long_value")
    return int(metric.long_value)


def test_the_session_is_clean(recording: Recording) -> None:
    """Clean session by MQTT 3.1.1; clean start and a session that ends with the connection by 5."""
    for one in connects(recording):
        assert one.clean
        assert one.session_expiry_s == 0
    assert {one.version for one in connects(recording)} in ({4}, {5})


def test_the_will(recording: Recording) -> None:
    """An NDEATH with bdSeq alone, QoS 1, not retained; one more at each CONNECT, and the births have the same."""
    wills = connects(recording)
    assert [(one.will_topic, one.will_qos, one.will_retain) for one in wills] == [(TOPIC, 1, False)] * 2
    assert [bd_seq(one.will_payload) for one in wills] == [0, 1]
    assert [recording.known[stage]["bdSeq"] for stage in ("born", "born again")] == [0, 1]


def test_a_broken_connection_is_a_death(recording: Recording) -> None:
    """The broker says it; the host takes the node and its devices for dead."""
    (death,) = recording.of("cut")
    assert (death["topic"], death["retain"]) == (TOPIC, False)
    assert bd_seq(base64.b64decode(death["base64"])) == 0
    known = recording.known["cut"]
    assert (known["online"], known["deaths"]) == (False, 1)
    assert not any(one["online"] for one in known["devices"].values())


def test_who_goes_says_so(recording: Recording) -> None:
    """NDEATH, then DISCONNECT; by MQTT 5 "with will message", so that the broker says it once more."""
    *_, death, end = recording.tap.packets
    assert (death.type, death.topic, death.qos, death.retain) == (PUBLISH, TOPIC, 1, False)
    assert bd_seq(death.payload) == 1
    assert end.type == DISCONNECT
    assert end.reason == (0x04 if end.version == 5 else 0)
    assert len(recording.of("closed", "NDEATH")) == (2 if end.version == 5 else 1)
    assert (recording.known["closed"]["online"], recording.known["closed"]["deaths"]) == (False, 2)


def test_a_machine_whose_plc_is_lost_dies(recording: Recording) -> None:
    """Behind what its last events say, with a number and a time; its neighbour lives."""
    *data, death = recording.of("lost")
    assert death["topic"] == "spBv1.0/berlin/DDEATH/line-3/capper"
    assert not death["payload"].get("metrics")
    assert death["payload"]["timestamp"] >= data[-1]["payload"]["timestamp"]
    assert "seq" in death["payload"]
    assert [one["online"] for one in recording.known["lost"]["devices"].values()] == [True, False]


def test_it_is_born_again_when_the_plc_is_back(recording: Recording) -> None:
    assert recording.order("found")[0] == "DBIRTH capper"
    capper = recording.known["found"]["devices"]["capper"]
    assert capper["online"]
    assert capper["tags"]["signals/capper_plc/caps"] | {"timestamp": 0} == {
        "value": 5, "type": "Int64", "quality": 192, "timestamp": 0,
    }  # fmt: skip
