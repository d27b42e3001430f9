"""The metrics of the edge node and its devices: which there are, and what each is now."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gateway import __version__
from gateway.events import Envelope
from gateway.lineview import LineView
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.payload import DataType, Quality
from protocols.model import Value

NODE = ""
"""The owner of what belongs to no machine."""
TEXTS = ("state", "category", "mode", "cause", "reason", "job", "product")
COUNTS = ("total", "good", "scrap")
RATE = "counts/rate_per_min"
WINDOWS = ("hour", "shift", "day", "job")
RATIOS = ("oee", "oee_low", "oee_high", "availability", "effectiveness", "quality")
PARTS = ("pq", "gq", "sq")
JOB_TEXTS = ("job", "product", "due")
JOB_COUNTS = ("target", "total", "good", "scrap")

QUALITIES = (Quality.BAD, Quality.STALE, Quality.GOOD)
"""By the quality of signals: bad, uncertain, good."""
_TYPES = {"bool": DataType.BOOLEAN, "int": DataType.INT64, "float": DataType.DOUBLE, "text": DataType.STRING}


class Reading(NamedTuple):
    """What a metric is now."""

    value: Value
    quality: Quality = Quality.GOOD


class Signal(NamedTuple):
    """A signal that is a metric."""

    owner: str
    metric: str
    datatype: DataType | None
    """None where only the device knows it."""
    unit: str | None
    deadband: float


class Metrics:
    """Of one line. An owner is a machine, or NODE."""

    def __init__(self, config: SparkplugUplink, view: LineView, envelope: Envelope) -> None:
        self._view = view
        self.config = view.config
        """Of what these are the metrics."""
        self.machines = tuple(view.config.machines)
        users = {name: view.users(name) for name in view.config.signal_types}
        self.signals = dict(_signals(config, view, users))
        """By `device.signal`, each in one place only."""
        self._by_metric = {(one.owner, one.metric): one for one in self.signals.values()}
        self._by_device = {
            name: [self.signals.get(f"{name}.{signal}") for signal in device.signal_settings]
            for name, device in view.config.devices.items()
        }
        self._about = {
            "gateway/version": __version__,
            "gateway/stream": envelope.stream,
            "gateway/configuration": view.config.digest,
        }
        self._plcs: dict[str, set[str]] = {name: set() for name in self.machines}
        for name, machines in users.items():
            for machine in machines:
                self._plcs[machine].add(name.partition(".")[0])
        self._learned: dict[tuple[str, str], DataType] = {}
        """Types that a value has shown."""

    def is_lost(self, machine: str) -> bool:
        """Whether every PLC that the machine is known by is gone."""
        plcs = self._plcs[machine]
        return bool(plcs) and all(map(self._view.is_lost, plcs))

    def datatype(self, owner: str, metric: str, value: Value) -> DataType | None:
        """What a metric is; None where nothing says it yet."""
        signal = self._by_metric.get((owner, metric))
        declared = _type_of(metric) if signal is None else signal.datatype
        if declared is not None and declared.takes(value):
            return declared
        learned = self._learned.get((owner, metric))
        if value is not None and (learned is None or not learned.takes(value)):
            candidates = (DataType.BOOLEAN, DataType.INT64, DataType.UINT64, DataType.DOUBLE, DataType.STRING)
            learned = self._learned[owner, metric] = next(one for one in candidates if one.takes(value))
        return learned

    def unit(self, owner: str, metric: str) -> str | None:
        """A signal's engineering unit."""
        signal = self._by_metric.get((owner, metric))
        return None if signal is None else signal.unit

    def deadband(self, owner: str, metric: str) -> float:
        """How much a signal changes at least; 0 for everything else."""
        signal = self._by_metric.get((owner, metric))
        return 0.0 if signal is None else signal.deadband

    def read(self, *, with_kpis: bool = True) -> dict[str, dict[str, Reading]]:
        """What is known now, by owner and name, in the order of births; figures of running windows cost the most."""
        image = {NODE: {name: Reading(value) for name, value in self._node(with_kpis)}}
        for name, machine in self._view.machines().items():
            image[name] = {metric: Reading(value) for metric, value in _machine(machine, with_kpis)}
        for device, signals in self._by_device.items():
            for signal, (value, quality) in zip(signals, self._view.values(device), strict=True):
                if signal is not None:
                    image[signal.owner][signal.metric] = Reading(value, QUALITIES[quality])
        return image

    def _node(self, with_kpis: bool) -> Iterator[tuple[str, Value]]:
        yield from self._about.items()
        job = self._view.job() or {}
        for name in (*JOB_TEXTS, *JOB_COUNTS):
            yield f"job/{name}", job.get(name)
        if with_kpis:
            yield from _kpis(self._view.kpi())


def _type_of(metric: str) -> DataType:
    """Of a metric that is no signal."""
    first, _, rest = metric.partition("/")
    figure = rest.rpartition("/")[2]
    if first == "kpi":
        return DataType.INT64 if figure in PARTS else DataType.DOUBLE
    if first == "counts" or (first == "job" and figure in JOB_COUNTS):
        return DataType.INT64
    return DataType.DOUBLE if metric == "ideal_s" else DataType.STRING


def _machine(machine: Mapping[str, Any], with_kpis: bool) -> Iterator[tuple[str, Value]]:
    """A machine's metrics from what the line view shows of it."""
    for name in TEXTS:
        yield name, reason_text(machine["reason"]) if name == "reason" else machine[name]
    yield "ideal_s", machine["ideal_s"]
    parts = machine["parts"] or {}
    for name in COUNTS:
        yield f"counts/{name}", parts.get(name)
    yield RATE, machine["rate_per_min"]
    if with_kpis:
        yield from _kpis(machine["kpi"])


def _kpis(windows: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Value]]:
    for window in WINDOWS:
        figures = windows.get(window, {})
        for figure in (*RATIOS, *PARTS):
            yield f"kpi/{window}/{figure}", figures.get(figure)


def reason_text(reason: Mapping[str, Any] | None) -> str | None:
    """Its text, or its code where it has none."""
    return None if reason is None else reason["text"] or reason["code"]


def _signals(
    config: SparkplugUplink, view: LineView, users: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Signal]]:
    """Each belongs to the first machine that uses it; else to the one that has its device to itself; else to none."""
    wanted = re.compile("|".join(map(fnmatch.translate, config.signals)) or r"(?!)")
    types = view.config.signal_types
    for device, settings in view.config.devices.items():
        names = [f"{device}.{name}" for name in settings.signal_settings]
        of_device = {machine for name in names for machine in users[name]}
        for name, one in zip(names, settings.signal_settings.values(), strict=True):
            if not wanted.match(name) and name not in view.config.trends:
                continue
            owner = users[name][0] if users[name] else next(iter(of_device)) if len(of_device) == 1 else NODE
            kind = types[name]
            datatype = None if kind is None else _TYPES[kind]
            if kind == "int" and (one.highest or 0) >= 1 << 63:
                datatype = DataType.UINT64
            metric = f"signals/{name.replace('.', '/')}"
            yield name, Signal(owner, metric, datatype, one.unit, one.deadband)
