"""What can be done to the test server while it runs: one JSON object a line, one answer a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua

from protocols.simulated.opcua_server import GuardedServer, Processor
from protocols.simulated.opcua_tree import Tree
from tests.peers.opcua import values
from tests.peers.opcua.conditions import Conditions
from tests.peers.opcua.limits import Limits
from tests.peers.opcua.space import variant


class Commands:
    """Each public method is an action; its arguments are the command's other members."""

    def __init__(self, guard: GuardedServer, tree: Tree, limits: Limits, nodes: int) -> None:
        self._guard, self._tree, self._limits, self._nodes = guard, tree, limits, nodes
        self._conditions = Conditions(tree)
        self._gone: dict[str, Any] = {}
        self._to_lose = 0
        self._ticks = 0
        guard.may_publish = self._may_publish

    async def set(
        self,
        node: str,
        value: Any = None,
        status: str = "Good",
        source: str | float | None = 0.0,
        type: str | None = None,
    ) -> None:
        """A value, its status by name, and its source time: ISO 8601, seconds from now, or null for none.

        Without a value it keeps the one it has; a bad one has none. `type` replaces the data type, as a new PLC program
        does.
        """
        space, node_id = self._tree.server.iserver.aspace, self._tree.node_id(node)
        attribute = space[node_id].attributes[ua.AttributeIds.Value]
        if type is not None:
            attribute.value = None
            kind = ua.VariantType[type]
            space[node_id].attributes[ua.AttributeIds.DataType].value.Value.Value = ua.NodeId(kind.value)
        else:
            kind = self._kind(node_id)
        shown = ua.DataValue(
            attribute.value.Value if value is None and attribute.value else variant(node, kind, value),
            ua.StatusCode(getattr(ua.StatusCodes, status)),
            SourceTimestamp=_source_time(source),
            ServerTimestamp=datetime.now(UTC),
        )
        (await space.write_attribute_value(node_id, ua.AttributeIds.Value, shown)).check()

    async def pulse(self, node: str, values: list[Any]) -> None:
        """Several values after one another, each for a moment."""
        for value in values:
            await self.set(node, value)
            await asyncio.sleep(0.05)

    async def tick(self, times: int = 1) -> dict[str, Any]:
        """Changes all nodes of `--nodes`, so many times in a row."""
        for _ in range(times):
            self._ticks += 1
            now = datetime.now(UTC)
            for number in range(self._nodes):
                kind = ua.VariantType.Double if number % 2 else ua.VariantType.UInt32
                value = ua.Variant(values.many_value(number, self._ticks), kind)
                shown = ua.DataValue(value, SourceTimestamp=now, ServerTimestamp=now)
                path = values.many_path(number)
                if path not in self._gone:
                    await self._tree.server.write_attribute_value(self._tree.node_id(path), shown)
        return {"ticks": self._ticks}

    async def vanish(self, nodes: list[str]) -> None:
        """Takes nodes away: a monitored item gets one BadNodeIdUnknown, then nothing, also after `appear`."""
        space = self._tree.server.iserver.aspace
        for path in nodes:
            node_id = self._tree.node_id(path)
            attribute = space[node_id].attributes[ua.AttributeIds.Value]
            told = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown))
            for handle, callback in list(attribute.datachange_callbacks.items()):
                await callback(handle, told)
                space.delete_datachange_callback(handle)
            self._gone[path] = space[node_id]
            del space[node_id]

    async def appear(self, nodes: list[str]) -> None:
        """Brings vanished nodes back."""
        for path in nodes:
            self._tree.server.iserver.aspace[self._tree.node_id(path)] = self._gone.pop(path)

    async def alarm(
        self,
        name: str,
        active: bool | None = None,
        severity: int = 500,
        message: str | None = None,
        acknowledged: bool | None = None,
    ) -> None:
        """Raises, clears or acknowledges the condition of that name, and reports it."""
        await self._conditions.change(name, active, severity, message, acknowledged)

    async def limit(self, **limits: int | None) -> None:
        """Sets operation limits by name, and `sessions`."""
        await self._limits.set(limits)

    async def mute(self) -> None:
        """Requests are swallowed, and nothing is published; connections stay, and notifications queue up."""
        self._guard.muted = True

    async def unmute(self) -> None:
        """Answers again; what was swallowed stays unanswered."""
        self._guard.muted = False

    async def stall(self, seconds: float) -> None:
        """The whole process does nothing for a while, then answers what has arrived."""
        asyncio.get_running_loop().call_later(0.02, time.sleep, seconds)

    async def drop(self) -> None:
        """Cuts all connections; sessions and subscriptions live on."""
        self._guard.drop()

    async def refuse(self) -> None:
        """Refuses new connections."""
        self._guard.refuse()

    async def accept(self) -> None:
        """Takes connections again."""
        await self._guard.accept()

    async def close_sessions(self) -> None:
        """Closes all sessions as an administrator does: waiting Publish requests get BadSessionClosed."""
        for session in list(self._tree.server.iserver._external_sessions.values()):
            await session.close_session(True)
        self._fail_publishing(ua.StatusCodes.BadSessionClosed)

    async def delete_subscriptions(self, how: str = "silent") -> None:
        """Deletes all subscriptions behind the clients' backs.

        `silent` leaves waiting Publish requests unanswered, `fault` answers them with BadNoSubscription, `notify` sends
        a StatusChangeNotification first, as a subscription that has timed out does.
        """
        service = self._tree.server.iserver.subscription_service
        if how == "notify":
            for subscription in service.subscriptions.values():
                subscription._startup = True  # publishes at once
                await subscription.monitored_item_srv.trigger_statuschange(ua.StatusCode(ua.StatusCodes.BadTimeout))
                await subscription.publish_results()
        await service.delete_subscriptions(list(service.subscriptions))
        if how != "silent":
            self._fail_publishing(ua.StatusCodes.BadNoSubscription)

    async def lose(self, publishes: int) -> None:
        """The next notifications are never sent, which leaves gaps in the sequence numbers; Republish has them.

        `counts` says as `to_lose` how many of them did not come up yet.
        """
        self._to_lose = publishes

    async def counts(self) -> dict[str, Any]:
        """What was asked, and what there is."""
        iserver = self._tree.server.iserver
        subscriptions = iserver.subscription_service.subscriptions.values()
        return {
            "asked": dict(self._limits.asked),
            "connections": len(self._guard.connections),
            "sessions": len(iserver._external_sessions),
            "subscriptions": len(subscriptions),
            "monitored_items": sum(len(each.monitored_item_srv._monitored_items) for each in subscriptions),
            "to_lose": self._to_lose,
            "violations": [str(violation) for violation in self._guard.violations],
        }

    async def forgive(self) -> None:
        """Forgets violations, which a test provoked."""
        self._guard.violations.clear()

    def named(self, action: str) -> Callable[..., Awaitable[dict[str, Any] | None]]:
        """The action of that name; ValueError where there is none."""
        if action.startswith("_") or action == "named" or not hasattr(type(self), action):
            raise ValueError(f"unknown action {action!r}")
        found: Callable[..., Awaitable[dict[str, Any] | None]] = getattr(self, action)
        return found

    def _kind(self, node_id: ua.NodeId) -> ua.VariantType:
        space = self._tree.server.iserver.aspace
        value = space.read_attribute_value(node_id, ua.AttributeIds.Value)
        if value.Value is not None and value.Value.VariantType != ua.VariantType.Null:
            return value.Value.VariantType
        data_type = space.read_attribute_value(node_id, ua.AttributeIds.DataType).Value.Value
        if data_type.NamespaceIndex == 0:
            return ua.VariantType(data_type.Identifier)
        is_number = str(data_type.Identifier).endswith("Kind")
        return ua.VariantType.Int32 if is_number else ua.VariantType.ExtensionObject

    def _may_publish(self, connection: Processor, result: Any, request: Any) -> bool:
        if not self._to_lose or not result.NotificationMessage.NotificationData:
            return True
        self._to_lose -= 1
        connection._publish_requests.appendleft(request)
        return False

    def _fail_publishing(self, code: int) -> None:
        for connection in self._guard.connections:
            waiting = connection.processor._publish_requests
            while waiting:
                request = waiting.popleft()
                fault = ua.ServiceFault()
                fault.ResponseHeader.ServiceResult = ua.StatusCode(code)
                connection.processor.send_response(request.requesthdr.RequestHandle, request.seqhdr, fault)


def _source_time(source: str | float | None) -> datetime | None:
    if source is None:
        return None
    if isinstance(source, str):
        return datetime.fromisoformat(source).astimezone(UTC)
    return datetime.now(UTC) + timedelta(seconds=source)
