"""The simulated filler: a discrete-event model in whole milliseconds of its own time, exact however it is stepped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Literal, TypeAlias, get_args

from protocols.simulated.belt import Belt

Action = Literal["fault", "clear", "starve", "feed", "stop", "start", "estop", "release", "reset_counters"]
ACTIONS: tuple[Action, ...] = get_args(Action)
CAP_JAM, LOW_PRESSURE = 17, 23
_NEVER = 1 << 62


class State(Enum):
    """What the machine physically does."""

    ESTOPPED = "estopped"
    FAULTED = "faulted"
    STARVED = "starved"
    STOPPED = "stopped"
    EXECUTE = "execute"


_HINDRANCES = (State.ESTOPPED, State.FAULTED, State.STARVED, State.STOPPED)
"""What keeps the machine from executing; where several do, the first one shows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `began_ms` to the next interval the machine is in one state; `reason` is the fault code, else 0."""

    began_ms: int
    state: State
    reason: int


@dataclass(frozen=True, slots=True)
class Part:
    """A bottle that left the machine, with the totals up to and including it."""

    ms: int
    good: bool
    total: int
    rejects: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What the machine really did since it was made, whatever its counters show."""

    ms: int
    state: State
    reason: int
    total: int
    good: int
    rejects: int


Observed: TypeAlias = Interval | Part
Scripted: TypeAlias = tuple[int, Action] | tuple[int, Action, int]
"""(at_ms, action) or (at_ms, "fault", code)."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One kind of random trouble: how often it is the one that comes, and how long it lasts."""

    state: State
    weight: int
    shortest_ms: int
    longest_ms: int
    code: int = 0


