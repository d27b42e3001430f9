"""Every order of registers and bytes in which a Modbus value might lie, beside the configured one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from protocols.device import DeviceSettings
from protocols.modbus.config import ModbusDevice
from protocols.modbus.signal import ModbusSignal, WordOrder
from protocols.settings import ReadOnlyDict

ORDERS: tuple[WordOrder, WordOrder] = ("big", "little")


def with_all_orders(devices: Mapping[str, DeviceSettings]) -> dict[str, DeviceSettings]:
    """The same devices; behind each number or text of registers come the orders that it is not configured with.

    They are signals of their own (`level[words little, bytes big]`), in the same requests.
    """
    return {name: _of_device(one) if isinstance(one, ModbusDevice) else one for name, one in devices.items()}


def _of_device(device: ModbusDevice) -> ModbusDevice:
    signals: dict[str, ModbusSignal] = {}
    for name, signal in device.signals.items():
        signals[name] = signal
        if signal.value_type == "bool":
            continue
        configured = (signal.word_order or device.word_order, signal.byte_order or device.byte_order)
        for words, order in product(ORDERS if signal.registers > 1 else configured[:1], ORDERS):
            if (words, order) != configured:
                key = f"{name}[words {words}, bytes {order}]"
                signals[key] = signal.model_copy(update={"word_order": words, "byte_order": order})
    return device.model_copy(update={"signals": ReadOnlyDict(signals)})
