"""Alarms and conditions of a notifier (OPC 10000-9): which are active, and the most severe one's message as a text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from protocols.opcua.address import MAX_IDENTIFIER
from protocols.opcua.session import Session, status_text
from protocols.opcua.unit import Item, Unit

REFRESH_S = 5.0
"""How long the end of a refresh is waited for; a server that never says it is taken at its word all the same."""
MOST_CONDITIONS = 10_000
"""Active at once, of one notifier; those beyond are not known."""

_CONDITION = ua.NodeId(ua.ObjectIds.ConditionType)
_REFRESH = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
_START = ua.NodeId(ua.ObjectIds.RefreshStartEventType)
_END = ua.NodeId(ua.ObjectIds.RefreshEndEventType)
_REQUIRED = ua.NodeId(ua.ObjectIds.RefreshRequiredEventType)
_FIELDS = (
    (ua.ObjectIds.BaseEventType, ("EventType",), ua.AttributeIds.Value),
    (ua.ObjectIds.BaseEventType, ("Message",), ua.AttributeIds.Value),
    (ua.ObjectIds.BaseEventType, ("Severity",), ua.AttributeIds.Value),
    (ua.ObjectIds.ConditionType, (), ua.AttributeIds.NodeId),
    (ua.ObjectIds.ConditionType, ("BranchId",), ua.AttributeIds.Value),
    (ua.ObjectIds.AlarmConditionType, ("ActiveState", "Id"), ua.AttributeIds.Value),
)
"""What is asked of each event; the NodeId of a ConditionType is the ConditionId (OPC 10000-9, 5.5.2.13)."""


@dataclass(slots=True)
class _Condition:
    severity: int
    message: str
    is_stale: bool = False
    """Whether a refresh that is under way has not named it yet."""


class Alarms:
    """The conditions behind one item, in the order in which they became active."""

    def __init__(self, unit: Unit, item: Item) -> None:
        self._unit = unit
        self._item = item
        self._length = list(unit.device.signals.values())[item.signals[0]].length
        """Bytes of a text that the signal can hold, so characters of a message that need not be kept beyond."""
        self._active: dict[Any, _Condition] = {}
        self._refreshing_until: float | None = None
        self._why: str | None = None
        """Why not all may be known."""
        self.wants_refresh = False

    def begin(self, why: str | None) -> None:
        """A refresh was asked for, or refused with these words."""
        self.wants_refresh = False
        self._why = None if why is None else f"the alarms that were active before are not known: {why}"
        if why is None:
            self._refreshing_until = asyncio.get_running_loop().time() + REFRESH_S
        else:
            self._show()

    def look(self, now: float) -> None:
        """Give up waiting for the end of a refresh."""
        if self._refreshing_until is not None and now >= self._refreshing_until:
            self._refreshed()

    def take(self, fields: Iterable[Any]) -> None:
        """One event, as it was asked for; where it is not, the signal is bad until the next one that is."""
        try:
            self._take(fields)
        except (AttributeError, TypeError, ValueError):
            self._unit.table.fail(self._item.signals[0], "an event is not as it was asked for")

    def _take(self, fields: Iterable[Any]) -> None:
        event_type, message, severity, condition, branch, active = [one.Value for one in fields][: len(_FIELDS)]
        if event_type == _START:
            for one in self._active.values():
                one.is_stale = True
        elif event_type == _END:
            self._active = {key: one for key, one in self._active.items() if not one.is_stale}
            self._refreshed()
        elif event_type == _REQUIRED:
            self.wants_refresh = True
        elif condition is not None and active is not None and (branch is None or branch.is_null()):
            text = getattr(message, "Text", None) or "alarm"
            self._state(condition, bool(active), int(severity or 0), text[: self._length])

    def _state(self, condition: Any, active: bool, severity: int, message: str) -> None:
        if not active:
            self._active.pop(condition, None)
        elif condition in self._active:
            known = self._active[condition]
            known.severity, known.message, known.is_stale = severity, message, False
        elif len(self._active) < MOST_CONDITIONS and len(str(condition.Identifier)) <= MAX_IDENTIFIER:
            self._active[condition] = _Condition(severity, message)
        if self._refreshing_until is None:
            self._show()

    def _refreshed(self) -> None:
        self._refreshing_until = None
        self._show()

    def _show(self) -> None:
        """The most severe, and of several the one that came first."""
        most = max(self._active.values(), key=lambda one: one.severity, default=None)
        text = "" if most is None else most.message
        self._unit.table.put(self._item.signals[0], text, uncertain=self._why)


def event_filter() -> Any:
    """What is asked of each event of a notifier."""
    wanted = ua.EventFilter()
    wanted.SelectClauses = [
        ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(kind),
            BrowsePath=[ua.QualifiedName(name) for name in path],
            AttributeId=attribute,
        )
        for kind, path, attribute in _FIELDS
    ]
    return wanted


async def refresh(session: Session, subscription_id: int) -> str | None:
    """Have the conditions of a subscription told again; why not. Raises NotConnected."""
    request = ua.CallRequest()
    call = ua.CallMethodRequest(ObjectId=_CONDITION, MethodId=_REFRESH)
    call.InputArguments = [ua.Variant(subscription_id, ua.VariantType.UInt32)]
    request.Parameters.MethodsToCall = [call]
    try:
        code = (await session.ask(request)).Results[0].StatusCode.value
    except ua.UaStatusCodeError as error:
        code = error.code
    return status_text(code) if code >> 31 else None
