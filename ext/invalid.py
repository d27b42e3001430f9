"""Raw values that mean bad, from the numbers that people write to the bit patterns that the decoder compares."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

_FLOATS = {"float32": (">f", ">I"), "float64": (">d", ">Q")}
_DIGITS = {"bcd16": 4, "bcd32": 8}


def patterns(type_name: str, bits: int, values: Iterable[int | float]) -> list[int]:
    """The bit patterns, of `bits` bits, that `values` stand for in a signal of the type.

    Of integers and bit fields: the unsigned pattern, or the signed number. Of floats: the number, or the
    pattern where the value is an int. Of BCD: the decimal number, or the pattern where it has more digits.
    NaN is left out, since it is bad as it is. Raises ValueError for what the type cannot hold.
    """
    found: list[int] = []
    for value in values:
        if type_name in _FLOATS:
            found += _of_float(type_name, bits, value)
        elif type_name in _DIGITS and 0 <= value < 10 ** _DIGITS[type_name]:
            found.append(int(str(_integer(type_name, value)), 16))
        else:
            found.append(_of_integer(type_name, bits, value))
    return list(dict.fromkeys(found))


def words(pattern: int, bits: int) -> str:
    """Why a signal is bad that has this raw value."""
    return f"invalid value 0x{pattern:0{(bits + 3) // 4}X}"


def _of_integer(type_name: str, bits: int, value: int | float) -> int:
    number = _integer(type_name, value)
    if not -(1 << bits - 1) <= number < 1 << bits:
        raise ValueError(f"{type_name} of {bits} bits has no value {value}")
    return number & ((1 << bits) - 1)


def _integer(type_name: str, value: int | float) -> int:
    if value != value or math.isinf(value) or int(value) != value:
        raise ValueError(f"{type_name} has no value {value}")
    return int(value)


def _of_float(type_name: str, bits: int, value: int | float) -> list[int]:
    number, pattern = _FLOATS[type_name]
    found = []
    if isinstance(value, int) and 0 <= value < 1 << bits:
        found.append(value)
    try:
        one = float(value)
        if one == one:
            found += struct.unpack(pattern, struct.pack(number, one))
            if one == 0.0:
                found += [0, 1 << bits - 1]  # both zeros are the same number
    except OverflowError:
        if not found:
            raise ValueError(f"{type_name} has no value {value}") from None
    return found
