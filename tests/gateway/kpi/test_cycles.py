"""Cycle times beside the true ones of a machine whose parts and stops are known to the millisecond."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import Reload
from gateway.kpi.cycles import CycleTimes, Measured
from gateway.pipeline import Pipeline
from protocols.model import Batch, Value
from tests.gateway.stories import MINUTE, MONDAY, QUIET, Step, machine, run, said, tick

PARTS: dict[str, Any] = {"parts": {"total": "plc.count"}, "ideal": "500ms"}
BY_PLC: dict[str, Any] = {**PARTS, "cycle": {"signal": "plc.word", "unit": "ms"}}


def config(scan: int = 100, **settings: Any) -> Config:
    return machine({"scan_interval": f"{scan}ms"}, **{**PARTS, **settings})


def scanned(scan: int, until: int, *changes: tuple[int, dict[str, Value]]) -> list[Step]:
    """Every scan, with what has changed by then."""
    steps, waiting = [], sorted(changes, key=lambda one: one[0])
    for at in range(scan, until + 1, scan):
        now: dict[str, Value] = {}
        while waiting and waiting[0][0] <= at:
            now |= waiting.pop(0)[1]
        steps.append((at, now))
    return steps


def counts(*times: int, first: int = 1) -> list[tuple[int, dict[str, Value]]]:
    """A part at each of these times."""
    return [(at, {"count": first + number}) for number, at in enumerate(times)]


def cycles(events: list[Event]) -> list[dict[str, Any]]:
    """The cycle figures of each minute that has any."""
    return [e.data["cycle"] for e in events if e.type == "machine.production" and e.data["cycle"] is not None]


STARTS: tuple[int, dict[str, Value]] = (100, {"run": True})


def test_single_parts_enclose_cycles_to_within_a_scan() -> None:
    steps = scanned(100, 61_000, STARTS, *counts(1000, 1500, 2000, 2600, 3500))
    (found,) = cycles(run(config(), *steps))
    assert found == {
        "n": 4, "n_single": 4, "mean_s": 0.625, "min_s": 0.5, "max_s": 0.9, "p50_s": 0.5, "p95_s": 0.9,
        "ideal_s": 0.5, "uncertainty_s": 0.1,
    }  # fmt: skip


def test_a_scan_that_shows_several_parts_gives_a_mean_and_no_more() -> None:
    """Two parts in each second."""
    steps = scanned(1000, 61_000, STARTS, *counts(*range(2500, 20_500, 500)))
    (found,) = cycles(run(config(1000), *steps))
    assert (found["n"], found["n_single"], found["mean_s"]) == (34, 0, 0.5)
    assert (found["min_s"], found["max_s"], found["p50_s"], found["p95_s"]) == (None, None, None, None)


@pytest.mark.parametrize("what", ["hold", "starved"])
def test_a_cycle_over_a_stop_is_none(what: str) -> None:
    stop: list[tuple[int, dict[str, Value]]] = [(2700, {what: True}), (3000, {what: False})]
    steps = scanned(100, 61_000, STARTS, *counts(1000, 1500, 2000, 3500, 4000, 4500), *stop)
    (found,) = cycles(run(config(), *steps))
    assert (found["n"], found["max_s"]) == (4, 0.5)


def test_the_first_part_of_a_run_begins_the_first_cycle() -> None:
    """Execute is seen in the scan of a part: which of both was first is not certain."""
    steps = scanned(100, 61_000, *counts(1000, 1500, 2000), (1000, {"run": True}))
    assert [one["n"] for one in cycles(run(config(), *steps))] == [1]


def test_what_a_rule_may_yet_take_back_is_no_cycle() -> None:
    rules = [{"state": "suspended", "when": "plc.starved", "cause": "starved", "for": "3s"}, {"state": "execute"}]
    waits: list[tuple[int, dict[str, Value]]] = [(1700, {"starved": True}), (2300, {"starved": False})]
    steps = scanned(100, 61_000, *counts(1000, 1500, 2000, 2500, 3000), *waits)
    (found,) = cycles(run(config(states=rules), *steps))
    assert found["n"] == 3


def test_a_cycle_without_end_is_a_stop() -> None:
    """Ten ideal cycles without a part: production had ended with the last one, and begins again with the next."""
    steps = scanned(100, 61_000, STARTS, *counts(1000, 1500, 30_000, 30_500, 31_000))
    (found,) = cycles(run(config(), *steps))
    assert (found["n"], found["max_s"]) == (2, 0.5)


def test_lost_torn_and_reset_counters_begin_anew() -> None:
    last = 1005
    steps = scanned(
        100, 61_000, STARTS, (500, {"count": 1000}), *counts(1000, 1500, 2000, first=1001),
        (2100, {"count": 3_000_000}), (2200, {"count": 1003}), *counts(2500, 3000, first=1004),
        (3200, {"count": None}), (3300, {"count": last}), *counts(3500, 4000, first=last + 1),
        (4500, {"count": 1}), *counts(5000, 5500, 6000, first=2),
    )  # fmt: skip
    found = cycles(run(config(), *steps))
    assert [(one["n"], one["min_s"], one["max_s"]) for one in found] == [(7, 0.5, 0.5)]


def test_another_product_begins_anew_and_has_its_own_figures() -> None:
    listed = {"7": {"ideal": {"m": "500ms"}}, "8": {"ideal": {"m": "900ms"}}}
    made = config(products={"signal": "plc.mode", "list": listed})
    changes: list[tuple[int, dict[str, Value]]] = [(0, {"mode": 7}), (3200, {"mode": 8})]
    steps = scanned(100, 61_000, STARTS, *counts(1000, 1500, 2000, 2500, 3000, 3500, 4500, 5500), *changes)
    found = cycles(run(made, *steps))
    assert [(one["n"], one["mean_s"], one["ideal_s"]) for one in found] == [(4, 0.5, 0.5), (2, 1.0, 0.9)]


def test_cycles_that_the_plc_times() -> None:
    """Those that began before the run, or while nobody looked, are none."""
    told: list[tuple[int, dict[str, Value]]] = [
        (200, {"word": 950}), (1000, {"word": 480}), (1500, {"word": 503}), (2000, {"word": None}),
        (2100, {"word": 510}), (3000, {"word": 512}), (3100, {"word": 0}),
    ]  # fmt: skip
    steps = scanned(100, 61_000, STARTS, *told, *counts(1000, 1500, 2000))
    (found,) = cycles(run(config(**BY_PLC), *steps))
    assert (found["n"], found["min_s"], found["max_s"], found["uncertainty_s"]) == (3, 0.48, 0.512, 0.0)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=200))
@settings(max_examples=100, deadline=None)
def test_percentiles_are_nearest_ranks(times: list[int]) -> None:
    kept = CycleTimes()
    for one in times:
        kept.add(Measured(one, 1, 10), None)
    figures, ordered = kept.figures(), sorted(times)
    assert figures["p50_s"] == ordered[math.ceil(len(times) * 0.5) - 1] / 1000
    assert figures["p95_s"] == ordered[math.ceil(len(times) * 0.95) - 1] / 1000
    assert (figures["min_s"], figures["max_s"]) == (ordered[0] / 1000, ordered[-1] / 1000)
    assert figures["mean_s"] == pytest.approx(mean(times) / 1000, abs=1e-6)
    assert CycleTimes(*kept.checkpoint()) == kept


runs = st.lists(st.tuples(st.integers(800, 3000), st.lists(st.integers(300, 1900), max_size=8)), min_size=1, max_size=6)


@given(runs, st.sampled_from([50, 100, 250, 700]), st.sets(st.integers(0, 100), max_size=2))
@settings(max_examples=30, deadline=None)
def test_cycles_are_the_true_ones(story: list[tuple[int, list[int]]], scan: int, restores: set[int]) -> None:
    """Stops of some length, each followed by a run of some cycles; a restored engine goes on where it was."""
    at, part = 1000, 0
    changes: list[tuple[int, dict[str, Value]]] = []
    true: list[int] = []
    for stopped, lengths in story:
        changes.append((at, {"run": False}))
        at += stopped
        changes.append((at, {"run": True}))
        made = []
        for length in lengths:
            at += length
            part += 1
            changes.append((at, {"count": part}))
            made.append(at)
        true += [after - before for before, after in pairwise(made)]
        at += 150
    steps = [*scanned(scan, at + scan, *changes), tick(at + 2 * MINUTE)]
    settings_ = config(scan, no_output=0)
    found = cycles(run(settings_, *steps))
    n = sum(one["n"] for one in found)
    assert len(true) - 2 * len(story) <= n <= len(true)
    for one in found:
        assert one["uncertainty_s"] <= scan / 1000
        if one["n_single"]:
            assert one["min_s"] >= (min(true) - scan) / 1000
            assert one["max_s"] <= (max(true) + scan) / 1000
    pipeline, again, told = Pipeline(settings_), Pipeline(settings_), []
    for number, (when, values) in enumerate(steps[:-1][:100]):
        batch = Batch("plc", 0, said(**({**QUIET, **values} if number == 0 else values)), MONDAY + when)
        seen = pipeline.process(batch)[0]
        if number in restores:
            rows, again = again.all_rows(), Pipeline(settings_)
            again.restore(rows)
        told.append(seen == again.process(batch)[0])
    assert all(told)


def test_an_engine_that_was_off_begins_anew() -> None:
    steps = scanned(100, 61_000, STARTS, *counts(1000, 1500, 2100, 2500), (1800, {}))
    steps = [(at, Reload(0, 0) if at == 1800 else step) for at, step in steps]
    assert [one["n"] for one in cycles(run(config(), *steps))] != [3]
