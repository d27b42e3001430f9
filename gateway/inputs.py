"""What the engine decides from: every input carries the engine time at which its runner stamped it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.entries.word import What
from protocols.model import Batch


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: deadlines up to `at` are due."""

    at: int


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device was lost, or is there again (its signals stay bad until they are read).

    Said before the first Batch of a connection, also after a start: one that is lost already is not lost once more.
    """

    device: str
    connected: bool
    at: int
    endpoint: str = ""
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock stepped, or was synchronised: from now on UTC is engine time plus `utc_offset` (milliseconds)."""

    at: int
    utc_offset: int
    suspect: bool = False
    """Whether nothing synchronises the clock: all dates may be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A person's word about a machine, or about the `line`; `Pipeline.check` says whether it can be so."""

    entry: str
    """Its id."""
    what: What
    machine: str
    """A machine's name, or `line` (crew, and a job of the whole line)."""
    target: str | None = None
    """Id of the stop, or part of one, or interval that it is about; to undo, of the entry that is taken back."""
    reason: str | None = None
    """A reason's code."""
    note: str | None = None
    amount: int | None = None
    """Parts of scrap, in the machine's unit."""
    who: str
    at: int
    moment: int | None = None
    """Engine time at which a stop is split, or scrap was made."""
    other: str | None = None
    """Of a merge: the stop that follows."""
    job: str | None = None
    product: str | None = None
    crew: str | None = None
    job_target: int | None = None
    """Good parts that the line's job is to make, in the line's unit."""
    job_due: int | None = None
    """UTC milliseconds at which it is due."""


def entry_of_note(machine: str, text: str, who: str, at: int) -> Entry:
    """A note as older recordings have it."""
    return Entry(entry=f"{machine}-note-{at}", what="note", machine=machine, note=text, who=who, at=at)


@dataclass(frozen=True, slots=True)
class Verified:
    """A person counted the parts that a machine made in a time, beside the gateway and the PLC."""

    machine: str
    began: int
    """Engine time; `at` is its end."""
    gateway: int | None
    plc: int | None
    hand: int
    agrees: bool
    who: str
    at: int


@dataclass(frozen=True, slots=True)
class Mute:
    """A person works on a machine online: its events are marked until `until`; at once again where that is `at`."""

    machine: str
    until: int
    who: str
    why: str
    at: int


@dataclass(frozen=True, slots=True)
class Reload:
    """The engine begins or ends: after a start (what was before it was not seen), with a new configuration, to stop."""

    at: int
    utc_offset: int
    cause: Literal["start", "reload", "stop"] = "start"
    suspect: bool = False
    """As in ClockStep."""


Input: TypeAlias = Batch | Tick | DeviceState | ClockStep | Entry | Verified | Mute | Reload
