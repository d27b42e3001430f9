"""The test servers do what they are told, seen by asyncua's client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer, asyncua_server
from tests.processes import until
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
    async with asyncua_server("--nodes", "40") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: OpcUaServer) -> AsyncIterator[Client]:
    async with Client(server.url, timeout=3) as client:
        yield client


async def test_all_scalars_and_arrays(client: Client) -> None:
    for kind, expected in values.SCALARS.items():
        one = await node(client, f"Scalars.{kind}")
        assert await one.read_value() == expected, kind
        assert await one.read_data_type_as_variant_type() == ua.VariantType[kind]
    for kind, several in values.ARRAYS.items():
        assert await value(client, f"Arrays.{kind}") == several, kind


async def test_structures_and_the_union_are_decoded_by_their_definitions(client: Client) -> None:
    await load_types(client)
    weight = await value(client, "Structures.Weight")
    assert (weight.Gross, weight.Net, weight.Stable) == (12.5, 11.0, True)
    batch = await value(client, "Structures.Batch")
    assert (batch.Id, batch.Count, batch.Weight, batch.Remark, batch.Samples) == ("B-7", 42, None, "ok", [1.0, 2.0])
    pallet = await value(client, "Structures.Pallet")
    assert [each.Id for each in pallet.Batches] == ["B-7", "B-8"]
    path, member, expected = values.UNION
    assert getattr(await value(client, path), member) == expected


async def test_texts_of_enumerations(client: Client) -> None:
    for path, (place, first, texts) in values.ENUMERATIONS.items():
        one = await node(client, path)
        assert await one.read_value() == first
        if place.endswith("its own"):
            holder = one
        else:
            holder = client.get_node(await one.read_data_type())
            definition = await holder.read_data_type_definition()
            assert {field.Value: field.Name for field in definition.Fields} == texts
        (told,) = await holder.get_properties()
        names = await told.read_value()
        if (await told.read_browse_name()).Name == "EnumValues":
            assert {each.Value: each.DisplayName.Text for each in names} == texts
        else:
            assert [each.Text for each in names] == list(texts.values())
    properties = await (await node(client, "Enumerations.Door")).get_properties()
    words = {(await each.read_browse_name()).Name: (await each.read_value()).Text for each in properties}
    assert words == {"FalseState": "closed", "TrueState": "open"}


async def test_values_statuses_and_source_times_are_set(server: OpcUaServer, client: Client) -> None:
    one = await node(client, "Scalars.Double")
    await server.tell("set", node="Scalars.Double", value=2, status="UncertainLastUsableValue", source=-86_400 * 700)
    shown = await one.read_data_value(raise_on_bad_status=False)
    assert (shown.Value.Value, shown.StatusCode.name) == (2.0, "UncertainLastUsableValue")
    assert timedelta(days=699) < datetime.now(UTC) - shown.SourceTimestamp < timedelta(days=701)
    await server.tell("set", node="Scalars.Double", status="BadSensorFailure", source="2031-01-01T00:00:00Z")
    shown = await one.read_data_value(raise_on_bad_status=False)
    assert (shown.Value.Value, shown.StatusCode.name) == (None, "BadSensorFailure")
    assert shown.SourceTimestamp == datetime(2031, 1, 1, tzinfo=UTC)
    await server.tell("set", node="Scalars.Double", value=values.SCALARS["Double"], source=None)
    shown = await one.read_data_value()
    assert (shown.Value.Value, shown.SourceTimestamp) == (values.SCALARS["Double"], None)


@pytest.mark.parametrize(
    ("path", "given"),
    [("Scalars.DateTime", "2020-02-02T00:00:00Z"), ("Scalars.Guid", "12345678-0000-4000-8000-000000000001"),
     ("Scalars.ByteString", "01ff"), ("Scalars.LocalizedText", "Halt"),
     ("Arrays.Int32", [7, 8, 9, 10, 11]), ("Enumerations.Mode", 2),
     ("Structures.Weight", {"Gross": 1.0, "Net": 0.5, "Stable": False}), ("Structures.Reading", {"Text": "full"})],
)  # fmt: skip
async def test_each_kind_of_value_is_set(server: OpcUaServer, client: Client, path: str, given: Any) -> None:
    before = await (await node(client, path)).read_data_value()
    await server.tell("set", node=path, value=given)
    after = await (await node(client, path)).read_data_value()
    assert after.Value.VariantType == before.Value.VariantType
    assert after.Value.Value != before.Value.Value


async def test_a_type_is_replaced(server: OpcUaServer, client: Client) -> None:
    one = await node(client, "Scalars.Int16")
    await server.tell("set", node="Scalars.Int16", value=1.5, type="Float")
    assert await one.read_data_type_as_variant_type() == ua.VariantType.Float
    assert await one.read_value() == 1.5
    await server.tell("set", node="Scalars.Int16", value=values.SCALARS["Int16"], type="Int16")
    assert await one.read_value() == values.SCALARS["Int16"]


async def test_parts_of_arrays(client: Client) -> None:
    one = await node(client, "Arrays.Int32")

    async def part(index_range: str) -> ua.DataValue:
        wanted = ua.ReadValueId(one.nodeid, ua.AttributeIds.Value, index_range)
        return (await client.uaclient.read(ua.ReadParameters(NodesToRead=[wanted])))[0]

    whole = await one.read_value()
    assert (await part("2")).Value.Value == whole[2:3]
    assert (await part("1:3")).Value.Value == whole[1:4]
    assert (await part("99")).StatusCode.name == "BadIndexRangeNoData"
    assert (await part("3:1")).StatusCode.name == "BadIndexRangeInvalid"


async def test_a_tick_changes_every_one_of_many(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, *(values.many_path(number) for number in range(40)))
    for _ in range(40):
        await seen.next()
    ticks = (await server.tell("tick"))["ticks"]
    after = [(await seen.next()).Value.Value for _ in range(40)]
    assert after == [values.many_value(number, ticks) for number in range(40)]


async def test_a_vanished_node_is_bad_once_and_stays_silent(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, "Many.0001")
    assert (await seen.next()).StatusCode.is_good()
    await server.tell("vanish", nodes=["Many.0001"])
    assert (await seen.next()).StatusCode.name == "BadNodeIdUnknown"
    with pytest.raises(ua.UaStatusCodeError, match="does not exist"):
        await value(client, "Many.0001")
    await server.tell("appear", nodes=["Many.0001"])
    await server.tell("tick")
    assert await value(client, "Many.0001") > 0
    assert seen.values.empty()
    again = await subscribed(client, "Many.0001")
    assert (await again.next()).StatusCode.is_good()


async def test_operation_limits_are_told_and_enforced(server: OpcUaServer, client: Client) -> None:
    await server.tell("limit", MaxNodesPerRead=10, MaxMonitoredItemsPerCall=5)
    shown = client.get_node(ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead)
    assert await shown.read_value() == 10
    many = [await node(client, values.many_path(number)) for number in range(11)]
    assert len(await client.read_values(many[:10])) == 10
    with pytest.raises(ua.UaStatusCodeError, match="too many operations"):
        await client.read_values(many)
    with pytest.raises(ua.UaStatusCodeError, match="too many operations"):
        await (await client.create_subscription(100, Seen())).subscribe_data_change(many[:6])
    await server.tell("limit", MaxNodesPerRead=None, MaxMonitoredItemsPerCall=0)
    assert len(await client.read_values(many)) == 11


async def test_too_many_sessions(server: OpcUaServer, client: Client) -> None:
    await server.tell("limit", sessions=1)
    with pytest.raises(ua.UaStatusCodeError, match="maximum number of sessions"):
        await Client(server.url).connect()
    await server.tell("limit", sessions=None)
    async with Client(server.url):
        assert (await server.tell("counts"))["sessions"] == 2


async def test_muted_and_stalled_servers_keep_the_connection(server: OpcUaServer, client: Client) -> None:
    one = await node(client, "Scalars.Double")
    await server.tell("mute")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one.read_value(), 0.3)
    await server.tell("unmute")
    await one.read_value()
    began = time.monotonic()
    await server.tell("stall", seconds=0.5)
    await asyncio.sleep(0.1)
    await one.read_value()
    assert time.monotonic() - began > 0.4


async def test_what_changes_while_muted_is_published_afterwards(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, "Scalars.UInt16")
    await seen.next()
    await server.tell("mute")
    await server.tell("set", node="Scalars.UInt16", value=77)
    await asyncio.sleep(0.2)
    assert seen.values.empty()
    await server.tell("unmute")
    assert (await seen.next()).Value.Value == 77


async def test_a_subscription_outlives_its_connection_and_is_transferred(server: OpcUaServer) -> None:
    first = Client(server.url, timeout=3)
    await first.connect()
    seen = await subscribed(first, "Scalars.UInt16")
    await seen.next()
    number = seen.subscription.subscription_id
    await server.tell("drop")
    await server.tell("set", node="Scalars.UInt16", value=78)
    async with Client(server.url, timeout=3) as client:
        session = client.uaclient.session
        wanted = ua.TransferSubscriptionsParameters([number, 4_000_000_000], SendInitialValues=True)
        mine, unknown = await session.transfer_subscriptions(wanted)
        assert mine.StatusCode.is_good()
        assert unknown.StatusCode.name == "BadSubscriptionIdInvalid"
        published = (await asyncio.wait_for(session.publish([]), 5)).Parameters
        values_told = [
            item.Value.Value.Value for item in published.NotificationMessage.NotificationData[0].MonitoredItems
        ]
        assert (published.SubscriptionId, values_told[-1]) == (number, 78)
        await session.delete_subscriptions([number])
    await first.disconnect_sessionless()


async def has_lost(server: OpcUaServer) -> bool:
    return bool((await server.tell("counts"))["to_lose"] == 0)


async def test_lost_notifications_can_be_had_again(server: OpcUaServer, client: Client) -> None:
    seen = await subscribed(client, "Scalars.UInt16")
    await seen.next()
    await server.tell("lose", publishes=1)
    await server.tell("set", node="Scalars.UInt16", value=1)
    await until(lambda: has_lost(server))
    await server.tell("set", node="Scalars.UInt16", value=2)
    assert (await seen.next()).Value.Value == 2
    lost = await client.uaclient.session.republish(seen.subscription.subscription_id, 2)
    assert [item.Value.Value.Value for each in lost.NotificationData for item in each.MonitoredItems] == [1]
    with pytest.raises(ua.UaStatusCodeError, match="BadMessageNotAvailable"):
        await client.uaclient.session.republish(seen.subscription.subscription_id, 99)


async def test_alarms_are_conditions_and_are_refreshed(server: OpcUaServer, client: Client) -> None:
    await alarms_are_conditions_and_are_refreshed(server, client)


@pytest.mark.parametrize("how", ["fault", "notify"])
async def test_subscriptions_are_deleted_behind_the_back(server: OpcUaServer, how: str) -> None:
    async with Client(server.url, timeout=3) as client:
        seen = await subscribed(client, "Scalars.Double")
        await seen.next()
        await server.tell("delete_subscriptions", how=how)
        assert (await server.tell("counts"))["subscriptions"] == 0
        if how == "notify":
            assert (await asyncio.wait_for(seen.statuses.get(), 5)).Status.name == "BadTimeout"


async def test_sessions_are_closed(server: OpcUaServer) -> None:
    client = Client(server.url, timeout=3)
    await client.connect()
    one = await node(client, "Scalars.Double")
    await server.tell("close_sessions")
    with pytest.raises(ua.UaStatusCodeError, match="session id"):
        await one.read_value()
    await client.disconnect_sessionless()


async def test_dropped_and_refused(server: OpcUaServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await server.tell("refuse")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    await server.tell("drop")
    assert await asyncio.wait_for(reader.read(1), 5) == b""
    writer.close()
    await server.tell("accept")
    async with Client(server.url) as client:
        await value(client, "Scalars.Double")


async def test_restarted_on_the_same_port_with_shifted_namespaces(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        before = await client.get_namespace_index(values.NAMESPACE)
    await server.tell("restart", shift=3)
    async with Client(server.url) as client:
        assert await client.get_namespace_index(values.NAMESPACE) == before + 3
        assert await value(client, "Scalars.String") == values.SCALARS["String"]
        assert await client.get_namespace_index(values.OTHER.format(1)) == before
    await server.tell("restart", down=0.2)


async def test_a_wrong_command_is_said(server: OpcUaServer) -> None:
    for command in ({"action": "fly"}, {"action": "set", "node": "Nowhere"}, {"action": "limit", "MaxNodesPerSun": 1}):
        with pytest.raises(AssertionError, match=r"fly|Nowhere|MaxNodesPerSun"):
            await server.tell(**command)


async def test_more_than_reading_ends_the_server_with_a_complaint() -> None:
    async def write() -> None:
        async with asyncua_server() as server, Client(server.url) as client:
            one = await node(client, "Scalars.Double")
            with pytest.raises(ua.UaStatusCodeError):
                await one.write_value(1.0)

    with pytest.raises(AssertionError, match="more than reading"):
        await write()
