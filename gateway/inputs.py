"""What the engine decides from: every input carries the engine time at which its runner stamped it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from protocols.model import Batch


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: deadlines up to `at` are due."""

    at: int


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device was lost, or is there again (its signals stay bad until they are read)."""

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


@dataclass(frozen=True, slots=True)
class Note:
    """A person's word about a machine; accepted as it is."""

    machine: str
    text: str
    who: str
    at: int


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


Input: TypeAlias = Batch | Tick | DeviceState | ClockStep | Note | Verified | Mute | Reload
