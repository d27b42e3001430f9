"""From the variables of a browsed tree to signals that are good now: types, members, values, units, ranges, texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asyncua import ua
from pydantic import ValidationError

from ext.table import SignalTable
from protocols.discovery import FoundSignal, LeftOut, Say, Wishes
from protocols.opcua.address import NodeAddress, parse_node
from protocols.opcua.browse import Node, Tree
from protocols.opcua.config import OpcuaSignal
from protocols.opcua.describe import Description, describe, embellish
from protocols.opcua.point import Shape, Unfit, make_point
from protocols.opcua.resolve import node_id, read_attributes
from protocols.opcua.session import Session, status_text
from protocols.opcua.structures import Structures
from protocols.opcua.values import Points
from protocols.recognise import is_counter
from protocols.typed import TEXT_LENGTH

MOST_NESTED = 3
"""Levels of members that are looked into."""
MOST_MEMBERS = 50
"""Of one structure."""
MOST_TEXTS = 12
"""Texts of an enumeration that a note lists."""
_LONGEST_TEXT = 65_535
_STRUCTURE = ua.VariantType.ExtensionObject


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a variable: the variable itself, an element or a member."""

    place: tuple[str, ...]
    index: str | None = None
    member: str | None = None


@dataclass(slots=True)
class Reading:
    """One variable as it is."""

    node: Node
    described: Description
    value: Any
    """DataValue; of an array that nobody asked for, its ArrayDimensions: the array itself may be large."""
    is_array_alone: bool = False


