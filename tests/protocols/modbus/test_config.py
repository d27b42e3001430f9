"""Modbus sections: addresses, types, and what a device's signals are to the rest of the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.modbus.config import (
    Address,
    ModbusDevice,
    ModbusRtuDevice,
    ModbusRtuOverTcpDevice,
    ModbusSignal,
    ModbusTcpDevice,
    ModbusTlsDevice,
    SerialConfig,
    Table,
)
from protocols.modbus.types import ENCODINGS, HIGHEST, LOWEST, REGISTERS
from protocols.types import EXACT_TO, WIDTH


def device(signals: dict[str, Any], **more: Any) -> ModbusTcpDevice:
    return ModbusTcpDevice.model_validate({"protocol": "modbus_tcp", "host": "h", "signals": signals, **more})


def complaints(signals: Any, **more: Any) -> dict[tuple[Any, ...], str]:
    """Each problem's place, and its words."""
    with pytest.raises(ValidationError) as raised:
        device(signals, **more)
    return {
        (*error["loc"], *error.get("ctx", {}).get("at", ())): error["msg"]
        for error in raised.value.errors(include_url=False)
    }


@pytest.mark.parametrize(
    ("address", "base", "located"),
    [
        ("coil:0", 0, Address(Table.COIL, 0)),
        ("discrete:4", 0, Address(Table.DISCRETE, 4)),
        ("input:65535", 0, Address(Table.INPUT, 65535)),
        ("holding:100", 1, Address(Table.HOLDING, 99)),
        ("holding:65536.15", 1, Address(Table.HOLDING, 65535, 15)),
    ],
)
def test_addresses_on_the_wire(address: str, base: int, located: Address) -> None:
    type_ = None if "." in address or address.startswith(("coil", "discrete")) else "uint16"
    plc = device({"s": {"address": address, "type": type_}}, address_base=base)
    assert plc.locate(plc.signals["s"]) == located


def test_the_table_s_value_is_the_function_code_that_reads_it() -> None:
    assert {table.name: table.value for table in Table} == {"COIL": 1, "DISCRETE": 2, "HOLDING": 3, "INPUT": 4}


@pytest.mark.parametrize("type_", [name for name in REGISTERS if name != "string"])
def test_the_last_address_that_holds_a_value(type_: str) -> None:
    last = 65536 - REGISTERS[type_]
    assert device({"s": {"address": f"holding:{last}", "type": type_}})
    words = complaints({"s": {"address": f"holding:{last + 1}", "type": type_}})[("signals", "s", "address")]
    assert "ends beyond" in words or "outside" in words


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("holding:400101", '"holding:100"'),
        ("input:300001", '"input:0"'),
        ("input:70000", '"input:7000"'),
        ("coil:100017", '"coil:10001"'),
        ("holding:999999", None),
    ],
)
def test_the_old_notation_is_recognised(address: str, hint: str | None) -> None:
    words = complaints({"s": {"address": address, "type": "uint16"}})[("signals", "s", "address")]
    assert words.partition("; did you mean ")[2].rstrip("?") == (hint or "")


def test_every_bad_signal_is_named_whatever_else_is_wrong() -> None:
    found = complaints(
        {
            "a": {"address": "input:70000", "type": "int17", "deadband": -1},
            "b": {"address": "holding:70001", "type": "uint16"},
            "c": {"address": "holding:5", "type": "float64"},
            "d": 5,
        },
        max_registers=3,
        port=0,
    )
    assert set(found) == {
        ("port",),
        ("signals", "a", "address"),
        ("signals", "a", "type"),
        ("signals", "a", "deadband"),
        ("signals", "b", "address"),
        ("signals", "c", "address"),
        ("signals", "d"),
    }


def test_a_wrong_base_does_not_make_addresses_wrong() -> None:
    assert set(complaints({"a": {"address": "coil:65536"}, "b": {"address": "coil:0"}}, address_base=2)) == {
        ("address_base",)
    }


@pytest.mark.parametrize(
    "address", ["coil:-1", "coil:٣", "holding:1.2.3", "Coil:1", "register:1", "coil:", "coil:" + "9" * 5000]
)
def test_what_is_no_address(address: str) -> None:
    assert "is not a Modbus address" in complaints({"s": {"address": address}})[("signals", "s", "address")]


