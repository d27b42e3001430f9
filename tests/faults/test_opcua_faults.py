"""The OPC UA driver against servers that restart, shift, stall, forget and refuse, and that note what writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from protocols.opcua import driver as driver_module
from protocols.opcua import fastpath, transport
from protocols.opcua import unit as unit_module
from protocols.simulated.opcua_server import GuardedServer, Request
from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer, asyncua_server, node_opcua_server
from tests.protocols.opcua.line import Line, at, device, running

MODES = ["subscribe", "poll"]
SERVERS: dict[str, Callable[..., AbstractAsyncContextManager[OpcUaServer]]] = {
    "asyncua": asyncua_server,
    "node-opcua": node_opcua_server,
}
TWO = {"x": at("Scalars.Int32"), "y": at("Scalars.Double")}


@pytest.fixture(params=list(SERVERS))
def stack(request: pytest.FixtureRequest) -> Callable[..., AbstractAsyncContextManager[OpcUaServer]]:
    """Either server."""
    return SERVERS[request.param]


@pytest.fixture(autouse=True)
def short_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a minute in a plant takes a moment here."""
    monkeypatch.setattr(unit_module, "FIRST_RETRY_S", 0.3)
    monkeypatch.setattr(unit_module, "LONGEST_RETRY_S", 0.6)


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
async def test_a_node_that_vanishes_is_bad_alone_and_comes_back(stack: Any, mode: str) -> None:
    async with stack() as server, running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("vanish", nodes=["Scalars.Double"])
        await line.until(lambda: line.table.good == 1)
        assert line.why("y").startswith("BadNodeId")
        await changes(line, server)
        await line.until(lambda: bool(line.notices))
        await asyncio.sleep(1.0)
        assert [n.address for n in line.notices] == [TWO["y"]["node"]], "told once"
        await server.tell("appear", nodes=["Scalars.Double"])
        await line.until(lambda: line.table.good == 2)
        await line.until(lambda: [n.quarantined for n in line.notices] == [True, False])
        assert line.runner.reconnects == 0


async def test_an_unknown_node_keeps_nothing_from_starting_and_is_taken_when_it_comes(stack: Any) -> None:
    async with stack() as server:
        await server.tell("vanish", nodes=["Scalars.Double"])
        async with running(device(server.url, TWO)) as line:
            await line.until(lambda: line.table.good == 1)
            await changes(line, server)
            await server.tell("appear", nodes=["Scalars.Double"])
            await line.until(lambda: line.table.good == 2)
            assert line.learned("y").type == "float64"


@pytest.mark.parametrize("mode", MODES)
async def test_a_restart_with_other_namespaces_before_ours(stack: Any, mode: str) -> None:
    signals = TWO | {"path": {"node": f"/Objects/nsu={values.NAMESPACE};Test/nsu={values.NAMESPACE};Scalars/"
                                      f"nsu={values.NAMESPACE};Int32"}}  # fmt: skip
    async with stack() as server, running(device(server.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 3)
        await server.tell("restart", down=0.5, shift=3)
        await line.until(lambda: line.states == [True, False, True], 15)
        await line.until(lambda: line.table.good == 3)
        await changes(line, server)
        assert line.value("path") == line.value("x")


async def test_namespaces_that_shift_without_a_restart_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "NAMESPACES_S", 0.3)
    async with asyncua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await asyncio.sleep(0.7)
        assert line.runner.reconnects == 0
        line.drivers[-1]._namespaces = ["http://opcfoundation.org/UA/", "urn:before"]
        await line.until(lambda: line.states == [True, False, True])
        assert line.runner.reconnects == 1
        await line.until(lambda: line.table.good == 2)


@pytest.mark.parametrize("mode", MODES)
async def test_dropped_sockets_cost_one_session_each(stack: Any, mode: str) -> None:
    async with stack() as server, running(device(server.url, TWO, mode=mode)) as line:
        for times in range(1, 4):
            await line.until(lambda: line.table.good == 2)
            await changes(line, server)
            await server.tell("drop")
            await reconnected(line, times)
        await line.until(lambda: line.table.good == 2)
        assert (await server.tell("counts"))["asked"]["CreateSession"] == 4
    assert len(line.drivers) == 4


