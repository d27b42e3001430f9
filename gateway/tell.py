"""Makes the events of a line: what happened, with the fields that every event of a machine or the line carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.events import Event
from gateway.inputs import Mute, Verified
from gateway.kpi.task import Task
from gateway.linetime import LineTime


class Teller:
    """Times are engine milliseconds."""

    def __init__(self, line_time: LineTime, common: Mapping[str, Any]) -> None:
        """`common`: the fields that are the same in every event."""
        self.time = line_time
        self._common = common
        self._task = Task()
        self.muted = (0, 0)
        """From when until when somebody works online on the machine: its events of that time are marked."""

    def own(self) -> Teller:
        """One for a machine, which has a job and a product of its own."""
        return Teller(self.time, self._common)

    def work_on(self, task: Task) -> None:
        """What events from now on belong to."""
        self._task = task

    def event(self, kind: str, subject: str, at: int, data: Mapping[str, Any], began: int | None = None) -> Event:
        """What lasts belongs to the shift in which it began; `data` may say otherwise of the common fields."""
        work = {"job": self._task.job, "product": self._task.product}
        of_line = {**work, **self._common, **self.time.of_event(at if began is None else began)}
        if self.time.is_suspect:
            of_line["clock_suspect"] = True
        if self.muted[0] <= at < self.muted[1]:
            of_line["muted"] = True
        return Event(kind, subject, self.time.utc(at), {**of_line, **data})


def said_event(said: Verified | Mute, teller: Teller) -> Event:
    """A person's word, as it was given."""
    if isinstance(said, Mute):
        data = {"until": teller.time.text(said.until), "who": said.who, "why": said.why}
        return teller.event("machine.muted", said.machine, said.at, data)
    found = {
        "began": teller.time.text(said.began),
        "ended": teller.time.text(said.at),
        "gateway": said.gateway,
        "plc": said.plc,
        "hand": said.hand,
        "agrees": said.agrees,
        "who": said.who,
    }
    return teller.event("machine.verified", said.machine, said.at, found)