class Finder:
    """Makes signals of variables."""

    def __init__(self, session: Session, tree: Tree, wishes: Wishes, say: Say) -> None:
        self._session, self._tree, self._wishes, self._say = session, tree, wishes, say
        self._structures = Structures()
        self._readings: dict[Any, Reading] = {}
        self.left_out: list[LeftOut] = []
        self.unread = 0
        """Variables that nobody looked at, since there were enough."""

    async def find(self, nodes: Sequence[Node], needed: set[Node]) -> list[tuple[Node, FoundSignal]]:
        """Signals of variables, in their order, up to the limit; those that are `needed` also where they are bad now.

        Names are still empty. Raises NotConnected.
        """
        found: list[tuple[Node, FoundSignal]] = []
        step = self._tree.limits.read
        for start in range(0, len(nodes), step):
            if len(found) >= self._wishes.limit:
                self.unread = len(nodes) - start
                break
            readings = await self._read(nodes[start : start + step])
            for reading in readings:
                found += ((reading.node, signal) for signal in self._signals(reading, reading.node in needed))
            self._say(f"read {start + len(readings):,} of {len(nodes):,} variables")
        chosen = found[: self._wishes.limit]
        self.unread += len({node for node, _ in found} - {node for node, _ in chosen})
        return await self._adorned(chosen)

    async def _read(self, nodes: Sequence[Node]) -> list[Reading]:
        described = await describe(self._session, self._tree.limits, [one.node_id for one in nodes])
        alone = [one.rank >= 1 and not self._wants_element(node) for node, one in zip(nodes, described, strict=True)]
        values = await self.values([one.node_id for one in nodes], alone)
        structures = [one.data_type for one in described if one.why is None and one.built_in == _STRUCTURE]
        await self._structures.learn(self._session, self._tree.limits, structures)
        made = [Reading(*each) for each in zip(nodes, described, values, alone, strict=True)]
        self._readings.update((one.node.node_id, one) for one in made)
        return made

    async def values(self, node_ids: Sequence[Any], alone: Sequence[bool] = ()) -> list[Any]:
        """DataValues, or ArrayDimensions of those `alone`; one that the server cannot answer costs no other."""
        dimensions = alone or [False] * len(node_ids)
        which = [ua.AttributeIds.ArrayDimensions if one else ua.AttributeIds.Value for one in dimensions]
        return await self._attributes(list(zip(node_ids, which, strict=True)))

    async def _attributes(self, wanted: list[tuple[Any, Any]]) -> list[Any]:
        try:
            return await read_attributes(self._session, self._tree.limits, wanted)
        except ua.UaStatusCodeError as error:
            if len(wanted) == 1:
                return [ua.DataValue(StatusCode=ua.StatusCode(error.code))]
            half = len(wanted) // 2
            return [*await self._attributes(wanted[:half]), *await self._attributes(wanted[half:])]

    def _wants_element(self, node: Node) -> bool:
        """Whether the first element of an array is proposed."""
        return self._wishes.arrays or is_counter(node.name)

    def _signals(self, reading: Reading, is_needed: bool) -> Iterator[FoundSignal]:
        """What of a variable can be proposed."""
        node, described = reading.node, reading.described
        address = self._address(node)
        if not address:
            self.left_out.append(LeftOut(node.path, "its identifier cannot be written in a configuration"))
            return
        if described.why is not None:
            self.left_out.append(LeftOut(node.path, described.why, address))
            return
        if reading.is_array_alone:
            held = None if reading.value.Value is None else reading.value.Value.Value
            sizes = [one for one in held if isinstance(one, int) and one] if isinstance(held, list) else []
            self.left_out.append(_array(node.path, sizes, described))
            return
        code = reading.value.StatusCode.value if reading.value.StatusCode is not None else 0
        is_bad = code >> 31 or reading.value.Value is None or reading.value.Value.Value is None
        if is_bad and is_needed and described.built_in != _STRUCTURE and described.rank < 0:
            shape = Shape(int(described.built_in.value), False)
            why = f"bad now: {status_text(code)}" if code >> 31 else "no value now"
            wire = make_point(0, OpcuaSignal(node=address["node"]), shape).learned.type
            yield FoundSignal("", node.path, address, wire, why)
            return
        if is_bad:
            self.left_out.append(LeftOut(node.path, status_text(code) if code >> 31 else "it has no value", address))
            return
        for part in self._parts(reading):
            signal = self._probed(reading, part, address)
            if isinstance(signal, FoundSignal):
                yield signal
            else:
                self.left_out.append(signal)

    def _parts(self, reading: Reading) -> Iterator[Part]:
        """The single values within a variable's value."""
        node, held = reading.node, reading.value.Value.Value
        index: str | None = None
        place = node.path
        if isinstance(held, list):
            sizes = _dimensions(held)
            if 0 in sizes or not self._wants_element(node):
                self.left_out.append(_array(place, sizes, reading.described))
                return
            index = ",".join("0" for _ in sizes)
            place = (*place[:-1], f"{place[-1]}[{index}]")
            while isinstance(held, list):
                held = held[0]
        if reading.described.built_in != _STRUCTURE:
            yield Part(place, index)
            return
        if any(one.is_variable and not one.is_property for one in node.children):
            self.left_out.append(LeftOut(place, "a structure whose members are variables of their own", {}))
            return
        try:
            opened = self._structures.opened(held)
        except Unfit as why:
            self.left_out.append(LeftOut(place, str(why)))
            return
        if not isinstance(opened, dict):
            self.left_out.append(LeftOut(place, "a structure that the server does not define"))
            return
        for member, within in _members(opened, (), 0):
            if isinstance(within, str):
                self.left_out.append(LeftOut((*place, *member), within))
            else:
                yield Part((*place, *member), index, ".".join(member))

    def _probed(self, reading: Reading, part: Part, address: Mapping[str, Any]) -> FoundSignal | LeftOut:
        """A part as a signal, taken as the daemon takes it; left out unless it is good now."""
        keys = dict(address)
        if part.index is not None:
            keys["index"] = int(part.index) if part.index.isdigit() else part.index
        if part.member is not None:
            keys["member"] = part.member
        extra: dict[str, Any] = {}
        text = reading.value.Value.Value
        if isinstance(text, ua.LocalizedText):
            text = text.Text
        if isinstance(text, (str, bytes)) and (size := _bytes_of(text)) > TEXT_LENGTH:
            if size > _LONGEST_TEXT // 2:
                return LeftOut(part.place, f"a text of {size:,} bytes")
            extra["length"] = 1 << (2 * size - 1).bit_length() - 1
        try:
            settings = OpcuaSignal.model_validate({**keys, **extra})
            described = reading.described
            if settings.steps:
                shape = self._structures.shape(described, settings.steps)
            else:
                shape = Shape(int(described.built_in.value), isinstance(reading.value.Value.Value, list))
            point = make_point(0, settings, shape)
        except (Unfit, ValidationError) as why:
            return LeftOut(part.place, str(why) if isinstance(why, Unfit) else "it cannot be addressed")
        table = SignalTable(("probe",))
        point.define(table)
        points = Points(table, self._structures)
        points.bind(0, point)
        points.put(0, reading.value.Value, None, None)
        _, value, quality, why_bad, _ = table.read(0)
        if not quality:
            return LeftOut(part.place, why_bad or "bad", keys)
        notes = (_texts(shape.texts),) if shape.texts else ()
        return FoundSignal("", part.place, keys, point.learned.type, _shown(value), None, extra, notes)

    def _address(self, node: Node) -> dict[str, Any]:
        """The node's key; empty where none leads to it."""
        text = node_text(node.node_id, self._tree.namespaces)
        return {} if text is None else {"node": text}

    async def _adorned(self, found: Sequence[tuple[Node, FoundSignal]]) -> list[tuple[Node, FoundSignal]]:
        """Units, texts and ranges, where the server has them."""
        nodes = list(dict.fromkeys(node for node, _ in found))
        readings = [self._readings[node.node_id] for node in nodes]
        for start in range(0, len(readings), self._tree.limits.read):
            part = readings[start : start + self._tree.limits.read]
            await embellish(self._session, self._tree.limits, [(one.node.node_id, one.described) for one in part])
            self._say(f"asked for units and texts of {start + len(part):,} variables")
        ranges = [(node, one) for node in nodes if (one := node.child("EURange")) is not None]
        values = await self.values([one.node_id for _, one in ranges]) if ranges else []
        spans = {node: text for (node, _), value in zip(ranges, values, strict=True) if (text := _range(value))}
        adorned = []
        for node, signal in found:
            described = self._readings[node.node_id].described
            is_whole = "member" not in signal.address
            notes = [spans[node]] if node in spans and is_whole else []
            notes += [_texts(described.texts)] if described.texts and is_whole else []
            unit = described.unit if is_whole else None
            adorned.append((node, replace(signal, unit=unit, notes=(*signal.notes, *notes))))
        return adorned


