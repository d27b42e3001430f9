"""What a tag address names: scope, tag, members, elements and bit, as Logix Designer writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.settings import shown

MAX_DIMENSIONS = 3
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_SCOPE = re.compile(rf"Program:({_IDENTIFIER})\.", re.IGNORECASE)
_BASE = re.compile(rf"{_IDENTIFIER}(?::[A-Za-z0-9_]+)*")
_MEMBER = re.compile(_IDENTIFIER)
_INDICES = re.compile(r"\[([0-9]{1,10}(?:\s*,\s*[0-9]{1,10})*)\]")
_MAX_NAME = 40


@dataclass(frozen=True, slots=True)
class Step:
    """A tag's or a member's name, and the element of it that is meant where it is an array."""

    name: str
    indices: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name + (f"[{','.join(map(str, self.indices))}]" if self.indices else "")


@dataclass(frozen=True, slots=True)
class TagAddress:
    """Where a value lies: the tag first among `steps`, then members; `bit` of the word there (0 = least significant).

    `program` is the program whose tag it is, None in the controller's scope. Names are as written; Logix does not
    tell upper from lower case.
    """

    program: str | None
    steps: tuple[Step, ...]
    bit: int | None = None

    def __str__(self) -> str:
        scope = f"Program:{self.program}." if self.program is not None else ""
        bit = f".{self.bit}" if self.bit is not None else ""
        return scope + ".".join(map(str, self.steps)) + bit


def parse_tag(text: str) -> TagAddress:
    """Take an address apart: `Speed`, `Line[3].Motor.Speed`, `Grid[1,2]`, `Program:Main.Word.5`, `Local:1:I.Data`.

    Raises ValueError in words for what cannot be an address.
    """
    rest = text.strip()
    program = None
    if match := _SCOPE.match(rest):
        program, rest = match[1], rest[match.end() :]
    elif rest.lower().startswith("program:"):
        raise ValueError(f"{shown(text)} names a program and no tag of it; write it like Program:Main.Speed")
    pieces = rest.split(".")
    steps: list[Step] = []
    for place, piece in enumerate(pieces):
        if place and place == len(pieces) - 1 and piece.isascii() and piece.isdigit():
            return TagAddress(program, tuple(steps), _bit(text, piece))
        steps.append(_step(text, piece, is_base=not place))
    return TagAddress(program, tuple(steps))


def _bit(text: str, digits: str) -> int:
    if len(digits) > 2 or int(digits) > 63:
        raise ValueError(f"{shown(text)}: bits of a word are counted from 0 to 63 at most")
    return int(digits)


def _step(text: str, piece: str, *, is_base: bool) -> Step:
    match = (_BASE if is_base else _MEMBER).match(piece)
    if match is None:
        example = "Speed, Line[3].Speed, Program:Main.Speed or Word.5"
        raise ValueError(f"{shown(text)} is not a tag address; write it like {example}")
    name, rest = match[0], piece[match.end() :]
    if any(len(part) > _MAX_NAME for part in name.split(":")):
        raise ValueError(f"{shown(text)}: a name has at most {_MAX_NAME} characters")
    if not rest:
        return Step(name)
    indices = _INDICES.fullmatch(rest)
    if indices is None:
        words = f"{shown(text)}: elements are written like {name}[3], {name}[1,2] or {name}[1,2,3]"
        raise ValueError(f"{words}, and a signal is one of them; found {shown(rest)}")
    numbers = tuple(int(number) for number in indices[1].split(","))
    if len(numbers) > MAX_DIMENSIONS:
        raise ValueError(f"{shown(text)}: an array has at most {MAX_DIMENSIONS} dimensions")
    return Step(name, numbers)
