"""What a server says of its variables: how their values are encoded, what enumerations mean, engineering units."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncua import ua

from protocols.opcua.limits import Limits, in_parts
from protocols.opcua.resolve import read_attributes
from protocols.opcua.session import Session, status_text

BUDGET_S = 4.0
"""Most that units and texts may delay a start; a server too slow for them goes without."""
MOST_TEXTS = 1000
MOST_PIECES = 1000
MOST_REFERENCES = 100_000
"""Of one node: a server that never ends is not followed for ever."""
MOST_STEPS = 20
"""Levels of data types that are followed to a built-in one."""

_BUILT_IN = range(1, 26)
_ABSTRACT = {ua.ObjectIds.BaseDataType, ua.ObjectIds.Number, ua.ObjectIds.Integer, ua.ObjectIds.UInteger}
_ENUMERATION = ua.NodeId(ua.ObjectIds.Enumeration)
_TEXTS = ("EnumStrings", "EnumValues", "TrueState", "FalseState")


@dataclass(slots=True)
class Description:
    """A variable's type. Where the server could not say, `why` does."""

    why: str | None = None
    built_in: ua.VariantType = ua.VariantType.Null
    """How a value is encoded."""
    rank: int = -1
    """ValueRank (OPC 10000-3, 5.6.2): -1 one value, from 1 on the number of dimensions, others undecided."""
    data_type: Any = None
    """NodeId of the data type itself."""
    is_enumeration: bool = False
    texts: dict[int, str] = field(default_factory=dict)
    unit: str | None = None


async def describe(session: Session, limits: Limits, nodes: Sequence[Any]) -> list[Description]:
    """The type of each variable; one that cannot be told costs no other. Raises NotConnected."""
    wanted = [(node, a) for node in nodes for a in (ua.AttributeIds.DataType, ua.AttributeIds.ValueRank)]
    try:
        read = await read_attributes(session, limits, wanted)
    except ua.UaStatusCodeError as error:
        return [Description(f"its type cannot be read: {status_text(error.code)}") for _ in nodes]
    found = [_first(read[2 * i], read[2 * i + 1]) for i in range(len(nodes))]
    built_in = await built_in_types(session, limits, {one.data_type for one in found if one.why is None})
    unclear = []
    for node, one in zip(nodes, found, strict=True):
        if one.why is None:
            one.built_in, one.is_enumeration = built_in.get(one.data_type, (ua.VariantType.Null, False))
            if one.built_in == ua.VariantType.Null:
                unclear.append((node, one))
    await _by_value(session, limits, unclear)
    return found


def _first(data_type: Any, rank: Any) -> Description:
    code = data_type.StatusCode.value
    if code >> 31:
        if code & 0xFFFF0000 == ua.StatusCodes.BadAttributeIdInvalid:
            return Description("the node is not a variable")
        return Description(status_text(code))
    if data_type.Value is None or not isinstance(data_type.Value.Value, ua.NodeId):
        return Description("the server names no data type")
    known = rank.Value.Value if rank.Value is not None and isinstance(rank.Value.Value, int) else -2
    return Description(rank=known, data_type=data_type.Value.Value)


async def built_in_types(session: Session, limits: Limits, types: set[Any]) -> dict[Any, tuple[Any, bool]]:
    """The built-in type that encodes each data type, and whether it is an enumeration, by its supertypes."""
    now = {one: one for one in types}
    found: dict[Any, tuple[Any, bool]] = {}
    for _ in range(MOST_STEPS):
        for one, at in list(now.items()):
            if at.NamespaceIndex == 0 and at.Identifier in _BUILT_IN:
                found[one] = (ua.VariantType(at.Identifier), False)
            elif at == _ENUMERATION:
                found[one] = (ua.VariantType.Int32, True)
            elif at.NamespaceIndex == 0 and at.Identifier in _ABSTRACT:
                found[one] = (ua.VariantType.Null, False)
            else:
                continue
            del now[one]
        if not now:
            break
        places = list(set(now.values()))
        above = await _references(session, limits, places, ua.ObjectIds.HasSubtype, ua.BrowseDirection.Inverse)
        parents = {place: refs[0].NodeId for place, refs in zip(places, above, strict=True) if refs}
        now = {one: _local(parents[at]) for one, at in now.items() if at in parents}
    return found


async def _by_value(session: Session, limits: Limits, unclear: Sequence[tuple[Any, Description]]) -> None:
    """An abstract type says nothing of the encoding; the value that is there does."""
    try:
        values = await read_attributes(session, limits, [(node, ua.AttributeIds.Value) for node, _ in unclear])
    except ua.UaStatusCodeError as error:
        values = [ua.DataValue(StatusCode=ua.StatusCode(error.code)) for _ in unclear]
    for (_, one), value in zip(unclear, values, strict=True):
        variant = value.Value
        if variant is None or variant.VariantType == ua.VariantType.Null or value.StatusCode.value >> 31:
            one.why = "its type is not fixed, and it has no value to tell it from"
        else:
            one.built_in = variant.VariantType
            one.rank = 1 if isinstance(variant.Value, list) else -1


