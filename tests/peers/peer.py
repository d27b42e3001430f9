"""A Modbus peer whose every byte a test decides: MBAP or RTU frames, over TCP or a pseudo terminal."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import tty
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

Framing: TypeAlias = Literal["mbap", "rtu"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    unit: int
    function: int
    address: int
    count: int
    transaction: int
    at: float
    """Time of the loop."""

    def covers(self, address: int) -> bool:
        """Whether the address is among those asked for."""
        return self.address <= address < self.address + self.count


Pieces: TypeAlias = Iterable[tuple[float, bytes | None]]
"""What is sent, each piece so many seconds after the request; None closes the connection."""
Script: TypeAlias = Callable[[Asked, bytes], Pieces]
"""Makes what is sent in place of the right frame."""


def crc16(data: bytes) -> bytes:
    """The check of an RTU frame (Modbus over Serial Line V1.02, 6.2.2), bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class Unit:
    """A unit's memory: registers hold their own address, bits are on at odd ones. `holes` are refused."""

    def __init__(self, holes: Iterable[int] = (), code: int = 2) -> None:
        self.holes = set(holes)
        self.code = code
        self.silent = False

    def answer(self, asked: Asked) -> bytes | None:
        """The reply PDU."""
        places = range(asked.address, asked.address + asked.count)
        if self.silent:
            return None
        if self.holes & set(places) or places.stop > 1 << 16:
            return bytes((asked.function | 0x80, self.code))
        if asked.function in (1, 2):
            bits = sum((place & 1) << (place - asked.address) for place in places)
            data = bits.to_bytes((asked.count + 7) // 8, "little")
        else:
            data = struct.pack(f">{asked.count}H", *places)
        return bytes((asked.function, len(data))) + data


class Peer:
    """All units behind one endpoint, and what was asked of them; `violations` must stay empty."""

    def __init__(self, framing: Framing, units: dict[int, Unit], *, only_one: bool = False) -> None:
        self.framing: Framing = framing
        self.units = units
        self.script: Script = lambda _, frame: [(0.0, frame)]
        self.asked: list[Asked] = []
        self.violations: list[str] = []
        self.connections = 0
        self.most_waiting = 0
        """Most requests that were without an answer at one time."""
        self.port = 0
        self.path = ""
        self.only_one = only_one
        self.open: list[_Wire] = []

    def frame(self, asked: Asked, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        """A reply as it travels; `unit` and `transaction` where they are to be wrong."""
        body = bytes((asked.unit if unit is None else unit,)) + pdu
        if self.framing == "rtu":
            return body + crc16(body)
        return struct.pack(">HHH", asked.transaction if transaction is None else transaction, 0, len(body)) + body

    def drop(self) -> None:
        """Close all connections."""
        for wire in list(self.open):
            wire.close()


class _Wire(asyncio.Protocol):
    """One connection or line: cuts requests out of its bytes and sends what the script says."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._buffer = b""
        self._waiting = 0
        self._timers: set[asyncio.TimerHandle] = set()
        self._transport: asyncio.Transport | None = None
        self.hang_up: Callable[[], object] = lambda: None
        """How a line goes away; a connection is closed."""
        self._send: Callable[[bytes], object] = lambda _: None

    def attach(self, send: Callable[[bytes], object]) -> None:
        """Where its bytes go."""
        self._send = send
        self._peer.open.append(self)
        self._peer.connections += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        others = [wire for wire in self._peer.open if not wire.is_closed_over_there()]
        if others and self._peer.only_one:
            self._peer.violations.append("a second connection while one is open")
        self.attach(transport.write)

    def connection_lost(self, error: Exception | None) -> None:
        self.close()

    def is_closed_over_there(self) -> bool:
        """Whether the other side has closed already, even if asyncio has not looked yet."""
        own = self._transport.get_extra_info("socket") if self._transport is not None else None
        if own is None or own.fileno() < 0:
            return self._transport is not None
        with socket.socket(fileno=os.dup(own.fileno())) as twin:
            try:
                return twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            except BlockingIOError:
                return False
            except OSError:
                return True

    def close(self) -> None:
        """End it; idempotent."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self in self._peer.open:
            self._peer.open.remove(self)
        if self._transport is not None:
            self._transport.close()
        self.hang_up()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            length = self._length()
            if len(self._buffer) < length:
                return
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            self._obey(frame)

    def _length(self) -> int:
        if self._peer.framing == "mbap":
            return 8 if len(self._buffer) < 6 else 6 + int.from_bytes(self._buffer[4:6], "big")
        return 8  # function codes 1 to 4; anything else is a violation

    def _obey(self, frame: bytes) -> None:
        peer, now = self._peer, asyncio.get_running_loop().time()
        pdu = frame[1:-2] if peer.framing == "rtu" else frame[7:]
        unit = frame[0] if peer.framing == "rtu" else frame[6]
        if peer.framing == "rtu" and crc16(frame[:-2]) != frame[-2:]:
            peer.violations.append(f"a request with a wrong CRC: {frame.hex(' ')}")
            self._buffer = b""
            return
        if len(pdu) != 5 or pdu[0] not in (1, 2, 3, 4):
            peer.violations.append(f"not a request to read: {frame.hex(' ')}")
            return
        function, address, count = struct.unpack(">BHH", pdu)
        transaction = int.from_bytes(frame[:2], "big") if peer.framing == "mbap" else 0
        asked = Asked(unit, function, address, count, transaction, now)
        peer.asked.append(asked)
        device = peer.units.get(unit)
        answer = None if device is None else device.answer(asked)
        if answer is None:
            return
        self._waiting += 1
        peer.most_waiting = max(peer.most_waiting, self._waiting)
        self._schedule(list(peer.script(asked, peer.frame(asked, answer))))

    def _schedule(self, pieces: list[tuple[float, bytes | None]]) -> None:
        loop = asyncio.get_running_loop()
        for number, (delay, data) in enumerate(pieces):
            is_last = number == len(pieces) - 1
            if delay <= 0:
                self._deliver(data, is_last)
                continue
            self._timers.add(loop.call_later(delay, self._deliver, data, is_last))
        if not pieces:
            self._waiting -= 1

    def _deliver(self, data: bytes | None, is_last: bool) -> None:
        self._waiting -= is_last
        if data is None:
            self.close()
        elif data:
            self._send(data)


@asynccontextmanager
async def tcp_peer(
    framing: Framing, units: dict[int, Unit], *, only_one: bool = False, context: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """A peer that listens on loopback; it fails the test if it was asked for anything but reading."""
    peer = Peer(framing, units, only_one=only_one)
    server = await asyncio.get_running_loop().create_server(lambda: _Wire(peer), "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
        assert peer.violations == []
    finally:
        server.close()
        peer.drop()
        await server.wait_closed()


@asynccontextmanager
async def pty_peer(units: dict[int, Unit]) -> AsyncIterator[Peer]:
    """A peer at the end of a serial line; `path` is the other end. Closing it is what unplugging an adapter is."""
    peer = Peer("rtu", units)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    peer.path = os.ttyname(theirs)
    wire, loop = _Wire(peer), asyncio.get_running_loop()
    wire.attach(lambda data: os.write(ours, data))

    def hang_up() -> None:
        wire.hang_up = lambda: None
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)

    wire.hang_up = hang_up
    loop.add_reader(ours, lambda: wire.data_received(os.read(ours, 4096)))
    try:
        yield peer
        assert peer.violations == []
    finally:
        wire.close()
