"""A PackML state that the PLC says itself, in any numbering, alone and behind rules."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import MachineConfig
from gateway.states.packml import CATEGORY, STATES, category_of, state_of
from gateway.states.ruleset import Ruleset
from protocols.model import Value


def ruleset(**keys: Any) -> Ruleset:
    types = {"plc.state": None, "plc.estop": "bool"}
    return Ruleset(MachineConfig.model_validate(keys), types, {})


def evidence(value: Value) -> dict[str, Any]:
    bad = {"why": "no answer"} if value is None else {}
    return {"value": value, "quality": "bad" if value is None else "good", "time": None, **bad}


def decided(rules: Ruleset, **values: Value) -> tuple[str, str | None, str]:
    named = {f"plc.{name}": value for name, value in values.items()}
    rules.update(named, named, 0, None)
    decision = rules.decision(rules.verdict(named), lambda signal: evidence(named[signal]))
    assert decision.rule is not None
    return decision.state, decision.cause, decision.rule["text"]


def test_packml_numbers_are_in_the_order_of_the_standard() -> None:
    assert [state_of(number, "packml")[0] for number in range(18)] == list(STATES)
    assert state_of(6, "packml") == ("execute", None)
    assert state_of(6.0, "packml") == ("execute", None)


@pytest.mark.parametrize("value", [18, -1, 1 << 40, "execute", True, 6.5])
def test_what_no_numbering_has_is_undefined(value: Value) -> None:
    assert state_of(value, "packml") == state_of(value, "opc30060") == ("undefined", None)
    assert state_of(value, {1: "execute"}) == ("undefined", None)


def test_opc_30060_counts_otherwise() -> None:
    found = {number: state_of(number, "opc30060")[0] for number in (0, 2, 4, 8, 12, 15, 16, 17)}
    assert found == {
        0: "stopped", 2: "idle", 4: "execute", 8: "aborted", 12: "suspended", 15: "held", 16: "unholding",
        17: "undefined",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "state", "cause", "category"),
    [
        (0, "undefined", None, "unknown"),
        (1, "stopped", None, "unplanned_stop"),
        (128, "execute", None, "production"),
        (8, "suspended", "starved", "starved"),
        (64, "suspended", "blocked", "blocked"),
        (1024, "held", None, "unplanned_stop"),
        (2048, "held", None, "unplanned_stop"),
        (4096 | 128, "aborted", None, "unplanned_stop"),
        (128 | 16, "suspended", "blocked", "blocked"),
        (32768, "idle", None, "idle"),
        (1 << 20, "undefined", None, "unknown"),
    ],
)
def test_weihenstephan_is_a_word_of_bits(word: int, state: str, cause: str | None, category: str) -> None:
    assert state_of(word, "weihenstephan") == (state, cause)
    assert category_of(state, cause) == category
    assert state in CATEGORY


def test_a_machine_may_number_as_it_likes() -> None:
    rules = ruleset(packml_state={"signal": "plc.state", "numbering": {3: "held", 7: "execute"}})
    assert decided(rules, state=7) == ("execute", None, "packml_state: plc.state")
    assert decided(rules, state=3)[0] == "held"
    assert decided(rules, state=6)[0] == "undefined"


def test_rules_come_first_and_a_bad_state_is_unknown() -> None:
    rules = ruleset(packml_state="plc.state", states=[{"state": "aborted", "when": "plc.estop"}])
    assert rules.signals == {"plc.state", "plc.estop"}
    assert decided(rules, state=6, estop=True) == ("aborted", None, "plc.estop")
    assert decided(rules, state=6, estop=False) == ("execute", None, "packml_state: plc.state")
    assert decided(rules, state=None, estop=False) == ("unknown", None, "packml_state: plc.state")
    assert decided(rules, state=6, estop=None) == ("unknown", None, "plc.estop")
    assert decided(rules, state=None, estop=True)[0] == "aborted"


def test_a_machine_needs_to_know_its_state() -> None:
    with pytest.raises(ValueError, match="needs to know its state"):
        ruleset(ideal="500ms")
