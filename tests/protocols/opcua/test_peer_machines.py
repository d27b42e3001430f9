"""Both test servers' machines are found where their companion specifications put them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.common.node import Node

from tests.peers.opcua.machines import DI, MACHINERY, PACKML, WEIHENSTEPHAN, WS
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.peers.opcua.values import NAMESPACE
from tests.protocols.opcua.clients import node, value

pytestmark = pytest.mark.asyncio(loop_scope="module")
EXECUTE = "Capper-BaseStateMachine-MachineState-ExecuteState-CurrentState"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[asyncua_server, node_opcua_server])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[OpcUaServer]:
    async with request.param("--machines") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: OpcUaServer) -> AsyncIterator[Client]:
    async with Client(server.url, timeout=5) as client:
        yield client


async def at(client: Client, *path: tuple[str, str]) -> Node:
    """What is at a browse path below Objects."""
    indexes = {uri: number for number, uri in enumerate(await client.get_namespace_array())}
    return await client.nodes.objects.get_child([f"{indexes[uri]}:{name}" for uri, name in path])


async def number_of(client: Client, state: ua.NodeId) -> Any:
    return await (await client.get_node(state).get_child("0:StateNumber")).read_value()


async def test_packml(server: OpcUaServer, client: Client) -> None:
    capper = await at(client, (PACKML, "PackMLObjects"), (NAMESPACE, "Capper"))
    index = await client.get_namespace_index(PACKML)
    assert await capper.read_type_definition() == ua.NodeId(6, index)
    assert await (await capper.get_child([f"{index}:Status", f"{index}:CurMachSpeed"])).read_value() == 118.5
    state = await capper.get_child(
        [f"{index}:BaseStateMachine", f"{index}:MachineState", f"{index}:ExecuteState", "0:CurrentState"]
    )
    assert (await state.read_value()).Text == "Execute"
    assert await number_of(client, await (await state.get_child("0:Id")).read_value()) == 6
    assert await state.read_type_definition() == ua.NodeId(ua.ObjectIds.FiniteStateVariableType)


async def test_packml_counts_are_structures(server: OpcUaServer, client: Client) -> None:
    if hasattr(ua, "PackMLCountDataType"):
        del ua.PackMLCountDataType
    await client.load_data_type_definitions()
    (processed,) = await value(client, "Capper-Admin-ProdProcessedCount")
    (defective,) = await value(client, "Capper-Admin-ProdDefectiveCount")
    assert (processed.Count, processed.AccCount, processed.Name, defective.Count) == (4711, 70_000, "bottles", 11)


async def test_packml_state_is_set(server: OpcUaServer, client: Client) -> None:
    index = await client.get_namespace_index(PACKML)
    await server.tell("set", node=EXECUTE, value="Held")
    await server.tell("set", node=f"{EXECUTE}-Id", value=f"ns={index};i=34")
    assert (await value(client, EXECUTE)).Text == "Held"
    assert await number_of(client, await value(client, f"{EXECUTE}-Id")) == 11


async def test_machinery(server: OpcUaServer, client: Client) -> None:
    filler = await at(client, (MACHINERY, "Machines"), (NAMESPACE, "Filler"))
    machinery, di = [await client.get_namespace_index(uri) for uri in (MACHINERY, DI)]
    manufacturer = await filler.get_child([f"{di}:Identification", f"{di}:Manufacturer"])
    assert (await manufacturer.read_value()).Text == "ACME"
    state = await filler.get_child([f"{machinery}:MachineryBuildingBlocks", f"{machinery}:MachineryItemState"])
    assert await state.read_type_definition() == ua.NodeId(1002, machinery)
    current = await (await state.get_child(["0:CurrentState", "0:Id"])).read_value()
    assert await number_of(client, current) == 3


async def test_weihenstephan(server: OpcUaServer, client: Client) -> None:
    labeler = await at(client, (MACHINERY, "Machines"), (NAMESPACE, "Labeler"))
    weihenstephan, ws = [await client.get_namespace_index(uri) for uri in (WEIHENSTEPHAN, WS)]
    assert await labeler.read_type_definition() == ua.NodeId(1000, weihenstephan)
    point = await labeler.get_child([f"{weihenstephan}:OperatingStates", f"{ws}:WS_Cur_State"])
    assert point == await node(client, "Labeler-OperatingStates-WS_Cur_State")
    assert await point.read_value() == 128
    assert await point.read_type_definition() == ua.NodeId(2001, weihenstephan)
