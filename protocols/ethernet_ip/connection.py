"""Forward Open and Close: a class 3 connection to a controller's message router (CIP Volume 1, 3-5.5)."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.ethernet_ip.route import Hop

FORWARD_CLOSE, UNCONNECTED_SEND, FORWARD_OPEN, LARGE_FORWARD_OPEN = 0x4E, 0x52, 0x54, 0x5B
REQUESTED_INTERVAL_S = 2.0
TIMEOUT_S = REQUESTED_INTERVAL_S * 16
"""The controller gives a connection up when it heard nothing for so long."""
KEEP_ALIVE_S = TIMEOUT_S / 4
UNCONNECTED_MOST = 504
"""Bytes of an unconnected message, either way."""
SMALLEST = 100
"""Bytes of a connection that is worth having."""
_MANAGER = bytes((2, 0x20, 0x06, 0x24, 0x01))
_MESSAGE_ROUTER = bytes((0x20, 0x02, 0x24, 0x01))
_TICK, _TICKS = 0x0A, 5
"""How long modules on the route may take: 5 times 1.024 s."""
_MULTIPLIER = 2
"""Timeout multiplier 16, as its code."""
_VARIABLE_POINT_TO_POINT = 0x4200
_CLASS_3 = 0xA3
_VENDOR = 0x7FFF
_TRIAD = struct.Struct("<HHI")

_originator = int.from_bytes(os.urandom(4), "little")
_serials = itertools.count(int.from_bytes(os.urandom(2), "little"))


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection, as it is asked for and as it is opened; ids are not used twice by one process."""

    path: bytes
    size: int
    """Bytes of a message either way, its sequence count among them."""
    serial: int
    to_us: int
    """The id that its replies carry."""

    @classmethod
    def asked(cls, hops: Sequence[Hop], size: int) -> Connection:
        """One to the message router at the end of a route."""
        serial = next(_serials)
        path = b"".join(hop.segment() for hop in hops) + _MESSAGE_ROUTER
        return cls(path, size, serial & 0xFFFF, (_originator ^ serial * 0x9E3779B1) & 0xFFFF_FFFF)

    @property
    def triad(self) -> bytes:
        """What names it in the network: serial number, vendor, originator's serial number."""
        return _TRIAD.pack(self.serial, _VENDOR, _originator)

    def open_request(self, *, large: bool) -> bytes:
        """Forward Open, or Large Forward Open."""
        interval = int(REQUESTED_INTERVAL_S * 1e6)
        format_, flags = ("<II", _VARIABLE_POINT_TO_POINT << 16) if large else ("<IH", _VARIABLE_POINT_TO_POINT)
        way = struct.pack(format_, interval, flags | self.size)
        data = struct.pack("<BBII", _TICK, _TICKS, 0, self.to_us) + self.triad
        data += struct.pack("<B3x", _MULTIPLIER) + way + way + bytes((_CLASS_3, len(self.path) // 2)) + self.path
        return bytes((LARGE_FORWARD_OPEN if large else FORWARD_OPEN,)) + _MANAGER + data

    def close_request(self) -> bytes:
        """Forward Close."""
        data = bytes((_TICK, _TICKS)) + self.triad + bytes((len(self.path) // 2, 0)) + self.path
        return bytes((FORWARD_CLOSE,)) + _MANAGER + data

    def opened(self, data: bytes) -> int | None:
        """The id that requests carry, from the data of Forward Open's reply; None where that is another's."""
        if len(data) < 16 or struct.unpack_from("<I", data, 4)[0] != self.to_us or data[8:16] != self.triad:
            return None
        return int.from_bytes(data[:4], "little")


def unconnected_send(message: bytes, hops: Sequence[Hop]) -> bytes:
    """A message to the end of a route; as it is where there is none."""
    if not hops:
        return message
    route = b"".join(hop.segment() for hop in hops)
    inner = struct.pack("<BBH", _TICK, _TICKS, len(message)) + message + b"\0" * (len(message) % 2)
    return bytes((UNCONNECTED_SEND,)) + _MANAGER + inner + bytes((len(route) // 2, 0)) + route


def unconnected_room(hops: Sequence[Hop]) -> int:
    """Bytes of a message that fits into one without a connection."""
    return UNCONNECTED_MOST - len(unconnected_send(b"", hops)) - 1
