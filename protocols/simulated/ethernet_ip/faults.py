"""What goes wrong with replies on their way back to the client."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from protocols.simulated.ethernet_ip.encapsulation import HEADER, Command

_ITEM_LENGTH = {Command.SEND_RR_DATA: HEADER.size + 14, Command.SEND_UNIT_DATA: HEADER.size + 18}
"""Where the length of the item with the CIP reply stands."""
_SEQUENCE = HEADER.size + 20


class Field(Enum):
    """What a garbled reply has wrong."""

    CONTEXT = "context"
    SESSION = "session"
    SEQUENCE = "sequence"
    """Of a connected message."""
    SHORT = "short"
    """The CIP reply lacks its last byte, and all lengths agree with that."""


@dataclass(slots=True)
class Faults:
    """Counts run down with each reply; those that a silent controller swallows are not counted."""

    muted: bool = False
    """Replies are swallowed; sockets and connections stay."""
    delay_ms: int = 0
    delayed: int = 0
    """How many replies from now on are late by `delay_ms`; they stay in their order, and hold up those behind them."""
    drops_after: int | None = None
    """The socket that brings the frame after so many is closed, without an answer to that frame."""
    field: Field = Field.CONTEXT
    garbled: int = 0
    """How many replies from now on have a wrong `field`."""

    def take_delay_s(self) -> float:
        """By how much the next reply is late."""
        if not self.delayed:
            return 0.0
        self.delayed -= 1
        return self.delay_ms / 1000

    def garble(self, frame: bytes) -> bytes:
        """The next reply as it is sent."""
        command = HEADER.unpack_from(frame)[0]
        place = _ITEM_LENGTH.get(command)
        if not self.garbled or place is None or (self.field is Field.SEQUENCE and command != Command.SEND_UNIT_DATA):
            return frame
        self.garbled -= 1
        wrong = bytearray(frame)
        match self.field:
            case Field.CONTEXT:
                wrong[12] ^= 0xFF
            case Field.SESSION:
                wrong[4] ^= 0xFF
            case Field.SEQUENCE:
                wrong[_SEQUENCE] ^= 0xFF
            case Field.SHORT:
                for length in (2, place):
                    struct.pack_into("<H", wrong, length, struct.unpack_from("<H", wrong, length)[0] - 1)
                del wrong[-1]
        return bytes(wrong)
