"""Message router replies, put together byte by byte (CIP Volume 1, 2-4.2 and A-4.10; 1756-PM020)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

READ_TAG, READ_FRAGMENT, GET_ATTRIBUTE, MULTIPLE = 0x4C, 0x52, 0x0E, 0x0A


def reply(service: int, data: bytes = b"", status: int = 0, *extended: int) -> bytes:
    head = struct.pack("<BBBB", service | 0x80, 0, status, len(extended))
    return head + struct.pack(f"<{len(extended)}H", *extended) + data


def tag(code: int, data: bytes, service: int = READ_TAG, status: int = 0) -> bytes:
    return reply(service, struct.pack("<H", code) + data, status)


def structure(handle: int, data: bytes, service: int = READ_TAG, status: int = 0) -> bytes:
    return reply(service, struct.pack("<HH", 0x02A0, handle) + data, status)


def attribute(data: bytes) -> bytes:
    return reply(GET_ATTRIBUTE, data)


def packet(services: Sequence[bytes], status: int = 0, *, padded: bool = False) -> bytes:
    """The reply to a Multiple Service Packet; `padded` ones begin each service at a whole word."""
    if padded:
        services = [one + b"\0" * (len(one) % 2) for one in services]
    offsets, place = [], 2 + 2 * len(services)
    for one in services:
        offsets.append(place)
        place += len(one)
    table = struct.pack(f"<{1 + len(offsets)}H", len(offsets), *offsets)
    return reply(MULTIPLE, table + b"".join(services), status)
