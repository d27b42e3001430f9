"""What a session makes of the line and of events, without any broker."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

from gateway.events import Envelope, StoredEvent, rfc3339
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.metrics import Metrics
from gateway.uplinks.sparkplug.payload import DataType, Metric, Quality, payload
from gateway.uplinks.sparkplug.session import Place, Session
from tests.gateway.uplinks.sparkplug.live import LiveLine

NOW = 1_795_327_200_000
KPIS = 60_000


def begin(line: LiveLine, **settings: Any) -> tuple[Session, dict[int, str]]:
    """A session that is born, and its metrics' names by alias."""
    config = SparkplugUplink.model_validate({"type": "sparkplug", "url": "mqtt://h:1883", **settings})
    session = Session(Place("berlin", "line-3"), Metrics(config, line.view, Envelope("/acme", "stream")), 7)
    return session, names(session.birth(NOW))


def names(births: list[Message]) -> dict[int, str]:
    return {metric.alias: metric.name for one in births for metric in Payload.FromString(one.payload).metrics}


def kinds(messages: list[Message]) -> list[str]:
    return [" ".join(one.topic.split("/")[2::2]) for one in messages]


def told(messages: list[Message], known: dict[int, str]) -> list[tuple[str, Any, bool]]:
    """Name, value and whether it is history of all data."""
    metrics = [metric for one in messages for metric in Payload.FromString(one.payload).metrics]
    values = [None if metric.is_null else getattr(metric, metric.WhichOneof("value")) for metric in metrics]
    return [(known[metric.alias], value, metric.is_historical) for metric, value in zip(metrics, values, strict=True)]


def state(seq: int, began: int, **data: Any) -> StoredEvent:
    body = orjson.dumps({"began": rfc3339(began), **data})
    return StoredEvent(seq, seq - 1, "machine.state", "filler", began, body)


@pytest.fixture
def line() -> LiveLine:
    one = LiveLine(at=NOW - 60_000)
    one.see("filler_plc", at=NOW - 60_000, running=True, fault=0, speed=50.0, bottles=10, recipe="x", level=1.0)
    one.see("capper_plc", at=NOW - 60_000, running=True, caps=1)
    return one


def test_newer_and_other_is_now_and_everything_else_is_history(line: LiveLine) -> None:
    """Hosts have `execute` of NOW by the birth."""
    session, known = begin(line)
    after = NOW + 10
    assert told(session.tell([state(1, NOW - 9, state="held")], after), known) == [("state", "held", True)]
    assert told(session.tell([state(2, NOW + 1, state="held")], after), known) == [("state", "held", False)]
    assert told(session.tell([state(3, NOW + 2, state="held")], after), known) == [], "it is held anyway"
    assert told(session.tell([state(2, NOW + 1, state="held")], after), known) == [], "said already"
    assert told(session.tell([state(4, NOW - 5, state="idle")], after), known) == [("state", "idle", True)]
    assert told(session.tell([state(5, NOW - 4, state="idle")], after), known) == [], "it was idle still"
    assert told(session.tell([state(6, NOW - 6, state="idle")], after), known) == [("state", "idle", True)]
    assert told(session.tell([state(7, NOW + 3, state="execute")], after), known) == [("state", "execute", False)]


def test_events_of_one_owner_share_a_message(line: LiveLine) -> None:
    """In the order of time, whatever the order of events."""
    session, known = begin(line)
    events = [
        state(1, NOW + 5, state="held"),
        state(2, NOW - 50, state="idle", reason=None),
        state(3, NOW - 20, state="held"),
    ]
    (message,) = session.tell(events, NOW + 10)
    assert [value for _, value, _ in told([message], known)] == ["idle", None, "held", "held"]
    assert message.qos == 0
    assert not message.retain


def test_events_without_a_metric_are_passed_over(line: LiveLine) -> None:
    session, _ = begin(line)
    alive = StoredEvent(1, 0, "gateway.alive", "gateway", NOW, b"{}")
    stop = StoredEvent(2, 1, "machine.stop", "filler", NOW, b"{}")
    gone = state(3, NOW, state="held")
    elsewhere = StoredEvent(4, 3, "machine.state", "machine_that_was", NOW, gone.data)
    other_type = state(5, NOW - 1, state=4711)
    assert session.tell([alive, stop, elsewhere, other_type], NOW) == []


