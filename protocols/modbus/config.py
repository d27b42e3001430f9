"""What a Modbus device may say in the configuration (Modbus Application Protocol V1.1b3 for addresses and tables)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

from protocols.modbus.types import EXACT_TO, HIGHEST, REGISTERS, RegisterType
from protocols.settings import (
    NOT_BOOL,
    DeviceSettings,
    Keyed,
    Name,
    SignalSettings,
    ValueType,
    gathered,
    misplaced,
    shown,
)

WordOrder = Literal["big", "little"]
_ADDRESS = re.compile(r"(coil|discrete|input|holding):([0-9]{1,9})(?:\.([0-9]{1,3}))?")
_HOST_WITH_PORT = re.compile(r"([^:\s]+):([0-9]+)")


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

    address: str = Field(examples=["holding:100", "coil:0", "input:7", "holding:20.3"])
    """`coil:N`, `discrete:N`, `input:N`, `holding:N`, or `holding:N.B` for bit B (0 = least significant)."""
    type: RegisterType | None = Field(default=None, validate_default=True, examples=["uint16"])
    """bool for coils, discrete inputs and bits; required for registers."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """value = raw · scale + offset; an unscaled integer stays an integer."""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """In the value's unit."""
    length: int | None = Field(default=None, ge=1, le=250, validate_default=True, examples=[16])
    """Bytes of a string, two a register."""
    word_order: WordOrder | None = None
    """Order of the registers of one value; the device's where it is left out."""
    byte_order: WordOrder | None = None
    """Order of the bytes within one register; the device's where it is left out."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        match = _ADDRESS.fullmatch(address)
        if match is None:
            example = "coil:0, discrete:4, input:7, holding:100 or holding:20.3"
            raise ValueError(f"{shown(address)} is not a Modbus address; write it like {example}")
        if match[3] is not None and match[1] in ("coil", "discrete"):
            raise ValueError(f'{shown(address)}: a {match[1]} is one bit already; leave out ".{match[3]}"')
        if match[3] is not None and int(match[3]) > 15:
            raise ValueError(f"{shown(address)}: a register has bits 0 to 15")
        return address

    @field_validator("type")
    @classmethod
    def _check_type(cls, type_: RegisterType | None, info: ValidationInfo) -> RegisterType | None:
        address = info.data.get("address")
        if address is None:
            return type_
        if _is_bit(address):
            if type_ not in (None, "bool"):
                raise ValueError(f"a single bit is a bool, not {type_}; leave the type out")
        elif type_ is None:
            known = ", ".join(REGISTERS)
            raise ValueError(f"a register needs a type, one of {known}; or name one bit of it ({address}.0)")
        elif type_ == "bool":
            raise ValueError(f"a bool in a register needs its bit: {address}.0")
        return type_

    @field_validator("scale", "offset")
    @classmethod
    def _check_scale(cls, number: float, info: ValidationInfo) -> float:
        neutral = 1.0 if info.field_name == "scale" else 0.0
        if number == 0.0 and info.field_name == "scale":
            raise ValueError("a scale of 0 would make every value the same")
        bits, text = _is_bit(info.data.get("address", "")), info.data.get("type") == "string"
        if number != neutral and (bits or text):
            raise ValueError(f"only numbers can have a scale and an offset, not a {'bool' if bits else 'string'}")
        return number

    @field_validator("length")
    @classmethod
    def _check_length(cls, length: int | None, info: ValidationInfo) -> int | None:
        if "type" in info.data and (info.data["type"] == "string") != (length is not None):
            if length is None:
                raise ValueError("a string needs its length in bytes, for example `length: 16`")
            raise ValueError("only a string has a length; a number's follows from its type")
        return length

    @property
    def registers(self) -> int:
        """How many registers (or bits, in a bit table) the signal takes."""
        if self.type == "string":
            return ((self.length or 0) + 1) // 2
        return REGISTERS.get(self.type or "bool", 1)

    @property
    def value_type(self) -> ValueType:
        """The type of the value after decoding and scaling."""
        if self.type in (None, "bool"):
            return "bool"
        if self.type == "string":
            return "text"
        return "float" if self.type in EXACT_TO or (self.scale, self.offset) != (1.0, 0.0) else "int"

    @property
    def highest(self) -> int | None:
        """The largest value of an unscaled whole number's type."""
        return HIGHEST[str(self.type)] if self.value_type == "int" else None

    @property
    def exact_to(self) -> int | None:
        """The largest whole number that an unscaled floating-point type counts to without a gap."""
        return EXACT_TO.get(str(self.type)) if (self.scale, self.offset) == (1.0, 0.0) else None


