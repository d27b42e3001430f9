"""Sections of uplinks: what is taken, and what is worth a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.loader import load_config

BASE = """
line: {enterprise: acme, site: berlin, area: filling, name: line-3}
devices: {plc: {protocol: modbus_tcp, host: 10.0.0.1, signals: {run: {address: "coil:0"}}}}
"""


def notes(tmp_path: Path, uplink: str) -> list[str]:
    file = tmp_path / "line.yaml"
    file.write_text(f"{BASE}uplinks:\n  u: {{{uplink}}}\n")
    return [note.partition(" uplinks.u")[2] for note in load_config(file).notes]


@pytest.mark.parametrize(
    "uplink",
    [
        'type: http, url: "http://127.0.0.1:18088/events", compression: gzip, token: {credential: mes_token}',
        'type: http, url: "https://mes.example/in?line=3", user: line, password: {env: P}',
        'type: mqtt, url: "mqtt://[::1]", user: line, password: {env: P}',
        'type: mqtt, url: "mqtt://broker.example", user: line',
        'type: nats, url: "nats://localhost", others: ["127.0.0.1:4223"], token: {env: T}',
        'type: nats, url: "nats://nats.example", nkey: {env: N}',
        'type: kafka, url: "kafka://kafka.example", user: line, password: {env: P}',
    ],
)
def test_nothing_to_say(tmp_path: Path, uplink: str) -> None:
    assert notes(tmp_path, uplink) == []


@pytest.mark.parametrize(
    ("uplink", "key", "scheme"),
    [
        ('type: http, url: "http://mes.example/in", token: {env: T}', "token", "https"),
        ('type: http, url: "http://mes.example/in", user: line, password: {env: P}', "password", "https"),
        ('type: mqtt, url: "mqtt://broker.example", user: line, password: {env: P}', "password", "mqtts"),
        ('type: kafka, url: "kafka://h", user: line, password: {env: P}, sasl: plain', "password", "kafkas"),
        ('type: nats, url: "nats://localhost", others: [nats.example], token: {env: T}', "token", "tls"),
    ],
)
def test_secrets_in_plain_text(tmp_path: Path, uplink: str, key: str, scheme: str) -> None:
    words = f".{key}: travels in plain text, for everybody on the way to read; use {scheme}://"
    assert notes(tmp_path, uplink) == [words]


def test_a_version_that_hides_refusals(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, 'type: mqtt, url: "mqtts://broker.example", version: 3.1.1')
    assert note.startswith(".version: by MQTT 3.1.1 a broker acknowledges what it denies")


def test_two_uplinks_that_get_in_each_others_way(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    one = 'type: mqtt, url: "mqtts://broker.example"'
    ours = [f"a: {{{one}, client_id: x}}", f"b: {{{one}, client_id: x, state_topic: off}}", f"c: {{{one}}}"]
    file.write_text(f"{BASE}uplinks: {{{', '.join(ours)}}}\n")
    said = [note.partition("uplinks.")[2] for note in load_config(file).notes]
    state = "{enterprise}/{site}/{area}/{line}/gateway/state"
    assert said == [
        "b: the uplink a has x at broker.example too; give each its own client_id",
        f"c: the uplink a has {state} at broker.example too; give each its own state_topic",
    ]
