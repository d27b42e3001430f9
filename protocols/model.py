"""What protocols hand to the gateway: values with quality, gathered in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from protocols.types import WireType


class Quality(IntEnum):
    """How far a value can be trusted; ordered, so that the worst of several is their minimum."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 2

    @property
    def label(self) -> str:
        """The name used in events and on the page: `good`, `uncertain` or `bad`."""
        return self.name.lower()


Value: TypeAlias = bool | int | float | str | None
"""A decoded value; None exactly where the quality is bad."""

Change: TypeAlias = tuple[int, Value, int, str | None, int | None]
"""(signal number, value, quality, why, source time in UTC milliseconds): one changed signal."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A signal's address was refused for good and is left alone for a while, or can be read again."""

    signal: int
    quarantined: bool
    address: str
    """As the configuration writes it: `holding:300`."""
    why: str
    retry_s: float
    """When it is tried again."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a device says of one of its signals, where the configuration leaves it to the device."""

    type: WireType
    texts: Mapping[int, str] = field(default_factory=dict)
    """What an enumeration's numbers mean."""
    unit: str | None = None


@dataclass(slots=True)
class Batch:
    """What one scan or notification of a device brought: only the signals that changed.

    A batch without changes still says that the signals of its scan class were sampled and stayed as
    they were. `at` is engine time in milliseconds; the runner stamps it once, on receipt.
    """

    device: str
    scan: int = 0
    """Scan class: signals of one device that are sampled together."""
    changes: list[Change] = field(default_factory=list)
    at: int = -1
    notices: list[Notice] = field(default_factory=list)
    learned: Mapping[int, Learned] | None = None
    """By signal number, in the first batch of a connection to a device that knows its own types."""
