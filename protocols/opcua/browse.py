"""An OPC UA server's objects and variables as a tree: browsed in parts, each node once, never without end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncua import ua

from protocols.discovery import Pace, Say
from protocols.driver import LinkStats
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.limits import Limits, in_parts, read_limits
from protocols.opcua.resolve import read_namespaces
from protocols.opcua.session import Session
from protocols.opcua.transport import ANSWER_S

MOST_NODES = 50_000
"""After so many a server's tree is left alone: it may have no end."""
MOST_AT_ONCE = 100
"""Nodes in one request: a live server also has others to serve."""
MOST_REFERENCES = 500
"""That one answer is asked to hold of a node; the others come with BrowseNext."""
_MOST_EMPTY = 3
"""Answers in a row that hold nothing but promise more."""
_MASK = (
    ua.BrowseResultMask.ReferenceTypeId
    | ua.BrowseResultMask.NodeClass
    | ua.BrowseResultMask.BrowseName
    | ua.BrowseResultMask.DisplayName
    | ua.BrowseResultMask.TypeDefinition
)
_SERVER = ua.NodeId(ua.ObjectIds.Server)
_HAS_PROPERTY = ua.NodeId(ua.ObjectIds.HasProperty)


class GentleSession(Session):
    """A session that keeps its requests apart."""

    def __init__(self, device: OpcuaDevice, state_dir: Path | None, pace: Pace) -> None:
        super().__init__(device, state_dir, 60_000, LinkStats())
        self._pace = pace

    async def ask(self, request: Any, timeout_s: float = ANSWER_S) -> Any:
        """As `Session.ask`, once the next request is due."""
        await asyncio.sleep(self._pace.due())
        await self.renew_if_due()
        return await super().ask(request, timeout_s)


@dataclass(eq=False, slots=True)
class Node:
    """An object or a variable, at the first place where it was met."""

    node_id: Any
    namespace: int
    """Of its browse name."""
    name: str
    is_variable: bool
    kind: Any
    """NodeId of its type definition."""
    is_property: bool
    parent: Node | None
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> tuple[str, ...]:
        """Browse names from below the root of the browsing on."""
        names: list[str] = []
        at: Node | None = self
        while at is not None and at.parent is not None:
            names.append(at.name)
            at = at.parent
        return tuple(reversed(names))

    def child(self, name: str) -> Node | None:
        """The child of a browse name, in whatever namespace."""
        return next((one for one in self.children if one.name == name), None)

    def below(self) -> Iterator[Node]:
        """All nodes below, in the order of the tree."""
        waiting = list(reversed(self.children))
        while waiting:
            one = waiting.pop()
            yield one
            waiting += reversed(one.children)


@dataclass(slots=True)
class Tree:
    """What was browsed."""

    root: Node
    namespaces: list[str]
    limits: Limits
    count: int = 0
    too_deep: int = 0
    """Objects whose children were not asked for."""
    refused: int = 0
    """Nodes that could not be browsed."""
    is_cut: bool = False
    """Whether it ended at MOST_NODES."""


