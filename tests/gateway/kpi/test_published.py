"""Published examples of KPIs (tests/cases/kpi.json, each with its source) beside what is computed of their numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.kpi.figures import figures
from gateway.kpi.tallies import Output, Tallies

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads((Path(__file__).parents[2] / "cases" / "kpi.json").read_text())
}
UNIT_MS = {"min": 60_000}
NAMES = {"A": "availability", "P": "effectiveness", "Q": "quality", "OEE": "oee", "TEEP": "teep"}
PLAIN = [name for name, case in CASES.items() if "planned" in case]


def tallies(case: dict[str, Any]) -> Tallies:
    """What is planned and not run is a stop, or setup where the case says so; what is not planned is a planned stop."""
    unit = UNIT_MS[case.get("unit", "min")]
    window = Tallies(has_ideal=True)
    setup = case.get("setup", 0)
    window.spend("production", round(case["run"] * unit))
    window.spend("setup", round(setup * unit))
    window.spend("unplanned_stop", round((case["planned"] - case["run"] - setup) * unit))
    window.spend("planned_stop", round((case.get("all_time", case["planned"]) - case["planned"]) * unit))
    total, good, ideal_ns = case["total"], case["good"], round(case["ideal_cycle"] * unit * 1e6)
    scrap = total - good
    window.products[""] = Output(total, good, scrap, 0, total * ideal_ns, good * ideal_ns, scrap * ideal_ns)
    return window


@pytest.mark.parametrize("name", PLAIN)
def test_published_example(name: str) -> None:
    case = CASES[name]
    told = figures(tallies(case))
    expected = {NAMES[key]: value for key, value in case["expect"].items() if key in NAMES}
    assert {key: told[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    for key, published in case["expect"].items():
        if key.startswith("published_"):  # as the source prints it, rounded or cut
            assert told[NAMES[key.removeprefix("published_")]] == pytest.approx(published, abs=0.005)


def test_independent_machines_are_summed_and_then_divided() -> None:
    case = CASES["time-bucket-rollup"]
    one, two = (tallies(part) for part in case["parts"])
    assert figures(one + two)["oee"] == case["expect"]["OEE"]
    assert (figures(one)["oee"] + figures(two)["oee"]) / 2 == case["expect"]["wrong_mean"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "operating" in case])
def test_published_reliability(name: str) -> None:
    case, hour = CASES[name], 3_600_000
    window = Tallies(failures=case["failures"], repair_ms=case["repair"] * hour)
    window.spend("production", case["operating"] * hour)
    window.spend("unplanned_stop", case["repair"] * hour)
    told = figures(window)
    expected = case["expect"]
    assert (told["mtbf_s"], told["mttr_s"]) == (expected["MTBF"] * 3600, expected["MTTR"] * 3600)
    assert told["inherent_availability"] == pytest.approx(expected["availability"], abs=1e-6)
