"""CIP messages: services, status codes, request paths (CIP Volume 1, Appendices A to C)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum


class Service(IntEnum):
    """Every service that is answered; all others are outside the allow-list."""

    GET_ATTRIBUTES_ALL = 0x01
    GET_ATTRIBUTE_LIST = 0x03
    MULTIPLE_SERVICE_PACKET = 0x0A
    GET_ATTRIBUTE_SINGLE = 0x0E
    READ_TAG = 0x4C
    """Read Template where the path leads to a template."""
    FORWARD_CLOSE = 0x4E
    READ_TAG_FRAGMENTED = 0x52
    """Unconnected Send where the path leads to the connection manager."""
    FORWARD_OPEN = 0x54
    GET_INSTANCE_ATTRIBUTE_LIST = 0x55
    LARGE_FORWARD_OPEN = 0x5B


class Class(IntEnum):
    """Objects."""

    IDENTITY = 0x01
    MESSAGE_ROUTER = 0x02
    CONNECTION_MANAGER = 0x06
    PROGRAM_NAME = 0x64
    SYMBOL = 0x6B
    TEMPLATE = 0x6C
    WALL_CLOCK = 0x8B
    CHANGES = 0xAC


class Status(IntEnum):
    """General status (CIP Volume 1, Appendix B; Logix's meaning of 0x04, 0x05 and 0xFF in 1756-PM020H)."""

    SUCCESS = 0x00
    CONNECTION_FAILURE = 0x01
    PATH_SEGMENT_ERROR = 0x04
    """Also a symbol that is not there."""
    PATH_DESTINATION_UNKNOWN = 0x05
    """Class, instance or structure member that is not there."""
    PARTIAL_TRANSFER = 0x06
    SERVICE_NOT_SUPPORTED = 0x08
    ATTRIBUTE_LIST_ERROR = 0x0A
    PERMISSION_DENIED = 0x0F
    REPLY_TOO_LARGE = 0x11
    NOT_ENOUGH_DATA = 0x13
    ATTRIBUTE_NOT_SUPPORTED = 0x14
    TOO_MUCH_DATA = 0x15
    LIST_TOO_SHORT = 0x1C
    EMBEDDED_SERVICE_ERROR = 0x1E
    PATH_SIZE_INVALID = 0x26
    GENERAL_ERROR = 0xFF


BEYOND_END = 0x2105
"""Extended status of 0xFF: more elements or bytes than the tag has."""


CLASSES = frozenset(Class)


class Refused(Exception):
    """A request is answered with an error: general status, words of extended status, and data where there are."""

    def __init__(self, status: int, *extended: int, data: bytes = b"") -> None:
        super().__init__(f"status {status:#04x}")
        self.status, self.extended, self.data = status, extended, data


class Kind(IntEnum):
    """What a segment of a path is."""

    CLASS = 0x20
    INSTANCE = 0x24
    ELEMENT = 0x28
    CONNECTION_POINT = 0x2C
    ATTRIBUTE = 0x30
    SYMBOL = 0x91
    PORT = 0x00


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path: `number` of a logical one or a port, `text` of a symbol, or a port's link address."""

    kind: Kind
    number: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A message router request, taken apart."""

    service: int
    path: bytes
    data: bytes

    @classmethod
    def parse(cls, message: bytes) -> Request:
        """Refused where it is shorter than it says."""
        if len(message) < 2 or len(message) < 2 + 2 * message[1]:
            raise Refused(Status.PATH_SIZE_INVALID)
        end = 2 + 2 * message[1]
        return cls(message[0], message[2:end], message[end:])


def reply(service: int, data: bytes = b"", status: int = Status.SUCCESS, extended: tuple[int, ...] = ()) -> bytes:
    """A message router reply."""
    head = struct.pack("<BBBB", service | 0x80, 0, status, len(extended))
    return head + struct.pack(f"<{len(extended)}H", *extended) + data


def refusal(service: int, refused: Refused) -> bytes:
    """The reply that a refused request gets."""
    return reply(service, refused.data, refused.status, refused.extended)


def segments(path: bytes) -> list[Segment]:
    """The steps of a padded path; Refused where it is malformed or holds anything else (CIP Volume 1, C-1.4)."""
    found: list[Segment] = []
    place = 0
    try:
        while place < len(path):
            segment, place = _segment(path, place)
            found.append(segment)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise Refused(Status.PATH_SEGMENT_ERROR, 0) from error
    return found


def _segment(path: bytes, place: int) -> tuple[Segment, int]:
    head = path[place]
    if head == Kind.SYMBOL:
        length = path[place + 1]
        end = place + 2 + length
        if end > len(path):
            raise IndexError
        return Segment(Kind.SYMBOL, 0, path[place + 2 : end].decode("ascii")), end + length % 2
    if 0x01 <= head <= 0x1F:
        return _port(path, place)
    if 0x20 <= head <= 0x33 and head & 3 != 3:
        kind = Kind(head & 0xFC)
        match head & 3:
            case 0:
                return Segment(kind, path[place + 1]), place + 2
            case 1:
                return Segment(kind, struct.unpack_from("<H", path, place + 2)[0]), place + 4
            case _:
                return Segment(kind, struct.unpack_from("<I", path, place + 2)[0]), place + 6
    raise Refused(Status.PATH_SEGMENT_ERROR, 0)


def _port(path: bytes, place: int) -> tuple[Segment, int]:
    port = path[place] & 0x0F
    if not path[place] & 0x10:
        return Segment(Kind.PORT, port, str(path[place + 1])), place + 2
    length = path[place + 1]
    end = place + 2 + length
    if end > len(path):
        raise IndexError
    return Segment(Kind.PORT, port, path[place + 2 : end].decode("ascii")), end + length % 2
