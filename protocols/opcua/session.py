"""One session with an OPC UA server, used once: asyncua's client without any of its tasks.

asyncua connects, secures, frames and encodes; what is asked and awaited is ours, since its own tasks for publishing,
supervising and renewing would each be an owner of the connection beside the runner.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from protocols.driver import ConfigError, LinkStats, NotConnected
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.refusals import LIBRARY_ERRORS, explain
from protocols.opcua.security import secure
from protocols.opcua.transport import ANSWER_S, GARBLED, SERVICE_FAULT, connect_socket

CLOSE_S = 1.0
MOST_SAID = 200
"""Characters of an error's text, in which the server may have a part."""
SESSION_S = 60
"""An abandoned session dies after so long, so that sessions never pile up; longer where scans are rarer."""
RENEW_AT = 0.75
"""Share of its life after which a channel's token is renewed (OPC 10000-4, 5.6.2.1)."""

_GONE = {
    ua.StatusCodes.BadSessionClosed,
    ua.StatusCodes.BadSessionIdInvalid,
    ua.StatusCodes.BadSessionNotActivated,
    ua.StatusCodes.BadSecureChannelClosed,
    ua.StatusCodes.BadSecureChannelIdInvalid,
    ua.StatusCodes.BadConnectionClosed,
    ua.StatusCodes.BadServerHalted,
    ua.StatusCodes.BadShutdown,
}


def status_name(code: int) -> str:
    """The symbolic name of a StatusCode, without its info bits."""
    known = ua.status_codes.code_to_name_doc.get(code & 0xFFFF0000)
    return known[0] if known is not None else ("Good", "Uncertain", "Bad", "Bad")[code >> 30]


def status_text(code: int) -> str:
    """A StatusCode as signals say it: `BadSensorFailure (0x808C0000)`."""
    return f"{status_name(code)} (0x{code:08X})"