@pytest.mark.parametrize("host", ["10.0.0.1:502", "http://plc", "user@plc", "plc 1", ""])
def test_what_is_no_host(host: str) -> None:
    assert ("host",) in complaints({"s": {"address": "coil:0"}}, host=host)


@pytest.mark.parametrize(
    ("signal", "type_", "highest", "exact_to"),
    [
        ({"address": "coil:0"}, "bool", None, None),
        ({"address": "holding:0.3"}, "bool", None, None),
        ({"address": "holding:0", "type": "int16"}, "int", 32767, None),
        ({"address": "holding:0", "type": "uint64"}, "int", 2**64 - 1, None),
        ({"address": "holding:0", "type": "bcd16"}, "int", 9999, None),
        ({"address": "holding:0", "type": "bcd32"}, "int", 99_999_999, None),
        ({"address": "holding:0", "type": "uint16", "scale": 0.1}, "float", None, None),
        ({"address": "holding:0", "type": "uint16", "offset": 1}, "float", None, None),
        ({"address": "holding:0", "type": "float32"}, "float", None, 16_777_216),
        ({"address": "holding:0", "type": "float32", "scale": 2}, "float", None, None),
        ({"address": "holding:0", "type": "string", "length": 5}, "text", None, None),
    ],
)
def test_what_a_value_is(signal: dict[str, Any], type_: str, highest: int | None, exact_to: int | None) -> None:
    parsed = ModbusSignal.model_validate(signal)
    assert (parsed.value_type, parsed.highest, parsed.exact_to) == (type_, highest, exact_to)


def test_every_number_type_knows_how_far_it_counts() -> None:
    assert HIGHEST.keys() | EXACT_TO.keys() | {"string"} == REGISTERS.keys() | {"int8", "uint8"}


def test_devices_share_an_endpoint_and_differ_by_unit() -> None:
    first, second = device({"s": {"address": "coil:0"}}), device({"s": {"address": "coil:0"}}, unit_id=2)
    assert first.endpoint == second.endpoint == "h:502"
    assert first.identity != second.identity


