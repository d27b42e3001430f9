"""Secrets go by where they stand and by what they look like; the words of the line stay."""

from __future__ import annotations

import base64
import json
import os

import pytest

from gateway.support.redaction import REDACTED, Redaction

SECRET = "hunter2/of the@plant"


def test_by_place() -> None:
    redaction = Redaction()
    given = {
        "devices": {
            "token": {"host": "10.0.0.1", "user": {"name": "alice-b", "password": "hunter2"}},
            "plc": {"signals": {"token": {"address": "coil:0"}, "user": {"type": "bool"}, "password": {"unit": "mm"}}},
        },
        "uplinks": {
            "a": {
                "user": "gateway-3",
                "password": {"env": "NAME"},
                "token": [{"x": "hunter2-x"}],
                "pasword": "hunter2",
            },
            "b": {"url": "mqtt://gw:hunter2/a@h:1883", "user": {"credential": "who"}, "batch": 5},
            "c": {"url": "https://mes.example/hook/T0123456789?key=hunter2key", "others": ["gw:hunter2@h"]},
            "d": {"url": "https://mes.example/", "endpoint": "opc.tcp://h:4840/Server/Path"},
        },
    }
    assert redaction.configuration(given, {"uplinks.a.pasword"}) == {
        "devices": {
            "token": {"host": "10.0.0.1", "user": {"name": REDACTED, "password": REDACTED}},
            "plc": {"signals": {"token": {"address": "coil:0"}, "user": {"type": "bool"}, "password": {"unit": "mm"}}},
        },
        "uplinks": {
            "a": {"user": REDACTED, "password": {"env": "NAME"}, "token": REDACTED, "pasword": REDACTED},
            "b": {"url": f"mqtt://{REDACTED}@h:1883", "user": {"credential": "who"}, "batch": 5},
            "c": {"url": f"https://mes.example/{REDACTED}?{REDACTED}", "others": [f"{REDACTED}h"]},
            "d": {"url": "https://mes.example/", "endpoint": "opc.tcp://h:4840/Server/Path"},
        },
    }
    said = "hunter2, hunter2/a of alice-b, not malice-bob"
    assert redaction.text(said) == f"{REDACTED}, {REDACTED} of {REDACTED}, not malice-bob"


def test_operators_are_people_and_their_pins_are_in_nothing_else() -> None:
    """Not even learned: so few digits are in many numbers."""
    redaction = Redaction()
    given = {
        "health": {"operators": [{"name": "anna-maria", "pin": {"env": "PATH"}}, {"name": "ben", "pin": "hunter2"}]}
    }
    assert redaction.configuration(given, ()) == {
        "health": {"operators": [{"name": REDACTED, "pin": {"env": "PATH"}}, {"name": REDACTED, "pin": REDACTED}]}
    }
    assert redaction.text(os.environ["PATH"]) == os.environ["PATH"]
    line = '{"who": "ben", "what": "note", "event": "operator_entry"} by anna-maria'
    assert redaction.text(line) == f'{{"who": "{REDACTED}", "what": "note", "event": "operator_entry"}} by {REDACTED}'


def test_what_was_learned_is_nowhere_however_it_is_written() -> None:
    redaction = Redaction()
    redaction.learn(SECRET)
    redaction.learn('two\nlines"of it')
    for text in (SECRET, "hunter2%2Fof%20the%40plant", 'x lines"of it', 'x lines\\"of it'):
        assert "hunter2" not in redaction.text(f"a {text} b")
        assert "lines" not in redaction.text(f"a {text} b")


def test_a_user_who_is_called_like_the_line_takes_nothing_out() -> None:
    redaction = Redaction()
    redaction.configuration({"user": "line-3", "more": {"user": "hunter2-pasted"}}, ())
    redaction.keep_words_of("name: line-3")
    assert redaction.text("line-3 says hunter2-pasted") == f"line-3 says {REDACTED}"


@pytest.mark.parametrize(
    "telling",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIhunter2 and cut",
        "mqtt://gateway:hunter2@broker:1883",
        "mqtt://gateway:hunt/er2@hunter2@broker",
        "gateway:hunter2@broker",
        "Authorization: Bearer hunter2.hunter2",
        "authorization: Basic " + base64.b64encode(b"gateway:hunter2").decode(),
        "SUAC" + "HUNTER2" * 8,
        "eyJhunter2abc.hunter2abc.hunter2",
    ],
)
def test_by_what_it_looks_like(telling: str) -> None:
    text = Redaction().text(f"it said {telling}")
    assert "hunter2" not in text.lower()
    assert base64.b64encode(b"hunter2").decode()[:6] not in text


@pytest.mark.parametrize(
    "harmless",
    [
        '{"time": "2026-11-23T06:00:00.250Z", "subject": "filler", "service": "linegate@line-3"}',
        "opc.tcp://10.0.0.7:4840/Server closed the connection",
        'linegate_uplink_up{uplink="plant"} 1.0',
        "2026-11-23T06:00:00 ipc-3 linegate@line-3[77]: basic checks",
    ],
)
def test_ordinary_words_stay(harmless: str) -> None:
    assert Redaction().text(harmless) == harmless


def test_people_are_left_out_of_events() -> None:
    """And what they wrote, which may be of others."""
    revisions = [{"who": "bob", "note": 'carla said "no"', "rev": 1}]
    event = {"data": {"who": "anna", "why": "new program", "note": None, "revisions": revisions, "whole": 1}}
    assert Redaction().event(event) == {
        "data": {
            "who": REDACTED, "why": "new program", "note": None,
            "revisions": [{"who": REDACTED, "note": REDACTED, "rev": 1}], "whole": 1,
        }
    }  # fmt: skip
    answer = json.dumps(revisions, indent=2)
    assert json.loads(Redaction().text(answer)) == [{"who": REDACTED, "note": REDACTED, "rev": 1}]
