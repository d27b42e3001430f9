"""Births: of the edge node first and of its devices then, with every metric that will ever come, as it is now."""

from __future__ import annotations

import base64

import pytest
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

from tests.gateway.uplinks.sparkplug.recording import MINUTE, Recording, device_of, kind_of, metrics_of
from tests.peers.mqtt_tap import CONNECT, PUBACK, PUBLISH, SUBSCRIBE
from tests.peers.sparkplug import REBIRTH

BIRTHS = ("NBIRTH", "DBIRTH")
WHOLE = ["NBIRTH", "DBIRTH filler", "DBIRTH capper"]
INT64, BOOLEAN, STRING = 4, 11, 12


def test_nobody_complains(recording: Recording) -> None:
    """The host has followed every sequence number, alias, birth and death."""
    for known in recording.known.values():
        assert known["complaints"] == []


def test_births_are_the_first_that_is_published(recording: Recording) -> None:
    """After CONNECT and the subscriptions, the node before its devices, all before any data."""
    packets = [one for one in recording.tap.packets if one.type != PUBACK]
    for begin in (number for number, one in enumerate(packets) if one.type == CONNECT):
        first, rest = packets[begin + 1 : begin + 3], packets[begin + 3 : begin + 6]
        assert [one.type for one in first] == [SUBSCRIBE, SUBSCRIBE]
        assert [one.topic.split("/", 2)[2] for one in rest] == [
            "NBIRTH/line-3",
            "DBIRTH/line-3/filler",
            "DBIRTH/line-3/capper",
        ]
    assert recording.order("born") == recording.order("born again") == WHOLE


def test_topics(recording: Recording) -> None:
    """`spBv1.0/group_id/message_type/edge_node_id[/device_id]`: the device where it is about one, and nowhere else."""
    assert recording.of("")
    for one in recording.of(""):
        namespace, group, kind, node, *device = one["topic"].split("/")
        assert (namespace, group, node) == ("spBv1.0", "berlin", "line-3")
        assert kind in ("NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD")
        assert len(device) == (1 if kind.startswith("D") else 0)
        assert all(name in ("filler", "capper") for name in device)


def test_qos_and_retain(recording: Recording) -> None:
    """Births, data and deaths of devices at QoS 0, and nothing retained; the proofs elsewhere."""
    for one in recording.tap.of(PUBLISH):
        assert one.retain == (not one.topic.startswith("spBv1.0/"))
        of_sparkplug = one.topic.startswith("spBv1.0/") and "/NDEATH/" not in one.topic
        assert one.qos == (0 if of_sparkplug else 1)


def test_payloads_are_sparkplugs(recording: Recording) -> None:
    """Decoded by Eclipse Tahu's classes, in Python and in JavaScript."""
    for one in recording.of("", "NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"):
        assert "undecoded" not in one
        assert Payload.FromString(base64.b64decode(one["base64"])).IsInitialized()


def test_the_first_number_is_0(recording: Recording) -> None:
    for one in recording.of("", "NBIRTH"):
        assert one["payload"]["seq"] == 0


def test_bd_seq_is_the_wills_and_one_more_at_each_connection(recording: Recording) -> None:
    """From 0; a rebirth keeps it."""
    numbers = {stage: metrics_of(recording.of(stage, "NBIRTH")[-1])["bdSeq"] for stage in recording.stages if
               recording.of(stage, "NBIRTH")}  # fmt: skip
    assert {stage: one["value"] for stage, one in numbers.items()} == {"born": 0, "rebirth": 0, "born again": 1}
    assert all(one["type"] == "Int64" for one in numbers.values())
    assert [recording.known[stage]["bdSeq"] for stage in ("born", "rebirth", "born again")] == [0, 0, 1]


def test_a_birth_has_the_control_for_rebirth(recording: Recording) -> None:
    """Boolean, false, and without an alias, so that a host can ask that knows nothing yet."""
    for one in recording.of("", "NBIRTH"):
        control = metrics_of(one)[REBIRTH]
        assert (control["type"], control["value"]) == ("Boolean", False)
        assert "alias" not in control


