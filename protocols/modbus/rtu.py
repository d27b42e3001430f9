"""Modbus RTU on a serial line or carried by TCP: pymodbus frames and connects, one request at a time.

RTU has no transaction id, so a late answer looks like the next one's. After a silence the line is
listened to until it is quiet, and the driver leaves the silent unit alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
import termios
import time
from collections.abc import Sequence
from typing import Any

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.framer import FramerType

from protocols.driver import ConnectFailed, LinkStats, NotConnected
from protocols.modbus.allowed import read_request
from protocols.modbus.config import ModbusRtuDevice, ModbusRtuOverTcpDevice
from protocols.modbus.raw import RawReply, unread_bytes, use_raw_replies
from protocols.modbus.request import Outcome, Request

QUIET_S = 0.05
"""Time without a byte after which a line counts as quiet."""

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)  # a dump of hex at every timeout


class RtuLink:
    """One line or one TCP connection."""

    def __init__(self, device: ModbusRtuDevice | ModbusRtuOverTcpDevice, timeout_s: float, stats: LinkStats) -> None:
        self._stats = stats
        self._heard_at = 0.0
        self._waiting = False
        options: dict[str, Any] = {
            "framer": FramerType.RTU,
            "timeout": timeout_s,
            "retries": 0,
            "reconnect_delay": 0,
            "trace_connect": self._connection_changed,
            "trace_packet": self._heard,
        }
        self._client: AsyncModbusSerialClient | AsyncModbusTcpClient
        if isinstance(device, ModbusRtuDevice):
            line = device.serial
            self.name = line.path
            self._client = AsyncModbusSerialClient(
                line.path, baudrate=line.baud, parity=line.parity[0].upper(), stopbits=line.stop_bits, **options
            )
        else:
            self.name = device.endpoint
            self._client = AsyncModbusTcpClient(device.host, port=device.port, **options)
        use_raw_replies(self._client)

    async def open(self) -> None:
        """Connect; raises ConnectFailed."""
        try:
            connected = await self._client.connect()
        except (OSError, termios.error, ValueError) as error:
            remedy = "check the path, that the daemon's user may open it, and that it takes this baud rate and parity"
            raise ConnectFailed(f"{self.name} cannot be opened: {error}", remedy) from None
        if not connected:
            remedy = "check that it exists or answers, and that nothing else holds it"
            raise ConnectFailed(f"no connection to {self.name}", remedy)

    async def ask(self, requests: Sequence[Request], timeout_s: float, pause_s: float) -> None:
        """Send one after another; each then has its values or its `failure`. Raises NotConnected."""
        for position, request in enumerate(requests):
            if pause_s:
                await asyncio.sleep(pause_s)
            await self._ask(request, timeout_s)
            failure = request.failure
            if failure is None or failure.outcome is Outcome.REFUSED:
                continue
            await self._until_quiet(timeout_s)
            if failure.outcome is Outcome.SILENT:  # the late answer must not become the next one's
                for unasked in requests[position + 1 :]:
                    unasked.fail(Outcome.UNASKED, f"not asked, since {request} was not answered")
                return

    async def _ask(self, request: Request, timeout_s: float) -> None:
        if not self._client.connected:
            raise NotConnected(f"{self.name} is closed", "check the line")
        request.failure = None
        self._stats.requests += 1
        self._waiting = True
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._client.execute(False, read_request(request.pdu, request.unit_id))
        except ConnectionException as error:
            raise NotConnected(f"{self.name}: {error.string}", "check the line") from None
        except (TimeoutError, ModbusIOException):
            if not self._client.connected:
                raise NotConnected(f"{self.name} was closed", "check the line") from None
            if unread_bytes(self._client):
                request.fail(Outcome.GARBLED, "the reply was cut or garbled")
            else:
                self._stats.timeouts += 1
                request.fail(Outcome.SILENT, f"no answer within {timeout_s:g} s")
            return
        finally:
            self._waiting = False
        if not isinstance(reply, RawReply) or reply.dev_id != request.unit_id:
            request.fail(Outcome.GARBLED, "the reply belongs to another request")
            return
        body = bytes((reply.function_code,)) + reply.body
        self._stats.bytes_read += len(body)
        request.receive(body, 0, len(body))

    async def _until_quiet(self, longest_s: float) -> None:
        """Wait until no byte has come for a while: what is still on its way answers nothing that is asked later."""
        deadline = time.monotonic() + longest_s
        while True:
            await asyncio.sleep(QUIET_S)
            now = time.monotonic()
            if now - self._heard_at >= QUIET_S or now > deadline:
                return

    def _heard(self, sending: bool, data: bytes) -> bytes:
        """Called by pymodbus with every piece of bytes."""
        if not sending:
            self._heard_at = time.monotonic()
        return data

    def _connection_changed(self, connected: bool) -> None:
        """Called by pymodbus; a request under way must not wait for its timeout when the connection is gone."""
        future = self._client.ctx.response_future
        if not connected and self._waiting and not future.done():
            future.set_exception(ConnectionException("closed by the other side"))

    async def close(self) -> None:
        """Close the line."""
        self._client.close()
