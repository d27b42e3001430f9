"""Structures by the server's own definitions (OPC 10000-3, 5.8.3): their fields, and values as dicts of them.

What a server defines never becomes a class or a name of ours: two servers may mean different things by one name, and a
server's text is not to be executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, unpack_uatype

from protocols.opcua.describe import Description, built_in_types, enumeration_texts
from protocols.opcua.limits import Limits
from protocols.opcua.point import Shape, Unfit
from protocols.opcua.resolve import read_attributes
from protocols.opcua.session import Session, status_text
from protocols.opcua.transport import GARBLED

_STANDARD = {one.data_type: one for one in vars(ua.uaprotocol_auto).values() if hasattr(one, "data_type")}
"""OPC UA's own structures, such as EUInformation, which few servers define."""
MOST_TYPES = 500
MOST_ELEMENTS = 1_000_000
MOST_NESTED = 64


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a structure."""

    name: str
    data_type: Any
    built_in: int
    is_array: bool
    is_optional: bool
    texts: dict[int, str]


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure's fields in order."""

    members: tuple[Member, ...]
    is_union: bool
    has_optional: bool


class Structures:
    """The structures of one server, learned as far as signals need them."""

    def __init__(self) -> None:
        self._by_type: dict[Any, Structure] = {}
        self._by_encoding: dict[Any, Structure] = {}
        self._why: dict[Any, str] = {}

    async def learn(self, session: Session, limits: Limits, types: Sequence[Any]) -> None:
        """Learn data types as they are now, and those of their fields.

        What cannot be learned is said where it is used.
        """
        wanted = list(dict.fromkeys(types))
        seen = set(wanted)
        try:
            while wanted and len(seen) <= MOST_TYPES + len(types):
                wanted = await self._learn(session, limits, wanted, seen)
        except ua.UaStatusCodeError as error:
            why = f"the server does not tell how the structure is defined: {status_text(error.code)}"
            self._why |= {one: why for one in seen if one not in self._by_type}

    async def _learn(self, session: Session, limits: Limits, wanted: Sequence[Any], seen: set[Any]) -> list[Any]:
        """Learn some; the structures among their fields' types that nobody has looked at."""
        read = await read_attributes(session, limits, [(one, ua.AttributeIds.DataTypeDefinition) for one in wanted])
        inner: set[Any] = set()
        definitions = {}
        for one, value in zip(wanted, read, strict=True):
            definition = None if value.Value is None else value.Value.Value
            if isinstance(definition, ua.StructureDefinition):
                definitions[one] = definition
                inner |= {_plain(each.DataType) for each in definition.Fields or []}
            else:
                self._by_type.pop(one, None)
                self._why[one] = f"the server does not define the structure: {status_text(value.StatusCode.value)}"
        built_in = await built_in_types(session, limits, inner)
        enumerations = await enumeration_texts(session, limits, [t for t in inner if built_in.get(t, (0, False))[1]])
        for one, definition in definitions.items():
            self._add(one, definition, built_in, enumerations)
        structures = [
            one for one in inner
            if built_in.get(one, (None, False))[0] == ua.VariantType.ExtensionObject
            and one != ua.NodeId(ua.ObjectIds.Structure) and one not in seen
        ]  # fmt: skip
        seen.update(structures)
        return structures

    def _add(self, data_type: Any, definition: Any, built_in: Any, texts: dict[Any, dict[int, str]]) -> None:
        members = tuple(
            Member(
                f"{each.Name}",
                _plain(each.DataType),
                int(built_in.get(_plain(each.DataType), (ua.VariantType.Variant, False))[0].value) or 24,
                each.ValueRank >= 1,
                bool(each.IsOptional),
                texts.get(_plain(each.DataType), {}),
            )
            for each in definition.Fields or []
        )
        kind = definition.StructureType
        is_union = kind in (ua.StructureType.Union, ua.StructureType.UnionWithSubtypedValues)
        made = Structure(members, is_union, kind == ua.StructureType.StructureWithOptionalFields)
        self._by_type[data_type] = made
        self._why.pop(data_type, None)
        self._by_encoding[_plain(definition.DefaultEncodingId)] = made

    def shape(self, described: Description, steps: Sequence[str | int]) -> Shape:
        """What is at a member of a variable's structure. Raises Unfit where there is none."""
        data_type, built_in = _plain(described.data_type), int(described.built_in.value)
        is_array, texts = False, dict(described.texts)
        for step in steps:
            if isinstance(step, int):
                if not is_array:
                    raise Unfit(f"[{step}] is configured where the server has one value, and no array")
                is_array = False
                continue
            if built_in != ua.VariantType.ExtensionObject.value:
                raise Unfit(f"member {step} is configured, but the server has {ua.VariantType(built_in).name} there")
            structure = self._by_type.get(data_type)
            if structure is None:
                raise Unfit(self._why.get(data_type, "the server does not define the structure"))
            member = next((one for one in structure.members if one.name == step), None)
            if member is None:
                known = ", ".join(one.name for one in structure.members)
                raise Unfit(f"the structure has no member {step}; it has {known}")
            data_type, built_in, is_array, texts = member.data_type, member.built_in, member.is_array, member.texts
        return Shape(built_in, is_array, texts)

    def opened(self, value: Any) -> Any:
        """A value with structures as dicts of their members. Raises Unfit for what cannot be decoded."""
        if isinstance(value, list):
            return [self.opened(one) for one in value]
        if isinstance(value, ua.ExtensionObject):
            structure = self._by_encoding.get(_plain(value.TypeId)) if value.TypeId is not None else None
            if structure is None or value.Body is None:
                return None
            try:
                data = Buffer(value.Body)
                members = self._decode(structure, data, 0)
                if len(data):
                    raise ValueError("it goes on behind its last member")
                return members
            except GARBLED as error:
                raise Unfit(f"the structure is not as it is defined: {error or type(error).__name__}") from None
        return value

    def _decode(self, structure: Structure, data: Buffer, depth: int) -> dict[str, Any]:
        """Fields in order (OPC 10000-6, 5.2.6 to 5.2.8)."""
        if depth > MOST_NESTED:
            raise ValueError("it is nested too deeply")
        if structure.is_union:
            which = int(unpack_uatype(ua.VariantType.UInt32, data))
            if which == 0:
                return {}
            member = structure.members[which - 1]
            return {member.name: self._field(member, data, depth)}
        mask = int(unpack_uatype(ua.VariantType.UInt32, data)) if structure.has_optional else 0
        values: dict[str, Any] = {}
        bit = 0
        for member in structure.members:
            if structure.has_optional and member.is_optional:
                bit += 1
                if not mask >> (bit - 1) & 1:
                    values[member.name] = None
                    continue
            values[member.name] = self._field(member, data, depth)
        return values

    def _field(self, member: Member, data: Buffer, depth: int) -> Any:
        if not member.is_array:
            return self._one(member, data, depth)
        count = int(unpack_uatype(ua.VariantType.Int32, data))
        if count > min(MOST_ELEMENTS, len(data)):
            raise ValueError(f"{member.name} claims {count} elements")
        return [self._one(member, data, depth) for _ in range(max(count, 0))]

    def _one(self, member: Member, data: Buffer, depth: int) -> Any:
        if member.built_in == ua.VariantType.ExtensionObject.value and member.data_type in self._by_type:
            return self._decode(self._by_type[member.data_type], data, depth + 1)
        if (known := _STANDARD.get(member.data_type)) is not None:
            return struct_from_binary(known, data)
        value = unpack_uatype(ua.VariantType(member.built_in), data)
        return self.opened(value) if isinstance(value, ua.ExtensionObject) else value


def _plain(node: Any) -> Any:
    """A NodeId that compares equal however it was encoded."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)
