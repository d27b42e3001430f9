"""IDs of Sparkplug's topics: the place's names or the configuration's, valid in any topic, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.loader import load_config
from gateway.config.model import LineConfig
from gateway.config.problems import ConfigProblems
from gateway.uplinks.sparkplug.config import SparkplugUplink
from gateway.uplinks.sparkplug.node import SparkplugNode
from tests.gateway.uplinks.sparkplug.live import LiveLine
from tests.gateway.uplinks.sparkplug.recording import context

BASE = {"type": "sparkplug", "url": "mqtt://127.0.0.1:1883"}
LINE = """
line: {enterprise: acme, site: berlin, area: filling, name: line-3}
devices:
  plc: {protocol: modbus_tcp, host: 127.0.0.1, signals: {a: {address: "coil:0"}, %s: {address: "coil:1"}}}
machines:
  filler: {states: [{state: idle}]}
  %s: {states: [{state: idle}]}
buffer: {path: a.db}
uplinks:
  one: {type: sparkplug, url: "mqtt://127.0.0.1:1883"}
  two: {type: sparkplug, url: "mqtt://127.0.0.1:1883"%s}
health: {listen: "off"}
"""


def notes(place: Path, signal: str = "b", machine: str = "capper", two: str = ", node: other") -> list[str]:
    file = place / "line.yaml"
    file.write_text(LINE % (signal, machine, two))
    return [note.partition("uplinks.")[2] for note in load_config(file).notes]


def test_the_place_is_where_it_is(tmp_path: Path) -> None:
    """Group = site, edge node = line, unless they are given."""
    told = context(LiveLine(), tmp_path)
    place = SparkplugNode(SparkplugUplink.model_validate(BASE), told)._place
    assert place.topic("NBIRTH") == "spBv1.0/berlin/NBIRTH/line-3"
    given = SparkplugUplink.model_validate({**BASE, "group": "Hall 7", "node": "füller"})
    assert SparkplugNode(given, told)._place.topic("DDATA", "capper") == "spBv1.0/Hall 7/DDATA/füller/capper"


@pytest.mark.parametrize("key", ["group", "node", "primary_host"])
@pytest.mark.parametrize("text", ["", "a+b", "a/b", "#", "a\0b", "a\nb", "x" * 201])
def test_ids_are_valid_in_topics(key: str, text: str) -> None:
    """UTF-8 without + / # and what no topic may have; names of machines are letters, digits and _ anyway."""
    with pytest.raises(ValidationError, match="cannot be part of a topic"):
        SparkplugUplink.model_validate({**BASE, key: text})


@pytest.mark.parametrize("name", ["a/b", "a+b", "a#b", ""])
def test_names_of_the_place_are_valid_in_topics(name: str) -> None:
    for key in ("site", "name"):
        place: dict[str, Any] = {"enterprise": "acme", "site": "berlin", "area": "filling", "name": "line-3", key: name}
        with pytest.raises(ValidationError):
            LineConfig.model_validate(place)


@pytest.mark.parametrize("name", ["a/b", "a+b", "a#b", "a b", "ä", "7a", ""])
def test_names_of_machines_are_valid_in_topics(tmp_path: Path, name: str) -> None:
    """Device IDs: letters, digits and _."""
    with pytest.raises(ConfigProblems, match="machines"):
        notes(tmp_path, machine=f'"{name}"')


def test_a_device_is_one_machine_of_its_line(tmp_path: Path) -> None:
    """No two machines have one name; two edge nodes may have devices of the same name."""
    with pytest.raises(ConfigProblems, match="filler"):
        notes(tmp_path, machine="filler")
    assert notes(tmp_path) == []


def test_an_edge_node_is_one_client(tmp_path: Path) -> None:
    """Two of one name at one broker are noted."""
    assert notes(tmp_path) == []
    assert notes(tmp_path, two="") == [
        "two: the uplink one has the edge node {site}/{line} at 127.0.0.1:1883 too; give each its own node"
    ]


def test_names_that_differ_by_case_alone_are_noted(tmp_path: Path) -> None:
    """Hosts may take two devices, or two metrics, for one."""
    assert notes(tmp_path, signal="A") == [
        "one: the signals plc.A and plc.a differ by case alone, and Sparkplug hosts may take them for one",
        "two: the signals plc.A and plc.a differ by case alone, and Sparkplug hosts may take them for one",
    ]
    assert notes(tmp_path, machine="Filler") == [
        "one: the machines Filler and filler differ by case alone, and Sparkplug hosts may take them for one",
        "two: the machines Filler and filler differ by case alone, and Sparkplug hosts may take them for one",
    ]
