"""Which Read Tag services bring a controller's signals: neighbours in one array or structure read as one.

A service costs its bytes in request and reply and some of the controller's time; needless bytes are read as long as
that is cheaper than another service, and so never more of them than what is saved.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ext.cip import CipPlan
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.epath import elements, symbol_path, symbolic
from protocols.ethernet_ip.places import Placed, Stage, TagPlace, indices_of
from protocols.ethernet_ip.types import Elementary, Template

MAX_COUNT = 0xFFFF
SERVICE_COST = 32
"""What one more service is worth, in bytes beside its own: a controller looks each one up."""
FRAGMENT_COST = 200
"""What one more packet is worth, in bytes."""
_HEAD = 4
"""Service, path size or reserved byte, and what else a request or a reply begins and ends with."""
_OFFSET = 2
_FRAGMENT_HEAD = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """A signal's number and its place."""

    number: int
    place: TagPlace


@dataclass(frozen=True, slots=True)
class Read:
    """One Read Tag: `count` elements of `type` from `path`, which bring `size` bytes beside their type."""

    path: bytes
    name: str
    type: Elementary | Template
    count: int
    size: int
    placed: tuple[Placed, ...]

    @property
    def request(self) -> bytes:
        """The request."""
        return read_request(Service.READ_TAG, self.path, struct.pack("<H", self.count))

    @property
    def fragmented_request(self) -> bytes:
        """The request for the first fragment; its last 4 bytes are the offset."""
        return read_request(Service.READ_TAG_FRAGMENTED, self.path, struct.pack("<HI", self.count, 0))

    @property
    def request_size(self) -> int:
        """Bytes of the request."""
        return _HEAD + len(self.path)

    @property
    def reply_size(self) -> int:
        """Bytes of the reply where nothing is wrong, made whole words."""
        return _HEAD + _type_size(self.type) + self.size + self.size % 2

    def declare(self, decode: CipPlan) -> int:
        """Add the service to the plan of a packet. Returns its number there."""
        if isinstance(self.type, Template):
            return decode.structure(self.type.handle, self.size)
        return decode.tag(self.type.code, self.size)


@dataclass(slots=True)
class _Element:
    """An element of a tag or member, with the signals in it and the cheapest way to read these and no other."""

    number: int
    wanted: list[Wanted]
    path: bytes
    name: str
    inner: _Plan | None
    """Its members each on their own, where every signal is in one of them."""


@dataclass(frozen=True, slots=True)
class _Plan:
    cost: int
    reads: tuple[Read, ...]