def test_metrics_of_a_birth_are_whole(recording: Recording) -> None:
    """Name, type, time, alias; a value, or `is_null` and none."""
    for one in recording.of("", *BIRTHS):
        for metric in one["payload"]["metrics"]:
            assert metric["name"]
            assert metric["isDeclared"]
            assert metric["datatype"] in (INT64, 8, 10, BOOLEAN, STRING)
            assert metric["timestamp"] == one["payload"]["timestamp"]
            assert "alias" in metric or metric["name"] == REBIRTH
            assert metric["isNull"] == ("field" not in metric) == (metric["value"] is None)


def test_an_alias_is_one_metrics_alone(recording: Recording) -> None:
    for stage in ("born", "rebirth", "born again"):
        births = recording.of(stage, *BIRTHS)[-3:]
        aliases = [metric["alias"] for one in births for metric in one["payload"]["metrics"] if "alias" in metric]
        assert len(aliases) == len(set(aliases)) > 100


def test_names_differ_by_more_than_case(recording: Recording) -> None:
    for one in recording.of("", *BIRTHS):
        names = [metric["name"].lower() for metric in one["payload"]["metrics"]]
        assert len(names) == len(set(names))


def test_all_that_ever_comes_was_born(recording: Recording) -> None:
    """Data name nothing that the births before did not."""
    known: dict[str, set[int]] = {}
    for one in recording.of(""):
        kind, device = kind_of(one), device_of(one)
        if kind == "NBIRTH":
            known.clear()
        if kind in BIRTHS:
            known[device] = {metric["alias"] for metric in one["payload"]["metrics"] if "alias" in metric}
        if kind in ("NDATA", "DDATA"):
            assert {metric["alias"] for metric in one["payload"]["metrics"]} <= known[device]


@pytest.mark.parametrize(
    ("device", "name", "value", "kind", "unit"),
    [
        ("filler", "state", "execute", "String", None),
        ("filler", "category", "production", "String", None),
        ("filler", "mode", None, "String", None),
        ("filler", "ideal_s", 0.5, "Double", None),
        ("filler", "counts/total", 6000, "Int64", None),
        ("filler", "kpi/day/pq", 6000, "Int64", None),
        ("filler", "signals/filler_plc/running", True, "Boolean", None),
        ("filler", "signals/filler_plc/speed", 100.0, "Double", "1/min"),
        ("filler", "signals/filler_plc/serial", str((1 << 63) + 5), "UInt64", None),
        ("filler", "signals/filler_plc/recipe", "water", "String", None),
        ("capper", "state", "idle", "String", None),
        ("capper", "signals/capper_plc/caps", 3, "Int64", None),
    ],
)
def test_births_say_what_is(
    recording: Recording, device: str, name: str, value: object, kind: str, unit: str | None
) -> None:
    tag = recording.known["born"]["devices"][device]["tags"][name]
    assert (tag["value"], tag["type"], tag.get("unit"), tag["quality"]) == (value, kind, unit, 192)


def test_what_belongs_to_no_machine_is_the_nodes(recording: Recording) -> None:
    tags = recording.known["born"]["tags"]
    assert tags["signals/hall_plc/temperature"]["value"] == 21
    assert tags["signals/hall_plc/temperature"]["unit"] == "degC"
    assert tags["gateway/stream"]["value"].startswith("0192f0c4-")
    everywhere = [name for one in recording.known["born"]["devices"].values() for name in one["tags"]]
    assert sum(name.startswith("signals/") for name in everywhere) == 9


def test_timestamps_are_utc_now(recording: Recording) -> None:
    """As this machine's clock has them, in milliseconds; of messages in the order in which they went.

    Of metrics too: what is, at some time since the births; what is history, of the hours that the story tells.
    """
    stamps = [one["payload"]["timestamp"] for one in recording.of("", *BIRTHS, "NDATA", "DDATA", "DDEATH")]
    assert stamps == sorted(stamps)
    ended = recording.notes["ended"]
    assert ended - 120_000 < stamps[0] <= stamps[-1] <= ended
    seen = set()
    for one in recording.of("", *BIRTHS, "NDATA", "DDATA"):
        for metric in one["payload"]["metrics"]:
            is_past = bool(metric.get("isHistorical"))
            seen.add(is_past)
            assert ended - (130 * MINUTE if is_past else 120_000) < metric["timestamp"] < ended + 1000
    assert seen == {False, True}
