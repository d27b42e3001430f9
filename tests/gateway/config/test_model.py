"""What is loaded: frozen, and named by a digest that follows the meaning and not the spelling."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config.loader import Loaded
from gateway.config.model import Config
from protocols.settings import duration_text, parse_cycle, parse_duration, parse_size, shown, size_text
from tests.conftest import line_document

Load = Callable[[str], Loaded]
BASE = (Path(__file__).parent / "base.yaml").read_text()
MACHINES = """\
machines:
  a: {states: [{state: held, when: plc.fault != 0}, {state: idle}], ideal: 500ms}
  b: {states: [{state: idle}]}
uplinks:
  u: {type: file, path: u}
"""


def digest(load: Load, old: str = "", new: str = "") -> str:
    text = BASE + MACHINES
    assert old in text
    return load(text.replace(old, new, 1) if old else text).config.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("protocol: modbus_tcp\n    host: 10.0.0.1", "host: 10.0.0.1\n    protocol: modbus_tcp"),
        ("host: 10.0.0.1", "host: 10.0.0.1\n    port: 502\n    x-note: mine"),
        ("ideal: 500ms", "ideal: 120/min"),
        ("ideal: 500ms", "ideal: 0.5s"),
        ("path: u", "path: 'u'"),
    ],
)
def test_the_digest_is_blind_to_spelling(load: Load, old: str, new: str) -> None:
    assert digest(load, old, new) == digest(load)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("host: 10.0.0.1", "host: 10.0.0.2"),
        ("ideal: 500ms", "ideal: 501ms"),
        ("{state: held, when: plc.fault != 0}, {state: idle}", "{state: held, when: plc.run}, {state: idle}"),
        ("  a: {", "  b: {states: [{state: idle}]}\n  a: {"),
    ],
)
def test_the_digest_sees_meaning_and_the_order_of_machines(load: Load, old: str, new: str) -> None:
    text = (BASE + MACHINES).replace(old, new, 1)
    if new.startswith("  b:"):
        text = text.replace("ideal: 500ms}\n  b: {states: [{state: idle}]}", "ideal: 500ms}")
    assert load(text).config.digest != digest(load)


def test_the_digest_is_not_the_same_for_reordered_rules(load: Load) -> None:
    rules = "{state: held, when: plc.run}", "{state: aborted, when: plc.fault == 1}"
    first, second = (
        load(BASE + f"machines: {{m: {{states: [{', '.join(order)}, {{state: idle}}]}}}}\n").config.digest
        for order in (rules, rules[::-1])
    )
    assert first != second


def test_numbered_and_named_reasons_have_a_digest(load: Load) -> None:
    assert len(load(BASE + "reasons: {17: a, b: c}\n").config.digest) == 16


def test_a_loaded_configuration_cannot_be_changed(load: Load) -> None:
    config = load(BASE + MACHINES).config
    with pytest.raises(ValidationError):
        config.line.name = "other"  # type: ignore[misc]
    for mapping in (config.devices, config.machines, config.uplinks, config.reasons, config.devices["plc"].signals):
        changes: list[Callable[[Any], Any]] = [
            lambda m: m.__setitem__("new", 1),
            lambda m: m.update(new=1),
            lambda m: m.setdefault("new", 1),
            lambda m: m.clear(),
            lambda m: m.pop("plc", None),
            lambda m: m.__ior__({"new": 1}),
        ]
        for change in changes:
            with pytest.raises(TypeError):
                change(mapping)
    with pytest.raises(TypeError):
        config.machines["a"].states[0] = config.machines["a"].states[1]  # type: ignore[index]


def test_a_loaded_configuration_can_be_copied_and_dumped(load: Load) -> None:
    config = load(BASE + MACHINES).config
    assert copy.deepcopy(config) == config == pickle.loads(pickle.dumps(config)) == config.model_copy(deep=True)
    assert config.model_dump(mode="json", by_alias=True)["uplinks"]["u"]["from"] == "now"


def test_the_source_is_the_place_percent_encoded(load: Load) -> None:
    assert load(BASE.replace("acme", "acme & söhne")).config.source == "/acme%20%26%20s%C3%B6hne/berlin/filling/line-3"


def test_signals_have_types(load: Load) -> None:
    types = load(BASE.replace("type: uint32", "type: uint32, scale: 0.1")).config.signal_types
    assert types == {
        "plc.run": "bool",
        "plc.fault": "int",
        "plc.speed": "float",
        "plc.count": "float",
        "plc.text": "text",
    }


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("250ms", 250), ("5s", 5000), ("2min", 120_000), ("8h", 28_800_000), ("7d", 604_800_000), ("1.5s", 1500), (0, 0)],
)
def test_durations(text: object, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["5", "5 m", "-5s", "s", "1e3s", "٥s", "5s5s", 5, False, None, "", "9" * 400 + "d"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|hundred"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("64MB", 64_000_000), ("2GB", 2_000_000_000), ("1.5kB", 1500), ("7B", 7)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "cycle"), [("500ms", 500), ("120/min", 500), ("2/s", 500), ("36000/h", 100)])
def test_cycles(text: str, cycle: float) -> None:
    assert parse_cycle(text) == pytest.approx(cycle)


@pytest.mark.parametrize("text", ["0/h", "0ms", "999999999999999/s", "31d", "120", 120, "/h", "5/d"])
def test_what_is_no_cycle(text: object) -> None:
    with pytest.raises(ValueError, match=r"cycle"):
        parse_cycle(text)


@given(st.integers(0, 10**12))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    text = duration_text(milliseconds)
    assert parse_duration(0 if text == "0" else text) == milliseconds


@given(st.integers(1, 10**15))
def test_sizes_are_written_as_they_are_read(size: int) -> None:
    assert parse_size(size_text(size)) == size


@given(st.text() | st.none() | st.booleans() | st.lists(st.text()))
def test_a_quoted_value_can_do_nothing_to_a_terminal(value: object) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) <= 500


def test_a_line_that_says_nothing_of_its_buffer_has_one_of_its_name() -> None:
    document = line_document()
    del document["buffer"]
    config = Config.model_validate(document)
    assert config.buffer.path == "line-3.db"
    assert pickle.loads(pickle.dumps(config)) == config
    assert config.digest == Config.model_validate(line_document(buffer={"path": "line-3.db"})).digest
