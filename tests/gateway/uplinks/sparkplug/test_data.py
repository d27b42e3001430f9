"""Data: what changed, by alias alone, in the order of time, with a number that never skips."""

from __future__ import annotations

import base64

from sparkplub_b_packets.core.sparkplug_b_pb2 import DataType, Payload

from tests.gateway.uplinks.sparkplug.recording import Recording, kind_of, metrics_of

DATA = ("NDATA", "DDATA")
LEVEL = "signals/filler_plc/level"


def test_sequence_numbers(recording: Recording) -> None:
    """In all messages of node and devices but NDEATH: 0 in NBIRTH, one more in each other, 0 after 255."""
    last = -1
    seen = set()
    for one in recording.of("", "NBIRTH", "DBIRTH", "NDATA", "DDATA", "DDEATH"):
        seq = one["payload"]["seq"]
        assert seq == (0 if kind_of(one) == "NBIRTH" else (last + 1) % 256)
        last = seq
        seen.add(seq)
    assert seen == set(range(256)), "and it went round"


def test_data_have_alias_and_value_alone(recording: Recording) -> None:
    """Neither name nor type, which the births have said."""
    assert recording.of("", *DATA)
    for one in recording.of("", *DATA):
        for metric in Payload.FromString(base64.b64decode(one["base64"])).metrics:
            assert metric.HasField("alias")
            assert metric.HasField("timestamp")
            assert not metric.HasField("name")
            assert not metric.HasField("datatype")


def test_what_is_not_history_is_in_the_order_of_time(recording: Recording) -> None:
    for one in recording.of("", "NBIRTH", "DBIRTH", *DATA):
        stamps = [metric["timestamp"] for metric in one["payload"]["metrics"] if not metric.get("isHistorical")]
        assert stamps == sorted(stamps)


def test_data_are_what_has_changed(recording: Recording) -> None:
    """Each by its owner, and hosts have it."""
    filler, hall = recording.of("live", "DDATA", device="filler"), recording.of("live", "NDATA")
    told = {name for one in filler for name in metrics_of(one)}
    assert {"state", "category", "reason", "signals/filler_plc/fault", "signals/filler_plc/speed"} <= told
    assert not {"counts/total", "signals/filler_plc/bottles", "signals/filler_plc/running"} & told
    assert [[*metrics_of(one)] for one in hall] == [["signals/hall_plc/temperature"]]
    tags = recording.known["live"]["devices"]["filler"]["tags"]
    assert (tags["state"]["value"], tags["reason"]["value"]) == ("held", "cap jam")
    assert recording.known["live"]["tags"]["signals/hall_plc/temperature"]["value"] == 22


def test_a_state_has_the_time_at_which_it_began(recording: Recording) -> None:
    """As the event says it, with what changed by it."""
    (said,) = [one for one in recording.of("live", "DDATA", device="filler") if "state" in metrics_of(one)]
    metrics = metrics_of(said)
    assert metrics["state"]["timestamp"] <= said["payload"]["timestamp"]
    assert metrics["state"]["timestamp"] == metrics["reason"]["timestamp"]
    assert not any(metric.get("isHistorical") for metric in metrics.values())


def test_less_than_the_deadband_is_no_change(recording: Recording) -> None:
    for one in recording.of("deadband", *DATA):
        assert LEVEL not in metrics_of(one)
    assert recording.known["deadband"]["devices"]["capper"]["tags"]["signals/capper_plc/caps"]["value"] == 4


def test_nothing_is_repeated_that_has_not_changed(recording: Recording) -> None:
    """Within a session, of what is not history."""
    known: dict[tuple[str, str], tuple[object, object]] = {}
    for one in recording.of(""):
        if kind_of(one) == "NBIRTH":
            known.clear()
        if kind_of(one) not in (*DATA, "NBIRTH", "DBIRTH"):
            continue
        for metric in one["payload"]["metrics"]:
            if metric.get("isHistorical"):
                continue
            owner, quality = one["topic"].split("/", 4)[4:], metric.get("properties", {}).get("Quality")
            now = metric["value"], None if quality is None or quality["value"] == 192 else quality["value"]
            if kind_of(one) in DATA:
                assert known[str(owner), metric["name"]] != now, metric["name"]
            known[str(owner), metric["name"]] = now


def test_quality(recording: Recording) -> None:
    """Int32: 0 while the signal is bad, and its value null; 192 once it is good again; else none."""
    bad, good = (metrics_of(one)[LEVEL] for one in recording.of("quality", "DDATA") if LEVEL in metrics_of(one))
    assert (bad["value"], bad["properties"]["Quality"]) == (None, {"value": 0, "type": "Int32"})
    assert (good["value"], good["properties"]["Quality"]) == (6.0, {"value": 192, "type": "Int32"})
    assert bad["isNull"]
    for one in recording.of("born"):
        assert not any("Quality" in metric.get("properties", {}) for metric in one["payload"]["metrics"])


def test_properties(recording: Recording) -> None:
    """As many values as keys, each with its type: Quality an Int32 that is one of three, the unit a String."""
    seen = set()
    for one in recording.of("", "NBIRTH", "DBIRTH", *DATA):
        for metric in Payload.FromString(base64.b64decode(one["base64"])).metrics:
            properties = metric.properties
            assert len(properties.keys) == len(properties.values)
            for key, value in zip(properties.keys, properties.values, strict=True):
                seen.add(key)
                assert value.HasField("type")
                if key == "Quality":
                    assert (value.type, value.WhichOneof("value")) == (DataType.Int32, "int_value")
                    assert value.int_value in (0, 192, 500)
                else:
                    assert (value.type, value.WhichOneof("value")) == (DataType.String, "string_value")
    assert seen == {"Quality", "engUnit"}


def test_there_are_neither_templates_nor_data_sets(recording: Recording) -> None:
    """So what the standard asks of them is kept by having none, in births as in data."""
    plain = {"long_value", "double_value", "boolean_value", "string_value", None}
    for one in recording.of("", "NBIRTH", "DBIRTH", *DATA, "NDEATH", "DDEATH"):
        for metric in Payload.FromString(base64.b64decode(one["base64"])).metrics:
            assert metric.WhichOneof("value") in plain
            assert metric.datatype not in (DataType.DataSet, DataType.Template)
