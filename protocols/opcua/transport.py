"""Connects the socket below asyncua's client, and guards what goes out through it."""

from __future__ import annotations

import asyncio
import struct
from contextlib import ExitStack

from asyncua import Client, ua
from asyncua.client.ua_client import UaClientState

from protocols.dial import dial
from protocols.opcua.allowed import guard
from protocols.opcua.config import DEFAULT_PORT

MAX_MESSAGE_BYTES = 64_000_000
MAX_CHUNKS = 4096

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
        await asyncio.get_running_loop().create_connection(low._make_protocol, sock=sock)
        unused.pop_all()
    connection = low.protocol._connection
    guard(connection)
    connection._limits.max_message_size, connection._limits.max_chunk_count = MAX_MESSAGE_BYTES, MAX_CHUNKS
    low._set_state(UaClientState.SOCKET_OPEN)
