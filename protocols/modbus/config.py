"""What a Modbus device may say in the configuration (Modbus Application Protocol V1.1b3 for addresses and tables)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.modbus.types import REGISTERS, RegisterType
from protocols.settings import DeviceSettings, Name, SignalSettings, misplaced

WordOrder = Literal["big", "little"]
_ADDRESS = re.compile(r"(coil|discrete|input|holding):(\d+)(?:\.(\d+))?")


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


class ModbusSignal(SignalSettings):
    """One signal of a Modbus device."""

    address: str
    """`coil:N`, `discrete:N`, `input:N`, `holding:N`, or `holding:N.B` for bit B (0 = least significant)."""
    type: RegisterType | None = None
    """bool for coils, discrete inputs and bits; required for registers."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """value = raw · scale + offset; an unscaled integer stays an integer."""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """In the value's unit."""
    length: int | None = Field(default=None, ge=1, le=250)
    """Bytes of a string, two a register."""
    word_order: WordOrder | None = None
    """Order of the registers of one value; the device's where it is left out."""
    byte_order: WordOrder | None = None
    """Order of the bytes within one register; the device's where it is left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        match = _ADDRESS.fullmatch(self.address)
        if match is None:
            example = "coil:0, discrete:4, input:7, holding:100 or holding:20.3"
            raise misplaced(f'"{self.address}" is not a Modbus address; write it like {example}', "address")
        is_bits, bit = match[1] in ("coil", "discrete"), match[3]
        if bit is not None and is_bits:
            raise misplaced(f'"{self.address}": a {match[1]} is one bit already; leave out ".{bit}"', "address")
        if bit is not None and int(bit) > 15:
            raise misplaced(f'"{self.address}": a register has bits 0 to 15', "address")
        if (is_bits or bit is not None) and self.type not in (None, "bool"):
            raise misplaced(f"a single bit is a bool, not {self.type}; leave the type out", "type")
        if not is_bits and bit is None:
            if self.type is None:
                known = ", ".join(REGISTERS)
                raise misplaced(f"a register needs a type, one of {known}; or name one bit ({self.address}.0)")
            if self.type == "bool":
                raise misplaced(f"a bool in a register needs its bit: {self.address}.0", "type")
        if (self.type == "string") != (self.length is not None):
            what = "a string needs its length in bytes" if self.length is None else f"{self.type} has no length"
            raise misplaced(what, *(() if self.length is None else ("length",)))
        if (self.scale, self.offset) != (1.0, 0.0) and (is_bits or bit is not None or self.type == "string"):
            raise misplaced("only numbers can have a scale and an offset", "scale" if self.scale != 1.0 else "offset")
        return self

    @property
    def registers(self) -> int:
        """How many registers (or bits, in a bit table) the signal takes."""
        if self.type == "string":
            return ((self.length or 0) + 1) // 2
        return REGISTERS.get(self.type or "bool", 1)


class ModbusDevice(DeviceSettings):
    """What Modbus devices of every transport have in common."""

    unit_id: int = Field(default=1, ge=0, le=255)
    """Unit identifier behind the endpoint."""
    address_base: Literal[0, 1] = 0
    """1 where the manual counts addresses from 1."""
    word_order: WordOrder = "big"
    """Order of the registers of 32- and 64-bit values."""
    byte_order: WordOrder = "big"
    """Order of the bytes within one register."""
    max_gap: int = Field(default=16, ge=0, le=125)
    """Registers read needlessly to save a request."""
    max_registers: int = Field(default=125, ge=1, le=125)
    """Most registers that the device answers in one request."""
    signals: Annotated[dict[Name, ModbusSignal], Field(min_length=1)]
    """The signals by name."""

    @model_validator(mode="after")
    def _check_addresses(self) -> Self:
        first, last = self.address_base, 65535 + self.address_base
        for name, signal in self.signals.items():
            number = int(signal.address.partition(":")[2].partition(".")[0])
            at = ("signals", name, "address")
            if not first <= number <= last:
                hint = self._near(signal.address, number)
                raise misplaced(f'"{signal.address}" is outside {first}..{last}{hint}', *at)
            if number + signal.registers - 1 > last:
                raise misplaced(f'"{signal.address}" with {signal.registers} registers ends beyond {last}', *at)
            if signal.registers > self.max_registers:
                words = f"{signal.registers} registers cannot be read in one request of {self.max_registers}"
                raise misplaced(words, "signals", name, "address")
        return self

    def _near(self, address: str, number: int) -> str:
        """What a reference number of the old 5- and 6-digit notation probably means, as a question."""
        table = address.partition(":")[0]
        digit = {"coil": 0, "discrete": 1, "input": 3, "holding": 4}[table]
        rest = number - digit * 100_000
        if digit and 1 <= rest <= 65536:
            return f'; did you mean "{table}:{rest - 1 + self.address_base}"?'
        return f'; did you mean "{table}:{str(number)[:-1]}"?' if number > 65536 else ""

    def locate(self, signal: ModbusSignal) -> Address:
        """Where a signal lies on the wire, zero-based."""
        match = _ADDRESS.fullmatch(signal.address)
        assert match is not None  # the signal's own validator has seen to it
        number = int(match[2]) - self.address_base
        return Address(Table[match[1].upper()], number, None if match[3] is None else int(match[3]))

    @property
    def signal_settings(self) -> dict[str, SignalSettings]:
        """The signals by name, in the order of the file."""
        return dict(self.signals)


class ModbusTcpDevice(ModbusDevice):
    """A device that speaks Modbus TCP."""

    protocol: Literal["modbus_tcp"]
    """Modbus over TCP (Modbus Messaging on TCP/IP V1.0b)."""
    host: str = Field(min_length=1)
    """Name or IP address."""
    port: int = Field(default=502, ge=1, le=65535)
    """TCP port."""

    @property
    def endpoint(self) -> str:
        """Host and port: one connection serves all unit ids behind it."""
        return f"{self.host}:{self.port}"
