"""What a Modbus device may say in the configuration, over each of the four transports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from protocols.device import DeviceSettings, SignalSettings
from protocols.host import Host
from protocols.modbus.address import Address as Address
from protocols.modbus.address import Table as Table
from protocols.modbus.address import on_the_wire, outside
from protocols.modbus.signal import ModbusSignal as ModbusSignal
from protocols.modbus.signal import WordOrder as WordOrder
from protocols.modbus.types import REGISTERS
from protocols.settings import (
    NOT_BOOL,
    Duration,
    Keyed,
    Name,
    Settings,
    Switch,
    TlsConfig,
    between,
    gathered,
    misplaced,
    shown,
)


class ModbusDevice(DeviceSettings):
    """What Modbus devices of every transport have in common."""

    SERIAL: ClassVar[bool] = False
    """Whether frames are RTU's, without transaction ids."""

    unit_id: int = Field(default=1, ge=0, le=255)
    """Unit identifier behind the endpoint."""
    address_base: Annotated[Literal[0, 1], NOT_BOOL] = 0
    """1 where the manual counts addresses from 1."""
    word_order: WordOrder = "big"
    """Order of the registers of 32- and 64-bit values."""
    byte_order: WordOrder = "big"
    """Order of the bytes within one register."""
    coalesce: Switch = True
    """off: one request a signal, for devices that refuse a read across several values."""
    max_gap: int = Field(default=16, ge=0, le=125)
    """Registers read needlessly to save a request."""
    max_registers: int = Field(default=125, ge=1, le=125)
    """Most registers that the device answers in one request."""
    in_flight: int = Field(default=1, ge=1, le=32)
    """Requests sent and not yet answered; more than 1 only over modbus_tcp and modbus_tls."""
    pause: Annotated[Duration, between("0ms", "1min")] = 0
    """Rest between a reply and the next request, for slow devices."""
    signals: Annotated[Keyed[Name, ModbusSignal], Field(min_length=1)] = Field(
        examples=['{running: {address: "coil:0"}}']
    )
    """The signals by name."""

    @field_validator("unit_id")
    @classmethod
    def _check_unit_id(cls, unit_id: int) -> int:
        if cls.SERIAL and unit_id == 0:
            raise ValueError("0 speaks to every unit of a serial line, and none answers; a unit is 1 to 247")
        return unit_id

    @field_validator("in_flight")
    @classmethod
    def _check_in_flight(cls, in_flight: int) -> int:
        if cls.SERIAL and in_flight > 1:
            words = "RTU frames have no transaction ids, so that only one request can be under way"
            raise ValueError(f"{words}; leave in_flight out")
        return in_flight

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
        return on_the_wire(signal.address, self.address_base)

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
    host: Host
    """Name or IP address."""
    port: int = Field(default=502, ge=1, le=65535)
    """TCP port."""

    @property
    def endpoint(self) -> str:
        """Host and port: one connection serves all unit ids behind it."""
        return f"{self.host}:{self.port}"

    @property
    def transport(self) -> Mapping[str, object]:
        """The protocol alone."""
        return {"protocol": self.protocol}


class DeviceTls(TlsConfig):
    """TLS to a device; without `ca` the system's authorities are trusted.

    Files are relative to the working directory, which is `/` under systemd: write their paths in full.
    """

    server_name: str | None = Field(default=None, min_length=1, max_length=253, examples=["plc-7.plant.example"])
    """The name in the device's certificate, where that is not its host."""


class ModbusTlsDevice(ModbusDevice):
    """A device that speaks Modbus over TLS."""

    protocol: Literal["modbus_tls"] = Field(examples=["modbus_tls"])
    """Modbus/TCP Security."""
    host: Host
    """Name or IP address."""
    port: int = Field(default=802, ge=1, le=65535)
    """TCP port."""
    tls: DeviceTls = DeviceTls.model_construct()
    """Certificates."""

    @property
    def endpoint(self) -> str:
        """Host and port: one connection serves all unit ids behind it."""
        return f"{self.host}:{self.port}"

    @property
    def transport(self) -> Mapping[str, object]:
        """The protocol and the certificates."""
        tls = {f"tls.{key}": getattr(self.tls, key) for key in type(self.tls).model_fields}
        return {"protocol": self.protocol, **tls}


class SerialConfig(Settings):
    """A serial line, with 8 data bits."""

    path: str = Field(min_length=1, examples=["/dev/ttyS0"])
    """The line's device file; one below `/dev/serial/by-path` stays the same."""
    baud: int = Field(default=9600, ge=50, le=4_000_000)
    """Bits a second."""
    parity: Literal["even", "odd", "none"] = "even"
    """As the device has it; none usually goes with 2 stop bits."""
    stop_bits: Annotated[Literal[1, 2], NOT_BOOL] = 1
    """Stop bits of a character."""

    @property
    def character_bits(self) -> int:
        """Bits of one character on the line: start, 8 of data, parity and stop."""
        return 9 + (self.parity != "none") + self.stop_bits


class ModbusRtuDevice(ModbusDevice):
    """A device on a serial line."""

    SERIAL: ClassVar[bool] = True

    protocol: Literal["modbus_rtu"] = Field(examples=["modbus_rtu"])
    """Modbus RTU (Modbus over serial line V1.02)."""
    serial: SerialConfig = Field(examples=["{path: /dev/ttyS0, baud: 9600, parity: even, stop_bits: 1}"])
    """The line; devices on the same one give the same settings."""

    @property
    def endpoint(self) -> str:
        """The line's path: it serves all units on it."""
        return self.serial.path

    @property
    def transport(self) -> Mapping[str, object]:
        """The protocol and the line's settings."""
        serial = {f"serial.{key}": getattr(self.serial, key) for key in type(self.serial).model_fields}
        return {"protocol": self.protocol, **serial}


class ModbusRtuOverTcpDevice(ModbusDevice):
    """A device on a serial line behind a converter that passes RTU frames on over TCP."""

    SERIAL: ClassVar[bool] = True

    protocol: Literal["modbus_rtu_over_tcp"] = Field(examples=["modbus_rtu_over_tcp"])
    """Modbus RTU's frames over TCP, without Modbus TCP's header."""
    host: Host
    """Name or IP address of the converter."""
    port: int = Field(default=502, ge=1, le=65535)
    """TCP port."""

    @property
    def endpoint(self) -> str:
        """Host and port: one connection serves all units on the line behind it."""
        return f"{self.host}:{self.port}"

    @property
    def transport(self) -> Mapping[str, object]:
        """The protocol alone."""
        return {"protocol": self.protocol}


def _outside(signals: Any, base: int | None, max_registers: int | None) -> Iterator[PydanticCustomError]:
    """Every signal that lies beyond its table or takes more registers than one request may have."""
    if not isinstance(signals, Mapping):
        return
    for name, signal in signals.items():
        written = signal.model_dump() if isinstance(signal, ModbusSignal) else signal
        address, type_ = (written.get("address"), written.get("type")) if isinstance(written, dict) else (None, None)
        if not isinstance(address, str):
            continue
        count = _register_count(type_, written.get("length"))
        words = outside(address, count, base)
        if words is None and max_registers is not None and count > max_registers:
            words = f"{shown(address)}: {count} registers cannot be read in one request of {max_registers}"
        if words is not None:
            yield misplaced(words, name, "address")


def _register_count(type_: object, length: object) -> int:
    if type_ == "string":
        return (length + 1) // 2 if isinstance(length, int) and 1 <= length <= 250 else 1
    return REGISTERS.get(type_, 1) if isinstance(type_, str) else 1
