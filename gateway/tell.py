"""Makes the events of a line: what happened, with the fields that every event of a machine or the line carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.events import Event
from gateway.inputs import Note
from gateway.kpi.task import Task
from gateway.linetime import LineTime


class Teller:
    """Times are engine milliseconds."""

    def __init__(self, line_time: LineTime, common: Mapping[str, Any]) -> None:
        """`common`: the fields that are the same in every event."""
        self.time = line_time
        self._common = common
        self._task = Task()

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
        return Event(kind, subject, self.time.utc(at), {**of_line, **data})


def note_event(note: Note, teller: Teller) -> Event:
    """A person's word, as it was given."""
    data = {
        "entry": f"{note.machine}-note-{note.at}",
        "what": "note",
        "target": None,
        "reason": None,
        "note": note.text,
        "amount": None,
        "who": note.who,
        "when": teller.time.text(note.at),
    }
    return teller.event("operator.entry", note.machine, note.at, data)
