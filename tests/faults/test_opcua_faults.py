"""The OPC UA driver against servers that restart, shift, stall, forget and refuse, and that note what writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from protocols.opcua import driver as driver_module
from protocols.opcua import fastpath, poller, transport
from protocols.opcua import unit as unit_module
from protocols.simulated.opcua_server import GuardedServer, Request
from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.processes import until
from tests.protocols.opcua.line import Line, at, device, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODES = ["subscribe", "poll"]
NODES = 20
TWO = {"x": at("Scalars.Int32"), "y": at("Scalars.Double")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asyncua_process() -> AsyncIterator[OpcUaServer]:
    async with asyncua_server("--nodes", str(NODES)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node_process() -> AsyncIterator[OpcUaServer]:
    async with node_opcua_server("--nodes", str(NODES)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def asyncua_peer(asyncua_process: OpcUaServer) -> AsyncIterator[OpcUaServer]:
    """One server for all tests; what a test did to it is undone, and what is left of sessions it cut off goes."""
    yield asyncua_process
    await asyncua_process.tell("unmute")
    await asyncua_process.tell("close_sessions")


@pytest_asyncio.fixture(loop_scope="module")
async def node_peer(node_process: OpcUaServer) -> AsyncIterator[OpcUaServer]:
    """The same on the second stack."""
    yield node_process
    await node_process.tell("close_sessions")


@pytest.fixture(params=["asyncua", "node-opcua"])
def server(request: pytest.FixtureRequest) -> OpcUaServer:
    """Either server."""
    one: OpcUaServer = request.getfixturevalue("asyncua_peer" if request.param == "asyncua" else "node_peer")
    return one


@pytest.fixture(autouse=True)
def short_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a minute in a plant takes a moment here."""
    monkeypatch.setattr(unit_module, "FIRST_RETRY_S", 0.3)
    monkeypatch.setattr(unit_module, "LONGEST_RETRY_S", 0.6)
    monkeypatch.setattr(poller, "PATIENCE_S", 5.0)


async def asked(server: OpcUaServer, service: str) -> int:
    """How often a service was asked for, in the whole life of the server."""
    count: int = (await server.tell("counts"))["asked"].get(service, 0)
    return count


async def changes(line: Line, server: OpcUaServer) -> None:
    """Values arrive."""
    before = line.value("x")
    value = int(time.monotonic() * 1000) % 1_000_000
    assert value != before
    await server.tell("set", node="Scalars.Int32", value=value)
    await line.until(lambda: line.value("x") == value)


async def reconnected(line: Line, times: int) -> None:
    """It was connected anew so often."""
    await line.until(lambda: line.runner.reconnects == times)


@pytest.mark.parametrize("mode", MODES)
async def test_a_node_that_vanishes_is_bad_alone_and_comes_back(server: OpcUaServer, mode: str) -> None:
    async with running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("vanish", nodes=["Scalars.Double"])
        await line.until(lambda: line.table.good == 1)
        assert line.why("y").startswith("BadNodeId")
        await changes(line, server)
        await line.until(lambda: line.notices)
        await asyncio.sleep(0.7)
        assert [n.address for n in line.notices] == [TWO["y"]["node"]], "told once"
        await server.tell("appear", nodes=["Scalars.Double"])
        await line.until(lambda: line.table.good == 2)
        await line.until(lambda: [n.quarantined for n in line.notices] == [True, False])
        assert line.runner.reconnects == 0


async def test_an_unknown_node_keeps_nothing_from_starting_and_is_taken_when_it_comes(server: OpcUaServer) -> None:
    await server.tell("vanish", nodes=["Scalars.Double"])
    async with running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 1)
        await changes(line, server)
        await server.tell("appear", nodes=["Scalars.Double"])
        await line.until(lambda: line.table.good == 2)
        assert line.learned("y").type == "float64"


