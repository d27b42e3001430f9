"""docs/uplinks.md says of every uplink what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.uplinks import registry
from gateway.uplinks.encoding import _CONTENT_TYPES, FLAT
from gateway.uplinks.http import answers
from gateway.uplinks.kafka import codes as kafka
from gateway.uplinks.mqtt import reasons
from gateway.uplinks.nats import answers as nats
from tests.peers.receivers import RECEIVERS

PAGE = (Path(__file__).parents[3] / "docs" / "uplinks.md").read_text()
KINDS = [str(section.model_fields["type"].examples[0]) for section in registry._UPLINKS]  # type: ignore[index]


def row(kind: str) -> list[str]:
    found = re.search(rf"^\| `{kind}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert found
    return found[1].split(" | ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_uplink_is_described_and_suffers_the_same_faults(kind: str) -> None:
    assert f"\n## {kind}\n" in PAGE
    assert len(row(kind)) == 4
    assert any(name.startswith(kind) for name in RECEIVERS)


def test_http_statuses() -> None:
    _, refused, person, _ = row("http")
    assert set(map(int, re.findall("[0-9]{3}", refused))) == answers.REFUSED
    assert set(map(int, re.findall("[0-9]{3}", person))) == answers.UNAUTHORISED


def test_mqtt_reason_codes() -> None:
    taken, refused, person, _ = row("mqtt")
    assert codes(taken) == reasons.SUCCESS
    assert codes(refused) == reasons.ABOUT_THE_EVENT
    assert codes(person) == reasons.ABOUT_THE_CLIENT


def test_nats_error_codes() -> None:
    _, refused, _, _ = row("nats")
    assert set(map(int, re.findall("[0-9]{5}", refused))) == nats.ABOUT_THE_EVENT


def test_kafka_error_codes() -> None:
    _, refused, person, _ = row("kafka")
    assert set(map(int, re.findall("[0-9]+", refused))) == kafka.ABOUT_THE_EVENT
    assert set(map(int, re.findall("[0-9]+", person))) == kafka.ABOUT_THE_CLIENT
    assert not any(kafka.is_passing(code) for code in kafka.ABOUT_THE_EVENT | kafka.ABOUT_THE_CLIENT)


def codes(text: str) -> set[int]:
    """Of `0x84 to 0x87, 0x8A` all."""
    found = {int(code, 16) for code in re.findall("0x[0-9A-F]{2}", text)}
    for low, high in re.findall("(0x[0-9A-F]{2}) to (0x[0-9A-F]{2})", text):
        found |= set(range(int(low, 16), int(high, 16) + 1))
    return found


def test_shapes() -> None:
    for (shape, format), types in _CONTENT_TYPES.items():
        assert f"| `{shape}`, `{format}` | `{types[0]}` | `{types[1]}` |" in PAGE
    flat = PAGE.split("```json")[2].partition("```")[0]
    assert tuple(re.findall(r'"(\w+)":', flat))[: len(FLAT)] == FLAT