def test_the_type_of_a_signal_that_only_its_device_knows(line: LiveLine) -> None:
    """Absent from births until it was read; with it, or with another type, everything is born anew."""
    session, known = begin(line)
    assert "signals/hall_plc/temperature" in known.values(), "it has a type, though no value yet"
    metrics = session.metrics
    metrics._by_metric = {key: one._replace(datatype=None) for key, one in metrics._by_metric.items()}
    known = names(session.birth(NOW))
    assert "signals/hall_plc/temperature" not in known.values()
    assert kinds(session.look(NOW + 1, KPIS)) == []
    line.see("hall_plc", temperature=21)
    births = session.look(NOW + 2, KPIS)
    assert kinds(births) == ["NBIRTH", "DBIRTH filler", "DBIRTH capper"]
    assert "signals/hall_plc/temperature" in names(births).values()
    assert kinds(session.look(NOW + 3, KPIS)) == []
    line.see("hall_plc", temperature=None)
    assert kinds(session.look(NOW + 4, KPIS)) == ["NDATA"], "a type once learned is kept"
    assert "signals/hall_plc/temperature" in names(session.birth(NOW)).values()


def test_history_of_a_machine_that_is_dead(line: LiveLine) -> None:
    """It is born for it, with its values stale, and dies again."""
    session, known = begin(line)
    line.lose("capper_plc")
    assert kinds(session.look(NOW + 1, KPIS)) == [], "its last events go first"
    assert kinds(session.look(NOW + 2, KPIS)) == ["DDEATH capper"]
    assert kinds(session.look(NOW + 3, KPIS)) == []
    event = StoredEvent(1, 0, "machine.state", "capper", NOW, state(1, NOW - 70, state="held").data)
    birth, data = session.tell([event], NOW + 4)
    assert kinds([birth, data]) == ["DBIRTH capper", "DDATA capper"]
    metrics = Payload.FromString(birth.payload).metrics
    assert {metric.properties.values[-1].int_value for metric in metrics if metric.properties.keys} == {0, 500} - {0}
    assert {alias: known[alias] for alias in names([birth])} == names([birth]), "its aliases are as they were"
    assert kinds(session.look(NOW + 5, KPIS)) == []
    assert kinds(session.look(NOW + 6, KPIS)) == ["DDEATH capper"]
    line.find("capper_plc")
    line.see("capper_plc", running=False)
    assert kinds(session.look(NOW + 7, KPIS)) == ["DBIRTH capper"]


def test_a_machine_lives_as_long_as_one_of_its_plcs(line: LiveLine) -> None:
    session, _ = begin(line)
    line.lose("hall_plc")
    session.look(NOW + 1, KPIS)
    assert not [one for one in kinds(session.look(NOW + 2, KPIS)) if one.startswith("DDEATH")]


def test_figures_of_running_windows_are_looked_at_less_often(line: LiveLine) -> None:
    session, known = begin(line)
    line.see("filler_plc", at=NOW + 1000, bottles=12)
    soon = {name for name, _, _ in told(session.look(NOW + 1000, KPIS), known)}
    assert "counts/total" in soon
    assert not [name for name in soon if name.startswith("kpi/")]
    late = {name for name, _, _ in told(session.look(NOW + KPIS, KPIS), known)}
    assert "kpi/hour/pq" in late


def test_signals_that_are_asked_for_and_those_with_a_trend(line: LiveLine) -> None:
    _, known = begin(line, signals=["*.caps"])
    assert sorted(name for name in known.values() if name.startswith("signals/")) == [
        "signals/capper_plc/caps", "signals/filler_plc/level", "signals/filler_plc/speed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("datatype", "value", "field", "read"),
    [
        (DataType.INT64, -1, "long_value", (1 << 64) - 1),
        (DataType.INT64, -(1 << 63), "long_value", 1 << 63),
        (DataType.UINT64, (1 << 64) - 1, "long_value", (1 << 64) - 1),
        (DataType.DOUBLE, 3, "double_value", 3.0),
        (DataType.BOOLEAN, True, "boolean_value", True),
        (DataType.STRING, "grün\ud800", "string_value", "grün?"),
    ],
)
def test_values(datatype: DataType, value: Any, field: str, read: Any) -> None:
    """Whole numbers in two's complement, and text that is always UTF-8."""
    assert datatype.takes(value)
    (metric,) = Payload.FromString(payload([Metric(datatype, value, NOW, alias=1)], timestamp=NOW, seq=255)).metrics
    assert (metric.WhichOneof("value"), getattr(metric, field)) == (field, read)


def test_what_a_type_does_not_take() -> None:
    assert not DataType.INT64.takes(1 << 63)
    assert not DataType.UINT64.takes(-1)
    assert not DataType.INT64.takes(1.5)
    assert not DataType.INT64.takes(True)
    assert not DataType.STRING.takes(1)
    assert not DataType.BOOLEAN.takes(1)
    assert all(one.takes(None) for one in DataType)


def test_a_value_that_is_null_has_no_value() -> None:
    (metric,) = Payload.FromString(
        payload([Metric(DataType.INT64, None, NOW, alias=1, quality=Quality.BAD)], timestamp=NOW, seq=0)
    ).metrics
    assert metric.is_null
    assert metric.WhichOneof("value") is None
