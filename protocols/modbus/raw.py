"""The one place where we plug into pymodbus: replies come out as bytes, unparsed, for `ext` to decode.

pymodbus's own response classes build a Python list of registers and accept a reply of the wrong
length. Its framer asks a decoder object to make a reply of each frame whose ids match; ours keeps
the bytes and never fails, so that a garbled reply costs its own block and not the connection.
"""

from __future__ import annotations

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.pdu import DecodePDU, ModbusPDU


class RawReply(ModbusPDU):
    """A reply's function code and what follows it."""

    def __init__(self, frame: bytes) -> None:
        super().__init__()
        self.function_code = frame[0]
        self.body = frame[1:]


class RawDecoder(DecodePDU):
    """Makes a RawReply of any frame; sizes of frames are still looked up as pymodbus does."""

    def __init__(self) -> None:
        super().__init__(is_server=False)

    def decode(self, frame: bytes) -> ModbusPDU:
        """The frame begins with the function code and is not empty (the framer waits for that much)."""
        return RawReply(frame)


def use_raw_replies(client: AsyncModbusTcpClient | AsyncModbusSerialClient) -> None:
    """Make a client's `execute` return RawReply."""
    client.ctx.framer.decoder = RawDecoder()


def unread_bytes(client: AsyncModbusTcpClient | AsyncModbusSerialClient) -> int:
    """Bytes that came and were no whole frame."""
    return len(client.ctx.recv_buffer)
