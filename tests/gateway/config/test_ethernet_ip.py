"""A controller in the whole file: loader and schema agree, rules see its mode, and problems have their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from gateway.config.loader import Loaded
from gateway.config.problems import ConfigProblems
from gateway.config.schema import json_schema
from protocols.ethernet_ip.config import EthernetIpDevice

LINE = """\
line: {enterprise: acme, site: berlin, area: filling, name: line-3, time_zone: Europe/Berlin}
devices:
  labeler_plc:
    protocol: ethernet_ip
    host: 127.0.0.1
    port: 44818
    slot: 0
    scan_interval: 250ms
    signals:
      running:      {tag: "Labeler_Running"}
      jam:          {tag: "Program:Main.Line[3].Jam"}
      mode:         {tag: "identity:mode", texts: {6: run, 7: program}}
      labels:       {tag: "Labeler_Count"}
      temperature:  {tag: "Labeler_Temp", unit: degC, deadband: 0.2}
  packing_plc:
    protocol: ethernet_ip
    host: 127.0.0.1
    route: backplane/2/ip/10.1.1.5
    signals:
      a_run:    {tag: "LabelerA.Running"}
  drive:
    protocol: ethernet_ip
    host: 10.0.0.7
    slot: none
    signals:
      speed:    {object: {class: 0x93, attribute: 7, type: int16}, scale: 0.1}
machines:
  labeler:
    parts: {good: labeler_plc.labels}
    states:
      - {state: stopped, when: labeler_plc.mode == 7, reason: {signal: labeler_plc.mode}}
      - {state: held,    when: labeler_plc.jam, reason: label jam}
      - {state: execute, when: labeler_plc.running and drive.speed > 5}
      - {state: stopped}
buffer: {path: line.db}
"""


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def plain(text: str) -> Any:
    """As JSON knows it: keys are texts."""

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): texts(item) for key, item in value.items()}
        return [texts(item) for item in value] if isinstance(value, list) else value

    return texts(YAML(typ="safe", pure=True).load(text))


def test_a_line_of_controllers(load: Callable[[str], Loaded], validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(plain(LINE))] == []
    devices = load(LINE).config.devices
    assert all(isinstance(device, EthernetIpDevice) for device in devices.values())
    assert [device.endpoint for device in devices.values()] == [
        "127.0.0.1:44818/backplane/0",
        "127.0.0.1:44818/backplane/2/ip/10.1.1.5/backplane/0",
        "10.0.0.7:44818",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "slot: 0",
            "slot: bare",
            ':7:11: devices.labeler_plc.slot: "bare" is no slot; it is a number from 0 to 255, or none',
        ),
        ("slot: 0", "slot: 256", ":7:11: devices.labeler_plc.slot: 256 is no slot"),
        ('"Labeler_Count"', '"Labeler Count"', ':13:27: devices.labeler_plc.signals.labels.tag: "Labeler Count"'),
        ("identity:mode", "identity:mood", ":12:27: devices.labeler_plc.signals.mode.tag: "),
        ("ip/10.1.1.5", "ip", "18:12: devices.packing_plc.route: "),
        ("attribute: 7, type: int16", "attribute: 7", ":26:18: devices.drive.signals.speed.object.type: is required"),
        ("labeler_plc.jam,", "labeler_plc.jim,", "labeler_plc.jim is not a signal"),
    ],
)
def test_problems_have_their_place(load: Callable[[str], Loaded], old: str, new: str, problem: str) -> None:
    assert old in LINE
    with pytest.raises(ConfigProblems) as raised:
        load(LINE.replace(old, new, 1))
    (said,) = [str(one) for one in raised.value.problems]
    assert problem in said
