"""Why a signal is bad whose OPC UA value does not fit it, in words."""

from __future__ import annotations

# fmt: off
_TYPES = ("Null", "Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float",
          "Double", "String", "DateTime", "Guid", "ByteString", "XmlElement", "NodeId", "ExpandedNodeId", "StatusCode",
          "QualifiedName", "LocalizedText")
# fmt: on
_KINDS = ("nothing", "a bool", "a signed integer", "an unsigned integer", "a float", "a text")


def mismatch(type_id: int, kind: int) -> str:
    """A value of a built-in type (Part 6, 5.1.2) that a signal of the kind cannot hold exactly."""
    return f"{_TYPES[type_id]} does not fit {_KINDS[kind]}"


def no_bits(type_id: int, first: int, last: int) -> str:
    """A bit field outside the integer, or of what is no integer."""
    which = f"bit {first}" if first == last else f"bits {first} to {last}"
    return f"{_TYPES[type_id]} has no {which}"


def beyond(element: int, count: int) -> str:
    """An array without the element that is asked for."""
    return f"no element {element}: the array has {count} elements"


def is_array(type_id: int) -> str:
    """An array, of which no element is asked for."""
    return f"an array of {_TYPES[type_id]} where one value is expected"


def is_no_array(type_id: int, element: int) -> str:
    """A value by itself where an element is asked for."""
    return f"no element {element}: one {_TYPES[type_id]}, and no array"
