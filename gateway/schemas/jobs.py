"""Jobs and products of the line as event types."""

from __future__ import annotations

from gateway.schemas.common import OfLine


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
