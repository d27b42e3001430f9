"""OPC UA messages written byte by byte as Part 6 says, by other means than the decoder and than asyncua."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NUMBERS = {2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
"""Built-in types (5.1.2) that are numbers."""
STRING, DATE_TIME, LOCALIZED_TEXT = 12, 13, 21
READ_RESPONSE, PUBLISH_RESPONSE, SERVICE_FAULT, DATA_CHANGE = 634, 829, 397, 811
UNIX_EPOCH = 116_444_736_000_000_000


def ticks(ms: int) -> int:
    """A time in UTC milliseconds as 100 ns since 1601."""
    return UNIX_EPOCH + ms * 10_000


def string(text: str | bytes | None) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<i", -1) if raw is None else struct.pack("<i", len(raw)) + raw


def array(parts: Sequence[bytes] | None) -> bytes:
    return struct.pack("<i", -1) if parts is None else struct.pack("<i", len(parts)) + b"".join(parts)


def node_id(number: int, form: int = 1) -> bytes:
    """In OPC UA's namespace, in one of the forms of 5.2.2.9 that are numbers."""
    return struct.pack(("<BB", "<BBH", "<BHI")[form], *((form, number), (form, 0, number), (form, 0, number))[form])


def scalar(type_id: int, value: object) -> bytes:
    if type_id == 1:
        return b"\1" if value else b"\0"
    if type_id in NUMBERS:
        return struct.pack("<" + NUMBERS[type_id], value)
    if type_id == DATE_TIME:
        return struct.pack("<q", value)
    if type_id == LOCALIZED_TEXT:
        assert isinstance(value, str)
        return b"\3" + string("en") + string(value)
    assert value is None or isinstance(value, str | bytes)
    return string(value)


def variant(type_id: int, value: object, dimensions: Sequence[int] = ()) -> bytes:
    """A Variant (5.2.2.16): of a list an array."""
    if not isinstance(value, list):
        return bytes([type_id]) + scalar(type_id, value)
    body = array([scalar(type_id, one) for one in value])
    if not dimensions:
        return bytes([type_id | 0x80]) + body
    return bytes([type_id | 0xC0]) + body + array([struct.pack("<i", one) for one in dimensions])


@dataclass(frozen=True)
class DataValue:
    """5.2.2.17; `value` is a Variant's bytes, times are ticks."""

    value: bytes | None = None
    status: int | None = None
    source: int | None = None
    source_picoseconds: int | None = None
    server: int | None = None
    server_picoseconds: int | None = None

    def to_bytes(self) -> bytes:
        fields = (
            (0x01, "", self.value),
            (0x02, "<I", self.status),
            (0x04, "<q", self.source),
            (0x10, "<H", self.source_picoseconds),
            (0x08, "<q", self.server),
            (0x20, "<H", self.server_picoseconds),
        )
        mask, body = 0, b""
        for bit, form, one in fields:
            if one is not None:
                mask |= bit
                body += one if isinstance(one, bytes) else struct.pack(form, one)
        return bytes([mask]) + body


def header(service_result: int = 0, *, diagnostics: bytes = b"\0", strings: Sequence[bytes] | None = ()) -> bytes:
    """A ResponseHeader (Part 4, 7.34)."""
    return struct.pack("<qII", ticks(0), 7, service_result) + diagnostics + array(strings) + node_id(0, 0) + b"\0"


def read_response(values: Iterable[DataValue], *, head: bytes | None = None, form: int = 1) -> bytes:
    body = array([one.to_bytes() for one in values]) + array(())
    return node_id(READ_RESPONSE, form) + (header() if head is None else head) + body


def extension_object(type_number: int, body: bytes) -> bytes:
    return node_id(type_number) + b"\1" + string(body)


def data_change(items: Iterable[tuple[int, DataValue]]) -> bytes:
    """A DataChangeNotification in its ExtensionObject."""
    parts = [struct.pack("<I", handle) + one.to_bytes() for handle, one in items]
    return extension_object(DATA_CHANGE, array(parts) + array(()))


def publish_response(
    *notifications: bytes,
    head: bytes | None = None,
    subscription: int = 5,
    sequence: int = 9,
    available: Sequence[int] = (8, 9),
    more: bool = False,
    results: Sequence[int] = (0,),
) -> bytes:
    return b"".join(
        (
            node_id(PUBLISH_RESPONSE),
            header() if head is None else head,
            struct.pack("<I", subscription),
            array([struct.pack("<I", one) for one in available]),
            bytes([more]),
            struct.pack("<Iq", sequence, ticks(0)),
            array(notifications),
            array([struct.pack("<I", one) for one in results]),
            array(None),
        )
    )


def service_fault(status: int) -> bytes:
    return node_id(SERVICE_FAULT) + header(status)
