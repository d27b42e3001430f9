"""What the line makes and for whom: `products:` with what they should take, `jobs:`, and ideals that a signal gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from gateway.config.states import SignalRef
from protocols.settings import SECTION, TEXT, Cycle, Duration, Keyed, Name, Settings, text_or_section

IdealUnit = Literal["ms", "s", "min", "1/s", "1/min", "1/h"]
_MS: dict[str, float] = {"ms": 1, "s": 1_000, "min": 60_000, "1/s": 1_000, "1/min": 60_000, "1/h": 3_600_000}
SHORTEST_MS, LONGEST_MS = 0.001, 30 * 86_400_000
"""Between these lies any cycle of a machine."""


class IdealSignal(Settings):
    """An ideal that a signal gives: a cycle time, or a rate."""

    signal: SignalRef = Field(examples=["filler_plc.set_speed"])
    """`device.signal`, a number. One that is bad, 0 or no cycle at all says nothing: the last good one stays for as
    long as the product does."""
    unit: IdealUnit = Field(examples=["1/min"])
    """Of the signal: a time of one part, or parts in a time."""

    def cycle_of(self, value: object) -> float | None:
        """Milliseconds a part that a value means; None for one that means none."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            return None
        cycle = _MS[self.unit] / value if self.unit.startswith("1/") else _MS[self.unit] * value
        return cycle if SHORTEST_MS <= cycle <= LONGEST_MS else None


Ideal = Annotated[Annotated[Cycle, Tag(TEXT)] | Annotated[IdealSignal, Tag(SECTION)], text_or_section]


class ProductConfig(Settings):
    """What is to be known of a product."""

    text: str | None = Field(default=None, examples=["0.5 l still"])
    """In words."""
    ideal: (
        Annotated[Annotated[Cycle, Tag(TEXT)] | Annotated[Keyed[Name, Cycle], Tag(SECTION)], text_or_section] | None
    ) = Field(default=None, examples=["{filler: 36000/h}"])
    """Ideal cycle time or rate by machine, in its own unit, or one for all machines; before the machine's own."""
    changeover: Duration | None = Field(default=None, examples=["25min"])
    """How long changing over to it may take; what takes longer is the excess."""

    def ideal_on(self, machine: str) -> float | None:
        """Milliseconds of one part on a machine, None where it says nothing of that."""
        return self.ideal if self.ideal is None or isinstance(self.ideal, float) else self.ideal.get(machine)


class ProductsConfig(Settings):
    """What the line can make, and the signal that says what it makes now."""

    signal: SignalRef | None = Field(default=None, examples=["filler_plc.recipe"])
    """`device.signal`: a text or a number, which is compared as its decimal text. Bad, blank or 0 says nothing: the
    last product stays. Where it is left out people say what is made."""
    unlisted: Literal["report"] = "report"
    """A product that is not in the list: its parts are counted and it is reported, without an ideal."""
    list: Keyed[int | str, ProductConfig] = Field(
        default_factory=dict, validate_default=True, examples=['{"4711": {text: 0.5 l still, ideal: 36000/h}}']
    )
    """Products by what the signal says; a number is as good as its text."""

    @property
    def by_name(self) -> dict[str, ProductConfig]:
        """Products by their decimal text."""
        return {f"{key}": product for key, product in self.list.items()}


class JobsConfig(Settings):
    """The signals that say which job the line works on."""

    signal: SignalRef = Field(examples=["filler_plc.order"])
    """`device.signal`: a text or a number; empty, blank or 0 means that there is no job."""
    target: SignalRef | None = Field(default=None, examples=["filler_plc.target"])
    """How many good parts it is to make, in the line's unit."""
    due: SignalRef | None = Field(default=None, examples=["filler_plc.due"])
    """When it is due: a text like 2026-11-22T14:00:00Z or 2026-11-22 14:00 (in the line's time zone), or seconds or
    milliseconds since 1970."""
