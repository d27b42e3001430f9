"""The OPC UA driver against a server that answers late, twice, out of order, garbled, or not as it defines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server import uaprocessor

from protocols.model import Quality
from protocols.opcua import fastpath
from protocols.opcua import unit as unit_module
from protocols.simulated.opcua_server import GuardedServer, Processor, Request
from tests.protocols.opcua.line import Line, device, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
URI = "urn:hostile"
MODES = ["subscribe", "poll"]
NODES = 4
PAIR = ua.NodeId("Pair", 2)
PAIR_BINARY = ua.NodeId("Pair.Binary", 2)


def at(name: str, **more: Any) -> dict[str, Any]:
    """A signal of this server."""
    return {"node": f"nsu={URI};s={name}", **more}


class Hostile:
    """A server of our own; what a test has it do is undone behind the test."""

    def __init__(self) -> None:
        self.guard = GuardedServer("urn:hostile:server", "hostile", "/hostile")
        self.nodes: dict[str, Any] = {}

    async def start(self) -> None:
        await self.guard.prepare()
        server = self.guard.server
        assert await server.register_namespace(URI) == 2
        for number in range(NODES):
            name = f"n{number}"
            self.nodes[name] = await server.nodes.objects.add_variable(
                ua.NodeId(name, 2), name, number, ua.VariantType.Int32
            )
        await self._define("Pair", PAIR, PAIR_BINARY)
        self.reset()
        await self.guard.start()

    async def _define(self, name: str, node: Any, encoding: Any) -> None:
        structure = self.guard.server.get_node(ua.NodeId(ua.ObjectIds.Structure))
        kind = await structure.add_data_type(node, name)
        self.kind = kind
        self.pair = await self.guard.server.nodes.objects.add_variable(
            ua.NodeId("pair", 2), "pair", ua.ExtensionObject(encoding, self.body(7, 8)), datatype=node
        )
        await self.define("First", "Second")

    async def define(self, *names: str) -> None:
        """What the server says that the structure is: these members, of Int32."""
        members = [ua.StructureField(Name=name, DataType=ua.NodeId(ua.ObjectIds.Int32), ValueRank=-1) for name in names]
        definition = ua.StructureDefinition(
            DefaultEncodingId=PAIR_BINARY, BaseDataType=ua.NodeId(ua.ObjectIds.Structure), Fields=members
        )
        await self.guard.server.iserver.aspace.write_attribute_value(
            self.kind.nodeid, ua.AttributeIds.DataTypeDefinition, ua.DataValue(definition)
        )

    @staticmethod
    def body(*members: int) -> bytes:
        """A structure of Int32."""
        return b"".join(member.to_bytes(4, "little", signed=True) for member in members)

    async def write(self, name: str, value: int | str, kind: ua.VariantType = ua.VariantType.Int32) -> None:
        """A value of n0 and so on."""
        space, node = self.guard.server.iserver.aspace, ua.NodeId(name, 2)
        space[node].attributes[ua.AttributeIds.Value].value = None  # else it would keep to the type that it has
        written = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=datetime.now(UTC))
        (await space.write_attribute_value(node, ua.AttributeIds.Value, written)).check()

    def reset(self) -> None:
        """As it should be."""

        async def nothing(request: Request) -> None:
            return None

        self.guard.before = nothing
        self.guard.may_publish = lambda connection, result, request: True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process() -> AsyncIterator[Hostile]:
    one = Hostile()
    await one.start()
    yield one
    await one.guard.close()
    assert not one.guard.violations


@pytest_asyncio.fixture(loop_scope="module")
async def hostile(process: Hostile) -> AsyncIterator[Hostile]:
    yield process
    process.reset()


@pytest.fixture(params=["native", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`ext.opcua`, or asyncua alone."""
    if request.param == "plain":
        monkeypatch.setattr(fastpath, "usable", lambda: False)
    return str(request.param)


class Held:
    """Holds one notification back until the one behind it is sent."""

    def __init__(self) -> None:
        self.held: tuple[Processor, Any, Any] | None = None
        self.armed = True

    def __call__(self, connection: Processor, result: Any, request: Any) -> bool:
        if self.armed and result.NotificationMessage.NotificationData:
            self.armed, self.held = False, (connection, result, request)
            return False
        if self.held is not None and result.NotificationMessage.NotificationData:
            (connection, late, asked), self.held = self.held, None
            asyncio.get_running_loop().call_later(
                0.1, lambda: asyncio.ensure_future(connection.forward_publish_response(late, asked))
            )
        return True


