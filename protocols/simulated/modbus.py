"""Serves simulated units over real Modbus TCP, and holds whoever asks for more than reading to it.

Listening, connections and MBAP frames are pymodbus's. The requests are answered here: its own request handler loses
the second of two requests that arrive together, has no undefined coils, and drops unknown function codes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.simulated.registers import Table, Unit

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, TARGET_SILENT = 1, 2, 3, 11
_READ_DEVICE_IDENTIFICATION = (43, 14)
_MOST = {Table.COIL: 2000, Table.DISCRETE: 2000, Table.HOLDING: 125, Table.INPUT: 125}
_IDENTITY = {0: b"linegate", 1: b"simulated filler", 2: b"1.0"}
_RECEIVE_LIMIT = 1 << 16


@dataclass(frozen=True, slots=True)
class Violation:
    """A request outside the allow-list of function codes 1 to 4 and 43/14."""

    unit_id: int
    request: bytes
    """The PDU, function code first."""

    def __str__(self) -> str:
        return f"function code {self.request[0]} to unit {self.unit_id}: {self.request.hex(' ')}"


class ModbusPlc:
    """Units behind one TCP port. `now` gives simulated time, once a request, and brings the units up to it.

    An address that is not defined gets exception 2, an unknown unit id exception 11, and a function code outside the
    allow-list exception 1 and a place in `violations`.
    """

    def __init__(
        self, units: Mapping[int, Unit], now: Callable[[], int], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.violations: list[Violation] = []
        self.muted = False
        """Whether requests are swallowed; connections stay."""
        self.host, self.port = host, port
        self.requests = 0
        self._units, self._now = units, now
        self._server: _Server | None = None
        self._claim: socket.socket | None = None

    async def start(self) -> int:
        """Listens; returns the port. OSError where it is taken."""
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)
        # A bound socket that does not listen keeps the number ours while `refuse` has closed the listener.
        self._claim = socket.socket()
        self._claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._claim.bind((self.host, self.port))
        self.port = self._claim.getsockname()[1]
        self._server = _Server(self, self.host, self.port)
        await self.accept()
        return self.port

    async def accept(self) -> None:
        """Takes connections, again after `refuse`."""
        assert self._server is not None, "not started"
        if not self._server.is_active() and not await self._server.listen():
            raise OSError(f"cannot listen on {self.host}:{self.port}")

    def refuse(self) -> None:
        """Refuses new connections; those that are there stay."""
        if self._server is not None and self._server.is_active():
            self._server.stop_listening()

    def drop(self) -> None:
        """Closes all connections."""
        if self._server is not None:
            for connection in list(self._server.active_connections.values()):
                connection.close()

    async def close(self) -> None:
        """Stops; idempotent."""
        self.refuse()
        self.drop()
        if self._claim is not None:
            self._claim.close()
        # The transports close their sockets in the loop's next turn.
        await asyncio.sleep(0)

    def answer(self, unit_id: int, request: bytes) -> bytes:
        """The response PDU to a request PDU."""
        self.requests += 1
        code = request[0]
        if not 1 <= code <= 4 and (code, *request[1:2]) != _READ_DEVICE_IDENTIFICATION:
            self.violations.append(Violation(unit_id, request))
            return _exception(code, ILLEGAL_FUNCTION)
        unit = self._units.get(unit_id)
        if unit is None:
            return _exception(code, TARGET_SILENT)
        return self._read(unit, request) if code <= 4 else _identify(request)

    def _read(self, unit: Unit, request: bytes) -> bytes:
        table = Table(request[0])
        if len(request) != 5:
            return _exception(table, ILLEGAL_VALUE)
        address, count = struct.unpack_from(">HH", request, 1)
        if not 1 <= count <= _MOST[table]:
            return _exception(table, ILLEGAL_VALUE)
        data = unit.read(table, address, count, self._now())
        if data is None:
            return _exception(table, ILLEGAL_ADDRESS)
        return bytes((table, len(data))) + data


def _exception(code: int, why: int) -> bytes:
    return bytes((code & 0x7F | 0x80, why))


def _identify(request: bytes) -> bytes:
    """Read Device Identification, basic objects as a stream or one of them (clause 6.21)."""
    if len(request) != 4 or request[2] not in (1, 2, 3, 4):
        return _exception(request[0], ILLEGAL_VALUE)
    how, wanted = request[2], request[3]
    if how == 4 and wanted not in _IDENTITY:
        return _exception(request[0], ILLEGAL_ADDRESS)
    chosen = {wanted: _IDENTITY[wanted]} if how == 4 else _IDENTITY
    objects = b"".join(bytes((number, len(text))) + text for number, text in chosen.items())
    return bytes((*_READ_DEVICE_IDENTIFICATION, how, 0x81, 0, 0, len(chosen))) + objects


class _Server(ModbusTcpServer):
    """pymodbus's server with our connections."""

    def __init__(self, plc: ModbusPlc, host: str, port: int) -> None:
        # The library wants a data store; ours is asked before it.
        unused = SimDevice(id=0, simdata=SimData(0, datatype=DataType.REGISTERS))
        super().__init__(unused, address=(host, port))
        self.plc = plc

    def callback_new_connection(self) -> _Connection:  # type: ignore[no-untyped-def, unused-ignore]
        return _Connection(self, None, None, None)  # type: ignore[no-untyped-call]

    def stop_listening(self) -> None:
        self.transport.close()
        self.transport = None  # type: ignore[assignment]


class _Connection(ServerRequestHandler):
    """One client: answers each whole frame in what has arrived, in order, with one write."""

    server: _Server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The library forgets what it holds beyond 264 bytes: 22 requests that a client has in flight.
        self.max_buffer_size = _RECEIVE_LIMIT
        super().connection_made(transport)

    def callback_data(self, data: bytes, addr: tuple[object, ...] | None = None) -> int:
        plc, used, answers = self.server.plc, 0, []
        while used < len(data):
            length, unit_id, transaction, request = self.framer.decode(data[used:])
            if (length and not request) or data[used + 2 : used + 4] not in (b"", b"\0", b"\0\0"):
                self.close()  # not Modbus TCP
                return len(data)
            if not length:
                break
            used += length
            answers.append(self.framer.encode(plc.answer(unit_id, request), unit_id, transaction))
        if answers and not plc.muted:
            self.send(b"".join(answers))
            self.recv_buffer = data  # sending cleared it, but the caller cuts off what is used
        return used
