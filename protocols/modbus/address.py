"""Where a Modbus signal lies: its table and number, as written and as on the wire (Application Protocol V1.1b3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from protocols.settings import shown

ADDRESS = re.compile(r"(coil|discrete|input|holding):([0-9]{1,9})(?:\.([0-9]{1,3}))?")


class Table(IntEnum):
    """The four tables; the value is the function code that reads one (clauses 6.1 to 6.4)."""

    COIL = 1
    DISCRETE = 2
    HOLDING = 3
    INPUT = 4

    @property
    def is_bits(self) -> bool:
        """Whether the table holds single bits and not 16-bit registers."""
        return self in (Table.COIL, Table.DISCRETE)


@dataclass(frozen=True, slots=True)
class Address:
    """A place in one of the tables, zero-based as on the wire."""

    table: Table
    number: int
    bit: int | None = None


def is_bit(address: str) -> bool:
    """Whether an address names a single bit: of a bit table, or of a register."""
    return address.startswith(("coil:", "discrete:")) or "." in address


def check_address(address: str) -> str:
    """The address itself. Raises ValueError in words for one that cannot be, wherever its table ends."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        example = "coil:0, discrete:4, input:7, holding:100 or holding:20.3"
        raise ValueError(f"{shown(address)} is not a Modbus address; write it like {example}")
    if match[3] is not None and match[1] in ("coil", "discrete"):
        raise ValueError(f'{shown(address)}: a {match[1]} is one bit already; leave out ".{match[3]}"')
    if match[3] is not None and int(match[3]) > 15:
        raise ValueError(f"{shown(address)}: a register has bits 0 to 15")
    return address


def on_the_wire(address: str, base: int) -> Address:
    """The place of an address that `check_address` has passed; `base` is the number of the first one."""
    match = ADDRESS.fullmatch(address)
    assert match is not None  # check_address has seen to it
    return Address(Table[match[1].upper()], int(match[2]) - base, None if match[3] is None else int(match[3]))


def outside(address: str, count: int, base: int | None) -> str | None:
    """What is wrong with `count` registers from an address: it is beyond its table; None where it is not.

    `base` is None where the file's is wrong: then both are taken as right.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        return None
    number, first, last = int(match[2]), base or 0, 65535 + (1 if base is None else base)
    if not first <= number <= last:
        return f"{shown(address)} is outside {first}..{last}{_near(match[1], number, first, last)}"
    if number + count - 1 > last:
        return f"{shown(address)} with {count} registers ends beyond {last}"
    return None


def _near(table: str, number: int, first: int, last: int) -> str:
    """What a reference number of the old 5- and 6-digit notation probably means, as a question."""
    digit = {"coil": 0, "discrete": 1, "input": 3, "holding": 4}[table]
    meant = number - digit * 100_000 - 1 + first
    if digit and number > 100_000 and first <= meant <= last:
        return f'; did you mean "{table}:{meant}"?'
    shorter = int(str(number)[:-1] or "0")
    return f'; did you mean "{table}:{shorter}"?' if first <= shorter <= last and number > last else ""
