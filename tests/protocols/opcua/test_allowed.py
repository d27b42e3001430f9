"""Nothing leaves for a server that does more than read, whoever makes it."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import Client, ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import struct_to_binary

from protocols.opcua.allowed import SERVICES, check, guard
from tests.peers.opcua import values
from tests.peers.opcua.processes import OpcUaServer
from tests.protocols.opcua.line import at, device, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL = sorted(
    name.removesuffix("Request_Encoding_DefaultBinary")
    for name in vars(ua.ObjectIds)
    if name.endswith("Request_Encoding_DefaultBinary") and hasattr(ua, name.removesuffix("_Encoding_DefaultBinary"))
)
WRITING = {"Write", "Call", "AddNodes", "DeleteNodes", "AddReferences", "DeleteReferences", "HistoryUpdate"}


@pytest.mark.parametrize("name", ALL)
async def test_each_service_of_the_standard(name: str) -> None:
    message = struct_to_binary(getattr(ua, f"{name}Request")())
    if name in SERVICES or name == "Call":  # a Call without methods does nothing
        check(message)
    else:
        with pytest.raises(PermissionError, match="not among"):
            check(message)


async def test_the_list_has_nothing_that_changes_anything() -> None:
    assert not WRITING & set(SERVICES)
    assert set(ALL) > WRITING


@pytest.mark.parametrize(("method", "allowed"), [(3875, True), (9111, False), (12912, False)])
async def test_of_all_methods_condition_refresh_alone(method: int, allowed: bool) -> None:
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [ua.CallMethodRequest(ObjectId=ua.NodeId(2782), MethodId=ua.NodeId(method))]
    if allowed:
        check(struct_to_binary(request))
        request.Parameters.MethodsToCall.append(ua.CallMethodRequest(MethodId=ua.NodeId("Start", 2)))
    with pytest.raises(PermissionError, match="ConditionRefresh"):
        check(struct_to_binary(request))


@pytest.mark.parametrize("message", [b"", b"\x01", b"\x00\x01", b"\x01\x02\x77\x02", b"\x02\x00\x00\x77\x02\x00\x00"])
async def test_what_cannot_be_told_is_refused(message: bytes) -> None:
    with pytest.raises(PermissionError):
        check(message)


async def test_a_guarded_connection_frames_nothing_else() -> None:
    connection = SecureConnection(SecurityPolicyNone(), TransportLimits())
    guard(connection)
    assert connection.message_to_binary(struct_to_binary(ua.ReadRequest()), request_id=1)
    with pytest.raises(PermissionError):
        connection.message_to_binary(struct_to_binary(ua.WriteRequest()), request_id=2)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_the_drivers_own_connection_is_guarded(peer: OpcUaServer, mode: str) -> None:
    async with running(device(peer.url, {"x": at("Scalars.Int32")}, mode=mode)) as line:
        await line.until(lambda: line.table.good == 1)
        client: Client = line.drivers[-1]._session._client
        node = client.get_node(f"ns={await client.get_namespace_index(values.NAMESPACE)};s=Scalars.Int32")
        with pytest.raises(PermissionError):
            await node.write_value(ua.Variant(1, ua.VariantType.Int32))
        counts: dict[str, Any] = await peer.tell("counts")
        assert not counts["violations"]
        assert "Write" not in counts["asked"]