@pytest.mark.parametrize(("mode", "shift"), [("subscribe", 3), ("poll", 1)])
async def test_a_restart_with_other_namespaces_before_ours(server: OpcUaServer, mode: str, shift: int) -> None:
    signals = TWO | {"path": {"node": f"/Objects/nsu={values.NAMESPACE};Test/nsu={values.NAMESPACE};Scalars/"
                                      f"nsu={values.NAMESPACE};Int32"}}  # fmt: skip
    async with running(device(server.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 3)
        await server.tell("restart", down=0.5, shift=shift)
        await line.until(lambda: line.states == [True, False, True], 15)
        await line.until(lambda: line.table.good == 3)
        await changes(line, server)
        assert line.value("path") == line.value("x")


async def test_namespaces_that_shift_without_a_restart_are_noticed(
    asyncua_peer: OpcUaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "NAMESPACES_S", 0.3)
    async with running(device(asyncua_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await asyncio.sleep(0.7)
        assert line.runner.reconnects == 0
        line.drivers[-1]._namespaces = ["http://opcfoundation.org/UA/", "urn:before"]
        await line.until(lambda: line.states == [True, False, True])
        assert line.runner.reconnects == 1
        await line.until(lambda: line.table.good == 2)


@pytest.mark.parametrize("mode", MODES)
async def test_dropped_sockets_cost_one_session_each(server: OpcUaServer, mode: str) -> None:
    async with running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        before = await asked(server, "CreateSession")
        for times in range(1, 4):
            await changes(line, server)
            await server.tell("drop")
            await reconnected(line, times)
            await line.until(lambda: line.table.good == 2)
        assert await asked(server, "CreateSession") == before + 3
    assert len(line.drivers) == 4


@pytest.mark.parametrize("mode", MODES)
async def test_sessions_that_the_server_closes(server: OpcUaServer, mode: str) -> None:
    async with running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("close_sessions")
        await line.until(lambda: line.states == [True, False, True])
        await line.until(lambda: line.table.good == 2)
        await changes(line, server)
        assert (await server.tell("counts"))["sessions"] == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_server_that_falls_silent_is_noticed_within_seconds(asyncua_peer: OpcUaServer, mode: str) -> None:
    async with running(device(asyncua_peer.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await asyncua_peer.tell("mute")
        seconds = await line.until(lambda: line.states == [True, False])
        assert seconds < 8
        assert line.table.good == 0
        await asyncua_peer.tell("unmute")
        await line.until(lambda: line.states == [True, False, True], 30)
        await line.until(lambda: line.table.good == 2)
        await changes(line, asyncua_peer)


async def test_a_stall_that_is_over_soon_costs_nothing(asyncua_peer: OpcUaServer) -> None:
    async with running(device(asyncua_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await asyncua_peer.tell("stall", seconds=1.5)
        await asyncio.sleep(2.0)
        await changes(line, asyncua_peer)
        assert line.states == [True]
        assert line.runner.reconnects == 0


@pytest.mark.parametrize("how", ["silent", "fault", "notify"])
async def test_subscriptions_that_the_server_deletes_are_made_anew(asyncua_peer: OpcUaServer, how: str) -> None:
    async with running(device(asyncua_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await asyncua_peer.tell("delete_subscriptions", how=how)
        await changes(line, asyncua_peer)
        await changes(line, asyncua_peer)
        assert line.states == [True]
        assert line.runner.reconnects == 0
        counts = await asyncua_peer.tell("counts")
        assert (counts["sessions"], counts["subscriptions"], counts["monitored_items"]) == (1, 1, 2)


async def test_deleted_subscriptions_of_the_second_stack(node_peer: OpcUaServer) -> None:
    async with running(device(node_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await node_peer.tell("delete_subscriptions")
        await changes(line, node_peer)
        await changes(line, node_peer)
        assert (await node_peer.tell("counts"))["subscriptions"] == 1


async def has_still_to_lose(server: OpcUaServer, publishes: int) -> bool:
    return bool((await server.tell("counts"))["to_lose"] == publishes)


@pytest.mark.parametrize("decoder", ["native", "plain"])
async def test_notifications_that_were_lost_are_asked_for_again(
    asyncua_peer: OpcUaServer, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if decoder == "plain":
        monkeypatch.setattr(fastpath, "usable", lambda: False)
    async with running(device(asyncua_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        before = await asked(asyncua_peer, "Republish")
        await asyncua_peer.tell("lose", publishes=2)
        for value in range(5):
            await asyncua_peer.tell("set", node="Scalars.Int32", value=value)
            if value < 2:
                await until(lambda left=1 - value: has_still_to_lose(asyncua_peer, left))  # type: ignore[misc]
            else:
                await line.shows("x", value)
        assert line.history("x")[-5:] == [0, 1, 2, 3, 4]
        assert await asked(asyncua_peer, "Republish") == before + 2
        assert line.runner.reconnects == 0


@pytest.mark.parametrize("mode", MODES)
async def test_requests_keep_to_the_servers_limits(server: OpcUaServer, mode: str) -> None:
    signals = {f"n{number}": at(values.many_path(number)) for number in range(NODES)}
    limits = {"MaxNodesPerRead": 7, "MaxMonitoredItemsPerCall": 6, "MaxNodesPerBrowse": 5,
              "MaxNodesPerRegisterNodes": 4, "MaxNodesPerTranslateBrowsePathsToNodeIds": 3}  # fmt: skip
    await server.tell("limit", **limits)
    async with running(device(server.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == NODES)
        ticks = (await server.tell("tick"))["ticks"]
        await line.until(lambda: all(line.value(f"n{n}") == values.many_value(n, ticks) for n in range(NODES)))
        assert not line.notices
    await server.tell("limit", **dict.fromkeys(limits))


async def test_no_session_left_says_what_to_do(asyncua_peer: OpcUaServer) -> None:
    await asyncua_peer.tell("limit", sessions=1)
    async with running(device(asyncua_peer.url, TWO)) as first, running(device(asyncua_peer.url, TWO)) as second:
        await first.until(lambda: first.table.good == 2)
        await second.until(lambda: "BadTooManySessions" in second.runner.why)
        assert "session" in second.runner.remedy
        await changes(first, asyncua_peer)
        assert first.runner.reconnects == 0
    await asyncua_peer.tell("limit", sessions=None)


async def test_a_new_program_with_another_type_is_learned_anew(asyncua_peer: OpcUaServer) -> None:
    async with running(device(asyncua_peer.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        assert line.learned("y").type == "float64"
        await asyncua_peer.tell("set", node="Scalars.Double", value="seven", type="String")
        await line.until(lambda: line.value("y") == "seven")
        assert line.learned("y").type == "string"
        await asyncua_peer.tell("set", node="Scalars.Double", value=7.5, type="Double")
        await line.until(lambda: line.value("y") == 7.5)
        assert line.learned("y").type == "float64"
        assert line.runner.reconnects == 0


class SlowServer:
    """An own server in which reading one node takes long; as many do, it answers one request after the other."""

    def __init__(self) -> None:
        self.guard = GuardedServer("urn:slow:server", "slow", "/slow")
        self.guard.before = self._before
        self.slow: Any = None
        self.seconds = 0.0

    async def start(self, nodes: int) -> None:
        await self.guard.prepare()
        index = await self.guard.server.register_namespace("urn:slow")
        from asyncua import ua

        for number in range(nodes):
            name = f"n{number}"
            await self.guard.server.nodes.objects.add_variable(
                ua.NodeId(name, index), name, number, ua.VariantType.Int32
            )
        self.slow = ua.NodeId("n13", index)
        await self.guard.start()

    async def _before(self, request: Request) -> None:
        from asyncua import ua

        if request.service == "Read" and self.seconds:
            asked = request.parameters(ua.ReadParameters).NodesToRead
            if any(one.NodeId == self.slow and one.AttributeId == ua.AttributeIds.Value for one in asked):
                await asyncio.sleep(self.seconds)


@asynccontextmanager
async def slow_server(nodes: int) -> AsyncIterator[SlowServer]:
    server = SlowServer()
    await server.start(nodes)
    try:
        yield server
    finally:
        await server.guard.close()
    assert not server.guard.violations


async def test_one_slow_node_is_found_and_the_others_go_on() -> None:
    async with slow_server(40) as server:
        signals = {f"n{number}": {"node": f"nsu=urn:slow;s=n{number}"} for number in range(40)}
        one = device(server.guard.url, signals, mode="poll", timeout="200ms")
        async with running(one) as line:
            await line.until(lambda: line.table.good == 40)
            server.seconds = 0.6
            await line.until(lambda: line.why("n13") == "no answer" and line.table.good == 39, 20)
            await line.until(lambda: any(n.address.endswith("n13") and n.quarantined for n in line.notices), 20)
            assert {n.address for n in line.notices} == {"nsu=urn:slow;s=n13"}
            assert line.states == [True]
            server.seconds = 0.0
            await line.until(lambda: line.table.good == 40, 10)
            assert line.runner.reconnects == 0


async def test_something_else_that_listens_there() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with running(device(f"opc.tcp://127.0.0.1:{port}", TWO)) as line:
            await line.until(lambda: "not connected" not in line.runner.why)
            assert "closed the connection" in line.runner.why
            assert line.runner.remedy
    finally:
        server.close()


async def test_a_chunk_that_never_ends_is_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_WAITING_BYTES", 300_000)
    sent = 0
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(100)
        writer.write(b"MSGF" + (2**31).to_bytes(4, "little") + bytes(4))
        try:
            while sent < 20_000_000:
                writer.write(bytes(10_000))
                await writer.drain()
                sent += 10_000
        except ConnectionError:
            ended.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with running(device(f"opc.tcp://127.0.0.1:{port}", TWO)) as line:
            await asyncio.wait_for(ended.wait(), 10)
            await line.until(lambda: "closed the connection" in line.runner.why)
    finally:
        server.close()
