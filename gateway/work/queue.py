"""What the line is to make next, on its way along the flow to one machine.

A machine takes another job or product when its input since the machines that feed it took it exceeds what lay between
them then. Where nothing says what lay there it takes it at once, and so does a machine that nothing feeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.checkpoint import plain_list
from gateway.flow.ledger import Ledger
from gateway.kpi.counting import Made
from gateway.kpi.parts import Parts
from gateway.kpi.tally import Tally

MOST_WAITING = 16
"""More than these do not wait: a counter that stands still must not keep jobs open for ever."""


@dataclass(slots=True)
class Coming:
    """A job and product that a machine has yet to take."""

    job: str | None
    product: str | None
    ends: bool
    """Whether it is no job: no part of it follows, so that it is there when what lay before the machine is used up."""
    after: int | None = None
    """The link's input by then, in the line's unit; None as long as not all machines that feed it have taken it."""

    entry: str = ""
    """Whose word it is, where a person says it."""

    def is_there(self, taken_in: int) -> bool:
        """Whether so much input brings it."""
        return self.after is not None and (taken_in > self.after or (self.ends and taken_in == self.after))


class Queue:
    """One machine's, the next first."""

    def __init__(self) -> None:
        self.waiting: list[Coming] = []
        self.dirty = False
        """Whether more is known of those that wait since somebody last looked; whoever looks sets it back."""
        self._machine = ""
        self._ledger: Ledger | None = None
        self._feeders: Sequence[Queue] = ()
        self._fed: list[Queue] = []

    def attach(self, machine: str, ledger: Ledger, feeders: Sequence[Queue]) -> None:
        """The machine is fed by those whose queues these are."""
        self._machine, self._ledger, self._feeders = machine, ledger, feeders
        for one in feeders:
            one._fed.append(self)

    @property
    def _input(self) -> int | None:
        return None if self._ledger is None else self._ledger.input_of(self._machine)

    @property
    def is_fed(self) -> bool:
        """Whether it can be known what has come to the machine; else all comes at once."""
        return self._input is not None

    def drop(self, entry: str) -> None:
        """A person's word was taken back."""
        self.waiting = [one for one in self.waiting if one.entry != entry]

    def take(self) -> Coming:
        """The next is there; those that this machine feeds have it before them from here on."""
        taken = self.waiting.pop(0)
        for one in self._fed:
            one.look()
        return taken

    def look(self) -> int:
        """How many are there now; when another will be, if all that feed the machine have taken it."""
        taken_in, there = self._input, max(0, len(self.waiting) - MOST_WAITING)
        if self._ledger is None or taken_in is None:
            return len(self.waiting)
        ahead: dict[str | int, int] = {}
        for one in self._feeders:  # machines side by side on one link take what it brings at once
            beside = one._link or id(one)
            ahead[beside] = min(ahead.get(beside, len(one.waiting)), len(one.waiting))
        come = len(self.waiting) - max(ahead.values(), default=0)
        for number, coming in enumerate(self.waiting[: max(0, come)], 1):
            if coming.after is None:
                after = self._ledger.used_up_at(self._machine)
                coming.after, self.dirty = taken_in - 1 if after is None else after, True
            if coming.is_there(taken_in):
                there = number
        return there

    def divide(self, made: Sequence[Made], parts: Parts) -> tuple[list[Made], list[Made]] | None:
        """What readings show of the job before the next one, and of that; None where the next is not there yet.

        Of one reading the input counts as it came: what lay there first. Good parts and scrap that it shows beside
        them are the earlier job's as far as they fit in.
        """
        coming = self.waiting[0] if self.waiting else None
        if coming is None or coming.after is None or (taken_in := self._input) is None:
            return None
        tally = Tally()
        for one in made:
            tally.add(one.role, one.counted.parts)
        if not coming.is_there(taken_in + parts.net(tally)[0] * parts.each):
            return None
        fits = max(0, coming.after - taken_in) // parts.each
        before, behind = list[Made](), list[Made]()
        left, others = {"total": fits, "rework": fits}, fits
        for one in made:
            counted, room = one.counted, left.get(one.role, others)
            first = min(counted.parts, room)
            if one.role not in left:
                others -= max(0, first)
            if first == counted.parts:
                before.append(one)
            elif first <= 0:
                behind.append(one)
            else:
                rest = (counted.parts - first, counted.low - first, counted.high - first, counted.outage_from)
                before.append(replace(one, counted=replace(counted, parts=first, low=first, high=first)))
                behind.append(replace(one, counted=type(counted)(*rest)))
        return before, behind

    @property
    def _link(self) -> str | None:
        return None if self._ledger is None else self._ledger.link_before(self._machine)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {"link": self._link, "waiting": [plain_list(one) for one in self.waiting]}

    def restore(self, saved: Mapping[str, Any], *, has_jobs: bool, has_products: bool) -> None:
        """Go on from a checkpoint; what was known of another link says nothing, nor does a section that is gone."""
        self.waiting = [Coming(*one) for one in saved["waiting"]]
        for one in self.waiting:
            one.job, one.product = one.job if has_jobs else None, one.product if has_products else None
            one.after = one.after if saved["link"] == self._link else None
