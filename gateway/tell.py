"""Makes the events of a line: what happened, with the fields that every event of a machine or the line carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.events import Event
from gateway.linetime import LineTime


class Teller:
    """Times are engine milliseconds."""

    def __init__(self, line_time: LineTime, common: Mapping[str, Any]) -> None:
        """`common`: the fields that are the same in every event."""
        self.time = line_time
        self._common = common

    def event(self, kind: str, subject: str, at: int, data: Mapping[str, Any], began: int | None = None) -> Event:
        """What lasts belongs to the shift in which it began; `data` may say otherwise of the common fields."""
        of_line = {**self._common, **self.time.of_event(at if began is None else began)}
        return Event(kind, subject, self.time.utc(at), {**of_line, **data})
