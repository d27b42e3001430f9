"""A message router reply taken apart, where it is no hot path: service, status and data (CIP Volume 1, 2-4.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ext.table import DecodeError
from protocols.ethernet_ip.status import words

_REPLY = 0x80
_HEAD = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, extended status in words of 16 bits, and data."""

    status: int
    extended: tuple[int, ...]
    data: bytes

    @classmethod
    def parse(cls, message: bytes, service: int) -> Reply:
        """The reply to a service; what lies between may refuse it in its own name. Raises DecodeError."""
        if len(message) < _HEAD:
            raise DecodeError("the reply ends within its head", len(message))
        answered, status, count = message[0], message[2], message[3]
        begin = _HEAD + 2 * count
        if not answered & _REPLY or (answered != service | _REPLY and not status):
            raise DecodeError(f"service {service:#04x} is answered by {answered:#04x}", 0)
        if len(message) < begin:
            raise DecodeError("the reply ends within its status", len(message))
        return cls(status, struct.unpack_from(f"<{count}H", message, _HEAD), message[begin:])

    @property
    def why(self) -> str:
        """What its status says."""
        return words(self.status, self.extended[0] if self.extended else 0)


class Reader:
    """Little-endian numbers and texts in turn; DecodeError instead of reading beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that were not taken yet."""
        return len(self._data) - self._at

    def bytes(self, size: int) -> bytes:
        """So many bytes."""
        if size > self.left:
            raise DecodeError(f"{size} bytes are not there", self._at)
        self._at += size
        return self._data[self._at - size : self._at]

    def uint(self, size: int) -> int:
        """An unsigned number."""
        return int.from_bytes(self.bytes(size), "little")

    def text(self, prefix: int) -> str:
        """A text after its length."""
        return self.bytes(self.uint(prefix)).decode("latin-1")
