"""How a machine's parts are counted and its cycles are timed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from gateway.config.states import SignalRef
from protocols.settings import NOT_BOOL, Cycle, Settings, gathered, misplaced

_ONE, _SEVERAL = "\0one", "\0several"


class CounterConfig(Settings):
    """An absolute counter of a PLC; the signal's name alone is enough."""

    signal: SignalRef = Field(examples=["filler_plc.bottles"])
    """`device.signal`, an unscaled number."""
    each: Annotated[int, NOT_BOOL] = Field(default=1, ge=1, le=1_000_000)
    """How many of the line's unit one count is: 12 for cases of 12. A machine's figures are in its own unit."""
    rollover: int | None = Field(default=None, ge=1)
    """Highest value before 0; by default the range of the signal's type."""
    max_rate: Cycle | None = None
    """Fastest that the machine can count (`45000/h`); by default three times the ideal."""
    correction: int | None = Field(default=None, ge=0)
    """Largest step back taken as a correction by hand; by default 1 % of the shift's count."""
    reason: Annotated[int | str, NOT_BOOL] | None = Field(default=None, examples=["underfill"])
    """Of a scrap counter: why its parts are rejected, a number or name that `reasons` may explain, or words."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"signal": data} if isinstance(data, str) else data


class PartsConfig(Settings):
    """Which counters say how many parts a machine made; any two of total, good and scrap give the third."""

    total: CounterConfig | None = None
    """All parts."""
    good: CounterConfig | None = None
    """Good parts."""
    scrap: (
        Annotated[
            Annotated[CounterConfig, Tag(_ONE)]
            | Annotated[tuple[CounterConfig, ...], Field(strict=False, min_length=1), Tag(_SEVERAL)],
            Discriminator(lambda value: _SEVERAL if isinstance(value, (list, tuple)) else _ONE),
        ]
        | None
    ) = Field(default=None, examples=["[{signal: filler_plc.underfill, reason: underfill}]"])
    """Rejected parts; several counters are added up, each with its reason."""
    rework: CounterConfig | None = None
    """Parts that were worked on again; they are told beside the others and change none."""

    @model_validator(mode="after")
    def _check(self) -> PartsConfig:
        if self.total is None and self.good is None:
            raise misplaced("needs a total or a good counter, for example `total: filler_plc.bottles`")
        first, each = self.counters[0][0][0], self.each
        problems = []
        for place, counter in self.counters:
            if counter.each != each:
                words = f"{place[0]} counts in {counter.each} and {first} in {each}; a machine counts in one unit"
                problems.append(misplaced(f"{words}, so give all its counters the same `each`", *place))
            if counter.reason is not None and place[0] != "scrap":
                problems.append(misplaced("only scrap has a reason; leave it out", *place, "reason"))
        if problems:
            raise gathered(problems)
        return self

    @property
    def each(self) -> int:
        """How many of the line's unit one of the machine's parts is."""
        return self.counters[0][1].each

    @property
    def counters(self) -> tuple[tuple[tuple[str | int, ...], CounterConfig], ...]:
        """The counters that are given, with where each is written: `("total",)`, `("scrap", 0)`."""
        given: list[tuple[tuple[str | int, ...], CounterConfig]] = []
        for role in ("total", "good", "scrap", "rework"):
            written = getattr(self, role)
            if isinstance(written, tuple):
                given += [((role, index), counter) for index, counter in enumerate(written)]
            elif written is not None:
                given.append(((role,), written))
        return tuple(given)

    @property
    def roles(self) -> frozenset[str]:
        """What is counted."""
        return frozenset(str(at[0]) for at, _ in self.counters)

    @property
    def paced(self) -> CounterConfig:
        """The counter whose steps are the machine's cycles."""
        counter = self.total or self.good
        assert counter is not None
        return counter


class CycleConfig(Settings):
    """A signal that holds the last cycle's time; each change of it is one cycle."""

    signal: SignalRef = Field(examples=["press_plc.cycle_time"])
    """`device.signal`, a number."""
    unit: Literal["ms", "s", "min"] = Field(examples=["ms"])
    """What it counts in."""

    @property
    def unit_ms(self) -> int:
        """Milliseconds of one."""
        return {"ms": 1, "s": 1000, "min": 60_000}[self.unit]
