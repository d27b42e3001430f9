"""pymodbus's own servers, whose registers hold their own address: an independent peer on TCP, TLS and RTU over TCP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

ADDRESSES = 1 << 16


@asynccontextmanager
async def pymodbus_server(
    framer: FramerType = FramerType.SOCKET, context: ssl.SSLContext | None = None, unit: int = 1
) -> AsyncIterator[int]:
    """Serves one unit; the port. TLS where there is a context, with MBAP frames in it as the standard has them."""
    bits = [SimData(0, values=[bool(n & 1) for n in range(ADDRESSES)], datatype=DataType.BITS)]
    registers = [SimData(0, values=list(range(ADDRESSES)), datatype=DataType.REGISTERS)]
    device = SimDevice(id=unit, simdata=(bits, bits, registers, registers))
    address = ("127.0.0.1", 0)
    server: ModbusTcpServer = (
        ModbusTcpServer(device, framer=framer, address=address)
        if context is None
        else ModbusTlsServer(device, framer=framer, address=address, sslctx=context)
    )
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
