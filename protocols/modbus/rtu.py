"""Modbus RTU on a serial line or carried by TCP: pymodbus connects and sends, one request at a time.

RTU has no transaction id; `order` says which reply may be believed, and when a fence must be asked first.
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
from protocols.modbus.order import Heard, Order, Shape
from protocols.modbus.raw import RawReply, use_frames
from protocols.modbus.request import UNREACHABLE, Outcome, Request

QUIET_S = 0.05
"""Time without a byte after which a line counts as quiet."""
MOST_FENCES = 3
"""Fences in a row that a unit may answer without settling what it is to be asked."""
LINE_REMEDY = "check the line and its termination, the baud rate and the parity"

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)  # a dump of hex at every timeout


class RtuLink:
    """One line or one TCP connection."""

    def __init__(self, device: ModbusRtuDevice | ModbusRtuOverTcpDevice, timeout_s: float, stats: LinkStats) -> None:
        self._stats = stats
        self._heard_at = 0.0
        self._waiting = False
        self._unit_id = 0
        self._fenced: Shape | None = None
        """What a fence under way is to settle."""
        self._late = False
        self._strange = b""
        """The last reply of the unit that is asked which was none to what it is asked."""
        self._patience = asyncio.timeout(None)
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
        self._framer = use_frames(self._client, self._frame, self._awaits)

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
            request.failure = None
            if await self._in_order(request, timeout_s, pause_s):
                reply = await self._exchange(request, request.pdu, request.shape, timeout_s, pause_s)
                if reply is not None:
                    self._stats.bytes_read += len(reply)
                    request.receive(reply, 0, len(reply))
            failure = request.failure
            if failure is None or failure.outcome is Outcome.REFUSED:
                continue
            await self._until_quiet(timeout_s)
            if failure.outcome is Outcome.SILENT:  # it would be for the others too, and takes its neighbours' time
                for unasked in requests[position + 1 :]:
                    unasked.fail(Outcome.UNASKED, f"not asked, since {request} was not answered")
                return

    async def _in_order(self, request: Request, timeout_s: float, pause_s: float) -> bool:
        """Whether its answer could be told from a late one, now or after a fence; else it has its `failure`."""
        order = self._stats.orders.get(request.unit_id)
        if order is None:
            order = self._stats.orders[request.unit_id] = Order()
            order.asked(request.shape)
        for _ in range(MOST_FENCES):
            if order.tells(request.shape):
                return True
            pdu, shape = order.fence(request.shape, request.address)
            self._fenced = request.shape
            try:
                reply = await self._exchange(request, pdu, shape, timeout_s, pause_s)
            finally:
                self._fenced = None
            if reply is None:
                order.fence_was_ignored()
                return False
            if reply[0] & 0x80 and reply[1] in UNREACHABLE:
                request.refuse(reply[1])
                return False
        request.fail(Outcome.GARBLED, "its answer cannot be told from a late one yet")
        return False

    async def _exchange(
        self, request: Request, pdu: bytes, shape: Shape, timeout_s: float, pause_s: float
    ) -> bytes | None:
        """Send `pdu`, the request's own or its fence, and wait for the reply; None: the request has its `failure`."""
        if pause_s:
            await asyncio.sleep(pause_s)
        if not self._client.connected:
            raise NotConnected(f"{self.name} is closed", "check the line")
        self._stats.requests += 1
        self._stats.orders[request.unit_id].asked(shape)
        self._unit_id, self._late, self._strange, self._framer.unread = request.unit_id, False, b"", b""
        self._waiting = True
        try:
            async with asyncio.timeout(timeout_s) as self._patience:
                reply = await self._client.execute(False, read_request(pdu, request.unit_id))
        except ConnectionException as error:
            raise NotConnected(f"{self.name}: {error.string}", "check the line") from None
        except (TimeoutError, ModbusIOException):
            if not self._client.connected:
                raise NotConnected(f"{self.name} was closed", "check the line") from None
            self._explain(request, shape, timeout_s)
            return None
        finally:
            self._waiting = False
        assert isinstance(reply, RawReply)
        return reply.pdu

    def _explain(self, request: Request, shape: Shape, timeout_s: float) -> None:
        """Why nothing came that could be believed."""
        unread, whole = self._framer.unread, shape[1] + 5
        if self._strange and self._fenced is None:
            request.receive(self._strange, 0, len(self._strange))
        elif self._strange:
            request.fail(Outcome.GARBLED, "the reply belongs to another request")
        elif unread.startswith(bytes((request.unit_id, shape[0]))) and len(unread) < whole:
            request.fail(Outcome.GARBLED, f"the reply was cut or garbled: {len(unread)} of {whole} bytes came")
        elif unread:
            request.fail(Outcome.GARBLED, f"garbled: wrong checksum over {len(unread)} bytes; {LINE_REMEDY}")
        else:
            self._stats.timeouts += 1
            late = ", only to earlier requests" if self._late else ""
            request.fail(Outcome.SILENT, f"no answer within {timeout_s:g} s{late}")

    def _frame(self, unit_id: int, pdu: bytes) -> bool:
        """Called with every frame, whether it is waited for or not; True ends the wait."""
        order = self._stats.orders.get(unit_id)
        if order is None:
            return False
        heard = order.heard(pdu)
        if not self._waiting or unit_id != self._unit_id:
            return False
        if heard is Heard.STRANGE:
            self._strange = pdu
        if heard is Heard.STRANGE and not self._patience.expired():
            soon = asyncio.get_running_loop().time() + QUIET_S  # the right one may be just behind
            self._patience.reschedule(min(self._patience.when() or soon, soon))
        self._late |= heard is Heard.LATE
        return heard is Heard.ANSWER or (self._fenced is not None and order.tells(self._fenced))

    def _awaits(self, unit_id: int, function: int, size: int) -> bool:
        order = self._stats.orders.get(unit_id)
        return order is not None and not order.tells((function, size))

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
