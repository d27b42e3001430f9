"""The data of every event type: the fields that consumers build on, as types and as JSON Schemas.

Durations are seconds (`_s`), times RFC 3339 UTC, ratios plain numbers; unknown is null. Fields are only
ever added.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from gateway.events import TYPE_VERSION
from gateway.schemas_common import Bounds, OfLine
from gateway.schemas_kpi import LineKpi, MachineKpi

Quality = Literal["good", "uncertain", "bad"]


class Reason(TypedDict):
    """Why a machine is in its state."""

    code: str
    text: str | None
    source: Literal["rule", "signal", "alarm", "operator"]
    group: NotRequired[str]
    category: NotRequired[str]
    failure: NotRequired[bool]
    owner: NotRequired[str]


class Rule(TypedDict):
    """Which rule decided: its position in `states`, from 0, and its condition; `packml_state` comes after the last."""

    index: int
    text: str


class Proof(TypedDict):
    """A signal as it was when it decided."""

    value: bool | int | float | str | None
    quality: Quality
    time: str | None
    why: NotRequired[str]


class Counts(TypedDict):
    """Parts, in the machine's unit; scrap is null where nothing counts it."""

    total: int
    good: int
    scrap: int | None


class Previous(TypedDict):
    """The interval before."""

    state: str
    interval: str


class MachineState(OfLine):
    """An interval in one state begins, is revised, ends; of one interval the highest `rev` wins."""

    interval: str
    stop: str | None
    rev: int
    final: bool
    state: str
    category: str
    mode: str | None
    reason: Reason | None
    cause: Literal["starved", "blocked", "unknown"] | None
    inferred: bool
    began: str
    ended: str | None
    duration_s: float | None
    uncertainty_s: float | None
    unscheduled: bool
    assumed: bool
    demand: str | None
    rule: Rule | None
    because: dict[str, Proof]
    parts: Counts | None
    previous: Previous | None


class StopReason(TypedDict):
    """The first reason that was known in a stop; its group is null where it has none."""

    code: str
    text: str | None
    source: Literal["rule", "signal", "alarm", "operator"]
    group: str | None
    category: NotRequired[str]
    failure: NotRequired[bool]
    owner: NotRequired[str]


class FirstOut(TypedDict):
    """The signal that gave a stop's reason, or that decided where it began."""

    signal: str
    value: bool | int | float | str | None
    time: str | None


class MachineStop(OfLine):
    """A stop as a person calls it, over all states from leaving production until production has lasted."""

    stop: str
    kind: Literal["own", "external", "setup", "unknown", "idle"]
    rev: int
    final: bool
    began: str
    ended: str | None
    duration_s: float | None
    planned_overlap_s: float
    category: str
    minor: bool | None
    failure: bool | None
    reason: StopReason | None
    first_out: FirstOut | None
    intervals: list[str]
    lost_parts: int | None


class CycleFigures(TypedDict):
    """Cycles wholly within execute: the mean of all `n`, and what is known of the `n_single` that were seen singly."""

    n: int
    n_single: int
    mean_s: float
    min_s: float | None
    max_s: float | None
    p50_s: float | None
    p95_s: float | None
    ideal_s: float | None
    uncertainty_s: float


class MachineProduction(OfLine):
    """A minute with production; or the parts of an outage, over a span that holds all of it."""

    began: str
    ended: str
    total: int
    good: int
    scrap: int | None
    rework: int | None
    recovered: int
    ambiguous: Bounds | None
    ambiguous_scrap: Bounds | None
    scrap_by_reason: dict[str, int]
    scrap_texts: dict[str, str]
    counter: dict[str, int | None]
    cycle: CycleFigures | None


class Job(OfLine):
    """A job or product of the line begins or ends; what it made, in the line's unit, and when that will be done."""

    target: int | None
    due: str | None
    began: str
    ended: str | None
    total: int | None
    good: int | None
    scrap: int | None
    forecast_end: str | None
    on_time: bool | None


class CounterFaultData(OfLine):
    """A counter made a step that no production explains."""

    signal: str
    before: int | None
    after: int | None
    why: str
    counted: int


