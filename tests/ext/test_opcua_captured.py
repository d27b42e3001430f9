"""Responses of a real server, captured where asyncua's client has them whole, decoded by both."""

from __future__ import annotations

import asyncio
import uuid
from array import array
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, Server, ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from ext.opcua import ValuePlan
from ext.table import Kind, SignalTable
from tests.fuzz.opcua_reference import NATIVE, Signal, expected, name_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = ua.VariantType
NODES: list[tuple[ua.VariantType, Any, Kind]] = [
    (TYPES.Boolean, True, Kind.BOOL),
    (TYPES.SByte, -5, Kind.INT),
    (TYPES.Byte, 200, Kind.UINT),
    (TYPES.Int16, -300, Kind.INT),
    (TYPES.UInt16, 60_000, Kind.UINT),
    (TYPES.Int32, -70_000, Kind.INT),
    (TYPES.UInt32, 4_000_000_000, Kind.UINT),
    (TYPES.Int64, -(2**62), Kind.INT),
    (TYPES.UInt64, 2**63 + 1, Kind.UINT),
    (TYPES.Float, 0.5, Kind.FLOAT),
    (TYPES.Double, 0.1, Kind.FLOAT),
    (TYPES.String, "Größe 7", Kind.TEXT),
    (TYPES.LocalizedText, ua.LocalizedText("Läuft", "de"), Kind.TEXT),
    (TYPES.DateTime, datetime(2026, 11, 22, 6, 0, 0, 250_999, tzinfo=UTC), Kind.TEXT),
    (TYPES.Guid, uuid.UUID("12345678-9abc-def0-1234-56789abcdef0"), Kind.TEXT),
    (TYPES.StatusCode, ua.StatusCode(0x808C0000), Kind.UINT),
    (TYPES.Double, [1.5, 2.5, 3.5], Kind.FLOAT),
    (TYPES.String, ["a", None, "Ö"], Kind.TEXT),
    (TYPES.ByteString, b"raw", Kind.TEXT),
    (TYPES.NodeId, ua.NodeId("x", 2), Kind.TEXT),
    (TYPES.ExtensionObject, ua.EUInformation(DisplayName=ua.LocalizedText("mm")), Kind.TEXT),
]
SIGNALS = [Signal(kind, element=2 if isinstance(value, list) else None, length=36) for _, value, kind in NODES]
STATUSES = (ua.StatusCode(), ua.StatusCode(0x40900000), ua.StatusCode(0x808C0000))


class Line:
    """A server with a node of each type, and a client of which every response is kept."""

    def __init__(self, server: Server, client: Client, nodes: list[Any]) -> None:
        self.server, self.client, self.nodes = server, client, nodes
        self.bodies: list[bytes] = []
        self.came = asyncio.Event()
        protocol: Any = client.uaclient.protocol
        answer = protocol._call_callback

        def keep(request_id: int, body: Any) -> None:
            if isinstance(body, Buffer):
                self.bodies.append(body.copy().read(len(body)))
                self.came.set()
            answer(request_id, body)

        protocol._call_callback = keep

    async def write(self, status: ua.StatusCode) -> None:
        """Give every node its value with a status, now."""
        for node, (vtype, value, _) in zip(self.nodes, NODES, strict=True):
            sent = ua.DataValue(ua.Variant(value, vtype), status, datetime.now(UTC))
            await self.server.write_attribute_value(node.nodeid, sent)

    def captured(self, number: int) -> list[bytes]:
        """The bodies of one type of response."""
        return [body for body in self.bodies if nodeid_from_binary(Buffer(body)).Identifier == number]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line() -> AsyncIterator[Line]:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    index = await server.register_namespace("urn:test")
    nodes = [
        await server.nodes.objects.add_variable(index, f"node{n}", value, vtype)
        for n, (vtype, value, _) in enumerate(NODES)
    ]
    async with server:
        port = server.bserver.port
        async with Client(f"opc.tcp://127.0.0.1:{port}/") as client:
            yield Line(server, client, [client.get_node(node.nodeid) for node in nodes])


def bound() -> tuple[SignalTable, ValuePlan]:
    table = SignalTable([vtype.name for vtype, _, _ in NODES])
    plan = ValuePlan(table, name_of)
    for number, signal in enumerate(SIGNALS):
        table.define(number, signal.kind, length=signal.length, encoding="utf-8")
        plan.bind(number, number, **signal.options())
    return table, plan


def check(table: SignalTable, values: dict[int, ua.DataValue], left_over: list[Any], body: bytes) -> None:
    for number, found in values.items():
        state = expected(SIGNALS[number], found)
        if state is None:
            assert NODES[number][0].name not in NATIVE
            (place,) = [one for one in left_over if one[0] == number]
            variant = ua.ua_binary.variant_from_binary(Buffer(body[place[1] : place[2]]))
            assert variant == found.Value
        else:
            assert found.SourceTimestamp is not None
            time = (found.SourceTimestamp - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000
            assert table.read(number)[1:4] == state, NODES[number]
            assert table.read(number)[4] == int(time)


async def test_responses_of_a_server_are_decoded_as_asyncua_does(line: Line) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    for status in STATUSES:
        await line.write(status)
        line.bodies.clear()
        await line.client.uaclient.read_attributes([node.nodeid for node in line.nodes], ua.AttributeIds.Value)
        (body,) = line.captured(634)
        theirs = struct_from_binary(ua.ReadResponse, Buffer(body)).Results
        assert theirs[5].StatusCode == status
        table, plan = bound()
        result, left_over = plan.read(body, array("I", range(len(NODES))), now)
        assert result == 0
        check(table, dict(enumerate(theirs)), left_over, body)


class Nobody:
    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        pass


async def test_publications_of_a_server_are_decoded_as_asyncua_does(line: Line) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    await line.write(ua.StatusCode())
    subscription = await line.client.create_subscription(50, Nobody())
    wanted = [
        ua.MonitoredItemCreateRequest(
            ua.ReadValueId(node.nodeid, ua.AttributeIds.Value),
            ua.MonitoringMode.Reporting,
            ua.MonitoringParameters(ClientHandle=number, SamplingInterval=0, QueueSize=10, DiscardOldest=True),
        )
        for number, node in enumerate(line.nodes)
    ]
    await subscription.create_monitored_items(wanted)
    table, plan = bound()
    seen: dict[int, ua.DataValue] = {}
    async with asyncio.timeout(10):
        while len(seen) < len(NODES):
            await line.came.wait()
            line.came.clear()
            for body in line.captured(829):
                theirs = struct_from_binary(ua.PublishResponse, Buffer(body)).Parameters
                publication = plan.publish(body, now)
                assert publication.sequence_number == theirs.NotificationMessage.SequenceNumber
                assert publication.keep_alive == (not theirs.NotificationMessage.NotificationData)
                left_over = publication.decode()
                assert publication.done
                for part in theirs.NotificationMessage.NotificationData or []:
                    values = {item.ClientHandle: item.Value for item in part.MonitoredItems}
                    check(table, values, left_over, body)
                    seen |= values
            line.bodies.clear()
    assert table.good == sum(vtype.name in NATIVE for vtype, _, _ in NODES)
    await subscription.delete()
