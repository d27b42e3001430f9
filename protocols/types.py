"""The types of values that devices hold, by the names that a configuration uses, and how far each counts."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

WireType: TypeAlias = Literal[
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "string",
]
"""What a device that knows its own types can hold; Modbus has no 8 bits, and BCD besides."""

WIDTH: dict[str, int] = {name: int(name.strip("uint")) for name in get_args(WireType) if "int" in name}
"""Bits of each whole number."""

HIGHEST: dict[str, int] = {name: 2 ** (bits - (name[0] != "u")) - 1 for name, bits in WIDTH.items()}
"""The largest value of each whole number."""

LOWEST: dict[str, int] = {name: 0 if name[0] == "u" else -highest - 1 for name, highest in HIGHEST.items()}
"""The smallest value of each whole number."""

EXACT_TO: dict[str, int] = {"float32": 2**24, "float64": 2**53}
"""Up to where a floating-point number counts without a gap (IEEE 754: the width of the significand)."""

MODULUS: dict[str, int] = {**{name: 2**bits for name, bits in WIDTH.items()}, **EXACT_TO}
"""How many values a counter of the type goes through before it begins again; floats as far as they are exact."""
