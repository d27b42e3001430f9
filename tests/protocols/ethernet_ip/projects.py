"""Projects of any types and values, for Hypothesis: structures in structures, arrays, strings, bits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from protocols.simulated.ethernet_ip import datatypes as of
from protocols.simulated.ethernet_ip.datatypes import Structure, Type
from protocols.simulated.ethernet_ip.predefined import STRING, TIMER, string_type
from protocols.simulated.ethernet_ip.showcase import Shown

BIT_STRINGS = (of.BYTE, of.WORD, of.LWORD)
"""pycomm3 makes one list of bits of an array of them, so that there are none here."""
NUMBERS = [kind for kind in of.ELEMENTARY if kind not in (of.BOOL, of.DWORD)]
TEXTS = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)


def values(kind: Type) -> st.SearchStrategy[Any]:
    """Values of one type; structures as mappings without what is hidden."""
    if isinstance(kind, Structure):
        if kind.is_string:
            return TEXTS
        return st.fixed_dictionaries(
            {m.name: _member(m.type, m.count) for m in kind.members if not m.hidden and m.name != "CTL"}
        )
    if kind is of.BOOL:
        return st.booleans()
    if kind in (of.REAL, of.LREAL):
        return st.floats(width=32 if kind is of.REAL else 64, allow_nan=False, allow_infinity=False)
    bits = 8 * kind.size
    signed = kind.format.islower()
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


def _member(kind: Type, count: int) -> st.SearchStrategy[Any]:
    if kind is of.DWORD:
        return st.lists(st.booleans(), min_size=32 * count, max_size=32 * count)
    return st.lists(values(kind), min_size=count, max_size=count) if count else values(kind)


@st.composite
def structures(draw: st.DrawFn, name: str, inner: list[Structure]) -> Structure:
    """One with a few members, some of them arrays, and structures among `inner` or predefined."""
    declared: list[Any] = []
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from([of.BOOL, of.BOOL, *NUMBERS, TIMER, STRING, *inner]))
        count = draw(st.sampled_from([0, 0, 0, 1, 3])) if kind is not of.BOOL else draw(st.sampled_from([0, 0, 32, 64]))
        count = 0 if kind in BIT_STRINGS else count
        declared.append((f"M{number}", kind, count) if count else (f"M{number}", kind))
    return Structure(name, *declared)


@st.composite
def tags(draw: st.DrawFn) -> list[Shown]:
    """Several tags of several types, in the controller's scope and a program's."""
    short = string_type("SHORT", 20)
    long = string_type("LONG", 300)  # larger than the smallest packets
    inner = draw(structures("Inner", [short, long]))
    outer = draw(structures("Outer", [short, inner]))
    found: list[Shown] = []
    for number in range(draw(st.integers(1, 5))):
        kinds: list[Type] = [of.BOOL, *NUMBERS, short, long, inner, outer]
        kind = draw(st.sampled_from(kinds))
        shape = draw(st.sampled_from([(), (), (1,), (7,), (40,), (2, 3), (2, 2, 3)]))
        if isinstance(kind, Structure) or kind is of.BOOL:
            shape = shape if len(shape) == 1 and shape[0] < 10 and kind is not of.BOOL else ()
        shape = () if kind in BIT_STRINGS else shape
        size = 1
        for length in shape:
            size *= length
        value = draw(st.lists(values(kind), min_size=size, max_size=size)) if shape else draw(values(kind))
        found.append(Shown(f"Tag{number}", kind, value, shape, draw(st.sampled_from([None, None, "Main"]))))
    return found
