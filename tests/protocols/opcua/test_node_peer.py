"""The second stack's test server does what it is told, seen by asyncua's client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from asyncua import Client, ua

from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer, node_opcua_server
from tests.protocols.opcua.clients import (
    Seen,
    alarms_are_conditions_and_are_refreshed,
    load_types,
    node,
    subscribed,
    value,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpcUaServer]:
    async with node_opcua_server("--nodes", "40") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: OpcUaServer) -> AsyncIterator[Client]:
    async with Client(server.url, timeout=3) as client:
        yield client


async def test_the_same_values_as_the_other_server(client: Client) -> None:
    for kind, expected in values.SCALARS.items():
        assert await value(client, f"Scalars.{kind}") == expected, kind
    for kind, several in values.ARRAYS.items():
        assert await value(client, f"Arrays.{kind}") == several, kind
    for path in ("Enumerations.Mode", "Enumerations.Fault"):
        assert await value(client, path) == values.ENUMERATIONS[path][1]
    assert await value(client, values.ANALOG[0]) == values.ANALOG[1]


async def test_structures_and_the_union(client: Client) -> None:
    await load_types(client)
    batch = await value(client, "Structures.Batch")
    assert (batch.Id, batch.Count, batch.Weight, batch.Remark, batch.Samples) == ("B-7", 42, None, "ok", [1.0, 2.0])
    weight = await value(client, "Structures.Weight")
    assert (weight.Gross, weight.Net, weight.Stable) == (12.5, 11.0, True)
    assert [each.Id for each in (await value(client, "Structures.Pallet")).Batches] == ["B-7", "B-8"]
    path, member, expected = values.UNION
    assert getattr(await value(client, path), member) == expected


async def test_values_statuses_and_source_times_are_set(server: OpcUaServer, client: Client) -> None:
    one = await node(client, "Scalars.Double")
    await server.tell("set", node="Scalars.Double", value=2, status="UncertainLastUsableValue", source=-86_400 * 700)
    shown = await one.read_data_value(raise_on_bad_status=False)
    assert (shown.Value.Value, shown.StatusCode.name) == (2.0, "UncertainLastUsableValue")
    assert timedelta(days=699) < datetime.now(UTC) - shown.SourceTimestamp < timedelta(days=701)
    await server.tell("set", node="Scalars.Double", status="BadSensorFailure")
    assert (await one.read_data_value(raise_on_bad_status=False)).StatusCode.name == "BadSensorFailure"
    await server.tell("set", node="Scalars.Double", value=values.SCALARS["Double"])
    await server.tell("set", node="Structures.Weight", value={"Gross": 1, "Net": 0.5, "Stable": False})


async def test_a_tick_changes_every_one_of_many(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, *(values.many_path(number) for number in range(40)))
    for _ in range(40):
        await seen.next()
    ticks = (await server.tell("tick"))["ticks"]
    after = sorted([(await seen.next()).Value.Value for _ in range(40)])
    assert after == sorted(values.many_value(number, ticks) for number in range(40))


async def test_a_vanished_node_is_bad_and_comes_back(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, "Many.0001")
    assert (await seen.next()).StatusCode.is_good()
    await server.tell("vanish", nodes=["Many.0001"])
    assert not (await seen.next()).StatusCode.is_good()
    with pytest.raises(ua.UaStatusCodeError, match="BadNodeIdUnknown"):
        await value(client, "Many.0001")
    await server.tell("appear", nodes=["Many.0001"])
    assert await value(client, "Many.0001") > 0


async def test_operation_limits(server: OpcUaServer, client: Client) -> None:
    await server.tell("limit", MaxNodesPerRead=10, MaxMonitoredItemsPerCall=5)
    shown = client.get_node(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)
    assert await shown.read_value() == 10
    many = [await node(client, values.many_path(number)) for number in range(11)]
    assert len(await client.read_values(many[:10])) == 10
    with pytest.raises(ua.UaStatusCodeError, match="BadTooManyOperations"):
        await client.read_values(many)
    subscription = await client.create_subscription(100, Seen())
    with pytest.raises(ua.UaStatusCodeError, match="BadTooManyOperations"):
        await subscription.subscribe_data_change(many[:6])
    await server.tell("limit", MaxNodesPerRead=None, MaxMonitoredItemsPerCall=None)


async def test_too_many_sessions(server: OpcUaServer, client: Client) -> None:
    await server.tell("limit", sessions=1)
    with pytest.raises(ua.UaStatusCodeError, match="BadTooManySessions"):
        await Client(server.url).connect()
    await server.tell("limit", sessions=None)
    async with Client(server.url):
        assert (await server.tell("counts"))["sessions"] == 2


async def test_subscriptions_are_deleted_behind_the_back(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, "Scalars.Double")
    await seen.next()
    assert (await server.tell("counts"))["subscriptions"] == 1
    await server.tell("delete_subscriptions")
    assert (await server.tell("counts"))["subscriptions"] == 0


async def test_alarms_are_conditions_and_are_refreshed(server: OpcUaServer, client: Client) -> None:
    await alarms_are_conditions_and_are_refreshed(server, client)


async def test_sessions_are_closed(server: OpcUaServer) -> None:
    client = Client(server.url, timeout=3)
    await client.connect()
    one = await node(client, "Scalars.Double")
    await server.tell("close_sessions")
    with pytest.raises((ua.UaStatusCodeError, ConnectionError)):
        await one.read_value()
    await client.disconnect_sessionless()


async def test_stalled_and_dropped(server: OpcUaServer, client: Client) -> None:
    one = await node(client, "Scalars.Double")
    began = time.monotonic()
    await server.tell("stall", seconds=0.5)
    await asyncio.sleep(0.1)
    await one.read_value()
    assert time.monotonic() - began > 0.4
    await server.tell("drop")
    with pytest.raises((ConnectionError, TimeoutError)):
        await asyncio.wait_for(one.read_value(), 2)


async def test_restarted_on_the_same_port_with_shifted_namespaces(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        before = await client.get_namespace_index(values.NAMESPACE)
    await server.tell("restart", shift=3)
    async with Client(server.url) as client:
        assert await client.get_namespace_index(values.NAMESPACE) == before + 3
        assert await value(client, "Scalars.String") == values.SCALARS["String"]
        await load_types(client)
        assert (await value(client, "Structures.Batch")).Id == "B-7"


async def test_more_than_reading_is_refused_and_recorded(server: OpcUaServer) -> None:
    async with Client(server.url, timeout=3) as client:
        one = await node(client, "Scalars.Double")
        with pytest.raises(ua.UaStatusCodeError, match=r"BadNotWritable|BadUserAccessDenied"):
            await one.write_value(1.0)
        method = ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems)
        with pytest.raises(ua.UaStatusCodeError):
            await client.nodes.server.call_method(method, ua.Variant(1, ua.VariantType.UInt32))
        assert (await server.tell("counts"))["violations"] == ["Write", "Call"]
    await server.tell("forgive")
