"""Limits that the test server enforces: operations a request, and sessions."""

from __future__ import annotations

from collections import Counter
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError

from protocols.simulated.opcua_server import Request

_COUNTED: dict[str, tuple[str, Any, str]] = {
    "Read": ("MaxNodesPerRead", ua.ReadParameters, "NodesToRead"),
    "Browse": ("MaxNodesPerBrowse", ua.BrowseParameters, "NodesToBrowse"),
    "RegisterNodes": ("MaxNodesPerRegisterNodes", ua.RegisterNodesParameters, "NodesToRegister"),
    "UnregisterNodes": ("MaxNodesPerRegisterNodes", ua.UnregisterNodesParameters, "NodesToUnregister"),
    "TranslateBrowsePathsToNodeIds": (
        "MaxNodesPerTranslateBrowsePathsToNodeIds",
        ua.TranslateBrowsePathsToNodeIdsParameters,
        "BrowsePaths",
    ),
    "CreateMonitoredItems": ("MaxMonitoredItemsPerCall", ua.CreateMonitoredItemsParameters, "ItemsToCreate"),
    "ModifyMonitoredItems": ("MaxMonitoredItemsPerCall", ua.ModifyMonitoredItemsParameters, "ItemsToModify"),
    "SetMonitoringMode": ("MaxMonitoredItemsPerCall", ua.SetMonitoringModeParameters, "MonitoredItemIds"),
    "DeleteMonitoredItems": ("MaxMonitoredItemsPerCall", ua.DeleteMonitoredItemsParameters, "MonitoredItemIds"),
}
"""Service: its limit's name (OPC 10000-5, 6.3.11), its parameters, and the list that is counted."""
NAMES = tuple(dict.fromkeys(name for name, _, _ in _COUNTED.values()))


class Limits:
    """Enforced limits, and counts of what was asked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._most: dict[str, int] = {}
        self._sessions: int | None = None
        self.asked: Counter[str] = Counter()
        """Requests by service."""

    async def set(self, limits: dict[str, int | None]) -> None:
        """Limits by name, `sessions` included; 0 or None lifts one. They show under ServerCapabilities."""
        for name, most in limits.items():
            if name == "sessions":
                self._sessions = most
                continue
            if name not in NAMES:
                raise ValueError(f"{name} is no limit: {', '.join((*NAMES, 'sessions'))}")
            self._most[name] = most or 0
            number = getattr(ua.ObjectIds, f"Server_ServerCapabilities_OperationLimits_{name}")
            shown = ua.DataValue(ua.Variant(most or 0, ua.VariantType.UInt32))
            await self._server.write_attribute_value(ua.NodeId(number), shown)

    async def __call__(self, request: Request) -> None:
        """Counts the request, and refuses what is beyond a limit."""
        self.asked[request.service] += 1
        session = request.connection.session
        if request.service == "CreateSession":
            if self._sessions is not None and len(self._server.iserver._external_sessions) >= self._sessions:
                raise ServiceError(ua.StatusCodes.BadTooManySessions)
        elif session is not None and session.state.name == "Closed":
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
        if request.service in _COUNTED:
            name, kind, field = _COUNTED[request.service]
            most = self._most.get(name, 0)
            if most and len(getattr(request.parameters(kind), field)) > most:
                raise ServiceError(ua.StatusCodes.BadTooManyOperations)
