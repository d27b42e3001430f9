"""What an event says of metrics: values with the time at which they came to be, whatever they are by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from gateway.events import StoredEvent
from gateway.uplinks.sparkplug.metrics import (
    JOB_COUNTS,
    JOB_TEXTS,
    NODE,
    PARTS,
    RATE,
    RATIOS,
    TEXTS,
    Metrics,
    reason_text,
)
from gateway.uplinks.sparkplug.payload import Quality
from protocols.model import Value

_QUALITIES = {"good": Quality.GOOD, "uncertain": Quality.STALE, "bad": Quality.BAD}


class Past(NamedTuple):
    """A metric's value from an instant on."""

    owner: str
    metric: str
    value: Value
    at: int
    """UTC milliseconds."""
    quality: Quality = Quality.GOOD


def pasts(event: StoredEvent, metrics: Metrics) -> list[Past]:
    """Nothing for events that Sparkplug has no metric for: JSON or MessagePack carries those."""
    tell = _TELLERS.get(event.type)
    return [] if tell is None else list(tell(event, orjson.loads(event.data), metrics))


def _state(event: StoredEvent, data: Mapping[str, Any], metrics: Metrics) -> Iterator[Past]:
    at = _ms(data["began"])
    for name in TEXTS:
        if name in data:
            yield Past(event.subject, name, reason_text(data[name]) if name == "reason" else data[name], at)


def _kpi(event: StoredEvent, data: Mapping[str, Any], metrics: Metrics) -> Iterator[Past]:
    """What the window's figures were in its end."""
    owner, at = NODE if event.type == "line.kpi" else event.subject, _ms(data["ended"])
    for figure in (*RATIOS, *PARTS):
        if figure in data:
            yield Past(owner, f"kpi/{data['window']}/{figure}", data[figure], at)


def _production(event: StoredEvent, data: Mapping[str, Any], metrics: Metrics) -> Iterator[Past]:
    """The counters as they stood, and how much was made in a minute."""
    at = _ms(data["ended"])
    if not data["recovered"]:
        yield Past(event.subject, RATE, data["total"], at)
    for name, value in data["counter"].items():
        if (signal := metrics.signals.get(name)) is not None and value is not None:
            yield Past(signal.owner, signal.metric, value, at)


def _trend(event: StoredEvent, data: Mapping[str, Any], metrics: Metrics) -> Iterator[Past]:
    """A sample; or a window's last value, or its mean where that was not asked for."""
    signal = metrics.signals.get(event.subject)
    if signal is None:
        return
    if "value" in data:
        yield Past(signal.owner, signal.metric, data["value"], event.time, _QUALITIES[data["quality"]])
    elif (value := data.get("last", data.get("mean"))) is not None:
        yield Past(signal.owner, signal.metric, value, _ms(data["ended"]))


def _job(event: StoredEvent, data: Mapping[str, Any], metrics: Metrics) -> Iterator[Past]:
    for name in (*JOB_TEXTS, *JOB_COUNTS):
        if name in data:
            yield Past(NODE, f"job/{name}", data[name], event.time)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


_TELLERS = {
    "machine.state": _state,
    "machine.kpi": _kpi,
    "line.kpi": _kpi,
    "machine.production": _production,
    "signal.trend": _trend,
    "job.started": _job,
    "job.ended": _job,
}
