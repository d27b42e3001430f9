"""The one place that knows asyncua's inside: what is used there is still what it was when it was tested."""

from __future__ import annotations

import hashlib
import inspect
from array import array
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import SecureConnection
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from protocols.opcua import fastpath

USED: dict[Callable[..., Any], str] = {
    UASocketProtocol._send_request: "6107b68bcf01",
    UASocketProtocol._setup_request_header: "4e215687adcc",
    UASocketProtocol._call_callback: "5a7b970e3b79",
    UASocketProtocol.revolve_security_token: "f5e1cfce132e",
    UASocketProtocol._process_received_message: "467d49a62d04",
    SecureConnection.message_to_binary: "dca1c22c7091",
    UaClient._make_protocol: "e02f3c6f21b6",
    UaClient._set_state: "461c6c45d0a7",
    UaClient.connect_socket: "5acb688ddf6c",
    Client._activate_with_credentials: "9eb797d3a9e7",
    Buffer.__bytes__: "b3615f38b67c",
    Buffer.copy: "2188db9a8dac",
}
"""SHA-256 of the source, its first 12 digits; read what changed before entering another."""


@pytest.mark.parametrize("used", USED, ids=lambda used: used.__qualname__)
def test_asyncua_is_as_the_driver_knows_it(used: Callable[..., Any]) -> None:
    digest = hashlib.sha256(inspect.getsource(used).encode()).hexdigest()[:12]
    assert digest == USED[used], f"asyncua {version('asyncua')} changed {used.__qualname__}: see protocols/opcua"


def test_it_is_usable_here() -> None:
    assert fastpath.usable()


def test_without_the_extension_or_with_another_asyncua_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as absent:
        absent.setitem(__import__("sys").modules, "ext.opcua", None)
        assert not fastpath.usable()

    def other(self: Any, message: bytes, channel: int) -> bytes:
        raise NotImplementedError

    places = {other: ["self", "message", "message_type", "request_id"]}
    monkeypatch.setattr(fastpath, "_PLACES", places)
    assert not fastpath.usable()


class Recorder:
    """A connection that keeps what it is to send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.message_to_binary = self._record
        self.next_security_token = ua.ChannelSecurityToken()

    def _record(self, message: bytes, message_type: Any = ua.MessageType.SecureMessage, request_id: int = 0) -> bytes:
        self.sent.append(message)
        return message


class Transport:
    def write(self, data: bytes) -> None:
        """Sent."""


async def test_a_prepared_read_is_the_same_request() -> None:
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    request.Parameters.NodesToRead = [
        ua.ReadValueId(NodeId=ua.NodeId(f"n{number}", 2), AttributeId=ua.AttributeIds.Value) for number in range(50)
    ]
    protocol: Any = UASocketProtocol()
    protocol.authentication_token = ua.NodeId(77, 1)
    protocol._connection, protocol.transport = Recorder(), Transport()
    prepared = fastpath.PreparedRead(request)
    futures = [prepared.post(protocol, 2.5), protocol._send_request(request, 2.5), prepared.post(protocol, 2.5)]
    first, second, third = (struct_from_binary(ua.ReadRequest, Buffer(one)) for one in protocol._connection.sent)
    for number, one in enumerate((first, second, third), 1):
        assert one.Parameters == request.Parameters
        assert one.RequestHeader.RequestHandle == number
        assert one.RequestHeader.AuthenticationToken == protocol.authentication_token
        assert one.RequestHeader.TimeoutHint == 2500
    assert list(protocol._callbackmap) == [1, 2, 3]
    protocol._call_callback(3, Buffer(b"xyz"))
    assert bytes(await futures[2]) == b"xyz"
    assert array("I").itemsize == 4, "handles are 32 bits wide"
