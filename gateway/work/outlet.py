"""One job of the line, and where what it makes leaves: counted machine by machine, and handed over."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.kpi.parts import UNBOUNDED
from gateway.kpi.tally import Tally
from gateway.machine import Machine

MOST_TURNS = 64


@dataclass(slots=True)
class Job:
    """One job of the line, in the line's unit. Times are engine milliseconds."""

    job: str | None
    product: str | None
    began: int
    began_text: str
    number: int = 0
    """Which of the first machine's changes brought it."""
    until: int | None = None
    """Which of them brought the next one, or none; None while the first machine works on it."""
    made: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Total, good and scrap of the `out` machines that have handed it over."""
    missing: list[int] = field(default_factory=lambda: [0, 0, 0])
    """By how many parts total, and good, may truly be more, and by how many good may be less."""
    scrapped: int = 0
    """Good parts of the `out` machines that people said were scrap."""
    target: int | None = None
    due: int | None = None
    """UTC milliseconds."""
    is_told: bool = False


@dataclass(slots=True)
class Outlet:
    """A machine where good parts leave the line, and how far the line's jobs have come to it."""

    machine: Machine
    number: int = 0
    """Which of the first machine's changes it has made too."""
    before: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Total, good and scrap, in the line's unit, that are counted to the jobs before."""
    missed: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Of what may be missing in its counts, what the jobs before have."""
    turns: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """When it made the last ones of these changes, and which."""

    def turn(self, number: int, at: int) -> None:
        """It has made a change."""
        self.number = number
        self.turns = [*self.turns, (at, number)][-MOST_TURNS:]

    def number_at(self, moment: int) -> int | None:
        """Which change was its last then; None where that is long ago."""
        return next((number for at, number in reversed(self.turns) if at <= moment), None)

    def made(self, tally: Tally) -> list[int]:
        """Total, good and scrap of a tally, in the line's unit."""
        parts = self.machine.parts
        if parts is None:
            return [0, 0, 0]
        figures = parts.figures(tally)
        return [(figures[role] or 0) * parts.each for role in ("total", "good", "scrap")]

    @property
    def now(self) -> list[int]:
        """What has left the line here so far."""
        return [0, 0, 0] if self.machine.parts is None else self.made(self.machine.parts.ever)

    @property
    def is_certain(self) -> bool:
        """Whether nothing that it made is still to be counted."""
        return self.machine.parts is None or self.machine.parts.is_certain

    @property
    def missing(self) -> list[int]:
        """What may be missing in its counts, in the line's unit, as `Job.missing`."""
        parts = self.machine.parts
        return [0, 0, 0] if parts is None else [one * parts.each for one in parts.missing]

    @property
    def missing_since(self) -> list[int]:
        """The same of what it works on."""
        return [now - before for now, before in zip(self.missing, self.missed, strict=True)]

    @property
    def since(self) -> list[int]:
        """What has left the line here since it took what it works on."""
        return [ever - before for ever, before in zip(self.now, self.before, strict=True)]

    def hand_over(self, job: Job | None, made: list[int]) -> None:
        """What it made since `before` was the job's; what is below 0 there is less of the next one."""
        if job is not None:
            hidden = 0 if self.is_certain else UNBOUNDED
            job.missing = [sum(each) + hidden for each in zip(job.missing, self.missing_since, strict=True)]
        self.missed = self.missing
        for index, (ever, before) in enumerate(zip(made, self.before, strict=True)):
            if job is None or ever >= before:
                self.before[index] = ever
            if job is not None:
                job.made[index] += max(0, ever - before)
