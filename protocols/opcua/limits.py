"""How many operations a server takes in one request (OPC 10000-5, 6.3.11), and requests split accordingly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asyncua import ua

from protocols.opcua.session import Session

DEFAULT = 1000
"""Where the server names no limit: so much fits one message."""

_LIMITS = {
    "read": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "browse": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "register": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRegisterNodes,
    "translate": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
    "monitor": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
}
TOO_MANY = {
    ua.StatusCodes.BadTooManyOperations,
    ua.StatusCodes.BadEncodingLimitsExceeded,
    ua.StatusCodes.BadRequestTooLarge,
    ua.StatusCodes.BadResponseTooLarge,
    ua.StatusCodes.BadTcpMessageTooLarge,
}

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class Limits:
    """Most operations of each request."""

    read: int = DEFAULT
    browse: int = DEFAULT
    register: int = DEFAULT
    translate: int = DEFAULT
    monitor: int = DEFAULT


async def read_limits(session: Session) -> Limits:
    """The server's limits; it may name none. Each is asked for alone: even five could be too many."""
    limits = Limits()
    for name, number in _LIMITS.items():
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
        request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=ua.NodeId(number), AttributeId=ua.AttributeIds.Value)]
        try:
            value = (await session.ask(request)).Results[0].Value
        except ua.UaStatusCodeError:
            continue
        if value is not None and isinstance(value.Value, int) and value.Value > 0:
            setattr(limits, name, min(int(value.Value), DEFAULT))
    return limits


async def in_parts(items: Sequence[T], most: int, ask: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> list[R]:
    """What `ask` answers, at most `most` at once and fewer where the server finds that too many; one result an item.

    Raises ua.UaStatusCodeError for another refusal.
    """
    results: list[R] = []
    while len(results) < len(items):
        part = items[len(results) : len(results) + most]
        try:
            answer = await ask(part)
        except ua.UaStatusCodeError as error:
            if error.code & 0xFFFF0000 not in TOO_MANY or len(part) == 1:
                raise
            most = len(part) // 2
            continue
        if len(answer) != len(part):
            raise ua.UaStatusCodeError(ua.StatusCodes.BadUnexpectedError)
        results += answer
    return results
