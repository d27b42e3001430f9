"""What a machine does: its states, stops, parts and counters as event types."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from gateway.schemas.common import Bounds, OfLine, Quality, StopReason


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


class CounterFaultData(OfLine):
    """A counter made a step that no production explains."""

    signal: str
    before: int | None
    after: int | None
    why: str
    counted: int
