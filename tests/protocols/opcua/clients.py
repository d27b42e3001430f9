"""asyncua's client as tests of the servers use it."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncua import Client, ua
from asyncua.common.node import Node
from asyncua.common.subscription import Subscription

from tests.peers.opcua.processes import OpcUaServer
from tests.peers.opcua.values import NAMESPACE


async def load_types(client: Client) -> None:
    """Loads the server's data types.

    asyncua keeps them by name for the whole process: of a type that another server has under the same NodeId it would
    keep that server's, with its encoding's id.
    """
    for kind in ("WeightType", "BatchType", "PalletType", "ReadingType"):
        if hasattr(ua, kind):
            delattr(ua, kind)
    await client.load_data_type_definitions()


async def node(client: Client, path: str) -> Node:
    """A node of the test servers' namespace."""
    return client.get_node(f"ns={await client.get_namespace_index(NAMESPACE)};s={path}")


async def value(client: Client, path: str) -> Any:
    """What it holds."""
    return await (await node(client, path)).read_value()


class Seen:
    """Collects notifications."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[ua.DataValue] = asyncio.Queue()
        self.statuses: asyncio.Queue[Any] = asyncio.Queue()
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.subscription: Subscription

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        self.values.put_nowait(data.monitored_item.Value)

    def status_change_notification(self, status: Any) -> None:
        self.statuses.put_nowait(status)

    def event_notification(self, event: Any) -> None:
        self.events.put_nowait(event)

    async def next(self) -> ua.DataValue:
        """The next value."""
        return await asyncio.wait_for(self.values.get(), 5)

    async def event(self, condition: str, *, active: bool) -> Any:
        """The next event that says this of a condition."""
        while True:
            event = await asyncio.wait_for(self.events.get(), 5)
            if getattr(event, "ConditionName", None) == condition and getattr(event, "ActiveState/Id") is active:
                return event


async def subscribed(client: Client, *paths: str) -> Seen:
    """A subscription to nodes of the test servers' namespace."""
    seen = Seen()
    seen.subscription = await client.create_subscription(20, seen)
    await seen.subscription.subscribe_data_change([await node(client, path) for path in paths])
    return seen


async def alarms_are_conditions_and_are_refreshed(server: OpcUaServer, client: Client) -> None:
    """The same on both stacks, for the Server object and for the machine itself."""
    alarm = client.get_node(ua.ObjectIds.AlarmConditionType)
    refresh = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)
    for notifier in (client.nodes.server, await node(client, "Test")):
        seen, late = Seen(), Seen()
        subscription = await client.create_subscription(20, seen)
        await subscription.subscribe_alarms_and_conditions(notifier, [alarm])
        await server.tell("alarm", name="CapJam", active=True, severity=700, message="cap jam")
        event = await seen.event("CapJam", active=True)
        assert (event.Message.Text, event.Severity, event.Retain) == ("cap jam", 700, True)
        assert getattr(event, "AckedState/Id") is False
        assert event.NodeId == (await node(client, "Alarms.CapJam")).nodeid
        again = await client.create_subscription(20, late)
        await again.subscribe_alarms_and_conditions(notifier, [alarm])
        assert late.events.empty()
        number = ua.Variant(again.subscription_id, ua.VariantType.UInt32)
        await client.get_node(ua.ObjectIds.ConditionType).call_method(refresh, number)
        assert (await late.event("CapJam", active=True)).Severity == 700
        await server.tell("alarm", name="CapJam", active=False)
        assert (await seen.event("CapJam", active=False)).Retain is True
        await server.tell("alarm", name="CapJam", acknowledged=True)
        assert (await seen.event("CapJam", active=False)).Retain is False
        await subscription.delete()
        await again.delete()
