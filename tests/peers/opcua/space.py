"""The test server's own namespace: every type, structures, enumerations, units, and many changing nodes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from asyncua import Server, ua
from asyncua.common.node import Node
from asyncua.common.structures104 import new_enum, new_struct, new_struct_field

from protocols.simulated.opcua_tree import Tree, Unit
from tests.peers.opcua import values

BAR = Unit("BAR", "bar", "bar", -1, 10)


async def build(server: Server, shift: int, nodes: int) -> Tree:
    """Registers the namespace, after `shift` others, and fills it."""
    for number in range(1, shift + 1):
        await server.register_namespace(values.OTHER.format(number))
    index = await server.register_namespace(values.NAMESPACE)
    root = await Tree(server, index, server.nodes.objects).object("Test")
    tree = Tree(server, index, root)
    for kind, value in values.SCALARS.items():
        await tree.variable(f"Scalars.{kind}", ua.Variant(value, ua.VariantType[kind]))
    for kind, several in values.ARRAYS.items():
        await tree.variable(f"Arrays.{kind}", ua.Variant(several, ua.VariantType[kind]))
    path, pressure = values.ANALOG
    await tree.variable(path, ua.Variant(pressure, ua.VariantType.Double), unit=BAR)
    await _enumerations(tree)
    await _structures(tree)
    for number in range(nodes):
        kind = ua.VariantType.Double if number % 2 else ua.VariantType.UInt32
        await tree.variable(values.many_path(number), ua.Variant(values.many_value(number, 0), kind))
    return tree


async def _enumerations(tree: Tree) -> None:
    mode, fault, valve = values.ENUMERATIONS
    server, texts = tree.server, {path: names for path, (_, _, names) in values.ENUMERATIONS.items()}
    for path in (mode, fault):
        kind = path.rpartition(".")[2] + "Kind"
        fields = [ua.EnumField(number, ua.LocalizedText(name), Name=name) for number, name in texts[path].items()]
        data_type = await new_enum(server, tree.node_id(kind), tree.browse_name(kind), [])
        await data_type.write_data_type_definition(ua.EnumDefinition(fields))
        if path == mode:
            await _texts(tree, data_type, kind, list(texts[path].values()))
        else:
            described = [ua.EnumValueType(number, ua.LocalizedText(name)) for number, name in texts[path].items()]
            await tree.property(data_type, kind, "EnumValues", described, ua.ObjectIds.EnumValueType)
        first = ua.Variant(values.ENUMERATIONS[path][1], ua.VariantType.Int32)
        await tree.variable(path, first, data_type.nodeid)
    state = ua.Variant(values.ENUMERATIONS[valve][1], ua.VariantType.UInt32)
    node = await tree.variable(valve, state, definition=ua.ObjectIds.MultiStateDiscreteType)
    await _texts(tree, node, valve, list(texts[valve].values()))
    door, is_open, words = values.TWO_STATES
    node = await tree.variable(door, ua.Variant(is_open), definition=ua.ObjectIds.TwoStateDiscreteType)
    for which, word in words.items():
        await tree.property(node, door, f"{which}State", ua.LocalizedText(word), ua.ObjectIds.LocalizedText)


async def _texts(tree: Tree, node: Node, path: str, names: list[str]) -> None:
    texts = [ua.LocalizedText(name) for name in names]
    await tree.property(node, path, "EnumStrings", texts, ua.ObjectIds.LocalizedText)


async def _structures(tree: Tree) -> None:
    double, text, whole = ua.VariantType.Double, ua.VariantType.String, ua.VariantType.UInt32

    async def define(name: str, fields: list[Any], is_union: bool = False) -> Node:
        kind = f"{name}Type"
        return (await new_struct(tree.server, tree.node_id(kind), tree.browse_name(kind), fields, is_union))[0]

    weight = await define(
        "Weight",
        [
            new_struct_field("Gross", double),
            new_struct_field("Net", double),
            new_struct_field("Stable", ua.VariantType.Boolean),
        ],
    )
    batch = await define(
        "Batch",
        [
            new_struct_field("Id", text),
            new_struct_field("Count", whole),
            new_struct_field("Weight", weight, optional=True),
            new_struct_field("Remark", text, optional=True),
            new_struct_field("Samples", double, array=True),
        ],
    )
    pallet = await define("Pallet", [new_struct_field("Number", whole), new_struct_field("Batches", batch, array=True)])
    members = [new_struct_field("Number", double), new_struct_field("Text", text), new_struct_field("Weight", weight)]
    reading = await define("Reading", members, is_union=True)
    await tree.server.load_data_type_definitions()
    kinds = {"Weight": weight, "Batch": batch, "Pallet": pallet}
    for path in values.STRUCTURES:
        await tree.variable(path, structure(path, values.STRUCTURES[path]), kinds[path.rpartition(".")[2]].nodeid)
    path, member, value = values.UNION
    await tree.variable(path, structure(path, {member: value}), reading.nodeid)


def structure(path: str, members: dict[str, Any]) -> ua.Variant:
    """A value of a structure's node, members by name; of a union the one member that is set."""
    made = _made(path.rpartition(".")[2] + "Type", members)
    return ua.Variant(made, ua.VariantType.ExtensionObject)


def _made(kind: str, members: dict[str, Any]) -> Any:
    if kind == "ReadingType":
        made = getattr(ua, kind)()
        for name, value in members.items():
            setattr(made, name, _member(name, value))
        return made
    return getattr(ua, kind)(**{name: _member(name, value) for name, value in members.items()})


def _member(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _made(f"{name}Type", value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_made("BatchType", each) for each in value]
    return value


def variant(path: str, kind: ua.VariantType, value: Any) -> ua.Variant:
    """A value given as JSON, as its node holds it.

    DateTime is in ISO 8601, Guid and NodeId are text, ByteString is hexadecimal, a structure has its members by name.
    """
    if isinstance(value, dict) and kind == ua.VariantType.ExtensionObject:
        return structure(path, value)
    if isinstance(value, list):
        return ua.Variant([_one(kind, each) for each in value], kind)
    return ua.Variant(_one(kind, value), kind)


def _one(kind: ua.VariantType, value: Any) -> Any:
    match kind:
        case ua.VariantType.DateTime:
            return datetime.fromisoformat(value).astimezone(UTC)
        case ua.VariantType.Guid:
            return UUID(value)
        case ua.VariantType.ByteString:
            return bytes.fromhex(value)
        case ua.VariantType.NodeId:
            return ua.NodeId.from_string(value)
        case ua.VariantType.LocalizedText:
            return ua.LocalizedText(value)
        case ua.VariantType.Float | ua.VariantType.Double:
            return float(value)
        case _:
            return value
