"""Jumps of PackML states: what the state model has, what a poll can miss of it, and what neither explains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inputs import Reload
from gateway.pipeline import Pipeline
from gateway.states.jumps import _NEXT, WAITING, Jumps, _follows, legal
from gateway.states.packml import _OPC_30060, STATES
from protocols.model import Value
from tests.gateway.stories import MONDAY, inputs, machine, run


def test_every_state_of_the_model_is_in_the_table() -> None:
    assert set(_NEXT) == set(STATES) - {"undefined"}
    assert all(then <= set(_NEXT) for then in _NEXT.values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("execute", "held"),  # holding was missed
        ("held", "execute"),
        ("stopped", "idle"),
        ("idle", "execute"),
        ("execute", "complete"),
        ("execute", "aborted"),
        ("clearing", "aborting"),
        ("completing", "stopped"),
        ("aborted", "stopped"),
        ("suspended", "held"),  # OPC 30050's own, and through execute by the standard
        ("starting", "holding"),
        ("idle", "complete"),  # execute is an acting state too
    ],
)
def test_a_command_and_what_passes_by_itself_is_legal(before: str, after: str) -> None:
    assert after in legal()[before]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stopped", "execute"),  # it waits in idle
        ("execute", "idle"),  # it waits in complete
        ("execute", "unholding"),  # it waits in held
        ("aborted", "idle"),  # it waits in stopped
        ("aborting", "stopping"),
        ("stopping", "execute"),
        ("execute", "clearing"),
        ("held", "idle"),
        ("idle", "unsuspending"),
        ("clearing", "stopping"),
    ],
)
def test_a_jump_over_a_state_that_waits_is_illegal(before: str, after: str) -> None:
    assert after not in legal()[before]


def test_states_that_a_numbering_does_not_have_may_be_missed() -> None:
    jumps = Jumps({1: "stopped", 4: "execute", 5: "held"})
    for state in ("stopped", "execute", "held", "stopped", "held", "execute"):
        jumps.follow(state)
    assert jumps.illegal == 0


def test_weihenstephans_conditions_have_no_model() -> None:
    jumps = Jumps("weihenstephan")
    for state in ("stopped", "execute", "idle", "stopped", "held", "idle"):
        jumps.follow(state)
    assert jumps.illegal == 0


def test_nothing_follows_from_what_was_before_a_gap() -> None:
    jumps = Jumps("packml")
    for state in ("stopped", None, "execute", "undefined", "idle"):
        jumps.follow(state)
    assert jumps.illegal == 0


@given(st.data())
def test_polls_of_a_machine_that_keeps_to_the_model_see_no_illegal_jump(data: st.DataObject) -> None:
    """Whatever passes between two polls, as long as none of it waits for longer than that."""
    state, jumps = data.draw(st.sampled_from(sorted(_NEXT))), Jumps("packml")
    for _ in range(data.draw(st.integers(0, 40))):
        jumps.follow(state)
        state = data.draw(st.sampled_from(sorted(_follows(state))))
        while state not in WAITING and data.draw(st.booleans()):
            state = data.draw(st.sampled_from(sorted(_follows(state))))
    assert jumps.illegal == 0


@pytest.mark.parametrize("numbering", ["packml", "opc30060"])
def test_a_machine_accepts_any_jump_and_counts_the_illegal_ones(numbering: str) -> None:
    names = STATES if numbering == "packml" else _OPC_30060
    config = machine(packml_state={"signal": "plc.mode", "numbering": numbering})
    told: list[Value] = [names.index(one) for one in ("stopped", "execute", "held", "execute", "idle")]
    told[3:3] = [None]  # the PLC does not answer for a while
    events = run(config, *[(1000 + 1000 * at, {"mode": value}) for at, value in enumerate(told)])
    states = [event.data["state"] for event in events if event.type == "machine.state" and event.data["rev"] == 0]
    assert states[-6:] == ["stopped", "execute", "held", "unknown", "execute", "idle"]


def test_the_count_outlives_a_restart() -> None:
    config = machine(packml_state="plc.mode")
    steps: list[tuple[int, Any]] = [(1000, {"mode": 2}), (2000, {"mode": 6}), (3000, {"mode": 4})]
    before, after = Pipeline(config), Pipeline(config)
    for one in inputs(steps):
        before.process(one)
    after.restore(before.checkpoint())
    after.process(Reload(MONDAY + 4000, 0))
    assert after.snapshot()["m"]["illegal_transitions"] == 2
