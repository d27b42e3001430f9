"""Where values lie: on the way from a symbol to its bytes, in an attribute of an object, and in a service's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocols.ethernet_ip.signal import ObjectType
from protocols.ethernet_ip.types import DataType, Symbol
from protocols.types import WireType


@dataclass(frozen=True, slots=True)
class Stage:
    """A tag or a member on the way to a value, and which element of it where it is an array (`dimensions`).

    `offset` is where it begins in the structure that has it, `element` counts in memory's order, the last index
    running fastest.
    """

    name: str
    type: DataType
    offset: int = 0
    element: int = 0
    dimensions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TagPlace:
    """Where a tag's value lies: `bit` of the last stage's word, or of the byte at its offset for a BOOL member."""

    symbol: Symbol
    stages: tuple[Stage, ...]
    wire: WireType
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute and what it is."""

    class_: int
    instance: int
    number: int
    type: ObjectType

    def __str__(self) -> str:
        return f"object {self.class_:#x}/{self.instance}/{self.number}"


@dataclass(frozen=True, slots=True)
class AttributePlace:
    """Where a signal lies that is no tag: an attribute, and the bits of it of which any makes a bool true."""

    attribute: Attribute
    wire: WireType
    any_of: int = 0


Place: TypeAlias = TagPlace | AttributePlace


@dataclass(frozen=True, slots=True)
class Placed:
    """Where in a service's data a signal lies: `wire` and the `bits` of it of which any makes it true, if it is one."""

    number: int
    at: int
    wire: str
    any_of: int = 0
    prefix: int = 0
    skip: int = 0
    capacity: int = 0
    """Of a text: bytes of its length, from that to its characters, and how many bytes there are for these."""


def indices_of(element: int, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """The indices of an element that is counted in memory's order."""
    found: list[int] = []
    for length in reversed(dimensions):
        element, index = divmod(element, length)
        found.append(index)
    return tuple(reversed(found))