class Reads:
    """Finds the services for connections whose requests and replies have at most `most` bytes of CIP data.

    Elements are read together as long as their reply has at most `room` bytes.
    `by_instance`: tags of the controller's scope go by their instance of the Symbol class (firmware 21 and later).
    `keeps_shape`: that arrays have their dimensions still is known by other means than their replies, which do not
    tell them: otherwise elements of arrays of several dimensions are read singly.
    """

    def __init__(self, most: int, room: int, *, by_instance: bool, keeps_shape: bool) -> None:
        self._most = most
        self._room = room
        self._by_instance = by_instance
        self._keeps_shape = keeps_shape

    def together(self, wanted: Iterable[Wanted]) -> list[Read]:
        """The services for some signals, each signal in one of them."""
        by_symbol: dict[str, list[Wanted]] = {}
        for one in wanted:
            by_symbol.setdefault(one.place.symbol.name, []).append(one)
        return [read for several in by_symbol.values() for read in self._node(several, 0, b"", "").reads]

    def alone(self, one: Wanted) -> Read:
        """The service that brings one signal and nothing else."""
        path, name = b"", ""
        for depth, stage in enumerate(one.place.stages):
            path, name = self._onto(path, name, one, depth, stage.element)
        last = len(one.place.stages) - 1
        stage = one.place.stages[last]
        return _whole([_Element(stage.element, [one], path, name, None)], stage.type, last)

    def fragments(self, read: Read) -> int:
        """How many packets a service needs; 1 where it need not be fragmented."""
        if read.reply_size <= self._most:
            return 1
        return math.ceil(read.size / (self._most - _FRAGMENT_HEAD))

    def _cost(self, path: bytes, kind: Elementary | Template, count: int) -> int:
        read = Read(path, "", kind, count, count * kind.size, ())
        packets = self.fragments(read)
        size = read.request_size + read.reply_size + 2 * _OFFSET + SERVICE_COST
        return size if packets == 1 else size + packets * (FRAGMENT_COST + read.request_size + _FRAGMENT_HEAD)

    def _children(self, wanted: Sequence[Wanted], depth: int, path: bytes, name: str) -> _Plan:
        """The members of one structure, each on its own."""
        by_name: dict[str, list[Wanted]] = {}
        for one in wanted:
            by_name.setdefault(one.place.stages[depth].name, []).append(one)
        plans = [self._node(several, depth, path, name) for several in by_name.values()]
        return _Plan(sum(plan.cost for plan in plans), tuple(read for plan in plans for read in plan.reads))

    def _node(self, wanted: Sequence[Wanted], depth: int, path: bytes, name: str) -> _Plan:
        """The cheapest services for signals in one tag or member, which may be an array."""
        by_element: dict[int, list[Wanted]] = {}
        for one in sorted(wanted, key=lambda one: one.place.stages[depth].element):
            by_element.setdefault(one.place.stages[depth].element, []).append(one)
        several = []
        for number, inside in by_element.items():
            onto = self._onto(path, name, inside[0], depth, number)
            is_divisible = all(len(one.place.stages) > depth + 1 for one in inside)
            inner = self._children(inside, depth + 1, *onto) if is_divisible else None
            several.append(_Element(number, inside, *onto, inner))
        return self._runs(several, depth)

    def _runs(self, several: Sequence[_Element], depth: int) -> _Plan:
        """The cheapest division of an array's elements into runs that are read whole, and into members.

        `best` has the cost for the first elements, and where their last run begins, None where that is by members.
        """
        stage = several[0].wanted[0].place.stages[depth]
        kind = stage.type
        longest = min(MAX_COUNT, (self._room - _HEAD - _type_size(kind)) // kind.size)
        longest = longest if self._keeps_shape or len(stage.dimensions) < 2 else 1
        singly = [self._cost(one.path, kind, 1) for one in several]
        best: list[tuple[int, int | None]] = [(0, None)]
        for end, last in enumerate(several):
            chosen: tuple[int, int | None] = (best[end][0] + singly[end], end)
            if last.inner is not None and best[end][0] + last.inner.cost < chosen[0]:
                chosen = (best[end][0] + last.inner.cost, None)
            for begin in range(end - 1, -1, -1):
                beyond = last.number - several[begin].number
                needless = (several[begin + 1].number - several[begin].number - 1) * kind.size
                if beyond >= longest or needless > singly[begin + 1]:
                    break  # a service of its own is cheaper than so large a gap
                cost = best[begin][0] + singly[begin] + beyond * kind.size
                if cost < chosen[0]:
                    chosen = (cost, begin)
            best.append(chosen)
        parts: list[tuple[Read, ...]] = []
        end = len(several)
        while end:
            start, inner = best[end][1], several[end - 1].inner
            if start is not None:
                parts.append((_whole(several[start:end], kind, depth),))
                end = start
            elif inner is not None:
                parts.append(inner.reads)
                end -= 1
        return _Plan(best[-1][0], tuple(read for part in reversed(parts) for read in part))

    def _onto(self, path: bytes, name: str, one: Wanted, depth: int, element: int) -> tuple[bytes, str]:
        """The path and the name of an element of a stage, given those of what has it."""
        stage, symbol = one.place.stages[depth], one.place.symbol
        if depth == 0:
            instance = symbol.instance_id if self._by_instance and not symbol.in_program else None
            path, name = symbol_path(symbol.name, instance), symbol.name
        else:
            path, name = path + symbolic(stage.name), f"{name}.{stage.name}"
        if not stage.dimensions:
            return path, name
        indices = indices_of(element, stage.dimensions)
        return path + elements(indices), f"{name}[{','.join(map(str, indices))}]"


def _whole(several: Sequence[_Element], kind: Elementary | Template, depth: int) -> Read:
    """One service for all elements from the first to the last."""
    first, count = several[0], several[-1].number - several[0].number + 1
    placed = tuple(_placed(one, depth, first.number) for element in several for one in element.wanted)
    return Read(first.path, first.name, kind, count, count * kind.size, placed)


def _placed(one: Wanted, depth: int, first: int) -> Placed:
    """Where a signal lies in a service that brings elements of a stage from the first on."""
    place = one.place
    stages: Sequence[Stage] = place.stages[depth:]
    at = (stages[0].element - first) * stages[0].type.size
    at += sum(stage.offset + stage.element * stage.type.size for stage in stages[1:])
    last = stages[-1].type
    if isinstance(last, Template):
        text = last.text
        assert text is not None  # nothing else that has members is a signal
        length, data = text
        return Placed(one.number, at + length.offset, "string", 0, 4, data.offset - length.offset, data.count)
    if place.bit is None or (last.wire == "bool" and len(stages) == 1):
        return Placed(one.number, at, last.wire)
    return Placed(one.number, at, "uint8" if last.wire == "bool" else last.wire, 1 << place.bit)


def _type_size(kind: Elementary | Template) -> int:
    """Bytes of a type in a reply; a structure's handle follows its code."""
    return 4 if isinstance(kind, Template) else 2
