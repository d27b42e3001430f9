"""Read Tag and Read Tag Fragmented: from a request's path to the bytes of a tag, an element or a member."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.simulated.ethernet_ip.cip import BEYOND_END, Class, Kind, Refused, Request, Segment, Status
from protocols.simulated.ethernet_ip.datatypes import BOOL, Structure, Type
from protocols.simulated.ethernet_ip.project import NO_ACCESS, Project, Scope, Symbol

REPLY_HEADER = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: `count` elements of `type` from `offset` on in a symbol's value."""

    symbol: Symbol
    type: Type
    offset: int
    count: int
    bit: int | None = None

    @property
    def element_size(self) -> int:
        """Bytes of one element."""
        return self.type.size

    def read(self, elements: int) -> bytes:
        """The value now."""
        data = self.symbol.read()
        if self.bit is not None:
            return bytes((data[self.offset] >> self.bit & 1,))
        return data[self.offset : self.offset + elements * self.element_size]


def scope_of(project: Project, path: list[Segment]) -> tuple[Scope, list[Segment]]:
    """The program that a path names, or the controller, and the rest of the path."""
    if path and path[0].kind is Kind.SYMBOL and path[0].text.lower().startswith("program:"):
        program = project.programs.get(path[0].text[len("Program:") :].lower())
        if program is None:
            raise Refused(Status.PATH_SEGMENT_ERROR, 0)
        return program, path[1:]
    return project.controller, path


def find(project: Project, path: list[Segment]) -> Place:
    """Where a path of symbols, symbol instances, elements and members leads.

    Refused with 0x04 for a symbol that is not there, 0x05 for an instance or a member, 0xFF beyond an array's end.
    """
    scope, path = scope_of(project, path)
    symbol, path = _symbol(scope, path)
    if symbol.type is None:
        raise _unknown()
    if symbol.access == NO_ACCESS:
        raise Refused(Status.PERMISSION_DENIED)
    path, indexes = _indexes(path)
    first = _flat(indexes, symbol.dimensions)
    kind, count = symbol.type, symbol.elements - first
    offset = first * kind.size
    while path:
        if not isinstance(kind, Structure) or path[0].kind is not Kind.SYMBOL:
            raise _unknown()
        member = kind.member(path[0].text)
        if member is None:
            raise _unknown()
        path, indexes = _indexes(path[1:])
        first = _flat(indexes, (member.count,) if member.count else ())
        kind = member.type
        offset, count = offset + member.offset + first * kind.size, (member.count or 1) - first
        if member.is_bit:
            if path:
                raise _unknown()
            return Place(symbol, BOOL, offset + member.bit // 8, 1, member.bit % 8)
    return Place(symbol, kind, offset, count)


def read_tag(place: Place, request: Request, room: int) -> tuple[int, bytes]:
    """The answer's status and data, which fit into `room` bytes with the reply's header."""
    if len(request.data) < 2:
        raise Refused(Status.NOT_ENOUGH_DATA)
    (elements,) = struct.unpack_from("<H", request.data)
    return _part(place, elements, 0, room)


def read_fragment(place: Place, request: Request, room: int) -> tuple[int, bytes]:
    """As `read_tag`, from a byte offset on."""
    if len(request.data) < 6:
        raise Refused(Status.NOT_ENOUGH_DATA)
    elements, offset = struct.unpack_from("<HI", request.data)
    return _part(place, elements, offset, room)


def _part(place: Place, elements: int, offset: int, room: int) -> tuple[int, bytes]:
    if not 1 <= elements <= place.count or (offset and offset >= elements * place.element_size):
        raise Refused(Status.GENERAL_ERROR, BEYOND_END)
    kind = place.type.tag_type
    data = place.read(elements)[offset:]
    most = room - REPLY_HEADER - len(kind)
    if len(data) <= most:
        return Status.SUCCESS, kind + data
    # Elements are not torn; of structures, which may be larger than a packet, 32-bit words are not.
    step = 4 if isinstance(place.type, Structure) else place.element_size
    most = most // step * step
    if most <= 0:
        raise Refused(Status.REPLY_TOO_LARGE)
    return Status.PARTIAL_TRANSFER, kind + data[:most]


def _unknown() -> Refused:
    return Refused(Status.PATH_DESTINATION_UNKNOWN, 0)


def _symbol(scope: Scope, path: list[Segment]) -> tuple[Symbol, list[Segment]]:
    if not path:
        raise Refused(Status.PATH_SEGMENT_ERROR, 0)
    if path[0].kind is Kind.SYMBOL:
        symbol = scope.by_name.get(path[0].text.lower())
        if symbol is None:
            raise Refused(Status.PATH_SEGMENT_ERROR, 0)
        return symbol, path[1:]
    if len(path) < 2 or path[0] != Segment(Kind.CLASS, Class.SYMBOL) or path[1].kind is not Kind.INSTANCE:
        raise _unknown()
    symbol = scope.by_instance.get(path[1].number)
    if symbol is None:
        raise _unknown()
    return symbol, path[2:]


def _indexes(path: list[Segment]) -> tuple[list[Segment], list[int]]:
    indexes = []
    for segment in path:
        if segment.kind is not Kind.ELEMENT:
            break
        indexes.append(segment.number)
    return path[len(indexes) :], indexes


def _flat(indexes: Sequence[int], dimensions: Sequence[int]) -> int:
    """The element's place in memory: the last index runs fastest."""
    # Of two and three dimensions, all have to be named (1756-PM020H, "Read Tag Service").
    if len(indexes) != len(dimensions) and (indexes or len(dimensions) > 1):
        raise _unknown()
    flat = 0
    for index, dimension in zip(indexes, dimensions, strict=False):
        if index >= dimension:
            raise Refused(Status.GENERAL_ERROR, BEYOND_END)
        flat = flat * dimension + index
    return flat
