"""What CIP general and extended status say, in words (CIP Volume 1, B-1 and 3-5.6; 1756-PM020)."""

from __future__ import annotations

SUCCESS, PARTIAL_TRANSFER, REPLY_TOO_LARGE = 0x00, 0x06, 0x11
CONNECTION_FAILURE, SERVICE_NOT_SUPPORTED = 0x01, 0x08
PATH_ERRORS = frozenset((0x04, 0x05))
"""The object that the path names is not there."""
FOR_GOOD = PATH_ERRORS | {0x08, 0x09, 0x0E, 0x0F, 0x11, 0x13, 0x14, 0x15, 0x16, 0x20, 0x26, 0xFF, 0x100}
"""Statuses that the next scan would get as well; others say what is the matter now."""

_GENERAL = {
    0x01: "the connection failed",
    0x02: "the controller is too busy",
    0x03: "a parameter is wrong",
    0x04: "the controller cannot make sense of its path",
    0x05: "there is no such object",
    0x06: "only a part was sent",
    0x08: "the service is not supported",
    0x09: "an attribute has a wrong value",
    0x0C: "the object's state does not allow it",
    0x0E: "the attribute cannot be had",
    0x0F: "reading it is not permitted",
    0x10: "the device's state does not allow it",
    0x11: "the reply would be too large",
    0x13: "the request is too short",
    0x14: "the attribute is not supported",
    0x15: "the request is too long",
    0x16: "the object does not exist",
    0x1E: "a service within the packet failed",
    0x20: "a parameter is invalid",
    0x26: "its path has a wrong size",
    0x100: "the attribute has another size",
}
_EXTENDED = {
    (0x01, 0x0100): "the connection is there already",
    (0x01, 0x0107): "there is no such connection",
    (0x01, 0x0109): "the connection is too large",
    (0x01, 0x0113): "it has no connection left",
    (0x01, 0x0127): "the connection is too large",
    (0x01, 0x0128): "the connection is too large",
    (0x01, 0x0203): "the connection timed out",
    (0x01, 0x0204): "nobody answers at the end of the route",
    (0x01, 0x0205): "a parameter of the unconnected request is wrong",
    (0x01, 0x0311): "a module on the route has no such port",
    (0x01, 0x0312): "there is nothing at an address on the route",
    (0x01, 0x0315): "a segment of the route is invalid",
    (0x01, 0x0318): "the route leads back to the module itself",
    (0xFF, 0x2104): "the offset is beyond the tag's end",
    (0xFF, 0x2105): "it is beyond the tag's end",
    (0xFF, 0x2107): "its type is another one",
}
TOO_LARGE = frozenset((0x0109, 0x0127, 0x0128))
"""Extended statuses of a Forward Open whose size is refused; the next word, if any, is the largest size."""


def words(status: int, extended: int = 0) -> str:
    """`there is no such object (status 0x05)`."""
    said = _EXTENDED.get((status, extended)) or _GENERAL.get(status, "it was refused")
    if status == 0x100:
        return f"the attribute has {extended} bytes, which its type has not"
    number = f"{status:#04x}/{extended:#06x}" if extended else f"{status:#04x}"
    return f"{said} (status {number})"
