"""What several event types have in common."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


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
