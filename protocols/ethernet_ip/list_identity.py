"""ListIdentity: who answers at an address, before any session (CIP Volume 2, 2-4.2)."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from ext.table import DecodeError
from protocols.dial import dial
from protocols.driver import ConnectFailed
from protocols.ethernet_ip.reply import Reader

LIST_IDENTITY = 0x63
ANSWER_S = 5.0
_HEADER = 24
_CIP_IDENTITY = 0x0C
_REQUEST = struct.pack("<HHIIQI", LIST_IDENTITY, 0, 0, 0, 0, 0)
_STATES = {
    0: "non-existent", 1: "testing itself", 2: "standby", 3: "operational", 4: "major recoverable fault",
    5: "major unrecoverable fault", 255: "not told",
}  # fmt: skip
"""CIP Volume 1, 5-2.2.1.8."""
_VENDORS = {1: "Rockwell Automation/Allen-Bradley"}
_TYPES = {2: "AC drive", 12: "communications adapter", 14: "programmable logic controller", 43: "generic device"}


@dataclass(frozen=True, slots=True)
class Listed:
    """The device that listens at an address: the module, where a controller has one for its network."""

    vendor: int
    type: int
    major: int
    minor: int
    status: int
    serial: int
    name: str
    state: int

    def __str__(self) -> str:
        """On one line; the name is untrusted text."""
        vendor = _VENDORS.get(self.vendor, f"vendor {self.vendor}")
        kind = _TYPES.get(self.type, f"device type {self.type}")
        state = _STATES.get(self.state, f"state {self.state}")
        where = f"revision {self.major}.{self.minor:03}, serial {self.serial:08X}, {state}"
        return f"{self.name} ({vendor}, {kind}), {where}"


async def list_identity(host: str, port: int) -> Listed | None:
    """Who listens; None where what answers is no identity. Raises ConnectFailed."""
    loop = asyncio.get_running_loop()
    with await dial(host, port, None) as plain:
        plain.setblocking(False)
        try:
            async with asyncio.timeout(ANSWER_S):
                await loop.sock_sendall(plain, _REQUEST)
                data = b""
                while len(data) < _HEADER or len(data) < _HEADER + struct.unpack_from("<H", data, 2)[0]:
                    piece = await loop.sock_recv(plain, 4096)
                    if not piece:
                        raise ConnectionResetError
                    data += piece
        except (OSError, TimeoutError) as error:
            words = f"{host}:{port} does not answer as an EtherNet/IP device"
            raise ConnectFailed(words, "check the address: the port is 44818 on nearly all of them") from error
    try:
        return _parsed(data)
    except DecodeError:
        return None


def _parsed(data: bytes) -> Listed | None:
    if struct.unpack_from("<H", data)[0] != LIST_IDENTITY:
        return None
    read = Reader(data[_HEADER:])
    if read.uint(2) < 1 or read.uint(2) != _CIP_IDENTITY:
        return None
    read.bytes(2 + 2 + 16)  # length, version of the protocol, socket address
    vendor, kind, _, major, minor, status, serial = (read.uint(size) for size in (2, 2, 2, 1, 1, 2, 4))
    return Listed(vendor, kind, major, minor, status, serial, read.text(1), read.uint(1))
