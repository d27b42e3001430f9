"""The one place where we plug into pymodbus: frames of a line, found and checked by us, come out as bytes.

pymodbus's own framer takes the first frame for the answer, drops whatever shared a buffer with a frame whose
check is wrong, and accepts replies of any length. Ours looks for whole frames wherever they begin, and lets
the link decide which one ends the wait.
"""

from __future__ import annotations

from collections.abc import Callable

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU

from protocols.modbus.allowed import READ_CODES

_BUFFER = 4096
"""Bytes that are kept while no frame is found in them; more is dropped as noise."""
_EXCEPTIONS = frozenset(code | 0x80 for code in READ_CODES)
_SMALLEST = 5
"""Unit id, function code, exception code or byte count, and the check."""


class RawReply(ModbusPDU):
    """A reply's function code and what follows it."""

    def __init__(self, unit_id: int, pdu: bytes) -> None:
        super().__init__(dev_id=unit_id)
        self.function_code = pdu[0]
        self.pdu = pdu


class LineFramer(FramerRTU):
    """Finds the replies to reading requests among a line's bytes (Modbus over Serial Line V1.02, 2.5.1)."""

    def __init__(self, accept: Callable[[int, bytes], bool], awaits: Callable[[int, int, int], bool]) -> None:
        """`accept` takes unit id and PDU of each frame, and says whether it ends the wait; `awaits` says whether a
        frame that begins with this unit id, function code and byte count may be on its way."""
        super().__init__(DecodePDU(is_server=False))
        self._accept = accept
        self._awaits = awaits
        self.unread = b""
        """What came after the last whole frame."""

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:
        """Called by pymodbus with all bytes since the last request or frame: how many are done with, and the reply."""
        used = 0
        while (frame := self._next(data, used)) is not None:
            begin, used = frame
            unit_id, pdu = data[begin], data[begin + 1 : used - 2]
            if self._accept(unit_id, pdu):
                self.unread = b""
                return len(data), RawReply(unit_id, pdu)
        self.unread = data[used:]
        return used, None

    def _next(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Begin and end of the next frame whose check is right."""
        for begin in range(start, len(data) - _SMALLEST + 1):
            function = data[begin + 1]
            if function in READ_CODES:
                end = begin + _SMALLEST + data[begin + 2]
            elif function in _EXCEPTIONS:
                end = begin + _SMALLEST
            else:
                continue
            if end > len(data):
                if self._awaits(data[begin], function, data[begin + 2]):
                    return None  # what lies within it is its data, whatever it looks like
            elif self.check_CRC(data[begin : end - 2], int.from_bytes(data[end - 2 : end], "big")):
                return begin, end
        return None


def use_frames(
    client: AsyncModbusTcpClient | AsyncModbusSerialClient,
    accept: Callable[[int, bytes], bool],
    awaits: Callable[[int, int, int], bool],
) -> LineFramer:
    """Make a client's `execute` return the RawReply that `accept` takes."""
    framer = LineFramer(accept, awaits)
    client.ctx.framer = framer
    client.ctx.max_buffer_size = _BUFFER
    return framer
