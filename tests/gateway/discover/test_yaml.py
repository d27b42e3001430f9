"""What is printed is YAML that says what was found, whatever a device calls its things."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gateway.discover.yaml import document, flow
from protocols.discovery import Discovery, FoundSignal, LeftOut, ProposedMachine

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NASTY = ["# x", "a: b", "&a *b !c", "%YAML", "- x", "yes", "1e5", "0x1F", "~", "null", "<b>", "\x00\x85\u2028\ufeff",
         "'\"\\", "{}", "", " x ", "x\ny: {z: 1}", "\u202e", "a,b]", "🧃", "12:30"]  # fmt: skip


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(io.StringIO(text))


@given(st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers() | st.lists(TEXTS, max_size=3), max_size=4))
def test_every_value_comes_back(value: dict[str, Any]) -> None:
    assert loaded(flow(value)) == value


def test_nasty_texts_come_back() -> None:
    for text in NASTY:
        assert loaded(flow({"node": text, text: text})) == {"node": text, text: text}


@given(st.lists(TEXTS, min_size=6, max_size=6))
def test_nothing_a_device_says_becomes_more_than_a_value_or_a_comment(texts: list[str]) -> None:
    place, value, note, unit, fact, address = texts
    signal = FoundSignal("speed", (place, place), {"node": address}, "string", value, unit, {}, (note,))
    found = Discovery("opc.tcp://x", "plc", [("server", fact)], {"protocol": "opcua", "endpoint": address})
    found.signals = [signal]
    found.left_out = [LeftOut((place,), note, {"node": address})]
    found.machines = [ProposedMachine("capper", (place,), note, {"packml_state": "plc.speed"}, (fact,))]
    found.notes = [note]
    found.neighbours = [Discovery("opc.tcp://x", "other", [("server", fact)], {"endpoint": address}, [signal])]
    signals = {"speed": {"node": address, "type": "string", **({"unit": unit} if unit else {})}}
    assert loaded(document(found)) == {
        "devices": {
            "plc": {"protocol": "opcua", "endpoint": address, "signals": signals},
            "other": {"endpoint": address, "signals": signals},
        },
        "machines": {"capper": {"packml_state": "plc.speed"}},
    }


def test_what_moves_a_cursor_is_not_printed() -> None:
    nasty = "\x1b]0;x\x07\r\n\x9b31m\u202e"
    signal = FoundSignal("speed", (nasty, nasty), {"node": nasty}, "string", nasty, nasty, {}, (nasty,))
    found = Discovery(nasty, "plc", [(nasty, nasty)], {"endpoint": nasty}, [signal], [LeftOut((nasty,), nasty)])
    assert all(one.isprintable() for one in document(found).replace("\n", ""))


def test_much_is_cut() -> None:
    long = "x" * 100_000
    signal = FoundSignal("speed", (long, long), {"node": "i=1"}, "string", long, long, {}, (long,))
    found = Discovery("u", "plc", [("a", long)] * 500, {}, [signal], [LeftOut((long,), long)] * 500, [], [long])
    text = document(found)
    assert len(text) < 50_000
    assert "460 more" in text
