"""The JSON Schema: it describes the shipped examples, and refuses what the loader refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from gateway.config.loader import Loaded
from gateway.config.problems import ConfigProblems
from gateway.config.schema import json_schema

ROOT = Path(__file__).parents[3]
BASE = (Path(__file__).parent / "base.yaml").read_text()


def plain(text: str) -> Any:
    """A YAML text as JSON knows it: keys are texts."""

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): texts(item) for key, item in value.items()}
        if isinstance(value, date):  # of YAML 1.1; a text in 1.2
            return value.isoformat()
        return [texts(item) for item in value] if isinstance(value, list) else value

    return texts(YAML(typ="safe", pure=True).load(text))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_example_is_valid(path: Path, validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(plain(path.read_text()))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("site: berlin", "sight: berlin"),
        ("site: berlin, ", ""),
        ("site: berlin", "site: 5"),
        ("host: 10.0.0.1", "host: 10.0.0.1\n    port: 70000"),
        ("host: 10.0.0.1", 'host: 10.0.0.1\n    port: "502"'),
        ("host: 10.0.0.1", "host: 10.0.0.1\n    address_base: true"),
        ("host: 10.0.0.1", "host: 10.0.0.1\n    scan_interval: 250"),
        ("host: 10.0.0.1", "host: 10.0.0.1\n    scan_interval: 1 hour"),
        ("protocol: modbus_tcp", "protocol: opcua"),
        ("type: uint16", "type: uint17"),
        ("      run:", "      my-run:"),
        ("  plc:", "  my-plc:"),
        ("path: line.db", "path: line.db, max_size: 2G"),
        ("path: line.db", "path: ''"),
        ("buffer:", "calendar: {}\nbuffer:"),
        ("buffer:", "uplinks: {a: {type: file, path: a, rotate: 5}}\nbuffer:"),
        ("buffer:", "uplinks: {a: {type: kafka}}\nbuffer:"),
        ("buffer:", "uplinks: {a: {type: mqtt, url: 'mqtt://h', qos: 0}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: []}}\nbuffer:"),
        ("host: 10.0.0.1", "host: h\n    coalesce: yes"),
        ("host: 10.0.0.1", "host: h\n    in_flight: 33"),
        ("host: 10.0.0.1", "host: h\n    tls: {}"),
        ("type: uint16", "type: uint16, bits: 3"),
        ("type: uint16", "type: uint16, bits: [3, 4, 5]"),
        ("type: uint16", "type: uint16, bits: [3, 64]"),
        ("type: uint16", "type: uint16, invalid: all"),
        ("type: uint16", "type: uint16, texts: [a]"),
        ("type: uint16", "type: uint16, scan_interval: 5"),
        ("protocol: modbus_tcp", "protocol: modbus_rtu"),
        ("protocol: modbus_tcp\n    host: 10.0.0.1", "protocol: modbus_rtu\n    serial: {path: a, stop_bits: 3}"),
        ("buffer:", "machines: {m: {states: [{state: off}]}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle, reason: 5}]}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle}], ideal: 5}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle}], parts: {total: count}}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle}], parts: {total: {rollover: 5}}}}\nbuffer:"),
        ("buffer:", "reasons: {17: 5}\nbuffer:"),
        ("buffer:", "products: {list: 3}\nbuffer:"),
        ("buffer:", "products: {signal: plc.fault, list: {4711: {ideal: {m: 5}}}}\nbuffer:"),
        ("buffer:", "jobs: {signal: plc.text, target: 500}\nbuffer:"),
    ],
)
def test_schema_and_loader_refuse_the_same(
    old: str, new: str, load: Callable[[str], Loaded], validator: Draft202012Validator
) -> None:
    text = BASE.replace(old, new, 1)
    assert text != BASE
    assert list(validator.iter_errors(plain(text)))
    with pytest.raises(ConfigProblems):
        load(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("host:", "x-note: [1]\n    host:"),
        ("host: 10.0.0.1", "host: h\n    coalesce: off\n    in_flight: 8\n    pause: 5ms"),
        ("host: 10.0.0.1", "host: h\n    coalesce: false"),
        ("type: uint16", "bits: [3, 6], texts: {0: off}"),
        ("type: uint16", "type: uint16, invalid: 0x8000, texts: reasons, scan_interval: 2s, at_least_every: 1h"),
        ("type: uint16", "type: uint16, invalid: [1, 2]"),
        ("protocol: modbus_tcp", "protocol: modbus_rtu_over_tcp"),
        ("protocol: modbus_tcp", "protocol: modbus_tls\n    tls: {ca: a.pem, server_name: plc}"),
        (
            "protocol: modbus_tcp\n    host: 10.0.0.1",
            "protocol: modbus_rtu\n    serial: {path: a, parity: none, stop_bits: 2}",
        ),
        ("  plc:", "  x-plc: {}\n  plc:"),
        ("host: 10.0.0.1", "host: h\n    timeout: 1.5s\n    scan_interval: 2 min"),
        ("buffer:", "machines: {m: {states: [{state: idle}], settle: 0, parts: {total: plc.count}}}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle, reason: {signal: plc.fault}}], ideal: 120/min}}\nbuffer:"),
        ("buffer:", "reasons: {17: jam, name: text}\nbuffer:"),
        ("buffer:", "products: {signal: plc.fault, list: {4711: {ideal: 2/s, changeover: 1h}, b: {}}}\nbuffer:"),
        ("buffer:", "jobs: {signal: plc.text, target: plc.fault, due: plc.text}\nbuffer:"),
        ("buffer:", "machines: {m: {states: [{state: idle}], ideal: {signal: plc.speed, unit: 1/h}}}\nbuffer:"),
        ("buffer:", "uplinks: {a: {type: mqtt, url: 'mqtt://h', user: {env: U}, password: {file: p}}}\nbuffer:"),
    ],
)
def test_schema_and_loader_accept_the_same(
    old: str, new: str, load: Callable[[str], Loaded], validator: Draft202012Validator
) -> None:
    text = BASE.replace(old, new, 1)
    assert [error.message for error in validator.iter_errors(plain(text))] == []
    assert load(text).config


def test_defaults_are_written_as_in_the_file() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["ModbusTcpDevice"]["properties"]["scan_interval"]["default"] == "1s"
    assert definitions["BufferConfig"]["properties"]["max_size"]["default"] == "2GB"
    assert definitions["ModbusTcpDevice"]["properties"]["coalesce"]["default"] == "on"
    assert definitions["MachineConfig"]["properties"]["short_stop"]["default"] == "2min"


def test_every_key_says_what_it_means() -> None:
    schema = json_schema()
    for name, section in schema["$defs"].items():
        body = next((one for one in section.get("anyOf", ()) if "properties" in one), section)
        assert section["description"], name
        for key, described in body["properties"].items():
            reference = described.get("$ref", "").rpartition("/")[2]
            assert described.get("description") or schema["$defs"][reference]["description"], f"{name}.{key}"


def test_a_caller_cannot_spoil_the_schema() -> None:
    json_schema()["properties"].clear()
    assert json_schema()["properties"]


def test_no_devices_are_refused_by_both(load: Callable[[str], Loaded], validator: Draft202012Validator) -> None:
    text = BASE.partition("devices:")[0] + "devices: {}\nbuffer: {path: line.db}\n"
    assert list(validator.iter_errors(plain(text)))
    with pytest.raises(ConfigProblems, match="needs at least one entry"):
        load(text)
