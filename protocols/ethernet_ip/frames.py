"""Encapsulation frames: the bytes around a CIP message, and the check of each reply (CIP Volume 2, chapter 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct("<HHIIQI")
"""Command, length of what follows, session handle, status, sender context, options."""
NOP, REGISTER_SESSION, UNREGISTER_SESSION, SEND_RR_DATA, SEND_UNIT_DATA = 0x00, 0x65, 0x66, 0x6F, 0x70
_NULL, _CONNECTED_ADDRESS, _CONNECTED_DATA, _UNCONNECTED_DATA = 0x0000, 0x00A1, 0x00B1, 0x00B2
_UNCONNECTED = struct.Struct("<IHHHHHH")
"""Interface handle, timeout in seconds, count of items, null item, and the head of the item with the message."""
_CONNECTED = struct.Struct("<IHHHHIHHH")
"""Interface handle, timeout, count of items, item with the connection id, and the head of the one with the message,
whose first word is the sequence count."""
UNCONNECTED_AT = HEADER.size + _UNCONNECTED.size
"""Where the message begins in a frame."""
CONNECTED_AT = HEADER.size + _CONNECTED.size
_CONTEXT_AT, _SEQUENCE_AT = 12, CONNECTED_AT - 2
_CONTEXT, _SEQUENCE = struct.Struct("<Q"), struct.Struct("<H")
_VERSION = 1

_STATUS = {
    0x01: "it does not know the command",
    0x02: "it has no memory left",
    0x03: "it cannot make sense of the data",
    0x64: "it does not know our session any more",
    0x65: "it finds the length wrong",
    0x69: "it does not know our version of the protocol",
}


class Garbled(Exception):
    """A frame that is no answer to what was asked, in words."""


@dataclass(frozen=True, slots=True)
class Framed:
    """A request as it is sent, but for sender context and sequence count, which `numbered` sets."""

    frame: bytearray
    connected: bool

    def numbered(self, count: int) -> bytes:
        """The frame with the numbers by which its answer is known."""
        _CONTEXT.pack_into(self.frame, _CONTEXT_AT, count)
        if self.connected:
            _SEQUENCE.pack_into(self.frame, _SEQUENCE_AT, count & 0xFFFF)
        return bytes(self.frame)


def register_session() -> bytes:
    """Opens a session."""
    return HEADER.pack(REGISTER_SESSION, 4, 0, 0, 0, 0) + struct.pack("<HH", _VERSION, 0)


def unregister_session(session: int) -> bytes:
    """Ends it; there is no answer."""
    return HEADER.pack(UNREGISTER_SESSION, 0, session, 0, 0, 0)


def unconnected(session: int, message: bytes) -> Framed:
    """A message without a connection."""
    body = _UNCONNECTED.pack(0, 0, 2, _NULL, 0, _UNCONNECTED_DATA, len(message)) + message
    return Framed(bytearray(HEADER.pack(SEND_RR_DATA, len(body), session, 0, 0, 0) + body), connected=False)


def connected(session: int, connection: int, message: bytes) -> Framed:
    """A message over the connection that the target knows by an id."""
    items = _CONNECTED.pack(0, 0, 2, _CONNECTED_ADDRESS, 4, connection, _CONNECTED_DATA, 2 + len(message), 0)
    body = items + message
    return Framed(bytearray(HEADER.pack(SEND_UNIT_DATA, len(body), session, 0, 0, 0) + body), connected=True)


def session_of(frame: bytes) -> int:
    """The handle in the reply to RegisterSession. Raises Garbled."""
    command, _, session, status, _, _ = HEADER.unpack_from(frame)
    if command != REGISTER_SESSION:
        raise Garbled(f"RegisterSession was answered by command {command:#04x}")
    if status:
        raise Garbled(refusal(status))
    if not session:
        raise Garbled("RegisterSession was answered without a session")
    return int(session)


def unconnected_size(frame: bytes, session: int, count: int) -> int:
    """Bytes of the message in a reply, from UNCONNECTED_AT on. Raises Garbled unless it answers request `count`."""
    _check_head(frame, SEND_RR_DATA, session, UNCONNECTED_AT)
    (context,) = _CONTEXT.unpack_from(frame, _CONTEXT_AT)
    _, _, items, null, empty, kind, size = _UNCONNECTED.unpack_from(frame, HEADER.size)
    if context != count:
        raise Garbled("a reply to another request than the one that was sent")
    if items < 2 or (null, empty, kind) != (_NULL, 0, _UNCONNECTED_DATA) or size > len(frame) - UNCONNECTED_AT:
        raise Garbled("a reply whose items are not those of an unconnected message")
    return int(size)


def connected_size(frame: bytes, session: int, connection: tuple[int, int], count: int) -> int:
    """Bytes of the message in a reply, from CONNECTED_AT on. Raises Garbled unless it answers request `count`.

    `connection` has the id that replies carry, and that of requests, which some targets send back instead. The sender
    context is the request's, or 0: a target may send a connected message with one of its own.
    """
    _check_head(frame, SEND_UNIT_DATA, session, CONNECTED_AT)
    (context,) = _CONTEXT.unpack_from(frame, _CONTEXT_AT)
    _, _, items, address, four, to_us, kind, size, sequence = _CONNECTED.unpack_from(frame, HEADER.size)
    if sequence != count & 0xFFFF or context not in (count, 0):
        raise Garbled("a reply to another request than the one that was sent")
    if to_us not in connection:
        raise Garbled("a reply of another connection")
    size -= 2
    if items < 2 or (address, four, kind) != (_CONNECTED_ADDRESS, 4, _CONNECTED_DATA) or size < 0:
        raise Garbled("a reply whose items are not those of a connected message")
    if size > len(frame) - CONNECTED_AT:
        raise Garbled("a reply whose item is longer than its frame")
    return int(size)


def _check_head(frame: bytes, command: int, session: int, least: int) -> None:
    answered, _, whose, status, _, _ = HEADER.unpack_from(frame)
    if answered != command:
        raise Garbled(f"command {command:#04x} was answered by {answered:#04x}")
    if status:
        raise Garbled(refusal(status))
    if whose != session:
        raise Garbled("a reply of another session")
    if len(frame) < least:
        raise Garbled("a reply without its items")


def refusal(status: int) -> str:
    """What an encapsulation status says."""
    return f"a frame was refused: {_STATUS.get(status, 'for no known reason')} (status {status:#04x})"
