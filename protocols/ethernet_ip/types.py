"""The controller's data types as its uploads describe them: elementary ones, templates, and symbols of both.

Elementary codes: CIP Volume 1, C-6.1. Symbols and templates: 1756-PM020, "CIP services and user-created tags".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from protocols.types import WireType


@dataclass(frozen=True, slots=True)
class Elementary:
    """An elementary type: its code in a Read Tag reply, bytes of one value, and what a configuration calls it."""

    name: str
    code: int
    size: int
    wire: WireType


_ELEMENTARY = (
    Elementary("BOOL", 0xC1, 1, "bool"),
    Elementary("SINT", 0xC2, 1, "int8"),
    Elementary("INT", 0xC3, 2, "int16"),
    Elementary("DINT", 0xC4, 4, "int32"),
    Elementary("LINT", 0xC5, 8, "int64"),
    Elementary("USINT", 0xC6, 1, "uint8"),
    Elementary("UINT", 0xC7, 2, "uint16"),
    Elementary("UDINT", 0xC8, 4, "uint32"),
    Elementary("ULINT", 0xC9, 8, "uint64"),
    Elementary("REAL", 0xCA, 4, "float32"),
    Elementary("LREAL", 0xCB, 8, "float64"),
    Elementary("BYTE", 0xD1, 1, "uint8"),
    Elementary("WORD", 0xD2, 2, "uint16"),
    Elementary("DWORD", 0xD3, 4, "uint32"),
    Elementary("LWORD", 0xD4, 8, "uint64"),
    Elementary("DT", 0xC0, 8, "uint64"),
    Elementary("LDT", 0xCC, 8, "uint64"),
    Elementary("DATE", 0xCD, 2, "uint16"),
    Elementary("TIME_OF_DAY", 0xCE, 4, "uint32"),
    Elementary("FTIME", 0xD6, 4, "int32"),
    Elementary("LTIME", 0xD7, 8, "int64"),
    Elementary("ITIME", 0xD8, 2, "int16"),
    Elementary("TIME", 0xDB, 4, "int32"),
)
ELEMENTARY = {one.name: one for one in _ELEMENTARY}
"""By name; FTIME's code is TIME32's too."""
BY_CODE = {one.code: one for one in _ELEMENTARY}
BOOL, SINT, DWORD = ELEMENTARY["BOOL"], ELEMENTARY["SINT"], ELEMENTARY["DWORD"]
BITS_A_DWORD = 32


@dataclass(frozen=True, slots=True)
class Member:
    """A structure's member: `count` elements where it is an array, 0 where it is none.

    `bit` is, of a BOOL, that of the byte at `offset`; None for every other type. An array of BOOL is one of DWORD.
    """

    name: str
    type: DataType
    offset: int
    count: int = 0
    bit: int | None = None

    @property
    def hidden(self) -> bool:
        """Whether the programming software shows it to nobody: the host of BOOLs, and what has no name."""
        return not self.name or self.name.startswith(("ZZZZZZZZZZ", "__"))


@dataclass(frozen=True, slots=True)
class Template:
    """A structure: user-defined, add-on instruction, module-defined or predefined.

    `handle` is the Structure Handle (template attribute 1), a checksum of the definition that comes with every reply;
    `size` is the Template Structure Size (attribute 5), bytes of one with its padding.
    """

    name: str
    handle: int
    size: int
    members: tuple[Member, ...] = field(compare=False, repr=False)
    digest: bytes = field(init=False, repr=False)
    """Of all members, by which alone templates are compared: ways through them can be too many to go."""
    _by_name: dict[str, Member] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        told = [(one.name, one.offset, one.count, one.bit, _identity(one.type)) for one in self.members]
        object.__setattr__(self, "digest", blake2b(repr(told).encode(), digest_size=16).digest())
        self._by_name.update((member.name.lower(), member) for member in reversed(self.members))

    def member(self, name: str) -> Member | None:
        """A member by its name in any case; None where there is none."""
        return self._by_name.get(name.lower())

    @property
    def text(self) -> tuple[Member, Member] | None:
        """Length and characters of a string type, which has just LEN and DATA, an array of SINT; None for others."""
        match [member for member in self.members if not member.hidden]:
            case [Member(name="LEN", type=Elementary(name="DINT")) as length, Member(name="DATA") as data]:
                return (length, data) if data.type == SINT and data.count else None
        return None


DataType: TypeAlias = Elementary | Template


def _identity(kind: DataType) -> tuple[object, ...]:
    return (kind.name, kind.handle, kind.size, kind.digest) if isinstance(kind, Template) else (kind.name,)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A tag of the controller, or of a program: then its name begins with `Program:NAME.`.

    `instance_id` is that of the Symbol class in the tag's scope; `dimensions` has 0 to 3 of them, those of an array of
    BOOL in DWORDs of 32; a tag that is not `readable` has the external access None.
    """

    name: str
    instance_id: int
    type: DataType
    dimensions: tuple[int, ...] = ()
    readable: bool = True

    @property
    def in_program(self) -> bool:
        """Whether it is a program's."""
        return self.name.startswith("Program:")