class ModbusDevice(DeviceSettings):
    """What Modbus devices of every transport have in common."""

    unit_id: int = Field(default=1, ge=0, le=255)
    """Unit identifier behind the endpoint."""
    address_base: Annotated[Literal[0, 1], NOT_BOOL] = 0
    """1 where the manual counts addresses from 1."""
    word_order: WordOrder = "big"
    """Order of the registers of 32- and 64-bit values."""
    byte_order: WordOrder = "big"
    """Order of the bytes within one register."""
    max_gap: int = Field(default=16, ge=0, le=125)
    """Registers read needlessly to save a request."""
    max_registers: int = Field(default=125, ge=1, le=125)
    """Most registers that the device answers in one request."""
    signals: Annotated[Keyed[Name, ModbusSignal], Field(min_length=1)] = Field(
        examples=['{running: {address: "coil:0"}}']
    )
    """The signals by name."""

    @field_validator("signals", mode="wrap")
    @classmethod
    def _check_addresses(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        # from what is written, so that one bad signal does not hide that another lies outside its table
        problems = list(_outside(value, info.data.get("address_base"), info.data.get("max_registers")))
        try:
            signals = handler(value)
        except ValidationError as error:
            raise gathered(problems, error) from None
        if problems:
            raise gathered(problems)
        return signals

    def locate(self, signal: ModbusSignal) -> Address:
        """Where a signal lies on the wire, zero-based."""
        match = _ADDRESS.fullmatch(signal.address)
        assert match is not None  # the signal's own validator has seen to it
        number = int(match[2]) - self.address_base
        return Address(Table[match[1].upper()], number, None if match[3] is None else int(match[3]))

    @property
    def identity(self) -> str:
        """Endpoint and unit identifier."""
        return f"{self.endpoint} unit {self.unit_id}"

    @property
    def signal_settings(self) -> Mapping[str, SignalSettings]:
        """The signals by name, in the order of the file."""
        return self.signals


class ModbusTcpDevice(ModbusDevice):
    """A device that speaks Modbus TCP."""

    protocol: Literal["modbus_tcp"] = Field(examples=["modbus_tcp"])
    """Modbus over TCP (Modbus Messaging on TCP/IP V1.0b)."""
    host: str = Field(min_length=1, max_length=253, examples=["192.168.0.10"])
    """Name or IP address."""
    port: int = Field(default=502, ge=1, le=65535)
    """TCP port."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, host: str) -> str:
        if match := _HOST_WITH_PORT.fullmatch(host):
            raise ValueError(f"a host has no port; write `host: {match[1]}` and `port: {match[2]}`")
        if re.search(r"[\s/@]", host):
            raise ValueError("a host is a name or an IP address alone, without a scheme, a user or a path")
        return host

    @property
    def endpoint(self) -> str:
        """Host and port: one connection serves all unit ids behind it."""
        return f"{self.host}:{self.port}"


def _is_bit(address: str) -> bool:
    return address.startswith(("coil:", "discrete:")) or "." in address


def _outside(signals: Any, base: int | None, max_registers: int | None) -> Iterator[PydanticCustomError]:
    """Every signal that lies beyond its table or takes more registers than one request may have."""
    if not isinstance(signals, Mapping):
        return
    first, last = base or 0, 65535 + (1 if base is None else base)
    for name, signal in signals.items():
        written = signal.model_dump() if isinstance(signal, ModbusSignal) else signal
        address, type_ = (written.get("address"), written.get("type")) if isinstance(written, dict) else (None, None)
        match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if match is None:
            continue
        number, count = int(match[2]), _register_count(type_, written.get("length"))
        if not first <= number <= last:
            words = f"{shown(address)} is outside {first}..{last}{_near(match[1], number, first, last)}"
        elif number + count - 1 > last:
            words = f"{shown(address)} with {count} registers ends beyond {last}"
        elif max_registers is not None and count > max_registers:
            words = f"{shown(address)}: {count} registers cannot be read in one request of {max_registers}"
        else:
            continue
        yield misplaced(words, name, "address")


def _register_count(type_: object, length: object) -> int:
    if type_ == "string":
        return (length + 1) // 2 if isinstance(length, int) and 1 <= length <= 250 else 1
    return REGISTERS.get(type_, 1) if isinstance(type_, str) else 1


def _near(table: str, number: int, first: int, last: int) -> str:
    """What a reference number of the old 5- and 6-digit notation probably means, as a question."""
    digit = {"coil": 0, "discrete": 1, "input": 3, "holding": 4}[table]
    meant = number - digit * 100_000 - 1 + first
    if digit and number > 100_000 and first <= meant <= last:
        return f'; did you mean "{table}:{meant}"?'
    shorter = int(str(number)[:-1] or "0")
    return f'; did you mean "{table}:{shorter}"?' if first <= shorter <= last and number > last else ""
