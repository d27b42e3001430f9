"""How a machine's state is known: rules, reasons, its PackML state and its mode."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, Tag, model_validator

from gateway.states.packml import CategoryName, Numbering, StateName, category_of
from protocols.settings import (
    SECTION,
    TEXT,
    Duration,
    Keyed,
    Settings,
    gathered,
    misplaced,
    text_or_section,
)

SignalRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")]
"""`device.signal`"""


class SignalReason(Settings):
    """A reason that a signal gives: a fault number or a text, the first bit of a word that is set, or an alarm."""

    signal: SignalRef | None = Field(default=None, examples=["filler_plc.fault"])
    """`device.signal`; 0, empty and false mean no reason."""
    bits: SignalRef | None = Field(default=None, examples=["filler_plc.alarms"])
    """`device.signal` of a word of alarms; its lowest bit that is set is the reason, by its position from 0."""

    alarms: SignalRef | None = Field(default=None, examples=["capper_plc.alarm"])
    """`device.signal` that an OPC UA device has as `{alarms: NODE}`: its most severe active alarm is the reason."""

    @model_validator(mode="after")
    def _check(self) -> SignalReason:
        if len(self._given) != 1:
            ways = "{signal: filler_plc.fault}, {bits: filler_plc.word} or {alarms: capper_plc.alarm}"
            raise misplaced(f"names one signal in one way: {ways}")
        return self

    @property
    def _given(self) -> list[str]:
        return [one for one in (self.signal, self.bits, self.alarms) if one is not None]

    @property
    def source(self) -> str:
        """The signal, whichever way it is read."""
        return self._given[0]


class StateRule(Settings):
    """One rule; the first that holds gives the machine's state. One with only a category leaves that to later rules."""

    state: StateName | None = Field(default=None, examples=["execute"])
    """A PackML state (ISA-TR88.00.02)."""
    when: str | None = Field(default=None, examples=["filler_plc.running and filler_plc.speed > 5"])
    """Condition over `device.signal` names; always true where it is left out."""
    for_: Duration = Field(default=0, alias="for")
    """The condition must have held this long, and then counts from when it began to."""
    category: CategoryName | None = Field(default=None, examples=["setup"])
    """What the time is accounted to, whatever the state."""
    reason: Annotated[Annotated[str, Tag(TEXT)] | Annotated[SignalReason, Tag(SECTION)], text_or_section] | None = (
        Field(default=None, examples=["emergency stop"])
    )
    """A text, {signal: device.signal}, {bits: device.signal} or {alarms: device.signal}."""
    cause: Literal["starved", "blocked"] | None = None
    """Of suspended: starved (upstream) or blocked (downstream)."""

    @model_validator(mode="after")
    def _check(self) -> StateRule:
        problems = []
        if self.state is None and self.category is None:
            problems.append(misplaced("needs a state like `state: execute`, or a category like `category: setup`"))
        if self.cause is not None and (self.state is None or category_of(self.state, None) != "suspended"):
            what = "a category alone" if self.state is None else self.state
            words = f"only suspended, suspending and unsuspending have a cause, not {what}; leave it out"
            problems.append(misplaced(words, "cause"))
        if self.for_ and self.when is None:
            problems.append(misplaced("needs a condition to hold: add a `when`", "for"))
        if problems:
            raise gathered(problems)
        return self


class ReasonConfig(Settings):
    """What is to be known of a reason."""

    text: str = Field(examples=["cap jam"])
    """In words."""
    group: str | None = Field(default=None, examples=["mechanical"])
    """What reasons are added up by."""
    category: CategoryName | None = Field(default=None, examples=["starved"])
    """What time with this reason is accounted to, unless its rule says so itself."""
    failure: bool = True
    """Whether a downtime with this reason is a failure, for MTBF and MTTR."""
    owner: str | None = Field(default=None, examples=["maintenance"])
    """Who is to see to it."""


Reasons = Keyed[
    int | str, Annotated[Annotated[str, Tag(TEXT)] | Annotated[ReasonConfig, Tag(SECTION)], text_or_section]
]
"""Texts of reasons or more of them, by number or name."""


class PackmlStateConfig(Settings):
    """A signal in which the machine says its PackML state; the signal's name alone is enough."""

    signal: SignalRef = Field(examples=["capper_plc.state"])
    """`device.signal`: a number of a state, or Weihenstephan's word of bits."""
    numbering: Annotated[
        Annotated[Numbering, Tag(TEXT)] | Annotated[Keyed[int, StateName], Tag(SECTION)], text_or_section
    ] = Field(default="packml", examples=["{1: stopped, 4: execute}"])
    """What its numbers mean: ISA-TR88.00.02's (`packml`), those of OPC 30060, Weihenstephan's bits, or a mapping."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"signal": data} if isinstance(data, str) else data


ModeName = Literal["produce", "maintenance", "manual"]
"""PackML's modes 1 to 3 (ISA-TR88.00.02, `Status.UnitModeCurrent`)."""


class ModeConfig(Settings):
    """A signal in which the machine says its mode; the signal's name alone is enough."""

    signal: SignalRef = Field(examples=["filler_plc.mode"])
    """`device.signal`: a number or a text."""
    texts: Keyed[int | str, ModeName] = Field(
        default_factory=lambda: {1: "produce", 2: "maintenance", 3: "manual"},
        validate_default=True,
        examples=["{1: produce, 2: maintenance, 3: manual}"],
    )
    """What it says in each mode; PackML's numbers by default. Others are told as they are."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"signal": data} if isinstance(data, str) else data

    def name_of(self, value: bool | int | float | str | None) -> str:
        """The mode that a value means; `unknown` for a bad one."""
        if value is None:
            return "unknown"
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return self.texts.get(value, str(value)) if isinstance(value, (int, str)) else str(value)