@pytest.mark.parametrize("length", [1, 2, 249, 250])
def test_a_string_takes_two_bytes_a_register(length: int) -> None:
    signal = ModbusSignal.model_validate({"address": "holding:0", "type": "string", "length": length})
    assert signal.registers == -(-length // 2)


COIL = {"s": {"address": "coil:0"}}


@pytest.mark.parametrize(
    ("section", "written", "endpoint"),
    [
        (ModbusTcpDevice, {"protocol": "modbus_tcp", "host": "h"}, "h:502"),
        (ModbusTlsDevice, {"protocol": "modbus_tls", "host": "h"}, "h:802"),
        (ModbusRtuDevice, {"protocol": "modbus_rtu", "serial": {"path": "/dev/ttyS0"}}, "/dev/ttyS0"),
        (ModbusRtuOverTcpDevice, {"protocol": "modbus_rtu_over_tcp", "host": "h"}, "h:502"),
    ],
)
def test_each_transport_has_its_endpoint(section: type[ModbusDevice], written: dict[str, Any], endpoint: str) -> None:
    plc = section.model_validate({**written, "signals": COIL})
    assert (plc.endpoint, plc.identity) == (endpoint, f"{endpoint} unit 1")
    assert plc.transport["protocol"] == written["protocol"]


@pytest.mark.parametrize(
    ("written", "bits"),
    [
        ({}, 11),  # 9600 8E1
        ({"parity": "none"}, 10),
        ({"parity": "none", "stop_bits": 2}, 11),
        ({"parity": "odd", "stop_bits": 2}, 12),
    ],
)
def test_bits_of_a_character_on_the_line(written: dict[str, Any], bits: int) -> None:
    serial = SerialConfig.model_validate({"path": "/dev/ttyS0", **written})
    assert (serial.baud, serial.character_bits) == (9600, bits)


def test_a_serial_line_agrees_on_all_its_settings() -> None:
    def line(**serial: Any) -> dict[str, object]:
        section = {"protocol": "modbus_rtu", "serial": {"path": "/dev/ttyS0", **serial}, "signals": COIL}
        return dict(ModbusRtuDevice.model_validate(section).transport)

    assert line() == line(baud=9600, parity="even", stop_bits=1)
    assert line() != line(baud=19200)
    assert line() != line(parity="none")
    assert line() != line(stop_bits=2)


@pytest.mark.parametrize(("written", "value"), [("on", True), ("off", False), (True, True), (False, False)])
def test_coalesce_is_a_switch(written: object, value: bool) -> None:
    assert device(COIL, coalesce=written).coalesce is value


def test_scan_classes_are_in_order_of_interval() -> None:
    signals = {
        "slow": {"address": "coil:0", "scan_interval": "2s"},
        "usual": {"address": "coil:1"},
        "fast": {"address": "coil:2", "scan_interval": "50ms"},
        "same": {"address": "coil:3", "scan_interval": "250ms"},
        "slower": {"address": "coil:4", "scan_interval": "2s"},
    }
    assert device(signals, scan_interval="250ms").scan_classes == ((50, (2,)), (250, (1, 3)), (2000, (0, 4)))
    assert device(COIL).scan_classes == ((1000, (0,)),)


@pytest.mark.parametrize(
    ("signal", "raw"),
    [
        ({"type": "int16", "invalid": 0x8000}, (-32768,)),
        ({"type": "int16", "invalid": [-1, 0xFFFF, 0x7FFF]}, (-1, -1, 32767)),
        ({"type": "uint16", "invalid": 0x8000}, (0x8000,)),
        ({"type": "int64", "invalid": 0x8000_0000_0000_0000}, (-(2**63),)),
        ({"type": "uint64", "invalid": 2**64 - 1}, (2**64 - 1,)),
        ({"type": "float32", "invalid": -9999.9}, (-9999.900390625,)),
        ({"type": "float64", "invalid": [-9999.9, 0]}, (-9999.9, 0.0)),
        ({"type": "bcd32", "invalid": 99_999_999}, (99_999_999,)),
        ({"bits": [3, 6], "invalid": 15}, (15,)),
        ({"type": "int16", "scale": 0.1, "invalid": 0x8000}, (-32768,)),
        ({"type": "uint16"}, ()),
    ],
)
def test_invalid_values_are_raw(signal: dict[str, Any], raw: tuple[int | float, ...]) -> None:
    parsed = ModbusSignal.model_validate({"address": "holding:0", **signal})
    assert parsed.invalid == raw
    assert [type(value) for value in parsed.invalid] == [type(value) for value in raw]
    again = ModbusSignal.model_validate(parsed.model_dump(exclude_unset=True))
    assert again == parsed


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400, [1, [2]], {}, [None], "x", float("inf"), 1e39])
@pytest.mark.parametrize("type_", ["uint16", "float32"])
def test_what_is_no_raw_value_is_said(value: object, type_: str) -> None:
    words = complaints({"s": {"address": "holding:0", "type": type_, "invalid": value}})
    assert set(words) == {("signals", "s", "invalid")}
    assert len(words["signals", "s", "invalid"]) < 120


@pytest.mark.parametrize(
    ("signal", "type_", "highest"),
    [
        ({"bits": [3, 6]}, "uint16", 15),
        ({"bits": [0, 15]}, "uint16", 65535),
        ({"bits": [31, 31], "type": "uint32"}, "uint32", 1),
        ({"bits": [0, 63], "type": "uint64"}, "uint64", 2**64 - 1),
    ],
)
def test_bits_are_an_unsigned_number(signal: dict[str, Any], type_: str, highest: int) -> None:
    parsed = ModbusSignal.model_validate({"address": "holding:0", **signal})
    assert (parsed.type, parsed.value_type, parsed.highest) == (type_, "int", highest)
    assert parsed.registers == REGISTERS[type_]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_python_knows_every_encoding_by_its_name(encoding: str) -> None:
    signal = {"address": "holding:0", "type": "string", "length": 4, "encoding": encoding}
    assert ModbusSignal.model_validate(signal).encoding == encoding
    assert len("a".encode(encoding)) == ENCODINGS[encoding]


def test_ranges_are_those_of_twos_complement() -> None:
    assert {name: HIGHEST[name] - LOWEST[name] for name in WIDTH} == {name: 2**bits - 1 for name, bits in WIDTH.items()}
    assert LOWEST["int16"] == -(2**15)
    assert LOWEST["bcd16"] == 0
