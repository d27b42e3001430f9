"""Several counters of one machine: minutes add up to what was made, whatever is seen first, corrected or restored."""

from __future__ import annotations

from collections import Counter as Sums
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config, PartsConfig
from gateway.inputs import Reload, Tick
from gateway.kpi.counter import Counted
from gateway.kpi.parts import Parts
from gateway.kpi.tally import Tally, Window
from gateway.pipeline import Pipeline
from protocols.model import Batch, Quality
from tests.conftest import line_document
from tests.gateway.stories import MINUTE, MONDAY

COUNTERS = ("total", "low", "label", "again")


def config(**parts: Any) -> Config:
    signals = {name: {"address": f"holding:{2 * n}", "type": "uint32"} for n, name in enumerate(COUNTERS)}
    return Config.model_validate(
        line_document(
            devices={"plc": {"protocol": "modbus_tcp", "host": "127.0.0.1", "signals": signals}},
            machines={"m": {"states": [{"state": "execute"}], "ideal": "100ms", "parts": parts}},
            reasons={23: {"text": "underfilled", "group": "filling"}},
        )
    )


SCRAP = [{"signal": "plc.low", "reason": 23, "correction": 50}, {"signal": "plc.label", "reason": "label"}]
MANY = config(total="plc.total", scrap=SCRAP, rework={"signal": "plc.again"})

steps = st.lists(
    st.tuples(
        st.sampled_from([1000, 1000, 1000, 20_000]),
        st.fixed_dictionaries({name: st.integers(0, 9) for name in COUNTERS}),
        st.sampled_from([0] * 6 + [-4]),
        st.sampled_from(["", "", "", "", "restore", "restart"]),
    ),
    max_size=30,
)


@given(steps)
@settings(max_examples=60, deadline=None)
def test_minutes_add_up_to_what_was_made(story: list[tuple[int, dict[str, int], int, str]]) -> None:
    pipeline, at = Pipeline(MANY), MONDAY
    true = dict.fromkeys(COUNTERS, 10_000_000)
    told: list[dict[str, Any]] = []

    def give(one: Any) -> None:
        for event in pipeline.process(one)[0]:
            if event.type == "machine.production":
                told.append(event.data)

    def read() -> None:
        give(Batch("plc", 0, [(n, true[name], Quality.GOOD, None, None) for n, name in enumerate(COUNTERS)], at))

    give(Reload(at, 0))
    read()
    last = (0, dict.fromkeys(COUNTERS, 0), 0, "")
    for span, made, correction, what in [*story, last, (1000, {**last[1], "total": 29}, 0, ""), last]:
        at += max(span, 1000)
        for name, parts in made.items():
            true[name] += parts
        true["low"] += correction
        if what:
            rows = pipeline.all_rows()
            pipeline = Pipeline(MANY)
            pipeline.restore(rows)
        if what == "restart":
            give(Reload(at, 0))
        read()
        read_again = at + 1000
        if correction:  # it waits for the next reading
            at = read_again
            read()
    for _ in range(40):  # scrap that was seen before its parts is told with them, and so is what was taken back
        true["total"] += 25
        true["low"] += 4
        at += 1000
        read()
    give(Tick(at + 2 * MINUTE))
    sums: Sums[str] = Sums()
    for one in told:
        assert min(one[key] for key in ("total", "good", "scrap", "rework")) >= 0
        sums.update({key: one[key] for key in ("total", "good", "scrap", "rework")})
        sums.update(one["scrap_by_reason"])
        assert one["scrap_texts"] == ({"23": "underfilled"} if "23" in one["scrap_by_reason"] else {})
    made_ = {name: true[name] - 10_000_000 for name in COUNTERS}
    assert sums["total"] == made_["total"]
    assert sums["scrap"] == made_["low"] + made_["label"]
    assert sums["good"] == made_["total"] - sums["scrap"]
    assert (sums["23"], sums["label"], sums["rework"]) == (made_["low"], made_["label"], made_["again"])


@pytest.mark.parametrize(
    ("given_", "tally", "figures"),
    [
        ({"total": "a.t"}, Tally(total=5), (5, 5, None)),
        ({"good": "a.g", "rework": "a.r"}, Tally(good=5, rework=2), (5, 5, None)),
        ({"total": "a.t", "scrap": ["a.x", "a.y"]}, Tally(total=5, scrap=2), (5, 3, 2)),
        ({"good": "a.g", "scrap": "a.x"}, Tally(good=5, scrap=2), (7, 5, 2)),
        ({"total": "a.t", "good": "a.g"}, Tally(total=5, good=4), (5, 4, 1)),
        ({"total": "a.t", "scrap": "a.x"}, Tally(total=1, scrap=2), (1, 0, 2)),
        ({"total": "a.t", "good": "a.g", "scrap": "a.x"}, Tally(total=9, good=5, scrap=2), (9, 5, 2)),
    ],
)
def test_any_two_give_the_third(given_: dict[str, Any], tally: Tally, figures: tuple[int, int, int | None]) -> None:
    parts = Parts(PartsConfig.model_validate(given_), {})
    assert tuple(parts.figures(tally).values()) == figures


def test_a_checkpoint_of_before_reasons_and_cycles_is_read() -> None:
    parts = Parts(PartsConfig.model_validate({"total": "a.t"}), {"a.t": 2**16})
    saved = parts.checkpoint()
    for new in ("ever", "doubts", "largest_step", "shift_name", "carried_reasons"):
        del saved[new]
    saved |= {"minute": [MONDAY, [4, 0, 0], [1, 0, 0]], "day": [7, 0, 0]}
    parts.restore(saved)
    assert parts.minute == Window(MONDAY, Tally(4), Tally(1))
    assert (parts.day, parts.ever, parts.doubts) == (Tally(7), Tally(7), 0)


def test_a_machine_is_certain_while_its_counters_are_read() -> None:
    parts = Parts(PartsConfig.model_validate({"total": "a.t", "rework": "a.r"}), {"a.t": 2**16, "a.r": 2**16})
    parts.pace(500, 500)
    assert not parts.is_certain
    parts.read("a.t", 5, 0, 0)
    assert parts.is_certain, "rework says nothing of total and good"
    parts.counters["a.t"].lost(0)
    assert not parts.is_certain
    parts.read("a.t", 7, 60_000, 0)
    assert (parts.is_certain, parts.doubts) == (True, 1)
    parts.put(Window(0), "a.t", Counted(2, 2, 2))
    assert parts.ever == Tally(2)