@pytest.mark.parametrize("mode", MODES)
async def test_sessions_that_the_server_closes(stack: Any, mode: str) -> None:
    async with stack() as server, running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("close_sessions")
        await line.until(lambda: line.states == [True, False, True])
        await line.until(lambda: line.table.good == 2)
        await changes(line, server)
        assert (await server.tell("counts"))["sessions"] == 1


@pytest.mark.parametrize("mode", MODES)
async def test_a_server_that_falls_silent_is_noticed_within_seconds(mode: str) -> None:
    async with asyncua_server() as server, running(device(server.url, TWO, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("mute")
        seconds = await line.until(lambda: line.states == [True, False], 12)
        assert seconds < 8
        assert line.table.good == 0
        await server.tell("unmute")
        await line.until(lambda: line.states == [True, False, True], 30)
        await line.until(lambda: line.table.good == 2)
        await changes(line, server)


async def test_a_stall_that_is_over_soon_costs_nothing() -> None:
    async with asyncua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("stall", seconds=1.5)
        await asyncio.sleep(2.0)
        await changes(line, server)
        assert line.states == [True]
        assert line.runner.reconnects == 0


@pytest.mark.parametrize("how", ["silent", "fault", "notify"])
async def test_subscriptions_that_the_server_deletes_are_made_anew(how: str) -> None:
    async with asyncua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("delete_subscriptions", how=how)
        await server.tell("set", node="Scalars.Int32", value=4711)
        await line.until(lambda: line.value("x") == 4711, 15)
        await changes(line, server)
        assert line.states == [True]
        assert line.runner.reconnects == 0
        counts = await server.tell("counts")
        assert (counts["sessions"], counts["subscriptions"], counts["monitored_items"]) == (1, 1, 2)


async def test_deleted_subscriptions_of_the_second_stack() -> None:
    async with node_opcua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("delete_subscriptions")
        await server.tell("set", node="Scalars.Int32", value=4711)
        await line.until(lambda: line.value("x") == 4711, 15)
        await changes(line, server)
        assert (await server.tell("counts"))["subscriptions"] == 1


@pytest.mark.parametrize("decoder", ["native", "plain"])
async def test_notifications_that_were_lost_are_asked_for_again(decoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if decoder == "plain":
        monkeypatch.setattr(fastpath, "usable", lambda: False)
    async with asyncua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        await server.tell("lose", publishes=2)
        for value in range(5):
            await server.tell("set", node="Scalars.Int32", value=value)
            await asyncio.sleep(0.25)
        await line.until(lambda: line.value("x") == 4)
        assert line.history("x")[-5:] == [0, 1, 2, 3, 4]
        assert (await server.tell("counts"))["asked"]["Republish"] == 2
        assert line.runner.reconnects == 0


@pytest.mark.parametrize("mode", MODES)
async def test_requests_keep_to_the_servers_limits(stack: Any, mode: str) -> None:
    signals = {f"n{number}": at(values.many_path(number)) for number in range(20)}
    async with stack("--nodes", "20") as server:
        await server.tell("limit", MaxNodesPerRead=7, MaxMonitoredItemsPerCall=6, MaxNodesPerBrowse=5,
                          MaxNodesPerRegisterNodes=4, MaxNodesPerTranslateBrowsePathsToNodeIds=3)  # fmt: skip
        async with running(device(server.url, signals, mode=mode)) as line:
            await line.until(lambda: line.table.good == 20)
            await server.tell("tick")
            await line.until(lambda: all(line.value(f"n{n}") == values.many_value(n, 1) for n in range(20)))
            assert not line.notices


async def test_no_session_left_says_what_to_do() -> None:
    async with asyncua_server() as server:
        await server.tell("limit", sessions=1)
        async with running(device(server.url, TWO)) as first, running(device(server.url, TWO)) as second:
            await first.until(lambda: first.table.good == 2)
            await second.until(lambda: "BadTooManySessions" in second.runner.why)
            assert "session" in second.runner.remedy
            await changes(first, server)
            assert first.runner.reconnects == 0


async def test_a_new_program_with_another_type_is_learned_anew() -> None:
    async with asyncua_server() as server, running(device(server.url, TWO)) as line:
        await line.until(lambda: line.table.good == 2)
        assert line.learned("y").type == "float64"
        await server.tell("set", node="Scalars.Double", value="seven", type="String")
        await line.until(lambda: line.value("y") == "seven")
        assert line.learned("y").type == "string"
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
