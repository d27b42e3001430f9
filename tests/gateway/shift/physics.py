"""Three machines with buffers between them: what truly happens on a line, event by event, and nothing of gateway.

Times are milliseconds after midnight. A machine makes a part at the end of a cycle, which begins where it has one to
work on and room for it; scrap leaves the line. A starved machine waits for `RESTART` parts, a blocked one until as many
have left: the hysteresis that sensors on a conveyor give.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

RESTART = 12
CAPACITY = 60

State = Literal["execute", "held", "stopped", "starved", "blocked", "setup"]


@dataclass(slots=True)
class Buffer:
    """Parts between two machines."""

    capacity: int = CAPACITY
    level: int = 0


@dataclass(slots=True)
class Part:
    """One that was made."""

    at: int
    good: bool


class Machine:
    """One machine. `states` and `parts` are the truth about it, in order of time."""

    def __init__(self, name: str, ideal: int, scrap_rate: float, line: Line) -> None:
        self.name, self.ideal, self.scrap_rate = name, ideal, scrap_rate
        self.infeed: Buffer | None = None
        """None: as much as it wants, while `supplied`."""
        self.outfeed: Buffer | None = None
        """None: room for all, while `cleared`."""
        self.supplied = self.cleared = True
        self.on = False
        """Whether its operator lets it run."""
        self.setup = False
        self.fault = 0
        self.slow = 1.0
        """Cycles are so much longer than ideal ones."""
        self.dry = False
        """It runs, and nothing comes out of it."""
        self.state: State = "stopped"
        self.states: list[tuple[int, State, int]] = []
        """When each began, and its fault."""
        self.parts: list[Part] = []
        self.neighbours: list[Machine] = []
        self._line = line
        self._cycle = 0
        self._starved = self._blocked = False

    def look(self) -> None:
        """Something may have changed: what it does from now on."""
        lacks = not self.supplied if self.infeed is None else self.infeed.level < (RESTART if self._starved else 1)
        room = 1 if self.outfeed is None else self.outfeed.capacity - self.outfeed.level
        full = not self.cleared if self.outfeed is None else room < (RESTART if self._blocked else 1)
        self._starved, self._blocked = lacks, full and not lacks
        state: State = "execute"
        if self.setup:
            state = "setup"
        elif self.fault:
            state = "held"
        elif not self.on:
            state = "stopped"
        elif lacks or full:
            state = "starved" if lacks else "blocked"
        if not self.states or (state, self.fault) != self.states[-1][1:]:
            self.states.append((self._line.now, state, self.fault))
            self._cycle += 1  # an interrupted cycle begins anew
            if state == "execute":
                self._begin_cycle()
        self.state = state

    def _begin_cycle(self) -> None:
        mine = self._cycle
        wanted = self.ideal * self.slow * self._line.random.uniform(1.0, 1.04)
        self._line.after(round(wanted), lambda: self._end_cycle(mine))

    def _end_cycle(self, cycle: int) -> None:
        if cycle != self._cycle:
            return
        if not self.dry:
            good = self._line.random.random() >= self.scrap_rate
            self.parts.append(Part(self._line.now, good))
            if self.infeed is not None:
                self.infeed.level -= 1
            if self.outfeed is not None and good:
                self.outfeed.level += 1
        before = self._cycle
        self.look()
        for neighbour in self.neighbours:
            neighbour.look()
        if self._cycle == before:
            self._begin_cycle()


@dataclass(slots=True)
class Line:
    """The machines in order of flow, and what is to happen when."""

    random: Random
    now: int = 0
    machines: list[Machine] = field(default_factory=list)
    _agenda: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _number: int = 0

    def add(self, name: str, ideal: int, scrap_rate: float) -> Machine:
        """One more machine at the end of the line."""
        machine = Machine(name, ideal, scrap_rate, self)
        if self.machines:
            last = self.machines[-1]
            last.outfeed = machine.infeed = Buffer()
            last.neighbours.append(machine)
            machine.neighbours.append(last)
        self.machines.append(machine)
        return machine

    def at(self, moment: int, act: Callable[[], None]) -> None:
        """Something happens at a moment."""
        self._number += 1
        heapq.heappush(self._agenda, (moment, self._number, act))

    def after(self, wait: int, act: Callable[[], None]) -> None:
        """Something happens after a while."""
        self.at(self.now + wait, act)

    def put(self, machine: Machine, began: int, ended: int | None, **settings: bool | int | float) -> None:
        """Settings of a machine hold from `began` until `ended`, where they are what they were before again."""

        def begin() -> None:
            before = {name: getattr(machine, name) for name in settings}
            self._set(machine, settings)
            if ended is not None:
                self.at(ended, lambda: self._set(machine, before))

        self.at(began, begin)

    def _set(self, machine: Machine, settings: dict[str, bool | int | float]) -> None:
        for name, value in settings.items():
            setattr(machine, name, value)
        machine.look()

    def run(self, since: int, until: int) -> None:
        """Let it all happen."""
        self.now = since
        for machine in self.machines:
            machine.look()
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, act = heapq.heappop(self._agenda)
            act()
        self.now = until
