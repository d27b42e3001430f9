"""What a device says of its own signals: counters roll over where it says, and its texts are reasons."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Learned, Quality, Value
from tests.conftest import line_document

T0 = 1_795_327_200_000  # 2026-11-22T06:00:00Z


def production(events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.type == "machine.production"]


def opcua_line(**parts: str) -> Config:
    """A machine whose counters' types only their device knows."""
    document = line_document()
    nodes = {"caps": {"node": "i=1"}, "bad": {"node": "i=2"}, "state": {"node": "i=3"}}
    document["devices"] = {"plc": {"protocol": "opcua", "endpoint": "opc.tcp://127.0.0.1", "signals": nodes}}
    states = [{"state": "held", "when": "plc.state == 11", "reason": {"signal": "plc.state"}}, {"state": "execute"}]
    document["machines"] = {"capper": {"ideal": "500ms", "parts": parts, "states": states}}
    return Config.model_validate(document)


def told(at: int, learned: dict[int, Learned] | None = None, **values: Value) -> Batch:
    names = ("caps", "bad", "state")
    changes: list[Change] = [(names.index(name), value, Quality.GOOD, None, None) for name, value in values.items()]
    return Batch("plc", 0, changes, at, learned=learned)


UINT16 = {0: Learned("uint16"), 1: Learned("uint16"), 2: Learned("int32", {11: "cap jam"})}


def test_a_counter_rolls_over_where_its_device_says() -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps"))
    inputs = (Reload(T0, 0), told(T0, UINT16, caps=65_534), told(T0 + 1_000, caps=1), Tick(T0 + 60_000))
    (window,) = production([event for one in inputs for event in pipeline.process(one)[0]])
    assert window["total"] == 3


def test_a_restart_knows_the_type_that_was_told_before() -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps"))
    for one in (Reload(T0, 0), told(T0, UINT16, caps=65_534)):
        pipeline.process(one)
    restarted = Pipeline(opcua_line(total="plc.caps"))
    restarted.restore(pipeline.checkpoint())
    later = (Reload(T0 + 2_000, 0), told(T0 + 3_000, UINT16, caps=2), Tick(T0 + 100_000))
    (window,) = production([event for one in later for event in restarted.process(one)[0]])
    assert (window["total"], window["recovered"]) == (2, 2), "it may have been reset meanwhile"
    assert window["ambiguous"] == {"low": 2, "high": 361}, "since it last changed: not known, so for a minute"


def test_a_counter_of_another_type_begins_anew() -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps"))
    wider = {0: Learned("uint32")}
    inputs = (Reload(T0, 0), told(T0, UINT16, caps=65_534), told(T0 + 1_000, wider, caps=70_000), Tick(T0 + 60_000))
    assert production([event for one in inputs for event in pipeline.process(one)[0]]) == []
    (window,) = production(
        pipeline.process(told(T0 + 61_000, caps=70_002))[0] + pipeline.process(Tick(T0 + 200_000))[0]
    )
    assert window["total"] == 2


def test_a_text_is_no_counter_and_costs_nothing_else() -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps", scrap="plc.bad"))
    learned = {**UINT16, 1: Learned("string")}
    inputs = (Reload(T0, 0), told(T0, learned, caps=5, bad="none"), told(T0 + 1_000, caps=7), Tick(T0 + 60_000))
    events = [event for one in inputs for event in pipeline.process(one)[0]]
    (fault,) = [event for event in events if event.type == "counter.fault"]
    assert (fault.data["signal"], fault.data["before"]) == ("plc.bad", None)
    assert "holds a string there" in fault.data["why"]
    assert [window["total"] for window in production(events)] == [2]


def test_the_devices_own_texts_are_reasons_where_the_file_has_none() -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps"))
    inputs = (Reload(T0, 0), told(T0, UINT16, caps=5, state=11))
    (held,) = [event for one in inputs for event in pipeline.process(one)[0] if event.data.get("state") == "held"]
    assert held.data["reason"] == {"code": "11", "text": "cap jam", "source": "signal"}


@pytest.mark.parametrize("type_", ["uint64", "int64"])
def test_the_widest_counters_are_kept_too(type_: str) -> None:
    pipeline = Pipeline(opcua_line(total="plc.caps"))
    learned = {0: Learned(type_)}  # type: ignore[arg-type]
    for one in (Reload(T0, 0), told(T0, learned, caps=2**63 - 1)):
        pipeline.process(one)
    restarted = Pipeline(opcua_line(total="plc.caps"))
    restarted.restore(pipeline.checkpoint())
    assert restarted.snapshot() == pipeline.snapshot()
