"""The closed list of what is ever asked of a CIP object: services that read, and the paths that they may take.

Session and connection (RegisterSession, Forward Open and Close) are the link's. Service codes mean other things on
other classes (0x4E closes a connection, and modifies a tag; 0x52 reads a tag, and sends a message on), so each is
bound to the classes on which it only reads.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from protocols.ethernet_ip.epath import CLASS, SYMBOL_CLASS, TEMPLATE_CLASS


class Service(IntEnum):
    """Services that read (CIP Volume 1, Appendix A; 1756-PM020)."""

    GET_ATTRIBUTES_ALL = 0x01
    GET_ATTRIBUTE_LIST = 0x03
    MULTIPLE_SERVICE_PACKET = 0x0A
    GET_ATTRIBUTE_SINGLE = 0x0E
    READ_TAG = 0x4C
    READ_TAG_FRAGMENTED = 0x52
    GET_INSTANCE_ATTRIBUTE_LIST = 0x55


MESSAGE_ROUTER = bytes((CLASS, 0x02, 0x24, 0x01))
_COMMON = frozenset({Service.GET_ATTRIBUTES_ALL, Service.GET_ATTRIBUTE_LIST, Service.GET_ATTRIBUTE_SINGLE})
_SYMBOLIC = 0x91
_CLASSES = (bytes((CLASS,)), bytes((CLASS | 1,)))
"""A class in 8 bits and in 16."""
_SYMBOLS, _TEMPLATES = bytes((CLASS, SYMBOL_CLASS)), bytes((CLASS, TEMPLATE_CLASS))
_TAG_SERVICES = frozenset({Service.READ_TAG, Service.READ_TAG_FRAGMENTED, Service.GET_INSTANCE_ATTRIBUTE_LIST})


def read_request(service: int, path: bytes, data: bytes = b"") -> bytes:
    """A message router request (CIP Volume 1, 2-4.1).

    Raises PermissionError for what does not only read, and ValueError for a path that no request can have.
    """
    if len(path) % 2 or not 0 < len(path) <= 2 * 0xFF:
        raise ValueError(f"a path of {len(path)} bytes does not fit a request")
    request = bytes((service, len(path) // 2)) + path + data
    check(request)
    return request


def check(request: bytes) -> None:
    """Whatever leaves passes here, the services within a packet too. PermissionError for what does not only read."""
    service, begin = request[0], 2 + 2 * request[1]
    path, data = request[2:begin], request[begin:]
    is_tag = path[:1] == bytes((_SYMBOLIC,)) or path[:2] == _SYMBOLS
    if service == Service.MULTIPLE_SERVICE_PACKET and path == MESSAGE_ROUTER:
        offsets = struct.unpack_from(f"<{int.from_bytes(data[:2], 'little')}H", data, 2)
        for start, end in zip(offsets, (*offsets[1:], len(data)), strict=True):
            check(data[start:end])
    elif not (
        (service in _COMMON and path[:1] in _CLASSES)
        or (service in _TAG_SERVICES and is_tag)
        or (service == Service.READ_TAG and path[:2] == _TEMPLATES)
    ):
        raise PermissionError(f"service {service:#04x} to {path.hex()} is not among those that only read")
