"""Modbus sections: addresses, types, and what a device's signals are to the rest of the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocols.modbus.config import Address, ModbusSignal, ModbusTcpDevice, Table
from protocols.modbus.types import EXACT_TO, HIGHEST, REGISTERS


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
    assert HIGHEST.keys() | EXACT_TO.keys() | {"string"} == REGISTERS.keys()


def test_devices_share_an_endpoint_and_differ_by_unit() -> None:
    first, second = device({"s": {"address": "coil:0"}}), device({"s": {"address": "coil:0"}}, unit_id=2)
    assert first.endpoint == second.endpoint == "h:502"
    assert first.identity != second.identity


@pytest.mark.parametrize("length", [1, 2, 249, 250])
def test_a_string_takes_two_bytes_a_register(length: int) -> None:
    signal = ModbusSignal.model_validate({"address": "holding:0", "type": "string", "length": length})
    assert signal.registers == -(-length // 2)
