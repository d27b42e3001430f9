"""From a configured signal to where its value lies in the controller: symbol, element, byte and bit, and its type."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from heapq import nlargest, nsmallest

from ext.invalid import patterns
from protocols.ethernet_ip.address import Step, TagAddress, parse_tag
from protocols.ethernet_ip.attributes import attribute_place
from protocols.ethernet_ip.places import Place, Stage, TagPlace
from protocols.ethernet_ip.signal import CipSignal
from protocols.ethernet_ip.types import BITS_A_DWORD, DWORD, DataType, Member, Symbol, Template
from protocols.types import WIDTH, WireType

_LISTED = 8
_MOST_LOOKS = 10
"""For how many tags that are not there others like them are looked for: each look goes through all names."""
_COMPARED = 300
"""Names, of all, that are held against one that is not there: those that begin most like it."""
_FLOAT_BITS: dict[str, int] = {"float32": 32, "float64": 64}


class Unresolved(ValueError):
    """A signal that the controller does not have, or not as configured: what, where, and what there is instead."""


class Resolver:
    """Finds places among the symbols of a controller; names are compared in any case, as the controller does."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._symbols = {symbol.name.lower(): symbol for symbol in symbols}
        self._looks = 0

    def resolve(self, signal: CipSignal) -> Place:
        """Where a signal lies. Raises Unresolved in words."""
        if (attribute := attribute_place(signal)) is not None:
            _check_invalid(signal, attribute.wire)
            return attribute
        assert signal.tag is not None  # the section has one of both
        place = self.find(parse_tag(signal.tag))
        _check_type(signal, place)
        _check_invalid(signal, place.wire)
        return place

    def find(self, address: TagAddress) -> TagPlace:
        """Where an address leads. Raises Unresolved in words."""
        first = address.steps[0]
        scope = f"Program:{address.program}." if address.program is not None else ""
        symbol = self._symbols.get(f"{scope}{first.name}".lower())
        if symbol is None:
            raise Unresolved(self._unknown(address, scope, first.name))
        if not symbol.readable:
            raise Unresolved(f"{symbol.name} cannot be read: its External Access is None; set it to Read Only")
        stage, bit = _stage(address, Step(symbol.name, first.indices), Member("", symbol.type, 0), symbol.dimensions)
        stages = [stage]
        for step in address.steps[1:]:
            if bit is not None:
                raise Unresolved(f"{address}: an element of a BOOL array has no member {step.name}")
            stage, bit = _below(address, stages[-1].type, step)
            stages.append(stage)
        return _ended(address, symbol, tuple(stages), bit)

    def _unknown(self, address: TagAddress, scope: str, name: str) -> str:
        """What to say of a tag that is not there: tags of its scope with like names, programs, or other scopes."""
        self._looks += 1
        if self._looks > _MOST_LOOKS:
            return f"{address}: the controller has no tag {scope}{name}"
        scopes: dict[str, dict[str, Symbol]] = {}
        for symbol in self._symbols.values():
            program, _, own_name = symbol.name.rpartition(".") if symbol.in_program else ("", "", symbol.name)
            scopes.setdefault(program.lower(), {})[own_name] = symbol
        program = scope.rstrip(".")
        if program.lower() not in scopes and program:
            programs = {next(iter(one.values())).name.partition(".")[0] for key, one in scopes.items() if key}
            near = _instead(program[8:], [one[8:] for one in programs], "Program:")
            return f"{address}: the controller has no {program} with tags; {near}"
        elsewhere = [
            one for key, own in scopes.items() if key for other, one in own.items() if other.lower() == name.lower()
        ]
        if not program and elsewhere:
            return f"{address}: the controller has no tag {name} in its own scope, but {elsewhere[0].name}"
        near = _instead(name, scopes.get(program.lower(), {}), scope)
        return f"{address}: the controller has no tag {scope}{name}; {near}"


def _below(address: TagAddress, kind: DataType, step: Step) -> tuple[Stage, int | None]:
    if not isinstance(kind, Template):
        raise Unresolved(f"{address}: a {kind.name} has no member {step.name}")
    member = kind.member(step.name)
    if member is None:
        visible = [one.name for one in kind.members if not one.hidden]
        raise Unresolved(f"{address}: {kind.name} has no member {step.name}; {_instead(step.name, visible)}")
    dimensions = (member.count,) if member.count else ()
    return _stage(address, Step(member.name, step.indices), member, dimensions)