class Session:
    """A connected, activated session; `ask` answers, `post` does not wait."""

    def __init__(self, device: OpcuaDevice, state_dir: Path | None, longest_ms: int, stats: LinkStats) -> None:
        """`longest_ms`: the longest time between two requests."""
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what matters comes as an error, said once
        self._device = device
        self._state_dir = state_dir
        self._stats = stats
        self._renew_at = float("inf")
        self._client = Client(device.url, timeout=ANSWER_S)
        self._client.session_timeout = max(SESSION_S * 1000, 3 * longest_ms)
        self._client.uaclient.pre_request_hook = None
        self._closed = False

    async def open(self) -> None:
        """Connect, secure and log in. Raises ConnectFailed or ConfigError."""
        client = self._client
        await secure(client, self._device, self._state_dir)
        try:
            await connect_socket(client)
            await client.send_hello()
            await client.open_secure_channel()
            self._renew_at = self._renewal()
            await client.create_session()
            await client._activate_with_credentials()
        except (*LIBRARY_ERRORS, *GARBLED) as error:
            raise explain(error, self._device.url) from error

    def _renewal(self) -> float:
        return asyncio.get_running_loop().time() + RENEW_AT * float(self._client.secure_channel_timeout) / 1000

    async def renew_if_due(self) -> None:
        """Renew the channel's token once most of its life is over. Raises NotConnected."""
        if asyncio.get_running_loop().time() < self._renew_at:
            return
        try:
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()
        except (OSError, TimeoutError, ua.UaError) as error:
            raise NotConnected(f"the secure channel could not be renewed: {error or type(error).__name__}") from error
        self._renew_at = self._renewal()

    @property
    def protocol(self) -> Any:
        """asyncua's connection. Raises NotConnected where there is none."""
        protocol = self._client.uaclient.protocol
        if protocol is None or protocol.transport is None:
            raise NotConnected("the connection is closed")
        return protocol

    def post(self, request: Any, timeout_s: float) -> asyncio.Future[Any]:
        """Send a request; the future has its response's body, or the connection's error. Raises NotConnected.

        `timeout_s` is told to the server; 0 is without limit.
        """
        future: asyncio.Future[Any] = self.protocol._send_request(request, timeout_s)
        future.add_done_callback(look_at)
        self._stats.requests += 1
        return future

    async def ask(self, request: Any, timeout_s: float = ANSWER_S) -> Any:
        """The response to a request. Raises ua.UaStatusCodeError for a refusal, else NotConnected."""
        name = type(request).__name__.removesuffix("Request")
        body = await self.answer(self.post(request, timeout_s), name, timeout_s)
        if (fault := fault_of(body)) is not None:
            check_result(fault)
        response = decoded(getattr(ua, f"{name}Response"), body)
        check_result(response.ResponseHeader.ServiceResult.value)
        return response

    async def answer(self, future: asyncio.Future[Any], name: str, timeout_s: float) -> Buffer:
        """The body of a response that is awaited. Raises NotConnected where none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                body: Buffer = await future
        except TimeoutError:
            self._stats.timeouts += 1
            raise NotConnected(f"{name} was not answered within {timeout_s:g} s", "check the server's load") from None
        except (OSError, ua.UaError) as error:
            raise lost(error) from error
        self._stats.bytes_read += len(body)
        return body

    async def close(self) -> None:
        """Close the session with its subscriptions, the channel and the socket; idempotent, never raises."""
        if self._closed:
            return
        self._closed = True
        low = self._client.uaclient
        protocol = low.protocol
        transport = None if protocol is None else protocol.transport
        try:
            if protocol is not None and protocol._connection.is_open():  # else there are no keys to say it with
                async with asyncio.timeout(CLOSE_S):
                    await low.close_session(True)
                    await low.close_secure_channel()
        except (OSError, TimeoutError, ua.UaError):
            pass  # it is gone already, or the server will notice
        low.disconnect_socket()
        if transport is not None:
            transport.abort()


def look_at(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting any more for what the end of the connection does to a request."""
    if not future.cancelled():
        future.exception()


def decoded(kind: Any, body: Buffer) -> Any:
    """A structure by asyncua's own decoder. Raises NotConnected where it is garbled."""
    try:
        return struct_from_binary(kind, body)
    except GARBLED as error:
        raise garbled(kind.__name__, error) from error


def garbled(name: str, error: Exception) -> NotConnected:
    """A response that is not what its type has, in words."""
    words = f"{name} is garbled: {f'{error}'[:MOST_SAID] or type(error).__name__}"
    return NotConnected(words, "report it to the server's maker")


def fault_of(body: Buffer) -> int | None:
    """The bad StatusCode of a ServiceFault; None for any other response."""
    ahead = body.copy()
    if nodeid_from_binary(ahead) != SERVICE_FAULT:
        return None
    code: int = decoded(ua.ResponseHeader, ahead).ServiceResult.value
    return code if code >> 31 else int(ua.StatusCodes.BadUnexpectedError)


def check_result(code: int) -> None:
    """Raise what a bad ServiceResult means: NotConnected where the session is over, else ua.UaStatusCodeError."""
    if code >> 31:
        if code & 0xFFFF0000 in _GONE:
            raise NotConnected(f"the server ended the session: {status_text(code)}", "see the server's own log")
        raise ua.UaStatusCodeError(code)


def lost(error: Exception) -> NotConnected:
    """The connection's end in words."""
    if isinstance(error, ua.UaStatusCodeError):
        return NotConnected(f"the server closed the connection: {status_text(error.code)}", "see the server's own log")
    return NotConnected("the connection was closed", "check the server and the network between")


def refused(service: str, error: Any) -> ConfigError:
    """A server that does not do what cannot be done without."""
    words = f"the server refuses {service}: {status_text(error.code)}"
    return ConfigError(words, "see the server's own log; it may be another profile or a missing right")
