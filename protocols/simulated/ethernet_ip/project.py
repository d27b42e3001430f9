"""What is downloaded into the controller: its tags, their types, and the numbers that a download gives to them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from protocols.simulated.ethernet_ip.datatypes import BOOL, DWORD, Elementary, Structure, Type, encode

READ_WRITE, READ_ONLY, NO_ACCESS = 0, 2, 3
_PROGRAM, _MAP, _ROUTINE, _TASK, _CONNECTION = 0x1068, 0x1069, 0x106D, 0x1070, 0x107E
"""Symbol types of what is no tag: bit 12 says system."""
_BASE_TAG = 1 << 26
_TEMPLATES = range(0x100, 0xF00)
"""Template instances of structures that are not predefined (1756-PM020H, "Eliminate tags by applying rules")."""


@dataclass(slots=True)
class Symbol:
    """A tag, or with `type` None an entry of the symbol list that cannot be read."""

    name: str
    type: Type | None
    read: Callable[[], bytes]
    """Its whole value now, as the template or the elementary type lays it out."""
    dimensions: tuple[int, ...] = ()
    is_alias: bool = False
    access: int = READ_WRITE
    system_type: int = 0
    instance: int = 0

    @property
    def elements(self) -> int:
        """How many elements it has; 1 where it is no array."""
        return math.prod(self.dimensions)


class Scope:
    """The symbols of the controller or of one program, by instance and by name in any case."""

    def __init__(self) -> None:
        self.by_name: dict[str, Symbol] = {}
        self.by_instance: dict[int, Symbol] = {}

    def add(self, symbol: Symbol) -> None:
        """Adds one; ValueError where the name is taken."""
        if symbol.name.lower() in self.by_name:
            raise ValueError(f"the tag {symbol.name} is there already")
        self.by_name[symbol.name.lower()] = symbol

    def number(self, chance: Random) -> None:
        """Gives every symbol an instance; after another download, most instances are those of other symbols."""
        symbols = list(self.by_name.values())
        step = max(1, min(13, 60_000 // max(1, len(symbols))))
        places = list(range(len(symbols)))
        chance.shuffle(places)
        for symbol, place in zip(symbols, places, strict=True):
            symbol.instance = 7 + step * place
        self.by_instance = {symbol.instance: symbol for symbol in sorted(symbols, key=lambda one: one.instance)}


class Project:
    """Tags are declared, then it is sealed; `edition` counts downloads, and numbers depend on it alone."""

    def __init__(self, name: str, edition: int = 0) -> None:
        self.name, self.edition = name, edition
        self.controller = Scope()
        self.programs: dict[str, Scope] = {}
        self.templates: dict[int, Structure] = {}
        self.template_of: dict[str, int] = {}
        self._structures: dict[str, Structure] = {}
        self.paths: dict[bytes, Any] = {}
        """What a request's path means, for whoever has worked it out."""
        for name_of_system, kind in (("Task:MainTask", _TASK), ("Map:Local", _MAP), ("Cxn:Standard:1", _CONNECTION)):
            self.controller.add(_system(name_of_system, kind))

    def tag(
        self,
        name: str,
        kind: Type,
        value: Any = None,
        dimensions: int | tuple[int, ...] = (),
        program: str | None = None,
        access: int = READ_WRITE,
    ) -> Symbol:
        """Declares a tag; ValueError where its name is taken, or a value or a member does not fit its type.

        `value` is a constant or a function called at each read, flat where it is an array; None is zero. An array of
        BOOL is declared by its bits and held in DWORDs, as controllers do.
        """
        dims = (dimensions,) if isinstance(dimensions, int) else dimensions
        if kind is BOOL and dims:
            kind, dims = DWORD, (-(-dims[0] // 32),)
        read = _reader(kind, value, math.prod(dims) if dims else 0)
        symbol = Symbol(name, kind, read, dims, access=access)
        self._scope(program).add(symbol)
        self._take_types(kind)
        return symbol

    def alias(self, name: str, target: Symbol, member: str | None = None, program: str | None = None) -> Symbol:
        """Declares another name of a tag or of a member of it, which is a symbol of its own."""
        if member is None:
            symbol = Symbol(name, target.type, target.read, target.dimensions, is_alias=True)
        else:
            assert isinstance(target.type, Structure)
            found = target.type.member(member)
            if found is None:
                raise ValueError(f"{target.name} has no member {member}")
            first, end, bit = found.byte, found.offset + found.size, found.bit % 8
            dims = (found.count,) if found.count else ()

            def read() -> bytes:
                data = target.read()
                return bytes((data[first] >> bit & 1,)) if found.is_bit else data[first:end]

            symbol = Symbol(name, found.type, read, dims, is_alias=True)
        self._scope(program).add(symbol)
        return symbol

    def seal(self) -> None:
        """Gives instances to symbols and templates: no more declarations."""
        chance = Random(f"{self.name}/{self.edition}")
        for scope in (self.controller, *self.programs.values()):
            scope.number(chance)
        free = [number for number in chance.sample(_TEMPLATES, len(_TEMPLATES)) if number not in self.templates]
        for structure in self._structures.values():
            if structure.number is None:
                number = free.pop()
                self.template_of[structure.name], self.templates[number] = number, structure

    def symbol_type(self, symbol: Symbol) -> int:
        """The Symbol Type attribute (1756-PM020H, "Symbol Type Attribute")."""
        if symbol.type is None:
            return symbol.system_type
        kind = symbol.type
        code = kind.code if isinstance(kind, Elementary) else 0x8000 | self.template_of[kind.name]
        return code | len(symbol.dimensions) << 13

    def symbol_attribute(self, symbol: Symbol, attribute: int) -> bytes | None:
        """An attribute of the Symbol object; None where there is no such one. Addresses are invented."""
        match attribute:
            case 1:
                return struct.pack("<H", len(symbol.name)) + symbol.name.encode("ascii")
            case 2:
                return struct.pack("<H", self.symbol_type(symbol))
            case 3 | 5:
                return struct.pack("<I", 0x60000 * attribute + 40 * symbol.instance)
            case 6:
                return struct.pack("<I", (0 if symbol.is_alias else _BASE_TAG) | symbol.instance)
            case 7:
                return struct.pack("<H", 0 if symbol.type is None else symbol.type.size)
            case 8:
                return struct.pack("<3I", *(*symbol.dimensions, 0, 0, 0)[:3])
            case 10:
                return bytes((symbol.access,))
        return None

    @property
    def changes(self) -> tuple[int, int, int, int, int]:
        """Attributes 1, 2, 3, 4 and 10 of class 0xAC: at least one is another after a download."""
        stamp = 0x45800000 + 7919 * self.edition
        return 5, 1, stamp, stamp, 0x12345678 ^ stamp

    def _scope(self, program: str | None) -> Scope:
        if program is None:
            return self.controller
        if program.lower() not in self.programs:
            scope = self.programs[program.lower()] = Scope()
            scope.add(_system("Routine:MainRoutine", _ROUTINE))
            self.controller.add(_system(f"Program:{program}", _PROGRAM))
        return self.programs[program.lower()]

    def _take_types(self, kind: Type) -> None:
        if not isinstance(kind, Structure):
            return
        if self._structures.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"there are two structures {kind.name}")
        if kind.number is not None:
            self.template_of[kind.name], self.templates[kind.number] = kind.number, kind
        for nested in kind.nested():
            self._take_types(nested)


def _system(name: str, kind: int) -> Symbol:
    return Symbol(name, None, bytes, access=NO_ACCESS, system_type=kind)


def _reader(kind: Type, value: Any, count: int) -> Callable[[], bytes]:
    if callable(value):
        return lambda: encode(kind, value(), count)
    data = encode(kind, value, count)
    return lambda: data
