"""Builds a namespace of an asyncua server: nodes identified by their paths, analog ones with unit and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.common.node import Node

_UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"


@dataclass(frozen=True, slots=True)
class Unit:
    """EngineeringUnits and EURange of an analog item (OPC 10000-8, 5.6.3 and 5.6.2)."""

    code: str
    """UNECE Recommendation 20's common code."""
    symbol: str
    name: str
    low: float
    high: float

    def information(self) -> ua.EUInformation:
        """The unit; its number is the code's characters, the last one lowest."""
        number = int.from_bytes(self.code.encode("ascii"), "big")
        return ua.EUInformation(_UNECE, number, ua.LocalizedText(self.symbol), ua.LocalizedText(self.name))

    def range(self) -> ua.Range:
        """The range of normal values."""
        return ua.Range(self.low, self.high)


class Tree:
    """One namespace's nodes below an object; a path's parts are separated by dots, and its parents are made with it."""

    def __init__(self, server: Server, index: int, root: Node) -> None:
        self.server, self.index = server, index
        self._objects: dict[str, Node] = {"": root}

    def node_id(self, path: str) -> ua.NodeId:
        """`ns=<index>;s=<path>`."""
        return ua.NodeId(path, self.index)

    def browse_name(self, name: str) -> ua.QualifiedName:
        """The name in this namespace."""
        return ua.QualifiedName(name, self.index)

    async def object(self, path: str, kind: ua.NodeId | None = None) -> Node:
        """The object at a path, made where it is not there yet. `kind` is its type, BaseObjectType by default."""
        if path not in self._objects:
            place, _, name = path.rpartition(".")
            attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(name))
            self._objects[path] = await self._add(await self.object(place), path, name, attributes, kind)
        return self._objects[path]

    async def variable(
        self,
        path: str,
        value: ua.Variant,
        kind: ua.NodeId | None = None,
        unit: Unit | None = None,
        definition: int = ua.ObjectIds.BaseDataVariableType,
    ) -> Node:
        """A variable that nobody may write. `kind` is its data type, by default the built-in type of the value."""
        place, _, name = path.rpartition(".")
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(name),
            Value=value,
            DataType=kind or ua.NodeId(value.VariantType.value),
            ValueRank=ua.ValueRank.OneDimension if value.is_array else ua.ValueRank.Scalar,
            AccessLevel=ua.AccessLevel.CurrentRead.mask,
            UserAccessLevel=ua.AccessLevel.CurrentRead.mask,
        )
        definition = ua.ObjectIds.AnalogUnitRangeType if unit else definition
        parent = await self.object(place)
        node = await self._add(parent, path, name, attributes, ua.NodeId(definition))
        if unit is not None:
            await self.property(node, path, "EURange", unit.range(), ua.ObjectIds.Range)
            await self.property(node, path, "EngineeringUnits", unit.information(), ua.ObjectIds.EUInformation)
        return node

    async def property(self, node: Node, path: str, name: str, value: Any, kind: int) -> Node:
        """A property that OPC UA defines."""
        return await node.add_property(
            self.node_id(f"{path}.{name}"), ua.QualifiedName(name), value, datatype=ua.NodeId(kind)
        )

    async def _add(self, parent: Node, path: str, name: str, attributes: Any, kind: ua.NodeId | None) -> Node:
        item = ua.AddNodesItem()
        is_variable = isinstance(attributes, ua.VariableAttributes)
        item.NodeClass = ua.NodeClass.Variable if is_variable else ua.NodeClass.Object
        item.ParentNodeId = parent.nodeid
        in_objects = parent.nodeid == ua.NodeId(ua.ObjectIds.ObjectsFolder)
        item.ReferenceTypeId = ua.NodeId(ua.ObjectIds.Organizes if in_objects else ua.ObjectIds.HasComponent)
        item.RequestedNewNodeId = self.node_id(path)
        item.BrowseName = self.browse_name(name)
        item.TypeDefinition = kind or ua.NodeId(ua.ObjectIds.BaseObjectType)
        item.NodeAttributes = attributes
        result = (await self.server.iserver.isession.add_nodes([item]))[0]
        result.StatusCode.check()
        return self.server.get_node(result.AddedNodeId)
