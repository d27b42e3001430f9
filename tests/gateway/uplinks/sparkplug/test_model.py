"""Whatever happens in whatever order: a host that only follows messages knows the line as it is."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from sparkplub_b_packets.core.sparkplug_b_pb2 import Payload

from gateway.events import Envelope
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.metrics import Metrics
from gateway.uplinks.sparkplug.payload import commands
from gateway.uplinks.sparkplug.session import Place, Session
from tests.gateway.uplinks.sparkplug.live import LiveLine

NOW = 1_795_327_200_000
DEADBAND = {"signals/filler_plc/level": 0.2, "signals/filler_plc/speed": 0.5}

values = st.fixed_dictionaries(
    {},
    optional={
        "running": st.booleans(),
        "fault": st.sampled_from([0, 17, None]),
        "level": st.sampled_from([1.0, 1.1, 5.0, None]),
        "speed": st.sampled_from([10.0, 10.4, 11.0]),
        "bottles": st.integers(0, 30),
        "recipe": st.sampled_from(["a", "b"]),
    },
)
steps = st.one_of(
    st.tuples(st.just("see"), values),
    st.sampled_from([("lose", None), ("find", None), ("look", None), ("birth", None), ("tell", None), ("again", None)]),
    st.tuples(st.just("wait"), st.sampled_from([5, 1_000, 60_000, 3_600_000])),
)


class Host:
    """Follows births, data and deaths, as the standard has it."""

    def __init__(self) -> None:
        self.seq = -1
        self.tags: dict[str, dict[int, list[Any]]] = {}
        self.alive: set[str] = set()

    def take(self, messages: list[Message]) -> None:
        for message in messages:
            _, _, kind, _, *device = message.topic.split("/")
            owner, body = "".join(device), Payload.FromString(message.payload)
            assert body.seq == (0 if kind == "NBIRTH" else (self.seq + 1) % 256)
            self.seq = body.seq
            if kind == "NBIRTH":
                self.alive.clear()
            if kind.endswith("BIRTH"):
                assert owner not in self.alive
                self.alive.add(owner)
                self.tags[owner] = {metric.alias: [metric.name, read(metric)] for metric in body.metrics}
                continue
            assert owner in self.alive, f"{kind} of {owner} that is dead"
            if kind == "DDEATH":
                self.alive.remove(owner)
            stamps = [metric.timestamp for metric in body.metrics if not metric.is_historical]
            assert stamps == sorted(stamps)
            for metric in body.metrics:
                if not metric.is_historical:
                    self.tags[owner][metric.alias][1] = read(metric)

    def known(self, owner: str) -> dict[str, Any]:
        return {name: value for name, value in self.tags[owner].values()}  # noqa: C416


def read(metric: Any) -> Any:
    return None if metric.is_null else getattr(metric, metric.WhichOneof("value"))


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, min_size=5, max_size=40))
def test_a_host_knows_the_line(story: list[tuple[str, Any]]) -> None:
    line = LiveLine(at=NOW)
    line.see("filler_plc", at=NOW, running=True, fault=0, speed=10.0, level=1.0, bottles=0, recipe="a")
    line.see("capper_plc", at=NOW, running=True, caps=1)
    config = SparkplugUplink.model_validate({"type": "sparkplug", "url": "mqtt://h:1"})
    session = Session(Place("g", "n"), Metrics(config, line.view, Envelope("/a", "s")), 0)
    host, delivered = Host(), 0
    host.take(session.birth(NOW))
    for what, how in [*story, ("find", None), ("tell", None), ("look", None), ("look", None), ("look", None)]:
        at = line.pipeline.at + 1
        if what == "see":
            line.see("filler_plc", at=at, **how)
        elif what == "wait":
            line.wait(line.pipeline.at + how)
        elif what in ("lose", "find"):
            getattr(line, what)("capper_plc", at)
        elif what == "look":
            host.take(session.look(at, 0))
        elif what == "birth":
            host.take(session.birth(at))
        else:  # again: what no proof was for comes once more
            delivered = max(0, delivered - 3) if what == "again" else delivered
            host.take(session.tell(line.events[delivered:], at))
            delivered = len(line.events)
    assert host.alive == {"", "filler", "capper"}
    for owner, readings in session.metrics.read().items():
        known = host.known(owner)
        for name, reading in readings.items():
            if name in DEADBAND and None not in (known[name], reading.value):
                assert abs(known[name] - reading.value) < DEADBAND[name]
            else:
                assert known[name] == reading.value, (owner, name)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda name: field(2, field(1, name)))))
def test_a_command_is_read_or_is_none(body: bytes) -> None:
    """Whoever may publish may send anything: no payload at all, or a metric whose name is no text."""
    found = commands(body)
    assert found is None or all(isinstance(one.name, str) for one in found)


def field(number: int, content: bytes) -> bytes:
    """Of a protobuf message, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
