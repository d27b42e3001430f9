"""Attributes of CIP objects, read with Get_Attribute_Single (CIP Volume 1, A-4.8), and the edition of a project."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from ext.cip import CipPlan
from protocols.ethernet_ip.allowed import Service, read_request
from protocols.ethernet_ip.epath import CLASS, INSTANCE, attribute_path, logical
from protocols.ethernet_ip.identity import IDENTITY_CLASS, IDENTITY_INSTANCE, STATUS_ATTRIBUTE
from protocols.ethernet_ip.places import Attribute, AttributePlace, Placed
from protocols.ethernet_ip.signal import CipSignal
from protocols.types import WIDTH, WireType

_PREFIX = {"string": 2, "short_string": 1}
_BYTES = {"bool": 1, "float32": 4, "float64": 8, **{name: bits // 8 for name, bits in WIDTH.items()}}
_REPLY_HEAD = 4
_CHANGES_CLASS, _CHANGES = 0xAC, (1, 2, 3, 4, 10)
EDITION_REQUEST = read_request(
    Service.GET_ATTRIBUTE_LIST,
    logical(CLASS, _CHANGES_CLASS) + logical(INSTANCE, 1),
    struct.pack(f"<{1 + len(_CHANGES)}H", len(_CHANGES), *_CHANGES),
)
"""Asks for the counters and checksums that a download, or an edit online, changes."""


@dataclass(frozen=True, slots=True)
class AttributeRead:
    """One Get_Attribute_Single."""

    attribute: Attribute
    most: int
    """Bytes of text that are expected at most."""
    placed: tuple[Placed, ...]

    @property
    def name(self) -> str:
        """For logs."""
        return str(self.attribute)

    @property
    def request(self) -> bytes:
        """The request."""
        one = self.attribute
        return read_request(Service.GET_ATTRIBUTE_SINGLE, attribute_path(one.class_, one.instance, one.number))

    @property
    def request_size(self) -> int:
        """Bytes of the request."""
        return len(self.request)

    @property
    def reply_size(self) -> int:
        """Bytes of the reply where nothing is wrong, made whole words."""
        prefix = _PREFIX.get(self.attribute.type, 0)
        size = prefix + self.most if prefix else _BYTES[self.attribute.type]
        return _REPLY_HEAD + size + size % 2

    def declare(self, decode: CipPlan) -> int:
        """Add the service to the plan of a packet. Returns its number there."""
        prefix = _PREFIX.get(self.attribute.type, 0)
        return decode.attribute(prefix=prefix) if prefix else decode.attribute(_BYTES[self.attribute.type])


@dataclass(frozen=True, slots=True)
class EditionRead:
    """One Get_Attribute_List of what changes with every download (1756-PM020, "Create and maintain a tag list").

    `expected` is the data of its reply, as it was before and after the upload: in a packet with another, nothing is
    believed, since a symbol's instance may be another's by now.
    """

    expected: bytes
    name = "the project's edition"
    placed: tuple[Placed, ...] = ()

    @property
    def request(self) -> bytes:
        """The request."""
        return EDITION_REQUEST

    @property
    def request_size(self) -> int:
        """Bytes of the request."""
        return len(EDITION_REQUEST)

    @property
    def reply_size(self) -> int:
        """Bytes of the reply."""
        return _REPLY_HEAD + len(self.expected)

    def declare(self, decode: CipPlan) -> int:
        """Add the service to the plan of a packet. Returns its number there."""
        return decode.edition(self.expected)


def attribute_place(signal: CipSignal) -> AttributePlace | None:
    """Where a signal lies that is an attribute or a piece of the controller's status; None for a tag."""
    if signal.object is not None:
        one = signal.object
        wire: WireType = "string" if one.type == "short_string" else one.type
        return AttributePlace(Attribute(one.class_, one.instance, one.attribute, one.type), wire)
    piece = signal.status_piece
    if piece is None:
        return None
    status = Attribute(IDENTITY_CLASS, IDENTITY_INSTANCE, STATUS_ATTRIBUTE, "uint16")
    return AttributePlace(status, "bool" if piece.any_of else "uint16", piece.any_of)


def attribute_read(attribute: Attribute, several: Iterable[tuple[int, AttributePlace]], most: int) -> AttributeRead:
    """The service for the signals, by number, of one attribute; a text has at most `most` bytes."""
    prefix = _PREFIX.get(attribute.type, 0)
    capacity = (1 << 8 * prefix) - 1 if prefix else 0
    placed = tuple(
        Placed(number, 0, place.wire if not place.any_of else attribute.type, place.any_of, prefix, prefix, capacity)
        for number, place in several
    )
    return AttributeRead(attribute, min(most, capacity), placed)
