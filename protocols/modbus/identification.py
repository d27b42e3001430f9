"""Who a Modbus device says it is: Read Device Identification, function code 43/14 (V1.1b3, clause 6.21)."""

from __future__ import annotations

from protocols.modbus.allowed import READ_DEVICE_IDENTIFICATION, identification_pdu
from protocols.modbus.request import Exchange, Outcome

OBJECTS = {
    0: "vendor",
    1: "product code",
    2: "revision",
    3: "vendor's address",
    4: "product",
    5: "model",
    6: "application",
}
"""The basic objects, 0 to 2, and the regular ones."""
BASIC, REGULAR = 1, 2
FIRST_REGULAR = 3
_MORE = 0xFF
_HEAD = 7
"""Function code, MEI type, level, conformity, more follows, next object, number of objects."""


class Identification(Exchange):
    """Asks for the texts of a level from one object on; what came is in `texts`, by object."""

    __slots__ = ("conformity", "next", "texts")

    def __init__(self, level: int, first: int, unit_id: int) -> None:
        super().__init__(identification_pdu(level, first), unit_id)
        self.texts: dict[int, str] = {}
        self.conformity = 0
        """The highest level that the device has."""
        self.next: int | None = None
        """The object at which a further request goes on."""

    def receive(self, data: bytes, at: int, size: int) -> None:
        """As `Exchange.receive`."""
        reply = data[at : at + size]
        function, kind = READ_DEVICE_IDENTIFICATION
        if size == 2 and reply[0] == function | 0x80:
            self.refuse(reply[1])
        elif size < _HEAD or (reply[0], reply[1]) != (function, kind):
            self.fail(Outcome.GARBLED, f"the reply is no identification: {reply[:8].hex(' ')}")
        else:
            self._take(reply)

    def _take(self, reply: bytes) -> None:
        place = _HEAD
        for _ in range(reply[6]):
            if place + 2 > len(reply) or place + 2 + reply[place + 1] > len(reply):
                self.fail(Outcome.GARBLED, f"the identification ends within an object, after {len(reply)} bytes")
                return
            end = place + 2 + reply[place + 1]
            self.texts[reply[place]] = reply[place + 2 : end].decode("latin-1").rstrip("\0 ")
            place = end
        self.conformity = reply[3] & 0x7F
        self.next = reply[5] if reply[4] == _MORE else None

    def __str__(self) -> str:
        return "device identification (43/14)"
