"""Single values in a controller's tags: elementary ones, members and texts, by the addresses of a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protocols.discovery import LeftOut
from protocols.ethernet_ip.types import BITS_A_DWORD, DWORD, DataType, Member, Symbol, Template
from protocols.recognise import is_counter

MOST_MEMBERS = 100
"""Of one structure."""
MOST_LEAVES = 200_000
"""Of one controller."""
_CONTROL_WORDS = {"CTL", "Control"}
"""Of predefined structures: the word whose bits are members too."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value."""

    place: tuple[str, ...]
    tag: str
    text_length: int = 0
    """Characters that a text can have; 0 of what is none."""
    notes: tuple[str, ...] = ()


def leaves(symbol: Symbol, depth: int, *, arrays: bool, is_alias: bool) -> Iterator[Leaf | LeftOut]:
    """What is in a tag, down to `depth` levels of members."""
    place = tuple(symbol.name.split(".")) if symbol.in_program else (symbol.name,)
    if not symbol.readable:
        yield LeftOut(place, "its External Access is None: nobody can read it")
        return
    notes = ("an alias",) if is_alias else ()
    yield from _of(place, symbol.name, symbol.type, symbol.dimensions, depth, arrays, notes)


def _of(
    place: tuple[str, ...],
    tag: str,
    kind: DataType,
    dimensions: Sequence[int],
    depth: int,
    arrays: bool,
    notes: tuple[str, ...],
) -> Iterator[Leaf | LeftOut]:
    if dimensions:
        is_bools = kind == DWORD and len(dimensions) == 1
        lengths = [dimensions[0] * BITS_A_DWORD] if is_bools else list(dimensions)
        first = f"[{','.join('0' for _ in lengths)}]"
        if 0 in lengths or not (arrays or is_counter(place[-1])):
            size = ",".join(map(str, lengths))
            name = "BOOL" if is_bools else kind.name
            yield LeftOut(place, f"an array, {name}[{size}]; an element is written {tag}{first}")
            return
        place, tag = (*place[:-1], f"{place[-1]}{first}"), f"{tag}{first}"
    if not isinstance(kind, Template):
        yield Leaf(place, tag, 0, notes)
    elif kind.text is not None:
        yield Leaf(place, tag, kind.text[1].count, notes)
    elif depth <= 0:
        yield LeftOut(place, f"a structure, {kind.name}, deeper than --depth")
    else:
        yield from _members(place, tag, kind, depth, arrays, notes)


def _members(
    place: tuple[str, ...], tag: str, kind: Template, depth: int, arrays: bool, notes: tuple[str, ...]
) -> Iterator[Leaf | LeftOut]:
    shown = [one for one in kind.members if not one.hidden and not _is_control_word(kind, one)]
    for member in shown[:MOST_MEMBERS]:
        dimensions = (member.count,) if member.count else ()
        below = (*place, member.name)
        yield from _of(below, f"{tag}.{member.name}", member.type, dimensions, depth - 1, arrays, notes)
    if len(shown) > MOST_MEMBERS:
        yield LeftOut((*place, "…"), f"{len(shown) - MOST_MEMBERS} more members of {kind.name}")


def _is_control_word(kind: Template, member: Member) -> bool:
    bits = (one for one in kind.members if one.bit is not None)
    return member.name in _CONTROL_WORDS and any(member.offset <= one.offset < member.offset + 4 for one in bits)
