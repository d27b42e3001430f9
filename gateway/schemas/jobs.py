"""Jobs and products of the line as event types."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from gateway.schemas.common import OfLine


class JobBounds(TypedDict):
    """What the total lies between where it is not certain; any number from low on where high is null."""

    low: int
    high: int | None


class Job(OfLine):
    """A job or product of the line begins or ends; what it made, in the line's unit, and when that will be done."""

    target: int | None
    due: str | None
    began: str
    ended: str | None
    total: int | None
    good: int | None
    scrap: int | None
    ambiguous: NotRequired[JobBounds | None]
    forecast_end: str | None
    on_time: bool | None
