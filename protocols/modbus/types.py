"""The types of a Modbus signal: the registers that each takes, how far each counts, and encodings of strings."""

from __future__ import annotations

from typing import Literal

RegisterType = Literal[
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bcd16", "bcd32", "string"
]

REGISTERS: dict[str, int] = {
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "int64": 4,
    "uint64": 4,
    "float32": 2,
    "float64": 4,
    "bcd16": 1,
    "bcd32": 2,
    "string": 0,
}
"""Registers of one value; a string's follow from its length."""

HIGHEST: dict[str, int] = {
    "int16": 2**15 - 1,
    "uint16": 2**16 - 1,
    "int32": 2**31 - 1,
    "uint32": 2**32 - 1,
    "int64": 2**63 - 1,
    "uint64": 2**64 - 1,
    "bcd16": 9_999,
    "bcd32": 99_999_999,
}
"""The largest value of each whole number."""

LOWEST: dict[str, int] = {name: -highest - 1 if name.startswith("int") else 0 for name, highest in HIGHEST.items()}
"""The smallest value of each whole number."""

WIDTH: dict[str, int] = {name: 16 * count for name, count in REGISTERS.items() if name.startswith("uint")}
"""Bits of each unsigned number."""

EXACT_TO: dict[str, int] = {"float32": 2**24, "float64": 2**53}
"""Up to where a floating-point number counts without a gap (IEEE 754: the width of the significand)."""

Encoding = Literal["ascii", "latin-1", "utf-8", "cp1252", "utf-16-be", "utf-16-le"]

ENCODINGS: dict[str, int] = {"ascii": 1, "latin-1": 1, "utf-8": 1, "cp1252": 1, "utf-16-be": 2, "utf-16-le": 2}
"""Bytes of the smallest character of each encoding; the names are Python's."""