async def test_a_message_that_comes_after_the_next_does_not_bring_its_old_value_back(hostile: Hostile) -> None:
    async with running(device(hostile.guard.url, {"x": at("n0")})) as line:
        await line.shows("x", 0)
        hostile.guard.may_publish = Held()
        await hostile.write("n0", 1)
        await asyncio.sleep(0.3)
        await hostile.write("n0", 2)
        await line.shows("x", 2)
        await asyncio.sleep(0.5)
        assert line.value("x") == 2
        assert line.history("x")[-2:] == [1, 2]
        assert line.runner.reconnects == 0
    await hostile.write("n0", 0)


async def test_the_late_answer_of_a_node_that_was_set_aside_is_no_value_of_now(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_module, "FIRST_RETRY_S", 3.0)
    slow = False

    async def before(request: Request) -> None:
        if slow and request.service == "Read":
            asked = request.parameters(ua.ReadParameters).NodesToRead
            if any(one.NodeId.Identifier == "n1" and one.AttributeId == ua.AttributeIds.Value for one in asked):
                await asyncio.sleep(0.6)

    hostile.guard.before = before
    one = device(hostile.guard.url, {"x": at("n0"), "y": at("n1")}, mode="poll", timeout="200ms")
    async with running(one) as line:
        await line.until(lambda: line.table.good == 2)
        slow = True
        await line.until(lambda: any(notice.quarantined for notice in line.notices), 20)
        await hostile.write("n1", 77)
        await asyncio.sleep(1.2)
        assert line.why("y") == "no answer"
        assert line.quality("y") is Quality.BAD
        await hostile.write("n1", 1)


@pytest.mark.parametrize("mode", MODES)
async def test_a_structure_that_is_not_as_it_is_defined_is_no_number(hostile: Hostile, mode: str) -> None:
    signals = {"x": at("n0"), "first": at("pair", member="First"), "second": at("pair", member="Second")}
    async with running(device(hostile.guard.url, signals, mode=mode)) as line:
        await line.until(lambda: line.table.good == 3)
        assert (line.value("first"), line.value("second")) == (7, 8)
        await hostile.pair.write_value(ua.ExtensionObject(PAIR_BINARY, hostile.body(99, 17, 18)))
        await line.until(lambda: line.table.good == 1)
        assert line.value("first") is None
        await hostile.define("Zeroth", "First", "Second")
        await line.until(lambda: line.table.good == 3)
        assert (line.value("first"), line.value("second")) == (17, 18)
        assert line.runner.reconnects == 0
    await hostile.define("First", "Second")
    await hostile.pair.write_value(ua.ExtensionObject(PAIR_BINARY, hostile.body(7, 8)))


@pytest.mark.parametrize("mode", MODES)
async def test_a_value_that_cannot_be_decoded_costs_its_signal_alone(hostile: Hostile, mode: str) -> None:
    garbled = ua.ExtensionObject(ua.NodeId(ua.ObjectIds.EUInformation_Encoding_DefaultBinary), b"\x05\x00")
    async with running(device(hostile.guard.url, {"x": at("n0"), "p": at("pair", member="First")}, mode=mode)) as line:
        await line.until(lambda: line.table.good == 2)
        await hostile.pair.write_value(garbled)
        await line.until(lambda: line.table.good == 1)
        assert line.quality("p") is Quality.BAD
        await hostile.write("n0", 5)
        await line.shows("x", 5)
        assert line.states == [True]
        assert line.runner.reconnects == 0
        await hostile.pair.write_value(ua.ExtensionObject(PAIR_BINARY, hostile.body(7, 8)))
        await line.shows("p", 7)
    await hostile.write("n0", 0)


@pytest.mark.parametrize(
    ("service", "attribute"), [("Read", ua.AttributeIds.DataTypeDefinition), ("Read", ua.AttributeIds.DataType)]
)
async def test_what_a_server_does_not_tell_of_its_types_costs_no_other_node(
    hostile: Hostile, service: str, attribute: int
) -> None:
    async def before(request: Request) -> None:
        if request.service == service:
            asked = request.parameters(ua.ReadParameters).NodesToRead
            if any(one.AttributeId == attribute and one.NodeId.Identifier in ("Pair", "pair") for one in asked):
                raise ServiceError(ua.StatusCodes.BadUserAccessDenied)

    hostile.guard.before = before
    devices = {
        "a": device(hostile.guard.url, {"x": at("n0")}),
        "b": device(hostile.guard.url, {"p": at("pair", member="First")}),
    }
    async with running(devices) as line:
        await line.until(lambda: line.value("x", "a") == 0)
        assert line.runner.reconnects == 0