def node_text(node: Any, namespaces: Sequence[str]) -> str | None:
    """A NodeId as a configuration writes it, by its namespace's URI where that tells; None where nothing leads back."""
    identifier, index = node.Identifier, node.NamespaceIndex
    text: str = node.to_string().partition(";")[2] if index else node.to_string()
    if index:
        uri = namespaces[index]
        tells = uri and not uri.isdigit() and namespaces.count(uri) == 1
        text = f"nsu={uri.replace('%', '%25').replace(';', '%3B')};{text}" if tells else f"ns={index};{text}"
    try:
        address = parse_node(text)
        text.encode()
    except ValueError:
        return None
    if not isinstance(address, NodeAddress) or address.identifier != identifier:
        return None
    return text if node_id(address, namespaces) == node else None


def _members(opened: dict[str, Any], above: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths of single values in a structure, and None; or why what is there is not proposed."""
    for number, (name, held) in enumerate(opened.items()):
        at = (*above, name)
        if number >= MOST_MEMBERS:
            yield (*above, "…"), f"{len(opened) - number} more members"
            return
        if isinstance(held, dict) and depth + 1 < MOST_NESTED:
            yield from _members(held, at, depth + 1)
        elif isinstance(held, dict) or hasattr(held, "data_type"):
            yield at, "a structure within a structure"
        elif isinstance(held, list):
            yield at, f"an array of {len(held)} as a member; it is written {name}[0]"
        elif held is not None:
            yield at, None


def _array(place: tuple[str, ...], sizes: Sequence[int], described: Description) -> LeftOut:
    size = f"{', '.join(map(str, sizes))} " if sizes else ""
    return LeftOut(place, f"an array of {size}{described.built_in.name}; `index` takes an element of it")


def _dimensions(held: Any) -> tuple[int, ...]:
    found: list[int] = []
    while isinstance(held, list):
        found.append(len(held))
        held = held[0] if held else None
    return tuple(found)


def _bytes_of(text: str | bytes) -> int:
    """Of a text in UTF-8; bytes are shown in hexadecimal."""
    return 2 * len(text) if isinstance(text, bytes) else len(text.encode(errors="replace"))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _range(value: Any) -> str | None:
    held = None if value.Value is None else value.Value.Value
    if not isinstance(held, ua.Range) or not (math.isfinite(held.Low) and math.isfinite(held.High)):
        return None
    return f"{held.Low:g} to {held.High:g}"


def _texts(texts: Any) -> str:
    pairs = [f"{number} {text}" for number, text in list(texts.items())[:MOST_TEXTS]]
    more = len(texts) - len(pairs)
    return ", ".join(pairs) + (f", and {more} more" if more else "")
