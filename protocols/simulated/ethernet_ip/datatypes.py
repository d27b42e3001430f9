"""The controller's data types: codes and encodings of elementary ones, layout and template of structures."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

STRUCTURE_TYPE = 0x02A0
"""Type of a structure in a Read Tag reply; its handle follows (1756-PM020H, "Tag type service parameter")."""
DEFINITION_HEADER = 20
"""Bytes that the Object Definition Size counts beside those that Read Template returns.

So it comes to the published sizes: STRUCT_B 30 words (1756-PM020H), CONTROL 38 and STRING 15 (pycomm3's all_tags.json).
"""


class Elementary:
    """An elementary type: its code (CIP Volume 1, C-6.1) and its format for `struct`, little-endian.

    `tag_type` is the type as a Read Tag reply carries it; a member's offset is a multiple of `alignment`.
    """

    def __init__(self, name: str, code: int, format_: str) -> None:
        self.name, self.code, self.format = name, code, format_
        self.size = struct.calcsize(f"<{format_}")
        self.alignment = min(self.size, 4)
        self.tag_type = struct.pack("<H", code)

    def encode(self, values: Sequence[Any]) -> bytes:
        """The bytes of several; struct.error where one does not fit."""
        return struct.pack(f"<{len(values)}{self.format}", *values)


BOOL = Elementary("BOOL", 0xC1, "?")
SINT = Elementary("SINT", 0xC2, "b")
INT = Elementary("INT", 0xC3, "h")
DINT = Elementary("DINT", 0xC4, "i")
LINT = Elementary("LINT", 0xC5, "q")
USINT = Elementary("USINT", 0xC6, "B")
UINT = Elementary("UINT", 0xC7, "H")
UDINT = Elementary("UDINT", 0xC8, "I")
ULINT = Elementary("ULINT", 0xC9, "Q")
REAL = Elementary("REAL", 0xCA, "f")
LREAL = Elementary("LREAL", 0xCB, "d")
BYTE = Elementary("BYTE", 0xD1, "B")
WORD = Elementary("WORD", 0xD2, "H")
DWORD = Elementary("DWORD", 0xD3, "I")
LWORD = Elementary("LWORD", 0xD4, "Q")
ELEMENTARY = (BOOL, SINT, INT, DINT, LINT, USINT, UINT, UDINT, ULINT, REAL, LREAL, BYTE, WORD, DWORD, LWORD)

_BITS = {1: BYTE, 2: WORD, 4: DWORD, 8: LWORD}


@dataclass(frozen=True, slots=True)
class Member:
    """A structure's member: `count` is 0 where it is no array; `bit` counts from the byte at `offset`, for a BOOL."""

    name: str
    type: Type
    offset: int
    count: int = 0
    bit: int = 0

    @property
    def size(self) -> int:
        """Bytes of all its elements."""
        return self.type.size * (self.count or 1)

    @property
    def byte(self) -> int:
        """Where a BOOL's byte is: bits of a DINT go up to 31."""
        return self.offset + self.bit // 8

    @property
    def is_bit(self) -> bool:
        """Whether it is a bit of another member."""
        return self.type is BOOL

    @property
    def hidden(self) -> bool:
        """Whether the programming software shows it to nobody."""
        return not self.name or self.name.startswith(("ZZZZZZZZZZ", "__"))


class Structure:
    """A user-defined, add-on or predefined structure: its layout follows from its members in their order.

    Members are declared as (name, type) or (name, type, elements). BOOLs in a row are the bits of a hidden SINT, eight
    in each; an array of BOOL is one of DWORD. Arrays, structures and types of 4 bytes and more begin at a multiple of
    4, INT at one of 2, and the size is a multiple of 4 (1756-PM020H, "Structure Boundaries"; 64-bit types so in the
    structures that pycomm3's tests/offline/all_tags.json describes).
    """

    alignment = 4

    def __init__(
        self,
        name: str,
        *declared: tuple[str, Type] | tuple[str, Type, int],
        handle: int | None = None,
        suffix: str = "nEAEA",
    ) -> None:
        self.name = name
        self.members: list[Member] = []
        self._suffix = suffix
        self._host: tuple[int, int] | None = None
        end = 0
        for member_name, kind, *count in declared:
            end = self._place(member_name, kind, count[0] if count else 0, end)
        self.size = -(-end // 4) * 4
        self._handle = handle

    @classmethod
    def predefined(cls, name: str, number: int, size: int, *members: Member) -> Structure:
        """One with a fixed template instance, which is its handle too, and a layout of its own."""
        made = cls(name, handle=number)
        made.members, made.size = list(members), size
        made._suffix = ""
        return made

    @property
    def number(self) -> int | None:
        """The template instance of a predefined structure."""
        return self._handle if not self._suffix else None

    @property
    def handle(self) -> int:
        """A checksum of the definition: another layout has another handle."""
        if self._handle is not None:
            return self._handle
        parts = [self.name] + [f"{m.name}:{m.type.name}:{m.offset}:{m.count}:{m.bit}" for m in self.members]
        nested = [m.type.handle for m in self.members if isinstance(m.type, Structure)]
        return binascii.crc_hqx(repr((parts, nested)).encode(), 0xFFFF)

    @property
    def tag_type(self) -> bytes:
        """The type as a Read Tag reply carries it."""
        return struct.pack("<HH", STRUCTURE_TYPE, self.handle)

    @property
    def is_string(self) -> bool:
        """Whether it is a LEN and its DATA."""
        return [member.name for member in self.members] == ["LEN", "DATA"]

    def nested(self) -> list[Structure]:
        """The structures among its members, each once."""
        return list({m.type.name: m.type for m in self.members if isinstance(m.type, Structure)}.values())

    def member(self, name: str) -> Member | None:
        """By its name in any case."""
        wanted = name.lower()
        return next((member for member in self.members if member.name and member.name.lower() == wanted), None)

    def encode(self, values: Sequence[Any]) -> bytes:
        """Each from a mapping of its members, absent ones being zero, or from a text where it is a string."""
        return b"".join(self._encode_one(value) for value in values)

    def definition(self, number_of: Mapping[str, int]) -> bytes:
        """What Read Template returns, given nested structures' instances (1756-PM020H, "Structure data format")."""
        infos = [
            struct.pack("<HHI", m.bit if m.is_bit else m.count, _template_type(m, number_of), m.offset)
            for m in self.members
        ]
        title = f"{self.name};{self._suffix}" if self._suffix else self.name
        names = [title, *(member.name for member in self.members)]
        return b"".join(infos) + b"".join(name.encode("ascii") + b"\0" for name in names)

    def definition_words(self, number_of: Mapping[str, int]) -> int:
        """The Object Definition Size attribute: 32-bit words of the whole definition."""
        return -(-(DEFINITION_HEADER + len(self.definition(number_of))) // 4)

    def _place(self, name: str, kind: Type, count: int, end: int) -> int:
        """Adds a member behind `end`; the new end."""
        if kind is BOOL and not count:
            if self._host is None or self._host[1] == 8:
                self.members.append(Member(f"ZZZZZZZZZZ{self.name[:10]}{len(self.members)}", SINT, end))
                self._host, end = (end, 0), end + 1
            offset, bit = self._host
            self.members.append(Member(name, BOOL, offset, 0, bit))
            self._host = (offset, bit + 1)
            return end
        self._host = None
        if kind is BOOL:
            kind, count = DWORD, -(-count // 32)
        alignment = 4 if count else kind.alignment
        member = Member(name, kind, -(-end // alignment) * alignment, count)
        self.members.append(member)
        return member.offset + member.size

    def _encode_one(self, value: Any) -> bytes:
        if self.is_string and isinstance(value, str):
            text = value.encode("latin-1")
            value = {"LEN": len(text), "DATA": struct.unpack(f"{len(text)}b", text)}
        data = bytearray(self.size)
        unknown = set(value) - {member.name for member in self.members}
        if unknown:
            raise ValueError(f"{self.name} has no member {', '.join(sorted(unknown))}")
        for member in self.members:
            given = value.get(member.name)
            if given is None:
                continue
            if member.is_bit:
                data[member.byte] |= bool(given) << member.bit % 8
            else:
                encoded = encode(member.type, given, member.count)
                data[member.offset : member.offset + len(encoded)] = encoded
        return bytes(data)


Type: TypeAlias = Elementary | Structure


def encode(kind: Type, value: Any, count: int = 0) -> bytes:
    """The bytes of a value, or of `count` values; missing ones are zero.

    DWORDs may be given as a list of bools, and everything as the bytes that it is.
    """
    if isinstance(value, bytes):
        return value
    if value is None:
        return bytes(kind.size * (count or 1))
    if not count:
        return kind.encode([value])
    if isinstance(kind, Elementary) and kind is _BITS.get(kind.size) and value and isinstance(value[0], bool):
        bits = sum(1 << place for place, is_set in enumerate(value) if is_set)
        value = list(struct.unpack(f"<{count}{kind.format}", bits.to_bytes(count * kind.size, "little")))
    if len(value) > count:
        raise ValueError(f"{len(value)} values do not fit into {kind.name}[{count}]")
    return kind.encode(value).ljust(count * kind.size, b"\0")


def _template_type(member: Member, number_of: Mapping[str, int]) -> int:
    kind = member.type
    code = kind.code if isinstance(kind, Elementary) else 0x8000 | number_of[kind.name]
    return code | (0x2000 if member.count else 0)
