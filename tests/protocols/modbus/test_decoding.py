"""What the configuration says of a signal's bytes is what comes out of them, from the file's words to the table."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ext.table import SignalTable
from protocols.modbus.config import ModbusTcpDevice
from protocols.modbus.plan import plan_requests
from protocols.model import Quality


def decoded(payload: bytes, **signal: Any) -> tuple[Any, int, str | None]:
    """Value, quality and why of one signal of the given settings."""
    settings = {"address": "holding:0", **signal}
    device = ModbusTcpDevice.model_validate({"protocol": "modbus_tcp", "host": "plc", "signals": {"s": settings}})
    table = SignalTable(["s"])
    (request,) = plan_requests(device, table)
    request.receive(bytes((3, len(payload))) + payload, 0, len(payload) + 2)
    assert request.failure is None
    return table.read(0)[1:4]


@pytest.mark.parametrize(
    ("signal", "payload", "value"),
    [
        ({"bits": [3, 6]}, struct.pack(">H", 0b0101_0111 << 0), 0b1010),
        ({"bits": [0, 15]}, struct.pack(">H", 65_535), 65_535),
        ({"bits": [12, 19], "type": "uint32"}, struct.pack(">I", 0xAB << 12), 0xAB),
        ({"bits": [60, 63], "type": "uint64"}, struct.pack(">Q", 0x7 << 60), 7),
        ({"type": "string", "length": 6, "encoding": "utf-8"}, "Käse\0".encode().ljust(6, b"\0"), "Käse"),
        ({"type": "string", "length": 4, "encoding": "cp1252"}, b"5 \x80 ", "5 €"),
        ({"type": "string", "length": 6, "encoding": "utf-16-be"}, "abc".encode("utf-16-be"), "abc"),
        ({"type": "string", "length": 4, "byte_order": "little"}, b"ba c", "abc"),
        ({"type": "int16", "invalid": 0x8000}, struct.pack(">h", -32_767), -32_767),
        ({"type": "int16", "scale": 0.5, "offset": 1}, struct.pack(">h", 5), 3.5),
        ({"type": "float32", "word_order": "little"}, bytes.fromhex("0000 3fc0"), 1.5),
    ],
)
def test_good(signal: dict[str, Any], payload: bytes, value: Any) -> None:
    assert decoded(payload, **signal) == (value, Quality.GOOD, None)


@pytest.mark.parametrize(
    ("signal", "payload"),
    [
        ({"type": "int16", "invalid": 0x8000}, struct.pack(">h", -32_768)),
        ({"type": "int16", "invalid": -32_768, "scale": 0.1}, struct.pack(">h", -32_768)),
        ({"type": "uint16", "invalid": [65_535, 65_534]}, struct.pack(">H", 65_534)),
        ({"type": "uint32", "invalid": 0xFFFFFFFF}, b"\xff" * 4),
        ({"type": "float32", "invalid": -9999.9}, struct.pack(">f", -9999.9)),
        ({"type": "bcd16", "invalid": 9999}, b"\x99\x99"),
        ({"bits": [4, 7], "invalid": 15}, struct.pack(">H", 0x00F3)),
        ({"type": "string", "length": 2, "encoding": "utf-8"}, b"\xff\xfe"),
        ({"type": "string", "length": 2, "encoding": "ascii"}, b"\xe4a"),
    ],
)
def test_bad(signal: dict[str, Any], payload: bytes) -> None:
    value, quality, why = decoded(payload, **signal)
    assert (value, quality) == (None, Quality.BAD)
    assert why
