"""Signals of devices that know their own types (OPC UA, EtherNet/IP): a type may be given, and is then checked."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from protocols.device import SignalSettings
from protocols.numeric import Bits, RawValues, raw_float, raw_whole
from protocols.settings import ValueType
from protocols.types import EXACT_TO, HIGHEST, LOWEST, MODULUS, WIDTH, WireType

TEXT_LENGTH = 250
"""Bytes of a text for which no length is given."""


class TypedSignal(SignalSettings):
    """One signal whose type the device knows."""

    type: WireType | None = Field(default=None, examples=["int32"])
    """What the device is expected to hold; another type there is an error that names both. Left out: as it has it."""
    scale: float = Field(default=1.0, allow_inf_nan=False)
    """value = raw · scale + offset; an unscaled integer stays an integer."""
    offset: float = Field(default=0.0, allow_inf_nan=False)
    """In the value's unit."""
    length: int = Field(default=TEXT_LENGTH, ge=1, le=65535)
    """Most bytes of a text, in UTF-8; a longer one is bad."""
    bits: Bits | None = None
    """First and last bit of a whole number, as an unsigned number."""
    invalid: RawValues = ()
    """Raw values, before scale and offset, that mean bad."""

    @field_validator("scale", "offset")
    @classmethod
    def _check_scale(cls, number: float, info: ValidationInfo) -> float:
        if number == 0.0 and info.field_name == "scale":
            raise ValueError("a scale of 0 would make every value the same")
        type_ = info.data.get("type")
        if number != (1.0 if info.field_name == "scale" else 0.0) and type_ in ("bool", "string"):
            raise ValueError(f"only numbers can have a scale and an offset, not a {type_}")
        return number

    @field_validator("bits")
    @classmethod
    def _check_bits(cls, bits: tuple[int, int] | None, info: ValidationInfo) -> tuple[int, int] | None:
        type_ = info.data.get("type")
        if bits is None:
            return bits
        if type_ is not None and type_ not in WIDTH:
            raise ValueError(f"bits are taken from a whole number, not from a {type_}")
        if bits[1] >= WIDTH.get(str(type_), 64):
            raise ValueError(f"[{bits[0]}, {bits[1]}]: a {type_} has bits 0 to {WIDTH[str(type_)] - 1}")
        if (info.data.get("scale", 1.0), info.data.get("offset", 0.0)) != (1.0, 0.0):
            raise ValueError("bits are an unsigned number as it is; leave scale and offset out")
        return bits

    @field_validator("invalid")
    @classmethod
    def _check_invalid(cls, values: tuple[int | float, ...], info: ValidationInfo) -> tuple[int | float, ...]:
        type_ = info.data.get("type")
        if type_ in ("bool", "string") and values:
            raise ValueError(f"only numbers can have raw values that mean bad, not a {type_}; leave invalid out")
        if type_ in EXACT_TO:
            return tuple(raw_float(value, type_) for value in values)
        if type_ is not None:
            return tuple(raw_whole(value, type_, LOWEST[type_], HIGHEST[type_]) for value in values)
        return values

    @property
    def is_scaled(self) -> bool:
        """Whether its values are scaled, and so are floating-point numbers."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def value_type(self) -> ValueType | None:
        """The type of the value after decoding and scaling, as far as the configuration says."""
        if self.bits is not None:
            return "int"
        if self.is_scaled or self.type in EXACT_TO:
            return "float"
        return {None: None, "bool": "bool", "string": "text"}.get(self.type, "int")

    @property
    def highest(self) -> int | None:
        """The largest value of an unscaled whole number's type."""
        if self.bits is not None:
            return int(2 ** (self.bits[1] - self.bits[0] + 1) - 1)
        return None if self.is_scaled else HIGHEST.get(str(self.type))

    @property
    def modulus(self) -> int | None:
        """How many values its type has, were it a counter; None where only the device knows it."""
        if self.bits is not None:
            return int(2 ** (self.bits[1] - self.bits[0] + 1))
        return MODULUS.get(str(self.type))

    @property
    def exact_to(self) -> int | None:
        """The largest whole number that an unscaled floating-point type counts to without a gap."""
        return None if self.is_scaled else EXACT_TO.get(str(self.type))
