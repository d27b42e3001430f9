"""The types of a Modbus signal: the registers that each takes, how far each counts, and encodings of strings."""

from __future__ import annotations

from typing import Literal

from protocols import types

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

_BCD = {"bcd16": 9_999, "bcd32": 99_999_999}

HIGHEST: dict[str, int] = {**types.HIGHEST, **_BCD}
"""The largest value of each whole number."""

LOWEST: dict[str, int] = {**types.LOWEST, **dict.fromkeys(_BCD, 0)}
"""The smallest value of each whole number."""

MODULUS: dict[str, int] = {**types.MODULUS, **{name: highest + 1 for name, highest in _BCD.items()}}
"""How many values a counter of the type goes through before it begins again."""

Encoding = Literal["ascii", "latin-1", "utf-8", "cp1252", "utf-16-be", "utf-16-le"]

ENCODINGS: dict[str, int] = {"ascii": 1, "latin-1": 1, "utf-8": 1, "cp1252": 1, "utf-16-be": 2, "utf-16-le": 2}
"""Bytes of the smallest character of each encoding; the names are Python's."""
