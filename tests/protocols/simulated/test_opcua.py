"""The simulated capper over real sockets, read by asyncua's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.common.node import Node

from protocols.simulated.machine import CALM, LOW_PRESSURE, Filler
from protocols.simulated.opcua import NAMESPACE, CapperPlc, torque

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def capper() -> Filler:
    return Filler(1, CALM, bottles=70_000, rejects=9)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(capper: Filler) -> AsyncIterator[CapperPlc]:
    """One for all tests: it takes a second or two to start."""
    plc = CapperPlc(capper, lambda: capper.now_ms)
    await plc.start()
    yield plc
    await plc.close()


@pytest.fixture
def machine(capper: Filler) -> Filler:
    """It executes, with a minute behind it."""
    for action in ("clear", "feed", "start", "release"):
        capper.apply(action)
    capper.advance(capper.now_ms + 60_000)
    return capper


@pytest.fixture
def plc(served: CapperPlc, machine: Filler) -> CapperPlc:
    served.violations.clear()
    return served


@pytest_asyncio.fixture(loop_scope="module")
async def client(plc: CapperPlc) -> AsyncIterator[Client]:
    async with Client(plc.url, timeout=2) as client:
        yield client


async def node(client: Client, path: str) -> Node:
    return client.get_node(f"ns={await client.get_namespace_index(NAMESPACE)};s={path}")


async def value(client: Client, path: str) -> Any:
    return await (await node(client, path)).read_value()


async def test_the_nodes_show_the_machine(client: Client, plc: CapperPlc, machine: Filler) -> None:
    truth = machine.truth()
    assert await value(client, "Status.StateCurrent") == 6
    assert await value(client, "Status.UnitModeCurrent") == 1
    assert await value(client, "Status.CurMachSpeed") == pytest.approx(machine.speed)
    assert await value(client, "Admin.ProdProcessedCount") == 70_000 + truth.total
    assert await value(client, "Admin.ProdDefectiveCount") == 9 + truth.rejects
    assert await value(client, "Torque") == torque(machine) > 1
    assert await value(client, "Recipe") == "cola-500ml"
    assert plc.violations == []


@pytest.mark.parametrize(
    ("action", "state"), [("fault", 11), ("starve", 5), ("stop", 2), ("estop", 9)], ids=lambda given: str(given)
)
async def test_states_have_packml_numbers(client: Client, machine: Filler, action: Any, state: int) -> None:
    machine.apply(action)
    assert await value(client, "Status.StateCurrent") == state
    assert await value(client, "Torque") == 0


async def test_what_reads_is_of_its_own_instant(client: Client, machine: Filler) -> None:
    before = await value(client, "Admin.ProdProcessedCount")
    machine.advance(machine.now_ms + 10_000)
    machine.apply("fault", LOW_PRESSURE)
    assert 18 <= await value(client, "Admin.ProdProcessedCount") - before <= 21
    assert await value(client, "Admin.StopReason") == LOW_PRESSURE


async def test_source_time_is_when_the_value_changed(client: Client, machine: Filler) -> None:
    state = await node(client, "Status.StateCurrent")
    before = datetime.now(UTC)
    machine.apply("starve")
    shown = await state.read_data_value()
    assert shown.SourceTimestamp is not None
    assert abs(shown.SourceTimestamp - before) < timedelta(seconds=2)
    assert (await state.read_data_value()).SourceTimestamp == shown.SourceTimestamp


async def test_types_unit_and_range_are_told(client: Client) -> None:
    node_of_torque = await node(client, "Torque")
    assert await node_of_torque.read_data_type_as_variant_type() == ua.VariantType.Double
    properties = {
        (await each.read_browse_name()).Name: await each.read_value() for each in await node_of_torque.get_properties()
    }
    assert (properties["EURange"].Low, properties["EURange"].High) == (0, 5)
    assert properties["EngineeringUnits"].DisplayName.Text == "N·m"
    assert properties["EngineeringUnits"].UnitId == 20053
    assert await node_of_torque.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogUnitRangeType)


async def test_the_tree_is_found_by_browsing(client: Client) -> None:
    index = await client.get_namespace_index(NAMESPACE)
    path = [f"{index}:Capper", f"{index}:Admin", f"{index}:ProdProcessedCount"]
    found = await client.nodes.objects.get_child(path)
    assert found.nodeid == ua.NodeId("Admin.ProdProcessedCount", index)


class Changes:
    """Collects notifications."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        self.queue.put_nowait(value)


async def test_a_subscriber_is_told_without_reading(client: Client, machine: Filler) -> None:
    changes = Changes()
    subscription = await client.create_subscription(50, changes)
    await subscription.subscribe_data_change(await node(client, "Status.StateCurrent"))
    assert await asyncio.wait_for(changes.queue.get(), 5) == 6
    machine.apply("estop")
    assert await asyncio.wait_for(changes.queue.get(), 5) == 9
    await subscription.delete()


async def test_more_than_reading_is_refused_and_recorded(client: Client, plc: CapperPlc) -> None:
    torque_node = await node(client, "Torque")
    with pytest.raises(ua.UaStatusCodeError, match="not have permission"):
        await torque_node.write_value(ua.DataValue(ua.Variant(3.0)))
    with pytest.raises(ua.UaStatusCodeError):
        await client.nodes.objects.add_folder(2, "mine")
    with pytest.raises(ua.UaStatusCodeError):
        await client.delete_nodes([torque_node])
    with pytest.raises(ua.UaStatusCodeError):
        await client.nodes.server.call_method(
            ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), ua.Variant(1, ua.VariantType.UInt32)
        )
    assert [violation.service for violation in plc.violations] == ["Write", "AddNodes", "DeleteNodes", "Call"]
    assert str(plc.violations[-1]) == "Call of i=11492"


async def test_condition_refresh_is_no_violation(client: Client, plc: CapperPlc) -> None:
    condition = client.get_node(ua.ObjectIds.ConditionType)
    with pytest.raises(ua.UaStatusCodeError):
        await condition.call_method(
            ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh), ua.Variant(1, ua.VariantType.UInt32)
        )
    assert plc.violations == []


async def test_muted_swallows_requests_and_keeps_the_connection(client: Client, plc: CapperPlc) -> None:
    plc.muted = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(value(client, "Torque"), 0.3)
    plc.muted = False
    assert await value(client, "Torque") > 0


async def test_dropped_and_refused_then_back_on_the_same_port(plc: CapperPlc) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    plc.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", plc.port)
    plc.drop()
    assert await asyncio.wait_for(reader.read(1), 5) == b""
    writer.close()
    await plc.accept()
    async with Client(plc.url) as again:
        assert await value(again, "Status.StateCurrent") == 6


async def test_a_taken_port_is_said(plc: CapperPlc, machine: Filler) -> None:
    with pytest.raises(OSError, match="in use"):
        await CapperPlc(machine, lambda: machine.now_ms, port=plc.port).start()
