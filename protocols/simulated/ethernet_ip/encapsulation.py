"""EtherNet/IP encapsulation: frames, sessions, and the items around a CIP message (CIP Volume 2, chapter 2)."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from protocols.simulated.ethernet_ip.connections import Manager
from protocols.simulated.ethernet_ip.objects import LOGIX_CONTROLLER, ROCKWELL, Identity

HEADER = struct.Struct("<HHII8sI")
"""Command, length of what follows, session handle, status, sender context, options."""
_VERSION = 1
_NULL, _CONNECTED_ADDRESS, _CONNECTED_DATA, _UNCONNECTED_DATA = 0x0000, 0x00A1, 0x00B1, 0x00B2
_IDENTITY_ITEM, _SERVICES_ITEM = 0x000C, 0x0100
_CAPABILITIES = 0x0120
"""CIP over TCP, and class 0 and 1 over UDP."""
_OPERATIONAL = 3


class Command(IntEnum):
    """Encapsulation commands."""

    NOP = 0x00
    LIST_SERVICES = 0x04
    LIST_IDENTITY = 0x63
    LIST_INTERFACES = 0x64
    REGISTER_SESSION = 0x65
    UNREGISTER_SESSION = 0x66
    SEND_RR_DATA = 0x6F
    SEND_UNIT_DATA = 0x70


_COMMANDS = frozenset(Command)


class Failure(IntEnum):
    """Encapsulation status."""

    INVALID_COMMAND = 0x01
    INCORRECT_DATA = 0x03
    INVALID_SESSION = 0x64
    INVALID_LENGTH = 0x65
    UNSUPPORTED_VERSION = 0x69


class Malformed(Exception):
    """A frame is answered with an encapsulation status."""

    def __init__(self, status: Failure) -> None:
        super().__init__(status.name)
        self.status = status


class Stack:
    """What all sessions share: the identity, the connection manager, and the handles that are given out."""

    def __init__(self, identity: Identity, manager: Manager) -> None:
        self.identity, self.manager = identity, manager
        self.sessions: set[int] = set()
        self.frames = 0
        self._next = 0x0A021100

    def answer(self, frame: bytes, address: tuple[str, int]) -> tuple[bytes | None, int | None]:
        """The frame that answers a whole frame, or None, and a session that it registered.

        `address` is where this end of the socket listens, as ListIdentity tells it.
        """
        self.frames += 1
        command, _, session, _, context, _ = HEADER.unpack_from(frame)
        registered = None
        try:
            if command == Command.REGISTER_SESSION:
                data = frame[HEADER.size :]
                session = registered = self._register(data)
            else:
                answered = self._serve(command, session, frame[HEADER.size :], address)
                if answered is None:
                    return None, None
                data = answered
        except Malformed as malformed:
            return HEADER.pack(command, 0, session, malformed.status, context, 0), None
        return HEADER.pack(command, len(data), session, 0, context, 0) + data, registered

    def end(self, session: int) -> None:
        """Forgets a session and its connections."""
        self.sessions.discard(session)
        self.manager.forget(session)

    def answer_datagram(self, frame: bytes, address: tuple[str, int]) -> bytes | None:
        """As `answer`, for what may come over UDP: the lists."""
        if len(frame) < HEADER.size or HEADER.unpack_from(frame)[0] not in (
            Command.LIST_IDENTITY, Command.LIST_SERVICES, Command.LIST_INTERFACES
        ):  # fmt: skip
            return None
        return self.answer(frame, address)[0]

    def _register(self, data: bytes) -> int:
        if len(data) != 4:
            raise Malformed(Failure.INVALID_LENGTH)
        version, options = struct.unpack("<HH", data)
        if version != _VERSION or options:
            raise Malformed(Failure.UNSUPPORTED_VERSION)
        self._next += 0x101
        self.sessions.add(self._next)
        return self._next

    def _serve(self, command: int, session: int, data: bytes, address: tuple[str, int]) -> bytes | None:
        match command:
            case Command.NOP:
                return None
            case Command.LIST_SERVICES:
                return _items((_SERVICES_ITEM, struct.pack("<HH16s", _VERSION, _CAPABILITIES, b"Communications")))
            case Command.LIST_IDENTITY:
                return _items((_IDENTITY_ITEM, self._identity(address)))
            case Command.LIST_INTERFACES:
                return _items()
        if command not in _COMMANDS:
            raise Malformed(Failure.INVALID_COMMAND)
        if session not in self.sessions:
            raise Malformed(Failure.INVALID_SESSION)
        if command == Command.UNREGISTER_SESSION:
            self.end(session)
            return None
        if command == Command.SEND_RR_DATA:
            return self._unconnected(session, data)
        return self._connected(session, data)

    def _unconnected(self, session: int, data: bytes) -> bytes:
        items = _parse_items(data)
        if len(items) < 2 or items[0][0] != _NULL or items[1][0] != _UNCONNECTED_DATA:
            raise Malformed(Failure.INCORRECT_DATA)
        answer = self.manager.answer(items[1][1], session)
        return data[:6] + _items((_NULL, b""), (_UNCONNECTED_DATA, answer))

    def _connected(self, session: int, data: bytes) -> bytes | None:
        items = _parse_items(data)
        kinds = [kind for kind, _ in items[:2]]
        if kinds != [_CONNECTED_ADDRESS, _CONNECTED_DATA] or len(items[0][1]) != 4:
            raise Malformed(Failure.INCORRECT_DATA)
        (number,) = struct.unpack("<I", items[0][1])
        answered = self.manager.answer_connected(number, session, items[1][1])
        if answered is None:
            return None
        to_originator, answer = answered
        address = struct.pack("<I", to_originator)
        return data[:6] + _items((_CONNECTED_ADDRESS, address), (_CONNECTED_DATA, answer))

    def _identity(self, address: tuple[str, int]) -> bytes:
        identity = self.identity
        where = struct.pack(">hH4s8x", socket.AF_INET, address[1], socket.inet_aton(address[0]))
        name = identity.name.encode("ascii")
        words = (ROCKWELL, LOGIX_CONTROLLER, identity.product_code, identity.major, identity.minor, identity.status)
        body = struct.pack("<HHHBBHIB", *words, identity.serial, len(name))
        return struct.pack("<H", _VERSION) + where + body + name + bytes((_OPERATIONAL,))


def _items(*items: tuple[int, bytes]) -> bytes:
    parts = [struct.pack("<HH", kind, len(data)) + data for kind, data in items]
    return struct.pack("<H", len(items)) + b"".join(parts)


def _parse_items(data: bytes) -> list[tuple[int, bytes]]:
    """The items behind the interface handle and the timeout."""
    if len(data) < 8:
        raise Malformed(Failure.INVALID_LENGTH)
    (count,) = struct.unpack_from("<H", data, 6)
    items, place = [], 8
    for _ in range(count):
        if place + 4 > len(data):
            raise Malformed(Failure.INVALID_LENGTH)
        kind, length = struct.unpack_from("<HH", data, place)
        place += 4 + length
        if place > len(data):
            raise Malformed(Failure.INVALID_LENGTH)
        items.append((kind, data[place - length : place]))
    return items
