"""From addresses to NodeIds of the server as it is now: namespaces by URI, browse paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from asyncua import ua

from protocols.driver import ConfigError
from protocols.opcua.address import Address, Namespace, NodeAddress, PathAddress
from protocols.opcua.limits import Limits, in_parts
from protocols.opcua.session import Session, refused, status_text

_KINDS = {
    "i": ua.NodeIdType.Numeric,
    "s": ua.NodeIdType.String,
    "g": ua.NodeIdType.Guid,
    "b": ua.NodeIdType.ByteString,
}


class Unresolved(Exception):
    """An address that leads nowhere now; its text says why."""


async def read_namespaces(session: Session) -> list[str]:
    """The server's namespaces by index (OPC 10000-5, 6.3.1). Raises ConfigError where it has no such table."""
    node = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
    try:
        (value,) = await read_attributes(session, Limits(), [(node, ua.AttributeIds.Value)])
    except ua.UaStatusCodeError as error:
        raise refused("to read its namespaces", error) from error
    if value.Value is None or not isinstance(value.Value.Value, list):
        raise ConfigError("the server has no table of namespaces", "see the server's own log")
    return [f"{uri or ''}" for uri in value.Value.Value]


async def read_attributes(session: Session, limits: Limits, wanted: Sequence[tuple[Any, int]]) -> list[Any]:
    """DataValues of (NodeId, attribute) pairs. Raises ua.UaStatusCodeError for a refusal of all."""

    async def read(part: Sequence[tuple[Any, int]]) -> Sequence[Any]:
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
        request.Parameters.NodesToRead = [
            ua.ReadValueId(NodeId=node, AttributeId=attribute) for node, attribute in part
        ]
        results: list[Any] = (await session.ask(request)).Results
        return results

    return await in_parts(wanted, limits.read, read)


def index_of(namespace: Namespace, namespaces: Sequence[str]) -> int:
    """The index of a namespace. Raises Unresolved."""
    if isinstance(namespace, int):
        if namespace >= len(namespaces):
            raise Unresolved(f"the server has no namespace {namespace}; its last is {len(namespaces) - 1}")
        return namespace
    if namespace not in namespaces:
        known = ", ".join(namespaces[1:11]) or "none of its own"
        raise Unresolved(f"the server has no namespace {namespace}; it has {known}")
    return namespaces.index(namespace)


def node_id(address: NodeAddress, namespaces: Sequence[str]) -> Any:
    """The NodeId of an address by identifier. Raises Unresolved."""
    index = index_of(address.namespace, namespaces)
    return ua.NodeId(address.identifier, index, _KINDS[address.kind])


async def resolve(
    session: Session, limits: Limits, namespaces: Sequence[str], addresses: Iterable[Address]
) -> list[Any | Unresolved]:
    """The NodeId of each address, or why it has none."""
    found: list[Any | Unresolved] = []
    paths: list[tuple[int, Any]] = []
    for address in addresses:
        try:
            if isinstance(address, NodeAddress):
                found.append(node_id(address, namespaces))
            else:
                paths.append((len(found), _browse_path(address, namespaces)))
                found.append(Unresolved("not looked for"))
        except Unresolved as why:
            found.append(why)

    async def translate(part: Sequence[tuple[int, Any]]) -> Sequence[Any]:
        request = ua.TranslateBrowsePathsToNodeIdsRequest()
        request.Parameters.BrowsePaths = [path for _, path in part]
        results: list[Any] = (await session.ask(request)).Results
        return results

    try:
        results = await in_parts(paths, limits.translate, translate)
    except ua.UaStatusCodeError as error:
        untranslated = Unresolved(f"the server does not follow browse paths: {status_text(error.code)}")
        results = [untranslated for _ in paths]
    for (place, path), result in zip(paths, results, strict=True):
        found[place] = result if isinstance(result, Unresolved) else _target(path, result)
    return found


def _browse_path(address: PathAddress, namespaces: Sequence[str]) -> Any:
    path = ua.BrowsePath(StartingNode=ua.NodeId(ua.ObjectIds.RootFolder))
    path.RelativePath.Elements = [
        ua.RelativePathElement(
            ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
            IsInverse=False,
            IncludeSubtypes=True,
            TargetName=ua.QualifiedName(name, index_of(namespace, namespaces)),
        )
        for namespace, name in address.names
    ]
    return path


def _target(path: Any, result: Any) -> Any | Unresolved:
    """The one node that a path leads to in this server."""
    if result.StatusCode.value >> 31:
        return Unresolved(f"no such path: {status_text(result.StatusCode.value)}")
    here = [target.TargetId for target in result.Targets if target.RemainingPathIndex == 0xFFFFFFFF]
    if len(here) != 1:
        last = path.RelativePath.Elements[-1].TargetName.Name
        return Unresolved(f"the path leads to {len(here) or 'no'} nodes of this server named {last}, not to one")
    target = here[0]
    return ua.NodeId(target.Identifier, target.NamespaceIndex, target.NodeIdType)
