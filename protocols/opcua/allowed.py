"""The closed list of what is ever asked of an OPC UA server: services that only read (OPC 10000-4, clause 5)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

SERVICES = (
    "FindServers", "GetEndpoints", "OpenSecureChannel", "CloseSecureChannel",
    "CreateSession", "ActivateSession", "CloseSession",
    "Browse", "BrowseNext", "TranslateBrowsePathsToNodeIds", "RegisterNodes", "UnregisterNodes", "Read",
    "CreateMonitoredItems", "DeleteMonitoredItems",
    "CreateSubscription", "DeleteSubscriptions", "Publish", "Republish",
)  # fmt: skip

_BY_NUMBER = {getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary"): name for name in SERVICES}
_CALL = ua.ObjectIds.CallRequest_Encoding_DefaultBinary
_CONDITION_REFRESH = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)


def check(message: bytes) -> None:
    """Refuse a message that does more than read, by its type. Raises PermissionError."""
    encoding, _, number = struct.unpack_from("<BBH", message) if len(message) >= 4 else (0, 0, 0)
    if encoding == 1 and message[1] == 0:  # a NodeId of four bytes in OPC UA's own namespace (OPC 10000-6, 5.2.2.9)
        if number in _BY_NUMBER:
            return
        if number == _CALL:
            calls = struct_from_binary(ua.CallRequest, Buffer(message)).Parameters.MethodsToCall
            if all(call.MethodId == _CONDITION_REFRESH for call in calls):
                return
            raise PermissionError("a method that is not ConditionRefresh is not among what only reads")
    raise PermissionError(f"a request of type i={number} is not among those that only read")


def guard(connection: Any) -> None:
    """Have everything that leaves through an asyncua SecureConnection checked, whoever makes it."""
    to_binary: Callable[..., bytes] = connection.message_to_binary

    def checked(message: bytes, *given: Any, **named: Any) -> bytes:
        check(message)
        return to_binary(message, *given, **named)

    connection.message_to_binary = checked
