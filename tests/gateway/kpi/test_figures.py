"""KPIs by hand arithmetic: every formula, its zero denominator, and what is null because nobody can know it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.kpi.figures import Rules, figures
from gateway.kpi.tallies import MOST_KEYS, REST, Output, Tallies

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
NS = 1_000_000
"""Nanoseconds a millisecond."""


def window(ideal_ms: float = 500, pq: int = 0, sq: int = 0, **given_: Any) -> Tallies:
    """`minutes` by category, and parts of one ideal."""
    minutes = given_.pop("minutes", {"production": 60})
    tallies = Tallies(has_ideal=True, counts_rework=False, **given_)
    for category, spent in minutes.items():
        tallies.spend(category, round(spent * MINUTE))
    if pq:
        ns = round(ideal_ms * NS)
        tallies.products[""] = Output(pq, pq - sq, sq, 0, ns * pq, ns * (pq - sq), ns * sq)
    return tallies


def told(tallies: Tallies, *names: str, **rules: Any) -> list[Any]:
    shown = figures(tallies, Rules(**rules))
    return [shown[name] for name in names]


def test_an_hour_by_hand() -> None:
    """60 min: 6 planned stop, 3 no demand, 36 production, 6 minor stops, 4 downtime, 5 setup."""
    hour = window(
        500,
        pq=4000,
        sq=100,
        minutes={"planned_stop": 6, "no_demand": 3, "production": 36, "unplanned_stop": 10, "setup": 5},
        minor_n=9,
        minor_ms=6 * MINUTE,
        down_ms=4 * MINUTE,
        down_lost_ms=4 * MINUTE,
        failures=2,
        repair_ms=4 * MINUTE,
    )
    names = ("pbt_s", "apt_s", "run_s", "unknown_s", "availability", "effectiveness", "quality", "oee")
    assert told(hour, *names) == [51 * 60, 36 * 60, 42 * 60, 0, 0.823529, 0.793651, 0.975, 0.637255]
    assert pytest.approx(0.637255, abs=1e-6) == 0.823529 * 0.793651 * 0.975
    assert told(hour, "oee_low", "oee_high", "coverage", "teep") == [0.637255, 0.637255, 1.0, 0.541667]
    nee = (36 + 5) / 51 * (3900 * 0.5) / (36 * 60)
    assert told(hour, "nee", "setup_rate", "technical_efficiency") == [
        pytest.approx(nee, abs=1e-6), pytest.approx(5 / 41, abs=1e-6), pytest.approx(36 / 46, abs=1e-6),
    ]  # fmt: skip
    assert told(hour, "downtime_rate", "scrap_ratio", "rework_ratio") == [pytest.approx(4 / 51, abs=1e-6), 0.025, None]
    assert told(hour, "failures", "mtbf_s", "mttr_s", "inherent_availability") == [2, 1080.0, 120.0, 0.9]
    losses = {"breakdowns": 240.0, "setup": 300.0, "minor_stops_and_speed": 520.0, "process_defects": 50.0}
    assert told(hour, "losses", "minor_stops") == [{**losses, "start_up": 0.0}, {"n": 9, "seconds": 360.0}]
    assert sum(losses.values()) + 3900 * 0.5 == 51 * 60


def test_minor_stops_are_a_loss_of_performance_or_of_availability_and_oee_is_the_same() -> None:
    hour = window(500, pq=5400, minutes={"production": 50, "unplanned_stop": 10}, minor_n=20, minor_ms=10 * MINUTE)
    names = ("run_s", "apt_s", "availability", "effectiveness", "oee")
    assert told(hour, *names) == [3600.0, 3000.0, 1.0, 0.75, 0.75]
    assert told(hour, *names, minor_stops="availability") == [3000.0, 3000.0, 0.833333, 0.9, 0.75]


def test_vorne() -> None:
    """The example of oee.com: 420 min planned, 47 of them stops; 19,271 at one a second, 423 rejected."""
    shift = window(1000, pq=19271, sq=423, minutes={"production": 373, "unplanned_stop": 47, "planned_stop": 60})
    names = ("availability", "effectiveness", "quality", "oee", "teep")
    assert told(shift, *names) == [0.888095, 0.861081, 0.97805, 0.747937, 0.654444]


def test_independent_machines_are_summed_and_then_divided() -> None:
    one = window(MINUTE, pq=80, minutes={"production": 90, "idle": 10})
    two = window(MINUTE, pq=150, sq=15, minutes={"production": 150, "idle": 150})
    assert told(one + two, "oee") == [0.5375]
    assert (one + two).length == 400 * MINUTE


def test_two_of_eight_hours_lost_at_full_speed() -> None:
    """It would have been 90 %, which its bounds show; nothing is above 1."""
    shift = window(500, pq=round(6 * 7200 * 0.9), minutes={"production": 360, "unknown": 120}, unrecovered=2 * HOUR)
    assert told(shift, "oee", "oee_low", "oee_high", "coverage", "availability") == [0.9, 0.675, 0.925, 0.75, 1.0]


def test_unknown_time_of_which_a_counter_tells_is_no_part_of_u() -> None:
    """The state was unknown for an hour of two, the counter was not: 3,600 of 7,200 parts are of unknown time."""
    hours = window(1000, pq=7200, minutes={"production": 60, "unknown": 60})
    hours.unknown_ns = 3600 * 1000 * NS
    names = ("availability", "effectiveness", "quality", "oee", "oee_low", "oee_high", "coverage")
    assert told(hours, *names) == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]


def test_the_high_bound_takes_unknown_time_to_have_been_as_fast_as_the_rest() -> None:
    """Half an hour is known, in which twice as many parts were made as the ideal says."""
    hour = window(1000, pq=3600, minutes={"production": 30, "unknown": 30}, unrecovered=HOUR // 2)
    assert told(hour, "oee_low", "oee", "oee_high") == [1.0, 2.0, 2.0]


def test_the_downtime_rate_is_of_known_time_and_start_up_scrap_is_no_process_defect() -> None:
    time = {"production": 30, "unplanned_stop": 15, "unknown": 15}
    hour = window(1000, pq=1200, sq=60, minutes=time, down_ms=15 * MINUTE, start_up_ns=20 * 1000 * NS)
    assert told(hour, "downtime_rate") == [round(15 / 45, 6)]
    (losses,) = told(hour, "losses")
    assert (losses["process_defects"], losses["start_up"]) == (40.0, 20.0)


def test_ambiguous_parts_widen_the_bounds() -> None:
    hour = window(1000, pq=1800)
    hour.products[""].spread, hour.products[""].spread_ns = 360, 360 * 1000 * NS
    hour.products[""].less_ns = 180 * 1000 * NS
    assert told(hour, "oee", "oee_low", "oee_high") == [0.5, 0.45, 0.6]
    assert told(hour, "ambiguous", "flags") == [{"low": 1800, "high": 2160}, ["ambiguous"]]


def test_an_hour_of_which_nothing_is_known() -> None:
    hour = window(minutes={"unknown": 60}, unrecovered=HOUR)
    names = ("availability", "effectiveness", "quality", "oee", "oee_low", "oee_high", "coverage", "teep", "nee")
    assert told(hour, *names) == [None, None, None, None, 0.0, 1.0, 0.0, None, None]


def test_an_hour_that_was_not_planned() -> None:
    hour = window(minutes={"planned_stop": 60})
    names = ("availability", "oee", "oee_low", "oee_high", "coverage", "teep", "downtime_rate", "setup_rate")
    assert told(hour, *names) == [None, None, None, None, None, 0.0, None, None]


def test_without_a_counter_unknown_time_is_lost_and_counts_are_null() -> None:
    hour = window(minutes={"production": 45, "unknown": 15}, counts=False)
    shown = figures(hour)
    assert (shown["unrecovered_s"], shown["availability"], shown["coverage"]) == (900.0, 1.0, 0.75)
    nothing = ("pq", "gq", "sq", "rq", "quality", "oee", "oee_low", "oee_high", "effectiveness", "ideal_s", "recovered")
    assert [shown[name] for name in nothing] == [None] * len(nothing)
    assert shown["losses"]["minor_stops_and_speed"] is None


def test_one_counter_alone_says_nothing_of_quality_but_oee_is_computed() -> None:
    names = ("pq", "gq", "sq", "quality", "scrap_ratio", "oee")
    assert told(window(500, pq=3600, counts_scrap=False), *names) == [3600, 3600, None, None, None, 0.5]


def test_without_an_ideal_nothing_is_computed_from_one() -> None:
    hour = window(pq=100)
    hour.products[""].unpriced = 1
    assert told(hour, "oee", "effectiveness", "ideal_s", "availability", "pq") == [None, None, None, 1.0, 100]
    assert told(window(), "oee") == [0.0], "an ideal, and no part"
    idle = window()
    idle.has_ideal = False
    assert told(idle, "oee") == [None]


def test_an_unlisted_product_leaves_no_oee() -> None:
    hour = window(500, pq=3600, unlisted=True)
    names = ("oee", "oee_low", "oee_high", "teep", "nee", "flags")
    assert told(hour, *names) == [None, None, None, None, None, ["unlisted_product"]]


def test_an_ideal_that_is_beaten_is_suspect_and_published_as_it_is() -> None:
    assert told(window(500, pq=8000), "effectiveness", "flags") == [1.111111, ["suspect_ideal"]]
    assert told(window(500, pq=8000), "effectiveness", "flags", max_plausible=1.2) == [1.111111, []]


def test_parts_of_outages_that_reach_beyond_have_a_field_of_their_own() -> None:
    assert told(window(500, pq=10, recovered=70), "pq", "recovered", "flags") == [10, 70, ["recovered"]]


def test_rework_gives_a_first_pass_yield() -> None:
    hour = window(500, pq=100, sq=10)
    hour.counts_rework, hour.products[""].rq = True, 5
    assert told(hour, "rq", "rework_ratio", "first_pass_yield") == [5, 0.05, 0.85]


def test_stops_with_the_most_time_are_told_and_the_rest_is_summed() -> None:
    tallies = Tallies()
    for number in range(MOST_KEYS + 6):
        tallies.stopped("own", str(number), 1, (100 - number) * SECOND)
    assert len(tallies.stops) == MOST_KEYS + 1
    shown = figures(tallies)["stops"]
    assert shown[0] == {"kind": "own", "reason": "0", "n": 1, "seconds": 100.0}
    assert shown[-1] == {
        "kind": REST, "reason": None, "n": MOST_KEYS - 4, "seconds": sum(range(31, 91)) * 1.0,
    }  # fmt: skip


def test_products_are_told_apart() -> None:
    hour = window()
    hour.output("4711").pq, hour.output("4711").gq, hour.output("4711").ideal_ns = 10, 10, 10 * 250 * NS
    hour.output(None).pq = 2
    hour.output(None).unpriced = 2
    shown = figures(hour)["by_product"]
    assert [(one["product"], one["pq"], one["ideal_s"]) for one in shown] == [(None, 2, None), ("4711", 10, 2.5)]
    for number in range(MOST_KEYS + 3):
        hour.output(str(number)).pq += 1
    assert len(hour.products) == MOST_KEYS + 1
    assert hour.products[REST].pq == 5


small = st.integers(0, 10**6)
tallied = st.builds(
    Tallies,
    time=st.dictionaries(st.sampled_from(["production", "unknown", "planned_stop", "setup", "idle"]), small),
    minor_ms=small,
    down_ms=small,
    failures=st.integers(0, 3),
    products=st.dictionaries(st.sampled_from(["", "a", "b"]), st.builds(Output, pq=small, gq=small, ideal_ns=small)),
    has_ideal=st.booleans(),
    counts=st.booleans(),
)


@given(tallied, tallied, tallied)
def test_tallies_add_up_in_any_order_and_survive_a_checkpoint(one: Tallies, two: Tallies, three: Tallies) -> None:
    assert figures(one + two + three) == figures(three + (two + one))
    both = one + two
    assert Tallies.restored(both.checkpoint()) == both
    assert both.length == one.length + two.length