class SignalTrend(TypedDict):
    """A signal, condensed: as it is at one instant (`value`), or over a window (`began`), its mean weighted by time."""

    signal: str
    unit: str | None
    value: NotRequired[bool | int | float | str | None]
    quality: NotRequired[Quality]
    source_time: NotRequired[str | None]
    began: NotRequired[str]
    ended: NotRequired[str]
    n: NotRequired[int]
    mean: NotRequired[float | None]
    min: NotRequired[float | int | None]
    max: NotRequired[float | int | None]
    first: NotRequired[bool | int | float | str | None]
    last: NotRequired[bool | int | float | str | None]
    bad_s: NotRequired[float]


class DeviceTransition(TypedDict):
    """A device was lost, or is back."""

    device: str
    endpoint: str
    why: str
    remedy: str
    since: str
    signals: int
    duration_s: float | None


class SignalTransition(TypedDict):
    """A signal's address is refused for good and left alone for a while, or can be read again."""

    signal: str
    address: str
    why: str
    retry_s: float | None


class OperatorEntry(OfLine):
    """A person's word."""

    entry: str
    what: Literal["reason", "note", "split", "merge", "scrap", "job", "crew", "undo"]
    target: str | None
    reason: StopReason | None
    note: str | None
    amount: int | None
    who: str
    when: str
    at: str | None
    other: str | None
    given_job: str | None
    given_product: str | None
    crew: str | None


class MachineVerified(OfLine):
    """A person counted by hand: parts of one time by gateway, by the PLC's counter, and by hand."""

    began: str
    ended: str
    gateway: int | None
    plc: int | None
    hand: int
    agrees: bool
    who: str


class MachineMuted(OfLine):
    """A person works on the machine online: its events until then carry `muted`, and none is left out."""

    until: str
    who: str
    why: str


class PreviousRun(TypedDict):
    """The run before this one; damaged, missing, restored: a whole buffer, and the stream of this one is new."""

    stream: str
    last_seq: str
    ended: Literal["clean", "unclean", "damaged", "missing", "restored"]


class GatewayStarted(TypedDict):
    """The daemon began."""

    version: str
    extension: str
    sqlite: str
    config_digest: str
    previous: PreviousRun | None


class GatewayStopped(TypedDict):
    """The daemon ended in order."""

    why: str


GatewayGap = TypedDict(
    "GatewayGap",
    {
        "what": Literal["off", "dropped", "damaged"],
        "began": str,
        "ended": str,
        "from": str | None,
        "to": str | None,
        "class": str | None,
        "count": int | None,
        "why": str,
        "of_stream": NotRequired[str],
    },
)
GatewayGap.__doc__ = (
    "A time that was not seen, or events that are gone; `of_stream` says whose numbers from and to are, where they "
    "are not this one's."
)


class GatewayClock(TypedDict):
    """The wall clock was set."""

    step_s: float
    suspect: bool


class GatewayAlive(TypedDict):
    """Each minute, so that silence is never ambiguous."""

    last_seq: str
    backlog: dict[str, int]
    open: list[str]


class NamesChanged(TypedDict):
    """Entries of one section of the configuration."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class ConfigChanges(TypedDict):
    """`sections` names what else differs."""

    devices: NamesChanged
    machines: NamesChanged
    uplinks: NamesChanged
    sections: list[str]


class ConfigApplied(TypedDict):
    """The running daemon took over a changed configuration; only what differs was begun anew."""

    digest: str
    changes: ConfigChanges


EVENT_DATA: dict[str, type] = {
    "machine.state": MachineState,
    "machine.stop": MachineStop,
    "machine.production": MachineProduction,
    "machine.kpi": MachineKpi,
    "line.kpi": LineKpi,
    "job.started": Job,
    "job.ended": Job,
    "counter.fault": CounterFaultData,
    "signal.trend": SignalTrend,
    "device.lost": DeviceTransition,
    "device.restored": DeviceTransition,
    "signal.quarantined": SignalTransition,
    "signal.restored": SignalTransition,
    "operator.entry": OperatorEntry,
    "machine.verified": MachineVerified,
    "machine.muted": MachineMuted,
    "gateway.started": GatewayStarted,
    "gateway.stopped": GatewayStopped,
    "gateway.gap": GatewayGap,
    "gateway.clock": GatewayClock,
    "gateway.alive": GatewayAlive,
    "config.applied": ConfigApplied,
}
"""Data by short event type."""


def event_schemas() -> dict[str, Any]:
    """JSON Schema of each type's data, by its `dataschema` name."""
    schemas = {}
    for kind, data in EVENT_DATA.items():
        name = f"urn:linegate:{kind}{TYPE_VERSION}"
        schema = TypeAdapter(data).json_schema()
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name, **schema}
    return schemas
