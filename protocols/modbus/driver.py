"""The Modbus TCP driver: scans on time, checks every reply, and turns what fails into bad signals of one block."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException

from ext.table import DecodeError
from protocols.driver import ConnectFailed, EndpointConfig, LinkStats, NotConnected
from protocols.modbus.allowed import read_request
from protocols.modbus.config import ModbusTcpDevice
from protocols.modbus.plan import Request, plan_requests
from protocols.modbus.raw import RawReply, unread_bytes, use_raw_replies
from protocols.model import Batch
from protocols.schedule import Schedule

if TYPE_CHECKING:
    from ext.table import SignalTable

SILENT_SCANS = 2
"""Scans in a row without any reply from the endpoint after which the connection is given up."""

MOST_SILENCES = 2
"""Requests without an answer after which a scan of a unit that answered nothing is ended."""

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Exception codes (Modbus Application Protocol V1.1b3, clause 7)."""

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)  # a dump of hex at every timeout


class _BlockFailed(Exception):
    """One request brought nothing that can be used; its message becomes the signals' `why`."""


class _Silent(_BlockFailed):
    """There was no answer at all."""


@dataclass(frozen=True, slots=True)
class _Unit:
    device: ModbusTcpDevice
    table: SignalTable
    requests: list[Request]


class ModbusTcpDriver:
    """One TCP connection and all unit ids behind it; requests on it take turns."""

    def __init__(self, endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> None:
        devices = cast("Mapping[str, ModbusTcpDevice]", endpoint.devices)
        self._units = {
            name: _Unit(device, tables[name], plan_requests(device, tables[name])) for name, device in devices.items()
        }
        first = next(iter(devices.values()))
        self._host, self._port = first.host, first.port
        self._timeout_s = max(device.timeout for device in devices.values()) / 1000
        self._schedule = Schedule((name, device.scan_interval) for name, device in devices.items())
        self._overruns_before = stats.overruns
        self._stats = stats
        self._client: AsyncModbusTcpClient | None = None
        self._waiting = False
        self._silent_scans = 0

    async def connect(self) -> None:
        """Open the TCP connection; raises ConnectFailed."""
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_connect=self._connection_changed,
        )
        use_raw_replies(client)
        self._client = client
        if not await client.connect():
            words = "check that the PLC is on, its address and port, and that nothing else holds its only connection"
            raise ConnectFailed(f"no connection to {self._host}:{self._port}", words)

    def _connection_changed(self, connected: bool) -> None:
        """Called by pymodbus; a request under way must not wait for its timeout when the connection is gone."""
        if not connected and self._waiting and self._client is not None:
            future = self._client.ctx.response_future
            if not future.done():
                future.set_exception(ConnectionException("closed by the other side"))

    async def read(self) -> Batch:
        """Run the next scan that is due."""
        name = await self._schedule.next()
        self._stats.overruns = self._overruns_before + self._schedule.overruns
        unit = self._units[name]
        began = time.monotonic()
        answered = await self._scan(unit)
        self._stats.round_trip_ms = (time.monotonic() - began) * 1000
        self._silent_scans = 0 if answered else self._silent_scans + 1
        if self._silent_scans >= SILENT_SCANS * len(self._units):
            raise NotConnected(
                f"{self._host}:{self._port} is connected but answers nothing",
                "check the unit_id, and that the PLC's Modbus server is running",
            )
        return Batch(name, changes=unit.table.take())

    async def _scan(self, unit: _Unit) -> bool:
        """All requests of one device; whether any was answered."""
        answered, silences = False, 0
        for position, request in enumerate(unit.requests):
            try:
                body = await self._ask(unit.device, request)
                answered = True
                request.decode.decode(body)
            except _Silent as silence:
                self._stats.timeouts += 1
                silences += 1
                request.decode.fail(str(silence))
                if silences == MOST_SILENCES and not answered:  # not a block but the unit: neighbours want their turn
                    for unasked in unit.requests[position:]:
                        unasked.decode.fail(str(silence))
                    break
            except (_BlockFailed, DecodeError) as problem:
                answered = True
                self._stats.request_errors += 1
                request.decode.fail(str(problem))
        return answered

    async def _ask(self, device: ModbusTcpDevice, request: Request) -> bytes:
        """One request; the reply's data after its byte count, once everything about it is checked."""
        client = self._client
        if client is None or not client.connected:
            raise NotConnected(f"{self._host}:{self._port} closed the connection", "see the PLC's connection limit")
        pdu = read_request(request.table, request.address, request.count, device.unit_id)
        self._stats.requests += 1
        self._waiting = True
        try:
            async with asyncio.timeout(device.timeout / 1000):
                reply = await client.execute(False, pdu)
        except ConnectionException as error:
            raise NotConnected(f"{self._host}:{self._port}: {error.string}", "see the PLC's connection limit") from None
        except (TimeoutError, ModbusIOException):
            if not client.connected:
                raise NotConnected(f"{self._host}:{self._port} closed the connection") from None
            if unread_bytes(client):
                raise _BlockFailed("the reply was cut or garbled") from None
            raise _Silent(f"no answer within {device.timeout / 1000:g} s") from None
        finally:
            self._waiting = False
        return self._checked(reply, pdu.transaction_id, device.unit_id, request)

    def _checked(self, reply: object, transaction_id: int, unit_id: int, request: Request) -> bytes:
        if not isinstance(reply, RawReply):
            raise _BlockFailed("no reply")
        if reply.transaction_id != transaction_id or reply.dev_id != unit_id:
            raise _BlockFailed("the reply belongs to another request")
        if reply.function_code == request.table | 0x80 and reply.body:
            code = reply.body[0]
            raise _BlockFailed(f"exception {code} ({EXCEPTIONS.get(code, 'not in the standard')}) for {request}")
        if reply.function_code != request.table or not reply.body:
            raise _BlockFailed(f"the reply has function code {reply.function_code}, {int(request.table)} was asked")
        body = reply.body[1:]
        if reply.body[0] != len(body):
            raise _BlockFailed(f"the reply announces {reply.body[0]} bytes and holds {len(body)}")
        self._stats.bytes_read += len(body)
        return body

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