class Browser:
    """Browses one server."""

    def __init__(self, session: Session, say: Say, references: int = MOST_REFERENCES) -> None:
        self._session = session
        self._say = say
        self._references = references
        self._seen: set[Any] = {_SERVER}

    async def tree(self, root: Any, depth: int) -> Tree:
        """Everything below a node, level by level. Raises NotConnected, ConfigError."""
        limits = await read_limits(self._session)
        limits.read, limits.browse = min(limits.read, MOST_AT_ONCE), min(limits.browse, MOST_AT_ONCE)
        namespaces = await read_namespaces(self._session)
        tree = Tree(Node(root, 0, "", False, None, False, None), namespaces, limits)
        self._seen.add(root)
        level = [tree.root]
        for _ in range(depth):
            if not level or tree.is_cut:
                break
            level = await self._below(tree, level)
        tree.too_deep = sum(not one.is_variable for one in level)
        return tree

    async def _below(self, tree: Tree, level: Sequence[Node]) -> list[Node]:
        """The children of a level that are to be browsed in turn."""
        below: list[Node] = []
        for start in range(0, len(level), tree.limits.browse):
            part = level[start : start + tree.limits.browse]
            for parent, references in zip(part, await self._children(tree, part), strict=True):
                for reference in references:
                    child = self._node(tree, parent, reference)
                    if child is not None and not child.is_property:
                        below.append(child)
            self._say(f"browsed {tree.count:,} nodes")
            if tree.is_cut:
                break
        return below

    def _node(self, tree: Tree, parent: Node, reference: Any) -> Node | None:
        """A reference's target, unless it was met before or is another server's."""
        target = reference.NodeId
        node_id = _local(target, tree.namespaces)
        if node_id is None or node_id in self._seen or reference.NodeClass not in _CLASSES:
            return None
        if tree.count >= MOST_NODES:
            tree.is_cut = True
            return None
        self._seen.add(node_id)
        tree.count += 1
        name = reference.BrowseName
        text = (name.Name if name is not None else None) or reference.DisplayName.Text or ""
        child = Node(
            node_id,
            name.NamespaceIndex if name is not None else 0,
            text,
            reference.NodeClass == ua.NodeClass.Variable,
            _local(reference.TypeDefinition, tree.namespaces),
            reference.ReferenceTypeId == _HAS_PROPERTY,
            parent,
        )
        parent.children.append(child)
        return child

    async def names_below(self, tree: Tree, kinds: Sequence[Any]) -> dict[Any, list[str]]:
        """Display names of the objects of each type, such as the states of a state machine's."""
        types = [Node(kind, 0, "", False, None, False, None) for kind in kinds]
        found = await self._children(tree, types)
        return {
            one.node_id: [
                text
                for reference in references
                if reference.NodeClass == ua.NodeClass.Object
                and (text := reference.DisplayName.Text or (reference.BrowseName.Name or ""))
            ]
            for one, references in zip(types, found, strict=True)
        }

    async def _children(self, tree: Tree, nodes: Sequence[Node]) -> list[list[Any]]:
        """Hierarchical references of each node; a node that cannot be browsed has none."""

        async def ask(part: Sequence[Node]) -> Sequence[Any]:
            request = ua.BrowseRequest()
            request.Parameters.RequestedMaxReferencesPerNode = self._references
            request.Parameters.NodesToBrowse = [_description(one.node_id) for one in part]
            results: list[Any] = (await self._session.ask(request)).Results
            return [await self._rest(tree, result) for result in results]

        try:
            return await in_parts(nodes, tree.limits.browse, ask)
        except ua.UaStatusCodeError:
            if len(nodes) > 1:  # one node that upsets the server hides no other
                return [(await self._children(tree, [one]))[0] for one in nodes]
            tree.refused += 1
            return [[]]

    async def _rest(self, tree: Tree, result: Any) -> list[Any]:
        """A node's references, with those that the server kept for BrowseNext (OPC 10000-4, 5.9.3)."""
        if result.StatusCode.value >> 31:
            tree.refused += 1
            return []
        references = list(result.References or [])
        point, empty = result.ContinuationPoint, 0
        while point:
            request = ua.BrowseNextRequest()
            is_enough = tree.count + len(references) >= MOST_NODES or empty >= _MOST_EMPTY
            request.Parameters.ReleaseContinuationPoints = is_enough
            request.Parameters.ContinuationPoints = [point]
            try:
                answer = (await self._session.ask(request)).Parameters.Results or []
            except ua.UaStatusCodeError:  # it promised more than it gives; what it gave counts
                tree.refused += 1
                break
            if is_enough or not answer or answer[0].StatusCode.value >> 31:
                tree.is_cut |= is_enough
                break
            more = list(answer[0].References or [])
            empty = 0 if more else empty + 1
            references += more
            point = answer[0].ContinuationPoint
        return references


_CLASSES = (ua.NodeClass.Object, ua.NodeClass.Variable)


def _description(node: Any) -> Any:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
        IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
        ResultMask=_MASK,
    )


def _local(node: Any, namespaces: Sequence[str]) -> Any | None:
    """A NodeId out of an ExpandedNodeId; None where it is another server's, or of a namespace that is not there."""
    if getattr(node, "ServerIndex", 0):
        return None
    index, uri = node.NamespaceIndex, getattr(node, "NamespaceUri", None)
    if uri:
        if uri not in namespaces:
            return None
        index = namespaces.index(uri)
    try:
        return ua.NodeId(node.Identifier, index) if index < len(namespaces) else None
    except ua.UaError:  # an identifier that is null
        return None
