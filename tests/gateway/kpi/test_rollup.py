"""A line's figures from its machines': constraint, outlets, slowest stage, machines side by side, independent ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config.flow import LinkConfig, topology
from gateway.kpi.figures import Rules
from gateway.kpi.rollup import Plant, constraint_of, roll_up
from gateway.kpi.tallies import Output, Tallies

CASES = {one["id"]: one for one in json.loads((Path(__file__).parents[2] / "cases" / "kpi.json").read_text())}
HOUR = 3_600_000


def tallies(good: int, scrap: int, ideal_ms: float, product: str = "", **time: int) -> Tallies:
    """Parts of one product, and time; what is not given of an hour is production."""
    made = Tallies(time={"production": HOUR - sum(time.values()), **time}, has_ideal=True)
    ns = round(ideal_ms * 1e6)
    pq = good + scrap
    made.products[product] = Output(
        pq=pq, gq=good, sq=scrap, ideal_ns=pq * ns, good_ns=good * ns, scrap_ns=scrap * ns
    )  # fmt: skip
    return made


def plant(
    ideals: dict[str, float], flow: list[dict[str, list[str]]] | None, out: list[str] | None = None, **more: object
) -> Plant:
    links = None if flow is None else [LinkConfig.model_validate(one) for one in flow]
    each = more.pop("each", {})
    assert isinstance(each, dict)
    constraint = more.pop("constraint", None)
    of_availability = str(more.pop("of_availability", ""))
    return Plant(
        topology(list(ideals), links, out),
        None if constraint is None else str(constraint),
        {name: each.get(name, 1) for name in ideals},
        lambda name, _product: ideals[name],
        {name: Rules("availability") if name in of_availability else Rules() for name in ideals},
    )


def test_two_machines_in_series_at_the_bottlenecks_ideal() -> None:
    """oee.institute: 60 s and 30 s in series, an hour at the pace of the first: the line did all that it can."""
    case = CASES["serial-line"]["expect"]
    machines = {"first": tallies(60, 0, 60_000), "second": tallies(60, 0, 30_000)}
    line = roll_up(plant({"first": 60_000.0, "second": 30_000.0}, None), machines)
    assert line.figures["oee"] == case["line_at_bottleneck_own_cycle"]
    assert line.figures["oee"] != case["naive_mean"]
    assert line.rollup == {"rule": "constraint", "machines": ["first"], "out": ["second"], "cycle_s": 60.0}


def test_independent_machines_are_summed_and_then_divided() -> None:
    """The published case: 100 and 300 minutes planned, 80 and 135 good parts of a minute's ideal: 215 / 400."""
    case = CASES["time-bucket-rollup"]
    machines = {}
    for name, one in zip("ab", case["parts"], strict=True):
        minutes = {"production": one["run"] * 60_000, "unplanned_stop": (one["planned"] - one["run"]) * 60_000}
        made = tallies(one["good"], one["total"] - one["good"], 60_000)
        machines[name] = Tallies(time=minutes, products=made.products, has_ideal=True)
    line = roll_up(plant({"a": 60_000.0, "b": 60_000.0}, []), machines)
    assert line.figures["oee"] == case["expect"]["OEE"] != case["expect"]["wrong_mean"]
    assert line.rollup["rule"] == "sum"


def test_parts_count_where_they_leave_and_scrap_wherever_it_falls() -> None:
    """3,600 s at 1 s: 3,000 good cases-worth at the end, 100 + 50 + 20 scrapped on the way."""
    machines = {
        "filler": tallies(3_300, 100, 1_000, unplanned_stop=200_000),
        "capper": tallies(3_200, 50, 500),
        "labeler": tallies(3_000, 20, 900),
    }
    line = roll_up(plant({"filler": 1_000.0, "capper": 500.0, "labeler": 900.0}, None), machines)
    figures = line.figures
    assert line.rollup["machines"] == ["filler"], "the slowest"
    assert (figures["pq"], figures["gq"], figures["sq"]) == (3_170, 3_000, 170)
    assert figures["quality"] == round(3_000 / 3_170, 6)
    assert figures["oee"] == round(3_000 / 3_600, 6)
    assert figures["availability"] == round(3_400 / 3_600, 6)
    assert figures["effectiveness"] == round(figures["oee"] / figures["availability"] / figures["quality"], 6)
    assert figures["throughput_yield"] == round(3_300 / 3_400 * 3_200 / 3_250 * 3_000 / 3_020, 6)


