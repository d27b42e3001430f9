"""KPI windows as event types: the figures after ISO 22400-2."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from gateway.schemas.common import Bounds, OfLine


class KpiStops(TypedDict):
    """Stops of one kind and reason in a window; kind `*` are all that are not told one by one."""

    kind: str
    reason: str | None
    n: int
    seconds: float


class KpiProduct(TypedDict):
    """Parts of one product in a window."""

    product: str | None
    pq: int
    gq: int
    sq: int | None
    rq: int | None
    ideal_s: float | None
    ideal_good_s: float | None


class MinorStops(TypedDict):
    """Minor stops in a window, and their time that is neither production nor unknown."""

    n: int
    seconds: float


class Losses(TypedDict):
    """Lost seconds as far as times and counts can tell them apart."""

    breakdowns: float
    setup: float
    minor_stops_and_speed: float | None
    process_defects: float | None
    start_up: float | None


class Kpi(OfLine):
    """The figures of one window after ISO 22400-2; of one window the highest `rev` wins."""

    kpi: str
    window: Literal["hour", "shift", "day", "job"]
    began: str
    ended: str
    rev: int
    final: bool
    policy: str
    flags: list[Literal["suspect_ideal", "recovered", "ambiguous", "unlisted_product"]]
    apt_s: float
    pbt_s: float
    unknown_s: float
    unrecovered_s: float
    run_s: float
    categories: dict[str, float]
    pq: int | None
    gq: int | None
    sq: int | None
    rq: int | None
    recovered: int | None
    ambiguous: Bounds | None
    ideal_s: float | None
    ideal_good_s: float | None
    availability: float | None
    effectiveness: float | None
    quality: float | None
    oee: float | None
    oee_low: float | None
    oee_high: float | None
    coverage: float | None
    teep: float | None
    nee: float | None
    downtime_rate: float | None
    setup_rate: float | None
    technical_efficiency: float | None
    scrap_ratio: float | None
    rework_ratio: float | None
    first_pass_yield: float | None
    failures: int
    mtbf_s: float | None
    mttr_s: float | None
    inherent_availability: float | None
    changeover_excess_s: float
    minor_stops: MinorStops
    losses: Losses
    stops: list[KpiStops]
    by_product: list[KpiProduct]
    crew: NotRequired[str]


class MachineKpi(Kpi):
    """A machine's window ends, or is told again because something was learned later."""


class Rollup(TypedDict):
    """How a line's figures were made of its machines'."""

    rule: Literal["constraint", "sum"]
    machines: list[str]
    out: list[str]
    cycle_s: float | None


class LineKpi(Kpi):
    """A line's window, made of its machines' by `rollup`; parts in the line's unit."""

    wip_delta: float | None
    bottleneck: str | None
    rollup: Rollup
    throughput_yield: float | None