def _stage(address: TagAddress, step: Step, member: Member, dimensions: tuple[int, ...]) -> tuple[Stage, int | None]:
    """A step as far as its element; the bit too where that is one of a BOOL array or a BOOL member."""
    kind, is_bools = member.type, member.type == DWORD and len(dimensions) == 1
    lengths = (dimensions[0] * BITS_A_DWORD,) if is_bools else dimensions
    if len(step.indices) != len(lengths):
        name = f"{'BOOL' if is_bools else kind.name}[{','.join(map(str, lengths))}]"
        if not lengths:
            raise Unresolved(f"{address}: {step.name} is a {kind.name} and no array; leave {_brackets(step)} out")
        example = f"{step.name}[{','.join('0' * len(lengths))}]"
        raise Unresolved(f"{address}: {step.name} is a {name}; name one element, for example {example}")
    element = 0
    for index, length in zip(step.indices, lengths, strict=True):
        if index >= length:
            raise Unresolved(f"{address}: {step.name} has elements 0 to {length - 1} there, not {index}")
        element = element * length + index
    if is_bools:
        element, bit = divmod(element, BITS_A_DWORD)
        return Stage(step.name, kind, member.offset, element, dimensions), bit
    return Stage(step.name, kind, member.offset, element, dimensions), member.bit


def _ended(address: TagAddress, symbol: Symbol, stages: tuple[Stage, ...], bit: int | None) -> TagPlace:
    kind = stages[-1].type
    if isinstance(kind, Template):
        if address.bit is None and kind.text is not None:
            return TagPlace(symbol, stages, "string")
        names = ", ".join([one.name for one in kind.members if not one.hidden][:_LISTED])
        raise Unresolved(f"{address}: is a structure, {kind.name}; name one of its members: {names}")
    if address.bit is not None:
        if bit is not None or kind.wire not in WIDTH:
            name = "BOOL" if bit is not None else kind.name
            raise Unresolved(f"{address}: a {name} has no bits; leave .{address.bit} out")
        if address.bit >= WIDTH[kind.wire]:
            raise Unresolved(f"{address}: a {kind.name} has bits 0 to {WIDTH[kind.wire] - 1}")
        bit = address.bit
    return TagPlace(symbol, stages, "bool" if bit is not None else kind.wire, bit)


def _check_type(signal: CipSignal, place: TagPlace) -> None:
    """What the configuration takes for granted of a type that only the controller knows."""
    name = "BOOL" if place.wire == "bool" else place.stages[-1].type.name
    if signal.type not in (None, place.wire):
        words = f"is a {name} in the controller, which is {place.wire}, and {signal.type} in the configuration"
        raise Unresolved(f"{signal.tag}: {words}; correct the type or leave it out")
    if signal.bits is not None and signal.bits[1] >= WIDTH.get(place.wire, 0):
        words = f"has bits 0 to {WIDTH[place.wire] - 1}" if place.wire in WIDTH else "has no bits"
        raise Unresolved(f"{signal.tag}: is a {name}, which {words}, not {list(signal.bits)}")
    if (signal.is_scaled or signal.invalid) and place.wire in ("bool", "string"):
        raise Unresolved(f"{signal.tag}: is a {name}; only numbers have scale, offset and invalid, so leave them out")


def _check_invalid(signal: CipSignal, wire: WireType) -> None:
    """Raw values that mean bad are ones that the type, or the bits of it, can have."""
    if not signal.invalid:
        return
    bits = WIDTH[wire] if wire in WIDTH else _FLOAT_BITS[wire]
    if signal.bits is not None:
        bits = signal.bits[1] - signal.bits[0] + 1
    try:
        patterns("uint64" if signal.bits is not None else wire, bits, signal.invalid)
    except ValueError as error:
        raise Unresolved(f"{signal.place}: {error}; correct `invalid`") from None


def _brackets(step: Step) -> str:
    return str(step)[len(step.name) :]


def _instead(name: str, names: Iterable[str], scope: str = "") -> str:
    """The names most like one, or some of all."""
    by_name = {other.lower(): scope + other for other in names}
    near = get_close_matches(name.lower(), _most_like(name.lower(), by_name), n=3, cutoff=0.7)
    if near:
        return f"did you mean {' or '.join(by_name[one] for one in near)}?"
    return f"it has {', '.join(nsmallest(_LISTED, by_name.values())) or 'none'}"


def _most_like(name: str, names: Collection[str]) -> Collection[str]:
    if len(names) <= _COMPARED:
        return names
    return nlargest(_COMPARED, names, key=lambda other: _alike(name, other))


def _alike(name: str, other: str) -> int:
    """With how many characters both begin."""
    return next((place for place, (one, two) in enumerate(zip(name, other, strict=False)) if one != two), len(name))