@pytest.mark.parametrize("mode", MODES)
async def test_a_garbled_response_is_the_servers_fault_and_said_so(
    hostile: Hostile, decoder: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Callable[[Any], bytes] = uaprocessor.struct_to_binary
    kind = ua.ReadResponse if mode == "poll" else ua.PublishResponse
    armed = False

    def garbling(thing: Any) -> bytes:
        data = encode(thing)
        return data[:-5] if armed and isinstance(thing, kind) else data

    monkeypatch.setattr(uaprocessor, "struct_to_binary", garbling)
    async with running(device(hostile.guard.url, {"x": at("n0")}, mode=mode)) as line:
        await line.until(lambda: line.table.good == 1)
        armed = True
        said = await _lost(line)
        armed = False
        assert "garbled" in said
        await line.until(lambda: line.states == [True, False, True])


async def _lost(line: Line) -> str:
    await line.until(lambda: line.states == [True, False])
    return line.runner.why


@pytest.mark.parametrize("interval", [float("nan"), float("inf"), -1.0, 1e18])
async def test_a_publishing_interval_that_cannot_be_is_not_waited_for(
    hostile: Hostile, interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Callable[[Any], bytes] = uaprocessor.struct_to_binary

    def revised(thing: Any) -> bytes:
        if isinstance(thing, ua.CreateSubscriptionResponse):
            thing.Parameters.RevisedPublishingInterval = interval
        return encode(thing)

    monkeypatch.setattr(uaprocessor, "struct_to_binary", revised)
    async with running(device(hostile.guard.url, {"x": at("n0")})) as line:
        await line.until(lambda: line.table.good == 1)
        (subscription,) = line.drivers[-1]._subscriber._subscriptions.values()
        assert 0 < subscription.silence_s <= 60


async def test_what_was_under_way_when_a_node_was_set_aside_is_no_value_of_now(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_module, "FIRST_RETRY_S", 3.0)

    async def before(request: Request) -> None:
        if request.service == "DeleteMonitoredItems":
            await hostile.write("n0", 5)
            await asyncio.sleep(0.3)  # time for the notification to go out first

    async with running(device(hostile.guard.url, {"x": at("n0"), "y": at("n1")})) as line:
        await line.until(lambda: line.table.good == 2)
        hostile.guard.before = before
        await hostile.write("n0", "text", ua.VariantType.String)
        await line.until(lambda: any(notice.quarantined for notice in line.notices))
        await asyncio.sleep(0.5)
        assert line.quality("x") is Quality.BAD
        assert "does not fit" in line.why("x")
        await line.shows("x", 5)
    await hostile.write("n0", 0)


async def test_references_that_a_server_does_not_go_on_with_cost_no_node(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Callable[[Any], bytes] = uaprocessor.struct_to_binary

    def in_pieces(thing: Any) -> bytes:
        if isinstance(thing, ua.BrowseResponse):
            for result in thing.Results:
                result.ContinuationPoint = b"more"
        return encode(thing)

    monkeypatch.setattr(uaprocessor, "struct_to_binary", in_pieces)
    signals = {"x": at("n0"), "p": at("pair", member="First")}
    async with running(device(hostile.guard.url, signals)) as line:
        await line.until(lambda: line.table.good == 2)
        assert line.runner.reconnects == 0


async def test_a_servers_own_words_are_short_and_harmless(hostile: Hostile) -> None:
    await hostile.guard.server.register_namespace("urn:\x1b[31m\n" + "x" * 10_000)
    signals = {"x": at("n0"), "y": {"node": "nsu=urn:nobody;s=y"}}
    async with running(device(hostile.guard.url, signals)) as line:
        await line.until(lambda: line.notices)
        for said in (line.why("y"), line.notices[0].why):
            assert said.startswith("the server has no namespace urn:nobody")
            assert len(said) <= 300
            assert said.isprintable()


@pytest.mark.parametrize("how", ["few", "strange"])
async def test_an_event_that_is_not_as_it_was_asked_for_costs_its_signal_alone(
    hostile: Hostile, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Callable[[Any], bytes] = uaprocessor.struct_to_binary

    def other(thing: Any) -> bytes:
        if isinstance(thing, ua.PublishResponse):
            for one in thing.Parameters.NotificationMessage.NotificationData or []:
                for event in getattr(one, "Events", []):
                    strange = [ua.Variant("strange", ua.VariantType.String)] * 6
                    event.EventFields = event.EventFields[:3] if how == "few" else strange
        return encode(thing)

    monkeypatch.setattr(uaprocessor, "struct_to_binary", other)
    generator = await hostile.guard.server.get_event_generator()
    async with running(device(hostile.guard.url, {"x": at("n0"), "alarm": {"alarms": "i=2253"}})) as line:
        await line.until(lambda: line.value("x") == 0)
        await generator.trigger(message="anything")
        await line.until(lambda: line.why("alarm") == "an event is not as it was asked for")
        await hostile.write("n0", 4)
        await line.shows("x", 4)
        assert line.runner.reconnects == 0
    await hostile.write("n0", 0)
