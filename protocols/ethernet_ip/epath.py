"""Request paths: symbolic and logical segments, padded (CIP Volume 1, C-1.4; 1756-PM020, "Segment encoding")."""

from __future__ import annotations

import struct
from collections.abc import Iterable

CLASS, INSTANCE, ELEMENT, ATTRIBUTE = 0x20, 0x24, 0x28, 0x30
SYMBOL_CLASS, TEMPLATE_CLASS = 0x6B, 0x6C
_SYMBOLIC = 0x91


def logical(kind: int, value: int) -> bytes:
    """A class, instance, element or attribute in the shortest form that holds it: 8, 16 or 32 bits."""
    if value <= 0xFF:
        return struct.pack("<BB", kind, value)
    if value <= 0xFFFF:
        return struct.pack("<BBH", kind | 1, 0, value)
    return struct.pack("<BBI", kind | 2, 0, value)


def symbolic(name: str) -> bytes:
    """A tag's, a member's or a program's name."""
    encoded = name.encode("ascii")
    return bytes((_SYMBOLIC, len(encoded))) + encoded + b"\0" * (len(encoded) % 2)


def elements(indices: Iterable[int]) -> bytes:
    """An element of an array, one index for each dimension."""
    return b"".join(logical(ELEMENT, index) for index in indices)


def attribute_path(class_: int, instance: int, attribute: int) -> bytes:
    """An attribute of an object."""
    return logical(CLASS, class_) + logical(INSTANCE, instance) + logical(ATTRIBUTE, attribute)


def symbol_path(name: str, instance_id: int | None) -> bytes:
    """A tag, by its instance of the Symbol class or by its name, in which a program's comes first.

    An instance is of the controller's scope; tags of programs go by their names.
    """
    if instance_id is not None:
        return logical(CLASS, SYMBOL_CLASS) + logical(INSTANCE, instance_id)
    return b"".join(symbolic(part) for part in name.split("."))
