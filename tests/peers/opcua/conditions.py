"""Alarms of the asyncua test server: conditions that are raised, acknowledged and cleared, and refreshed on request."""

from __future__ import annotations

from typing import Any

from asyncua import ua
from asyncua.server.event_generator import EventGenerator

from protocols.simulated.opcua_tree import Tree


class Conditions:
    """AlarmConditionType (OPC 10000-9, 5.8.2) with ConditionId `Alarms.<name>`, of the object `Test`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, EventGenerator] = {}

    async def change(
        self, name: str, active: bool | None, severity: int, message: str | None, acknowledged: bool | None
    ) -> None:
        """Reports the condition's new state; None leaves what it was. A new activation is not acknowledged."""
        generator = self._known.get(name) or await self._new(name)
        event = generator.event
        if active is not None:
            _state(event, "ActiveState", active, "Active" if active else "Inactive")
        if active or acknowledged is not None:
            _state(event, "AckedState", bool(acknowledged), "Acknowledged" if acknowledged else "Unacknowledged")
        event.Severity = severity
        event.Retain = getattr(event, "ActiveState/Id") or not getattr(event, "AckedState/Id")
        await generator.trigger(message=message or name)

    async def _new(self, name: str) -> EventGenerator:
        server, source = self._tree.server, await self._tree.object("")
        generator = EventGenerator(server.iserver.isession)
        await generator.init(ua.ObjectIds.AlarmConditionType, source)
        event = generator.event
        event.ConditionName, event.BranchId = name, ua.NodeId()
        event.NodeId = self._tree.node_id(f"Alarms.{name}")
        event.Quality = ua.StatusCode()
        _state(event, "EnabledState", True, "Enabled")
        _state(event, "ActiveState", False, "Inactive")
        _state(event, "AckedState", True, "Acknowledged")
        self._known[name] = generator
        return generator


def _state(event: Any, name: str, value: bool, text: str) -> None:
    setattr(event, f"{name}/Id", value)
    setattr(event, name, ua.LocalizedText(text))