async def embellish(session: Session, limits: Limits, known: Sequence[tuple[Any, Description]]) -> None:
    """Units of variables and texts of enumerations, where the server is quick enough."""
    try:
        async with asyncio.timeout(BUDGET_S):
            nodes = dict.fromkeys(node for node, _ in known)
            types = {one.data_type for _, one in known if one.is_enumeration}
            places = [*nodes, *types]
            properties = await _references(
                session, limits, places, ua.ObjectIds.HasProperty, ua.BrowseDirection.Forward
            )
            wanted: dict[Any, tuple[Any, str]] = {}
            for place, references in zip(places, properties, strict=True):
                for reference in references:
                    if reference.BrowseName.Name in (*_TEXTS, "EngineeringUnits"):
                        wanted[_local(reference.NodeId)] = (place, reference.BrowseName.Name)
            values = await read_attributes(session, limits, [(node, ua.AttributeIds.Value) for node in wanted])
            by_place: dict[Any, dict[int, str]] = {**await enumeration_texts(session, limits, list(types))}
    except (TimeoutError, ua.UaStatusCodeError):
        return
    units: dict[Any, str] = {}
    for (place, name), value in zip(wanted.values(), values, strict=True):
        held = None if value.Value is None else value.Value.Value
        if name != "EngineeringUnits":
            by_place.setdefault(place, {}).update(_texts(name, held))
        elif isinstance(held, ua.EUInformation):
            units[place] = held.DisplayName.Text or ""
    for node, one in known:
        one.unit = units.get(node) or None
        one.texts = by_place.get(node) or by_place.get(one.data_type) or {}


async def enumeration_texts(session: Session, limits: Limits, types: Sequence[Any]) -> dict[Any, dict[int, str]]:
    """What the numbers of enumerations mean by their definitions, which not every server has."""
    read = await read_attributes(session, limits, [(one, ua.AttributeIds.DataTypeDefinition) for one in types])
    texts: dict[Any, dict[int, str]] = {}
    for one, value in zip(types, read, strict=True):
        definition = None if value.Value is None else value.Value.Value
        if isinstance(definition, ua.EnumDefinition):
            fields = (definition.Fields or [])[:MOST_TEXTS]
            texts[one] = {int(each.Value): each.DisplayName.Text or each.Name or "" for each in fields}
    return texts


def _texts(name: str, held: Any) -> dict[int, str]:
    """Number to text of a property (OPC 10000-8, 5.3.3)."""
    if name in ("TrueState", "FalseState"):
        text = getattr(held, "Text", None)
        return {int(name == "TrueState"): text} if text else {}
    if not isinstance(held, list):
        return {}
    if name == "EnumStrings":
        pairs = [(number, text) for number, text in enumerate(held)]
    else:
        pairs = [(one.Value, one.DisplayName) for one in held if isinstance(one, ua.EnumValueType)]
    return {int(number): text.Text for number, text in pairs[:MOST_TEXTS] if getattr(text, "Text", None)}


async def _references(session: Session, limits: Limits, nodes: Sequence[Any], kind: int, direction: Any) -> list[Any]:
    """The references of each node, of one type; none where it has none or they cannot be browsed."""

    async def browse(part: Sequence[Any]) -> Sequence[Any]:
        request = ua.BrowseRequest()
        request.Parameters.RequestedMaxReferencesPerNode = 0
        request.Parameters.NodesToBrowse = [
            ua.BrowseDescription(
                NodeId=node,
                BrowseDirection=direction,
                ReferenceTypeId=ua.NodeId(kind),
                IncludeSubtypes=False,
                NodeClassMask=0,
                ResultMask=ua.BrowseResultMask.BrowseName,
            )
            for node in part
        ]
        results: list[Any] = (await session.ask(request)).Results
        return results

    try:
        results = await in_parts(nodes, limits.browse, browse)
    except ua.UaStatusCodeError:
        return [[] for _ in nodes]
    return [await _all(session, result) for result in results]


async def _all(session: Session, result: Any) -> list[Any]:
    """A node's references, with those that the server kept for BrowseNext, as far as it goes on with them."""
    references = list(result.References or [])
    point = result.ContinuationPoint
    for _ in range(MOST_PIECES if point else 0):
        request = ua.BrowseNextRequest()
        request.Parameters.ReleaseContinuationPoints = False
        request.Parameters.ContinuationPoints = [point]
        try:
            results = (await session.ask(request)).Parameters.Results
        except ua.UaStatusCodeError:
            break
        if len(results) != 1:
            break
        references += results[0].References or []
        point = results[0].ContinuationPoint
        if not point or len(references) > MOST_REFERENCES:
            break
    return references


def _local(node: Any) -> Any:
    """A NodeId out of an ExpandedNodeId of this server."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)