def test_rates_of_parallel_machines_add_and_their_time_is_weighed() -> None:
    """Two labelers of 2 s and 1 s are one of 2/3 s; a third of their time is the first's, two thirds the second's."""
    flow = [{"from": ["filler"], "to": ["a", "b"]}, {"from": ["a", "b"], "to": ["palletizer"]}]
    machines = {
        "filler": tallies(4_000, 0, 500),
        "a": tallies(1_000, 0, 2_000, blocked=900_000),
        "b": tallies(3_000, 0, 1_000),
        "palletizer": tallies(4_000 // 12, 0, 6_000),
    }
    given = plant(
        {"filler": 500.0, "a": 2_000.0, "b": 1_000.0, "palletizer": 6_000.0}, flow, ["palletizer"],
        each={"palletizer": 12},
    )  # fmt: skip
    line = roll_up(given, machines)
    assert line.rollup["machines"] == ["a", "b"], "666.7 ms beside 500 of the filler and 6 s for 12"
    assert line.figures["categories"] == {"blocked": 300.0, "production": 3300.0}
    assert line.figures["gq"] == 333 * 12, "bottles, not cases"
    assert line.figures["oee"] == pytest.approx(333 * 12 * 2_000 / 3 / HOUR, abs=1e-6)


def test_a_named_constraint_gives_the_time() -> None:
    machines = {"a": tallies(100, 0, 1_000, setup=600_000), "b": tallies(100, 0, 30_000)}
    line = roll_up(plant({"a": 1_000.0, "b": 30_000.0}, None, constraint="a"), machines)
    assert line.figures["categories"] == {"production": 3000.0, "setup": 600.0}
    assert line.rollup["cycle_s"] == 30.0, "the slowest stage's all the same"


def test_what_the_outlet_did_not_count_bounds_the_line() -> None:
    """Half an hour of the outlet is not known; U is its own, whatever the constraint saw."""
    out = tallies(1_800, 0, 1_000, unknown=1_800_000)
    out.unrecovered = 1_800_000
    line = roll_up(
        plant({"a": 1_000.0, "b": 900.0}, None), {"a": tallies(3_600, 0, 1_000), "b": out}
    )  # fmt: skip
    assert (line.figures["oee_low"], line.figures["oee"], line.figures["oee_high"]) == (0.5, 1.0, 1.0)


def test_without_any_ideal_there_is_no_oee() -> None:
    given = plant({"a": 1_000.0, "b": 1_000.0}, None)._replace(ideal_of=lambda _name, _product: None)
    machines = {"a": tallies(10, 0, 0), "b": tallies(10, 0, 0)}
    for one in machines.values():
        one.products[""].unpriced = 10
    line = roll_up(given, machines)
    assert line.figures["oee"] is None
    assert line.figures["effectiveness"] is None
    assert line.figures["availability"] == 1.0


def test_minor_stops_are_the_loss_that_they_are_on_the_constraint() -> None:
    """Ten minutes of them in the hour: the line's availability is the constraint's."""
    machines = {"a": tallies(3_000, 0, 1_000, unplanned_stop=600_000), "b": tallies(3_000, 0, 500)}
    machines["a"].minor_n, machines["a"].minor_ms = 20, 600_000
    ideals = {"a": 1_000.0, "b": 500.0}
    of_performance = roll_up(plant(ideals, None, of_availability="b"), machines).figures
    assert (of_performance["availability"], of_performance["effectiveness"]) == (1.0, round(3_000 / 3_600, 6))
    of_availability = roll_up(plant(ideals, None, of_availability="a"), machines).figures
    assert (of_availability["availability"], of_availability["effectiveness"]) == (round(3_000 / 3_600, 6), 1.0)
    assert (of_availability["run_s"], of_availability["oee"]) == (3_000.0, of_performance["oee"])


def test_run_time_of_independent_machines_is_summed_by_the_rule_of_each() -> None:
    machines = {name: tallies(3_000, 0, 1_000, unplanned_stop=600_000) for name in "ab"}
    for one in machines.values():
        one.minor_n, one.minor_ms = 20, 600_000
    line = roll_up(plant({"a": 1_000.0, "b": 1_000.0}, [], of_availability="b"), machines)
    assert line.figures["run_s"] == 3_600.0 + 3_000.0
    assert line.figures["availability"] == round(6_600 / 7_200, 6)


def test_an_ideal_that_has_changed_since_is_that_of_the_parts() -> None:
    """A signal says 2 s now; the parts of the window were made at 1 s."""
    given = plant({"a": 2_000.0, "b": 500.0}, None)
    line = roll_up(given, {"a": tallies(1_800, 0, 1_000), "b": tallies(1_800, 0, 500)})
    assert (line.figures["oee"], line.rollup["cycle_s"]) == (0.5, 1.0)


def test_a_line_that_made_nothing_has_an_oee_of_0_and_the_slowest_stage_of_what_it_was_to_make() -> None:
    """Only the products have ideals."""
    given = plant({"a": 500.0, "b": 1_000.0}, None)
    by_product = given._replace(ideal_of=lambda name, product: given.ideal_of(name, None) if product == "7" else None)
    machines = {"a": tallies(0, 0, 0, "7", starved=HOUR), "b": tallies(0, 0, 0, "7", unplanned_stop=HOUR)}
    line = roll_up(by_product, machines)
    assert (line.figures["oee"], line.rollup["machines"], line.rollup["cycle_s"]) == (0.0, ["b"], 1.0)


def test_the_constraint_does_not_depend_on_which_machines_have_told() -> None:
    """A job is over on the last machine before the slowest one tells of it."""
    given = plant({"a": 500.0, "b": 1_000.0, "c": 900.0}, None)
    assert constraint_of(given, {"a": tallies(10, 0, 500), "c": tallies(10, 0, 900)}) == ("b",)
    assert constraint_of(given._replace(constraint="a"), {"c": tallies(10, 0, 900)}) == ("a",)


def test_scrap_is_in_the_lines_unit_too() -> None:
    """5 cases of 12 are scrapped at the end, 7 bottles before."""
    given = plant({"a": 500.0, "b": 12_000.0}, None, each={"b": 12})
    figures = roll_up(given, {"a": tallies(3_367, 7, 500), "b": tallies(275, 5, 12_000)}).figures
    assert (figures["gq"], figures["sq"], figures["pq"]) == (3_300, 67, 3_367)
    assert (figures["ideal_s"], figures["ideal_good_s"]) == (3_367.0, 3_300.0)
    assert figures["losses"]["process_defects"] == 67.0


def test_what_a_stage_does_not_say_is_not_known_of_the_line() -> None:
    machines = {"a": tallies(3_000, 0, 1_000), "b": tallies(3_000, 0, 900)}
    given = plant({"a": 1_000.0, "b": 900.0}, None)
    machines["a"].counts_scrap = False
    told = roll_up(given, machines).figures
    assert (told["quality"], told["sq"], told["gq"], told["throughput_yield"]) == (None, None, 3_000, None)
    assert (told["oee"], told["effectiveness"]) == (round(3_000 / 3_600, 6), round(3_000 / 3_600, 6))
    machines["b"].counts = False
    told = roll_up(given, machines).figures
    assert (told["gq"], told["oee"], told["availability"]) == (None, None, 1.0)


def test_a_product_that_is_not_listed_on_any_machine_leaves_no_oee() -> None:
    machines = {"a": tallies(3_000, 0, 1_000), "b": tallies(3_000, 0, 900)}
    machines["a"].unlisted = True
    told = roll_up(plant({"a": 1_000.0, "b": 900.0}, None), machines).figures
    assert (told["oee"], told["oee_low"], told["oee_high"], told["flags"]) == (None, None, None, ["unlisted_product"])


def test_losses_of_the_line_are_of_its_parts_and_not_of_the_constraints() -> None:
    """The constraint made 600 parts in unknown time, and 20 of its scrap in setup."""
    machines = {"a": tallies(3_000, 40, 1_000), "b": tallies(2_900, 0, 900)}
    machines["a"].unknown_ns, machines["a"].start_up_ns = 600 * 10**9, 20 * 10**9
    losses = roll_up(plant({"a": 1_000.0, "b": 900.0}, None), machines).figures["losses"]
    assert (losses["minor_stops_and_speed"], losses["process_defects"], losses["start_up"]) == (660.0, 40.0, 0.0)


def test_weighed_time_is_the_window_to_the_millisecond() -> None:
    flow = [{"from": ["a", "b", "c"], "to": ["d"]}]
    machines = {name: tallies(100, 0, 3_000, setup=n, blocked=1) for n, name in enumerate("abc", 1)}
    machines["d"] = tallies(300, 0, 100)
    line = roll_up(plant({"a": 3_000.0, "b": 3_000.0, "c": 3_000.0, "d": 100.0}, flow), machines)
    assert line.figures["categories"] == {"blocked": 0.001, "production": 3599.997, "setup": 0.002}
    machines["b"].time["setup"], machines["b"].time["production"] = 3, HOUR - 4
    machines["c"].time["setup"], machines["c"].time["production"] = 4, HOUR - 5
    uneven = roll_up(plant({"a": 3_000.0, "b": 3_000.0, "c": 3_000.0, "d": 100.0}, flow), machines)
    assert sum(round(1_000 * one) for one in uneven.figures["categories"].values()) == HOUR


def test_scrap_that_is_ambiguous_at_an_outlet_lowers_the_bound() -> None:
    """Of its 3,000 cases-worth 60 bottles may be scrap."""
    machines = {"a": tallies(3_000, 0, 1_000), "b": tallies(250, 0, 6_000)}
    machines["b"].products[""].less_ns = 5 * 6_000 * 10**6
    told = roll_up(plant({"a": 1_000.0, "b": 6_000.0}, None, each={"b": 12}), machines).figures
    assert (told["oee"], told["oee_low"]) == (round(3_000 / 3_600, 6), round(2_940 / 3_600, 6))
    assert told["flags"] == ["ambiguous"]


def test_no_more_is_uncovered_than_is_planned() -> None:
    """Ten minutes are planned on the constraint; the outlet was not read for half an hour."""
    out = tallies(0, 0, 900, unknown=1_800_000)
    out.unrecovered = 1_800_000
    machines = {"a": tallies(0, 0, 1_000, planned_stop=3_000_000), "b": out}
    told = roll_up(plant({"a": 1_000.0, "b": 900.0}, None), machines).figures
    assert (told["unrecovered_s"], told["oee"], told["oee_low"], told["oee_high"]) == (600.0, None, 0.0, 1.0)


def test_an_ideal_is_suspect_beyond_what_any_machine_bears() -> None:
    machines = {"a": tallies(5_400, 0, 1_000), "b": tallies(5_400, 0, 500)}
    given = plant({"a": 1_000.0, "b": 500.0}, None)
    assert roll_up(given, machines).figures["flags"] == ["suspect_ideal"]
    bears = given._replace(rules={"a": Rules(), "b": Rules(max_plausible=2.0)})
    assert roll_up(bears, machines).figures["flags"] == []
