"""What several event types have in common."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Quality = Literal["good", "uncertain", "bad"]


class OfLine(TypedDict):
    """What every machine and line event carries."""

    job: str | None
    product: str | None
    shift: str | None
    production_date: str
    unit: str
    config_digest: str
    clock_suspect: NotRequired[bool]
    muted: NotRequired[bool]


class Bounds(TypedDict):
    """What the total lies between where it is ambiguous."""

    low: int
    high: int


class StopReason(TypedDict):
    """The first reason that was known in a stop; its group is null where it has none."""

    code: str
    text: str | None
    source: Literal["rule", "signal", "alarm", "operator"]
    group: str | None
    category: NotRequired[str]
    failure: NotRequired[bool]
    owner: NotRequired[str]
