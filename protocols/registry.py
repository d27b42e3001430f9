"""The protocols by the name that a configuration uses; a new one is a folder and a line here.

A protocol's configuration imports no library; its driver is imported when a configuration uses it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, TypeAlias, cast

from pydantic import Discriminator, Tag

from protocols.device import DeviceSettings
from protocols.driver import Driver
from protocols.ethernet_ip.config import EthernetIpDevice
from protocols.modbus.config import ModbusRtuDevice, ModbusRtuOverTcpDevice, ModbusTcpDevice, ModbusTlsDevice
from protocols.opcua.config import OpcuaDevice


def _kind(value: object) -> str:
    """The tag of what is written, or of a section; anything else is complained about as if it were the first kind."""
    named = value.get("protocol") if isinstance(value, dict) else getattr(value, "protocol", "modbus_tcp")
    return f"\0{named}"


DeviceConfig: TypeAlias = Annotated[
    Annotated[ModbusTcpDevice, Tag("\0modbus_tcp")]
    | Annotated[ModbusTlsDevice, Tag("\0modbus_tls")]
    | Annotated[ModbusRtuDevice, Tag("\0modbus_rtu")]
    | Annotated[ModbusRtuOverTcpDevice, Tag("\0modbus_rtu_over_tcp")]
    | Annotated[EthernetIpDevice, Tag("\0ethernet_ip")]
    | Annotated[OpcuaDevice, Tag("\0opcua")],
    Discriminator(_kind),
]
"""A device of any protocol; an unknown protocol is to be refused before it gets here."""

_MODBUS = "protocols.modbus.driver:ModbusDriver"
_DRIVERS: dict[type[DeviceSettings], str] = {
    ModbusTcpDevice: _MODBUS,
    ModbusTlsDevice: _MODBUS,
    ModbusRtuDevice: _MODBUS,
    ModbusRtuOverTcpDevice: _MODBUS,
    EthernetIpDevice: "protocols.ethernet_ip.driver:EthernetIpDriver",
    OpcuaDevice: "protocols.opcua.driver:OpcuaDriver",
}
DEVICES = tuple(_DRIVERS)
"""The sections that a device can be."""


def driver_class(device: DeviceSettings) -> type[Driver]:
    """The driver for a device's protocol; importing it imports the protocol's library."""
    module, _, name = _DRIVERS[type(device)].partition(":")
    return cast("type[Driver]", getattr(import_module(module), name))
