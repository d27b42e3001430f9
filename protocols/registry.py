"""The protocols by the name that a configuration uses; a new one is a folder and a line here.

A protocol's configuration imports no library; its driver is imported when a configuration uses it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TypeAlias, cast

from protocols.driver import Driver
from protocols.modbus.config import ModbusTcpDevice
from protocols.settings import DeviceSettings

DeviceConfig: TypeAlias = ModbusTcpDevice

_DRIVERS: dict[type[DeviceSettings], str] = {
    ModbusTcpDevice: "protocols.modbus.driver:ModbusTcpDriver",
}


def driver_class(device: DeviceSettings) -> type[Driver]:
    """The driver for a device's protocol; importing it imports the protocol's library."""
    module, _, name = _DRIVERS[type(device)].partition(":")
    return cast("type[Driver]", getattr(import_module(module), name))
