"""A line at work without any PLC: what its tables and its engine know, and the events that come of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson

from ext.table import Kind, SignalTable
from gateway.config.model import Config
from gateway.events import StoredEvent
from gateway.inputs import DeviceState, Input, Reload, Tick
from gateway.lineview import LineView
from gateway.pipeline import Pipeline
from protocols.model import Batch, Value
from tests.conftest import line_document

SIGNALS: dict[str, dict[str, Any]] = {
    "filler_plc": {
        "running": {"address": "coil:0"},
        "fault": {"address": "holding:21", "type": "uint16"},
        "speed": {"address": "holding:100", "type": "float32", "unit": "1/min", "deadband": 0.5},
        "level": {"address": "input:7", "type": "int16", "scale": 0.1, "unit": "mm", "deadband": 0.2},
        "bottles": {"address": "holding:102", "type": "uint32"},
        "serial": {"address": "holding:110", "type": "uint64"},
        "recipe": {"address": "holding:200", "type": "string", "length": 16},
    },
    "capper_plc": {"running": {"address": "coil:0"}, "caps": {"address": "holding:1", "type": "uint16"}},
    "hall_plc": {"temperature": {"address": "input:0", "type": "int16", "unit": "degC"}},
}
RULES = [
    {"state": "held", "when": "filler_plc.fault != 0", "reason": {"signal": "filler_plc.fault"}},
    {"state": "execute", "when": "filler_plc.running"},
    {"state": "idle"},
]


def configuration(**more: dict[str, Any]) -> Config:
    """Two machines, and a PLC of the hall that belongs to none; more machines."""
    devices = {
        name: {"protocol": "modbus_tcp", "host": f"127.0.0.{number}", "scan_interval": "1s", "signals": signals}
        for number, (name, signals) in enumerate(SIGNALS.items(), 1)
    }
    machines = {
        "filler": {
            "ideal": "500ms",
            "no_output": 0,
            "parts": {"total": "filler_plc.bottles"},
            "states": RULES,
            "reasons": {17: "cap jam"},
        },
        "capper": {"states": [{"state": "execute", "when": "capper_plc.running"}, {"state": "idle"}]},
        **more,
    }  # fmt: skip
    trends = {"filler_plc.speed": {"on_change": True}, "filler_plc.level": {"every": "1min"}}
    document = line_document(devices=devices, machines=machines, trends=trends)
    document["line"]["time_zone"] = where_it_is_noon()
    return Config.model_validate(document)


def where_it_is_noon() -> str:
    """There no production day ends while a test counts what was made in it."""
    east = 12 - datetime.fromtimestamp(utc_ms() / 1000, UTC).hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


class LiveLine:
    """Engine time is UTC; whatever happens is stored as the next event."""

    def __init__(self, config: Config | None = None, at: int | None = None) -> None:
        self.config = config or configuration()
        self.pipeline = Pipeline(self.config)
        self.tables: dict[str, SignalTable] = {}
        for name, device in self.config.devices.items():
            table = self.tables[name] = SignalTable(device.signal_settings)
            for number, signal in enumerate(device.signal_settings.values()):
                table.define(number, _KINDS[signal.value_type or "int"], length=32)
                table.forward(number, exact=True)
        self.view = LineView(self.pipeline, self.tables, self.config)
        self.events: list[StoredEvent] = []
        self.feed(Reload(utc_ms() if at is None else at, 0))

    def feed(self, given: Input) -> list[StoredEvent]:
        """One input; its events."""
        events, _ = self.pipeline.process(given)
        first = len(self.events) + 1
        self.events += [
            StoredEvent(seq, seq - 1, event.type, event.subject, event.time, orjson.dumps(event.data))
            for seq, event in enumerate(events, first)
        ]
        return self.events[first - 1 :]

    def see(self, device: str, at: int | None = None, **values: Value) -> list[StoredEvent]:
        """A scan that shows these values; None for one that is bad."""
        table = self.tables[device]
        for name, value in values.items():
            number = table.names.index(name)
            if value is None:
                table.fail(number, "exception 2")
            else:
                table.put(number, value)
        return self.feed(Batch(device, 0, table.take(), self._next() if at is None else at))

    def lose(self, device: str, at: int | None = None) -> list[StoredEvent]:
        """It does not answer any more."""
        self.tables[device].fail_all("no answer")
        return self.feed(DeviceState(device, False, at or self._next(), "127.0.0.1", "no answer", "look at the cable"))

    def find(self, device: str, at: int | None = None) -> list[StoredEvent]:
        """It answers again."""
        return self.feed(DeviceState(device, True, at or self._next()))

    def _next(self) -> int:
        """Now, but later than all before."""
        return max(utc_ms(), self.pipeline.at + 1)

    def wait(self, at: int) -> list[StoredEvent]:
        """Time passes."""
        return self.feed(Tick(at))


_KINDS = {"bool": Kind.BOOL, "int": Kind.UINT, "float": Kind.FLOAT, "text": Kind.TEXT}


def utc_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000