DISTURBANCES = (
    Disturbance(State.STARVED, 30, 2_500, 9_000),
    Disturbance(State.FAULTED, 22, 3_000, 12_000, CAP_JAM),
    Disturbance(State.FAULTED, 14, 20_000, 45_000, CAP_JAM),
    Disturbance(State.FAULTED, 14, 12_000, 40_000, LOW_PRESSURE),
    Disturbance(State.STARVED, 12, 15_000, 40_000),
    Disturbance(State.STOPPED, 6, 8_000, 20_000),
    Disturbance(State.ESTOPPED, 2, 15_000, 30_000),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How the machine runs and fails. The default has trouble far more often than a plant would bear: it is a demo."""

    fastest_ms: int = 490
    """Shortest cycle; cycles are spread evenly around the ideal of 500 ms, on average a little slower."""
    slowest_ms: int = 530
    reject_ratio: float = 0.02
    start_up_ms: int = 2_000
    """How long it stands before it first executes."""
    mean_run_ms: int = 25_000
    """Mean time from the end of one disturbance to the beginning of the next."""
    disturbances: tuple[Disturbance, ...] = DISTURBANCES


CALM = Profile(disturbances=())
"""Runs for ever: only scripted trouble."""


class Filler:
    """A filling machine. Its life depends on its arguments and the times of `apply` alone, never on a wall clock.

    `bottles` and `rejects` are what the PLC's counters (uint32, uint16) show at the start. `observer` is told each
    interval as it begins and each part as it is made, in order of time. `remember` (at least 1) bounds `intervals` and
    `parts`.
    At one instant a part is finished first, then random trouble begins or ends, then the script acts.
    """

    def __init__(
        self,
        seed: int = 1,
        profile: Profile = Profile(),
        script: Iterable[Scripted] = (),
        bottles: int = 0,
        rejects: int = 0,
        observer: Callable[[Observed], None] | None = None,
        remember: int | None = None,
        source: Filler | None = None,
    ) -> None:
        self.profile = profile
        self.now_ms = 0
        self.recipe = "cola-500ml"
        self.intervals: deque[Interval] = deque(maxlen=remember)
        self.parts: deque[Part] = deque(maxlen=remember)
        # Two streams of chance: what the script does to one leaves the other as it would have been.
        self._quality = Random(f"{seed}/parts")
        self._trouble = Random(f"{seed}/hindrance")
        self._script = sorted(script, key=lambda entry: entry[0])[::-1]
        self._bottles, self._rejects = bottles, rejects
        self._observer = observer
        self._held: dict[State, int] = {}
        self._disturbance: tuple[State, int] | None = None
        self._disturbance_due = _NEVER
        self._part_due = _NEVER
        self._cycle_ms = 0
        self._total = self._scrap = 0
        self._source = source
        self._infeed: Belt | None = None
        self._outfeed: Belt | None = None
        if source is not None:
            self._infeed = source._outfeed = Belt()
        self._is_dry = source is not None
        self._begin()

    def advance(self, to_ms: int) -> None:
        """Lives up to and including `to_ms`; ValueError where that has passed."""
        if to_ms < self.now_ms:
            raise ValueError(f"{to_ms} ms has passed: it is {self.now_ms} ms")
        if self._source is not None and self._source.now_ms < to_ms:
            self._source.advance(to_ms)
        while True:
            script_due = self._script[-1][0] if self._script else _NEVER
            due = min(self._part_due, self._disturbance_due, script_due, self._filled_due)
            if due > to_ms:
                break
            self.now_ms = max(due, self.now_ms)
            if due == self._part_due:
                self._finish_part()
            elif due == self._disturbance_due:
                self._disturb()
            elif due < script_due:
                self._is_dry = False
                self._settle()
            else:
                _, action, *code = self._script.pop()
                self.apply(action, *code)
        self.now_ms = to_ms

    def apply(self, action: Action, code: int = CAP_JAM) -> None:
        """Does to the machine, now, what a script or a person does; ends random trouble of that kind as well."""
        match action:
            case "fault":
                if not 1 <= code <= 0xFFFF:
                    raise ValueError(f"{code} is not a fault code: 1 to 65535")
                self._held[State.FAULTED] = code
            case "starve":
                self._held[State.STARVED] = 0
            case "stop":
                self._held[State.STOPPED] = 0
            case "estop":
                self._held[State.ESTOPPED] = 0
            case "clear":
                self._relieve(State.FAULTED)
            case "feed":
                self._relieve(State.STARVED)
            case "start":
                self._relieve(State.STOPPED)
            case "release":
                self._relieve(State.ESTOPPED)
            case "reset_counters":
                self._bottles, self._rejects = -self._total, -self._scrap
        self._settle()

    @property
    def state(self) -> State:
        """What the machine does now."""
        return self.intervals[-1].state

    @property
    def fault(self) -> int:
        """The PLC's fault register: a code, or 0. It stays while an emergency stop hides it."""
        if State.FAULTED in self._held:
            return self._held[State.FAULTED]
        return self._disturbance[1] if self._disturbance and self._disturbance[0] is State.FAULTED else 0

    def hindered_by(self, state: State) -> bool:
        """Whether this keeps the machine from executing, alone or among others."""
        if state is State.STARVED and self._is_dry:
            return True
        return state in self._held or (self._disturbance is not None and self._disturbance[0] is state)

    @property
    def speed(self) -> float:
        """Bottles a minute at the pace of the one in work, 0 while there is none."""
        return 60_000 / self._cycle_ms if self.state is State.EXECUTE else 0.0

    @property
    def bottles(self) -> int:
        """The PLC's counter of all bottles, rejects included: uint32."""
        return (self._bottles + self._total) & 0xFFFF_FFFF

    @property
    def rejects(self) -> int:
        """The PLC's counter of rejects: uint16."""
        return (self._rejects + self._scrap) & 0xFFFF

    def truth(self) -> Truth:
        """The totals as they are now."""
        last = self.intervals[-1]
        good = self._total - self._scrap
        return Truth(self.now_ms, last.state, last.reason, self._total, good, self._scrap)

    def _begin(self) -> None:
        if self.profile.start_up_ms:
            self._disturbance, self._disturbance_due = (State.STOPPED, 0), self.profile.start_up_ms
        else:
            self._calm_down()
        self._settle()

    @property
    def _filled_due(self) -> int:
        filled = self._infeed.filled_ms if self._infeed is not None and self._is_dry else None
        return _NEVER if filled is None else filled

    def _disturb(self) -> None:
        """Random trouble begins, or the one that is there ends."""
        if self._disturbance is not None:
            self._calm_down()
        else:
            kinds = self.profile.disturbances
            kind = self._trouble.choices(kinds, [kind.weight for kind in kinds])[0]
            self._disturbance = (kind.state, kind.code)
            self._disturbance_due = self.now_ms + self._trouble.randint(kind.shortest_ms, kind.longest_ms)
        self._settle()

    def _calm_down(self) -> None:
        self._disturbance, self._disturbance_due = None, _NEVER
        if self.profile.disturbances:
            wait = self._trouble.expovariate(1 / self.profile.mean_run_ms)
            self._disturbance_due = self.now_ms + max(1, round(wait))

    def _relieve(self, state: State) -> None:
        self._held.pop(state, None)
        if self._disturbance is not None and self._disturbance[0] is state:
            self._calm_down()

    def _settle(self) -> None:
        """Begins a new interval where state or reason are other ones now."""
        state = next((state for state in _HINDRANCES if self.hindered_by(state)), State.EXECUTE)
        reason = self.fault if state is State.FAULTED else 0
        last = self.intervals[-1] if self.intervals else None
        if last is not None and (last.state, last.reason) == (state, reason):
            return
        if state is State.EXECUTE:
            self._begin_part()
        else:
            self._part_due = _NEVER
        self._tell(Interval(self.now_ms, state, reason))

    def _begin_part(self) -> None:
        self._cycle_ms = self._quality.randint(self.profile.fastest_ms, self.profile.slowest_ms)
        self._part_due = self.now_ms + self._cycle_ms

    def _finish_part(self) -> None:
        good = self._quality.random() >= self.profile.reject_ratio
        self._total += 1
        self._scrap += not good
        self._tell(Part(self.now_ms, good, self._total, self._scrap))
        if good and self._outfeed is not None:
            self._outfeed.put(self.now_ms)
        if self._infeed is not None:
            self._infeed.take()
            self._is_dry = self._infeed.is_empty(self.now_ms)
        if self._is_dry:
            self._settle()
        else:
            self._begin_part()

    def _tell(self, observed: Observed) -> None:
        if isinstance(observed, Part):
            self.parts.append(observed)
        else:
            self.intervals.append(observed)
        if self._observer is not None:
            self._observer(observed)
