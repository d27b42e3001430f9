"""What a Modbus signal may say in the configuration: where it lies, and how its registers become a value."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from protocols.device import SignalSettings
from protocols.modbus.address import check_address, is_bit
from protocols.modbus.types import ENCODINGS, HIGHEST, LOWEST, MODULUS, REGISTERS, Encoding, RegisterType
from protocols.numeric import Bits, RawValues, raw_float, raw_whole
from protocols.settings import ValueType, shown
from protocols.types import EXACT_TO, WIDTH

WordOrder: TypeAlias = Literal["big", "little"]


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
    bits: Bits | None = None
    """First and last bit of a uint16 (where the type is left out), uint32 or uint64, as an unsigned number."""
    invalid: RawValues = ()
    """Raw values, before scale and offset, that mean bad; `0x8000` in an int16 is -32768."""
    encoding: Encoding = "latin-1"
    """How the bytes of a string are characters."""

    @model_validator(mode="before")
    @classmethod
    def _bits_of_a_register(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("bits") is None or "type" in data:
            return data
        address = data.get("address")
        return {**data, "type": "uint16"} if isinstance(address, str) and not is_bit(address) else data

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        return check_address(address)

    @field_validator("type")
    @classmethod
    def _check_type(cls, type_: RegisterType | None, info: ValidationInfo) -> RegisterType | None:
        address = info.data.get("address")
        if address is None:
            return type_
        if is_bit(address):
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
        bits, text = is_bit(info.data.get("address", "")), info.data.get("type") == "string"
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

    @field_validator("bits")
    @classmethod
    def _check_bits(cls, bits: tuple[int, int] | None, info: ValidationInfo) -> tuple[int, int] | None:
        address, type_ = info.data.get("address"), info.data.get("type")
        if bits is None or address is None or "type" not in info.data:
            return bits
        if is_bit(address):
            register, _, bit = address.partition(".")
            remedy = f"write `address: {register}`" if bit else "leave bits out"
            raise ValueError(f"{shown(address)} is one bit already; {remedy}")
        if type_ not in ("uint16", "uint32", "uint64"):
            raise ValueError(f"bits are taken from a uint16, uint32 or uint64, not from a {type_}")
        if bits[1] >= WIDTH[type_]:
            raise ValueError(f"[{bits[0]}, {bits[1]}]: a {type_} has bits 0 to {WIDTH[type_] - 1}")
        if (info.data.get("scale", 1.0), info.data.get("offset", 0.0)) != (1.0, 0.0):
            raise ValueError("bits are an unsigned number as it is; leave scale and offset out")
        return bits

    @field_validator("invalid")
    @classmethod
    def _check_invalid(cls, values: tuple[int | float, ...], info: ValidationInfo) -> tuple[int | float, ...]:
        if "type" not in info.data or "address" not in info.data:
            return values
        type_ = info.data["type"] or "bool"
        if type_ in ("bool", "string"):
            raise ValueError(f"only numbers can have raw values that mean bad, not a {type_}; leave invalid out")
        if (bits := info.data.get("bits")) is not None:
            return tuple(raw_whole(value, "these bits", 0, 2 ** (bits[1] - bits[0] + 1) - 1) for value in values)
        if type_ in EXACT_TO:
            return tuple(raw_float(value, type_) for value in values)
        return tuple(raw_whole(value, type_, LOWEST[type_], HIGHEST[type_]) for value in values)

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, encoding: Encoding, info: ValidationInfo) -> Encoding:
        if "type" in info.data and info.data["type"] != "string":
            raise ValueError(f"only a string has an encoding, not a {info.data['type'] or 'bool'}; leave it out")
        if ENCODINGS[encoding] == 2 and (info.data.get("length") or 0) % 2:
            raise ValueError(f"a character of {encoding} has 2 bytes, so the length must be even")
        return encoding

    @property
    def place(self) -> str:
        """Table and number."""
        return self.address

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
        if self.bits is not None:
            return int(2 ** (self.bits[1] - self.bits[0] + 1) - 1)
        return HIGHEST[str(self.type)] if self.value_type == "int" else None

    @property
    def modulus(self) -> int | None:
        """How many values its type has, were it a counter."""
        if self.bits is not None:
            return int(2 ** (self.bits[1] - self.bits[0] + 1))
        return MODULUS.get(str(self.type))

    @property
    def exact_to(self) -> int | None:
        """The largest whole number that an unscaled floating-point type counts to without a gap."""
        return EXACT_TO.get(str(self.type)) if (self.scale, self.offset) == (1.0, 0.0) else None
