"""Pieces of signals that are numbers: bits of a word, and raw values that mean bad."""

from __future__ import annotations

import math
import struct
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from protocols.settings import shown


def _two_bits(written: object) -> tuple[int, int]:
    """First and last bit, as written: `[3, 6]`."""
    match written:
        case [int(first), int(last)] if not isinstance(first, bool) and not isinstance(last, bool):
            if not 0 <= first <= 63 or not 0 <= last <= 63:
                raise ValueError(f"[{first}, {last}]: bits are counted from 0, the least significant, to 63")
            if first > last:
                raise ValueError(f"[{first}, {last}] ends before it begins; write [{last}, {first}]")
            return first, last
    raise ValueError(f"expected the first and the last bit, both inclusive, like [3, 6]; found {shown(written)}")


def _raw_values(written: object) -> tuple[int | float, ...]:
    """One raw value, or a list of them."""
    values = written if isinstance(written, (list, tuple)) else [written]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            words = f"expected a raw value or a list of them, like 0x8000 or [65534, 65535]; found {shown(value)}"
            raise ValueError(words)
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise ValueError("a raw value has at most 64 bits; write a larger float32 or float64 like 1e30")
    return tuple(values)


_NUMBER = {"type": "number"}
Bits = Annotated[
    tuple[int, int],
    BeforeValidator(_two_bits),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": 63},
            "minItems": 2,
            "maxItems": 2,
            "examples": ["[3, 6]"],
        }
    ),
]
RawValues = Annotated[
    tuple[int | float, ...],
    BeforeValidator(_raw_values),
    WithJsonSchema({"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER}], "examples": ["0x8000"]}),
]


def raw_whole(value: int | float, what: str, lowest: int, highest: int) -> int:
    """A raw value of a whole number; of a signed one its bit pattern may be written too."""
    if not isinstance(value, int):
        raise ValueError(f"{value:g} is not a whole number, and no raw value of {what}")
    if lowest < 0 and highest < value <= 2 * highest + 1:
        return value - 2 * (highest + 1)
    if not lowest <= value <= highest:
        raise ValueError(f"{value} is outside {lowest}..{highest}, so no raw value of {what} ever is")
    return value


def raw_float(value: int | float, type_: str) -> float:
    """A raw value as the type can hold it: the nearest one."""
    form = ">f" if type_ == "float32" else ">d"
    try:
        (nearest,) = struct.unpack(form, struct.pack(form, value))
    except OverflowError:
        raise ValueError(f"{value} is beyond what a {type_} can hold") from None
    if not math.isfinite(nearest):
        raise ValueError("not-a-number and infinity are bad anyway; leave them out")
    return float(nearest)
