"""Connects the socket below asyncua's client, and guards what goes out through it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from protocols.dial import dial
from protocols.opcua.allowed import guard
from protocols.opcua.config import DEFAULT_PORT

ANSWER_S = 10.0
"""How long a request may take that is made once a connection: servers build subscriptions slowly."""
SERVICE_FAULT = ua.FourByteNodeId(ua.ObjectIds.ServiceFault_Encoding_DefaultBinary)
MAX_MESSAGE_BYTES = 64_000_000
MAX_CHUNKS = 4096
MAX_WAITING_BYTES = 4_000_000
"""Received and not yet a whole chunk: far more than a chunk's 64 kB and what one read of a socket brings."""

GARBLED = (ua.UaError, ArithmeticError, AttributeError, EOFError, LookupError, RecursionError, TypeError, ValueError,
           struct.error)  # fmt: skip
"""What asyncua's decoder trips over where a peer does not keep to the protocol."""


async def connect_socket(client: Client) -> None:
    """As `UaClient.connect_socket` does, but a name that does not resolve holds nothing up.

    Raises ConnectFailed.
    """
    low, url = client.uaclient, client.server_url
    sock = await dial(url.hostname or "", url.port or DEFAULT_PORT, None)
    with ExitStack() as unused:
        unused.callback(sock.close)
        await asyncio.get_running_loop().create_connection(lambda: _bounded(low._make_protocol()), sock=sock)
        unused.pop_all()
    guard(low.protocol._connection)
    _hear_refusals(low.protocol)
    low._set_state(UaClientState.SOCKET_OPEN)


def _bounded(protocol: Any) -> Any:
    """What a peer sends is bounded, whatever lengths it declares and whatever limits its hello names."""
    receive: Callable[[bytes], None] = protocol.data_received
    limits = protocol._connection._limits
    update: Callable[[Any], None] = limits.update_client_limits

    def data_received(data: bytes) -> None:
        if len(protocol.receive_buffer or b"") + len(data) > MAX_WAITING_BYTES:
            protocol.transport.abort()
        else:
            receive(data)

    def update_client_limits(acknowledge: Any) -> None:
        update(acknowledge)
        limits.max_message_size, limits.max_chunk_count = MAX_MESSAGE_BYTES, MAX_CHUNKS

    protocol.data_received, limits.update_client_limits = data_received, update_client_limits
    return protocol


def _hear_refusals(protocol: Any) -> None:
    """Why a server opens or renews no channel: asyncua takes its ServiceFault for the answer, and loses the reason."""
    process: Callable[[Any], None] = protocol._process_received_message

    def heard(message: Any) -> None:
        if protocol._open_secure_channel_exchange is not None and isinstance(message, ua.Message):
            body = message.body().copy()
            if nodeid_from_binary(body) == SERVICE_FAULT:
                struct_from_binary(ua.ResponseHeader, body).ServiceResult.check()  # ends what is awaited, with this
        process(message)

    protocol._process_received_message = heard
