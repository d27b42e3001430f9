"""Published examples of KPIs (tests/cases/kpi.json) as recordings: replayed, a job's window tells their figures.

| cases | what is replayed |
| --- | --- |
| those with `planned` | one machine: it runs and makes its parts, stands still, is set up, is maintained |
| time-bucket-rollup | two machines that no flow connects; the one that is planned for less has maintenance meanwhile |
| serial-line | two machines, one behind the other, for an hour |
| reliability | a machine without counters, whose failures follow one another; where it is 1,000 hours or more, minutes
  stand for hours, since each hour would be a window of its own |
| ewma-montgomery, apm-t5 | nothing: they are of early warnings and bottlenecks, which this version does not have |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import Config
from gateway.events import Event
from gateway.replay.plain import PlainLines, read_plain
from gateway.replay.replay import Replay
from tests.conftest import line_document
from tests.gateway.kpi.test_published import NAMES

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads((Path(__file__).parents[2] / "cases" / "kpi.json").read_text())
}
LATER = {"ewma-montgomery", "apm-t5"}
BEGIN = datetime(2026, 11, 23, 6, tzinfo=UTC)
SIGNALS = {
    "run": {"address": "coil:0"},
    "setup": {"address": "coil:1"},
    "count": {"address": "holding:0", "type": "uint32"},
    "scrap": {"address": "holding:2", "type": "uint32"},
    "order": {"address": "holding:4", "type": "string", "length": 16},
}
STATES = [
    {"category": "setup", "when": "{x}.setup"},
    {"state": "execute", "when": "{x}.run"},
    {"state": "stopped", "reason": "breakdown"},
]
ALWAYS = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "06:00", "to": "06:00"}
QUIET = {"run": False, "setup": False, "count": 1_000_000, "scrap": 100_000, "order": "case"}
Line = tuple[float, str, dict[str, Any]]
"""Minutes from the begin, device, changed values."""


def config(machines: dict[str, dict[str, Any]], planned: dict[str, tuple[float, float]], **line: Any) -> Config:
    """`planned` maintenance by machine, in minutes from the begin."""
    place = {**line_document()["line"], "time_zone": "UTC"}
    maintenance = [
        {"machine": name, "from": moment(since), "to": moment(until)}
        for name, (since, until) in planned.items()
        if since < until
    ]
    made = {
        name: {
            "states": [
                {**rule, **({"when": rule["when"].format(x=name)} if "when" in rule else {})} for rule in STATES
            ],
            **machine,
        }
        for name, machine in machines.items()
    }
    devices = {
        name: {"protocol": "modbus_tcp", "host": f"127.0.0.{n}", "signals": SIGNALS}
        for n, name in enumerate(machines, 1)
    }
    jobs = {"signal": f"{next(iter(machines))}.order"}
    calendar = {"production_day": "06:00", "shifts": {"all": ALWAYS}, "maintenance": maintenance}
    return Config.model_validate(
        line_document(line=place, devices=devices, machines=made, jobs=jobs, calendar=calendar, **line)
    )


def moment(minutes_: float) -> str:
    return f"{BEGIN + timedelta(minutes=minutes_):%Y-%m-%d %H:%M}"


def replayed(config_: Config, lines: list[Line]) -> list[Event]:
    """As `linegate replay` decides, from the lines that anyone can write."""
    written = [
        json.dumps({"time": (BEGIN + timedelta(minutes=at)).isoformat(), "device": device, "values": values}).encode()
        for at, device, values in sorted(lines, key=lambda line: line[0])
    ]
    plain, events, problems = read_plain(config_), list[Event](), list[str]()
    replay = Replay(plain, events.extend, lambda: None)
    replay.plain(plain, PlainLines(plain, problems.append).inputs("case", written))
    replay.finish()
    replay.close_windows()
    assert not problems
    return events


def of_job(events: list[Event], kind: str, subject: str) -> dict[str, Any]:
    """The last revision of the job's window."""
    found = [one.data for one in events if (one.type, one.subject) == (kind, subject) and one.data["window"] == "job"]
    assert found[-1]["job"] == "case"
    return found[-1]


def production(case: dict[str, Any], device: str) -> Iterator[Line]:
    """Parts come evenly while it runs; each reading tells what was made until then."""
    run, step = case["run"], 1 / 6 if case["run"] < 1000 else 1
    total, scrap = case["total"], case["total"] - case["good"]
    yield 0, device, {**QUIET, "run": True}
    for number in range(1, int(run / step) + 1):
        part = number * step / run
        yield number * step, device, {"count": 1_000_000 + int(total * part), "scrap": 100_000 + int(scrap * part)}
    yield run, device, {"run": False, "count": 1_000_000 + total, "scrap": 100_000 + scrap}
    yield case["planned"] - case.get("setup", 0), device, {"setup": "setup" in case}
    yield case["planned"], device, {"setup": False}


def minutes(ideal: float) -> str:
    return f"{round(ideal * 60_000)}ms"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "planned" in case])
def test_published_example(name: str) -> None:
    case = CASES[name]
    ends = case.get("all_time", case["planned"])
    machine = {"ideal": minutes(case["ideal_cycle"]), "parts": {"total": "m.count", "scrap": "m.scrap"}}
    lines = [*production(case, "m"), (ends, "m", {"order": ""})]
    told = of_job(replayed(config({"m": machine}, {"m": (case["planned"], ends)}), lines), "machine.kpi", "m")
    assert (told["pq"], told["gq"], told["pbt_s"]) == (case["total"], case["good"], case["planned"] * 60)
    assert (told["run_s"], sum(told["categories"].values())) == (case["run"] * 60, ends * 60)
    for key, expected in case["expect"].items():
        if key in NAMES:
            assert told[NAMES[key]] == pytest.approx(expected, abs=1e-6), key
        else:  # as the source prints it, rounded or cut
            assert told[NAMES[key.removeprefix("published_")]] == pytest.approx(expected, abs=0.005), key


def test_independent_machines_are_summed_and_then_divided() -> None:
    case = CASES["time-bucket-rollup"]
    ends = max(part["planned"] for part in case["parts"])
    machines = {
        name: {"ideal": minutes(part["ideal_cycle"]), "parts": {"total": f"{name}.count", "scrap": f"{name}.scrap"}}
        for name, part in zip("ab", case["parts"], strict=True)
    }
    planned = {name: (part["planned"], ends) for name, part in zip("ab", case["parts"], strict=True)}
    lines = [line for name, part in zip("ab", case["parts"], strict=True) for line in production(part, name)]
    events = replayed(config(machines, planned, flow=[]), [*lines, (ends, "a", {"order": ""})])
    line = of_job(events, "line.kpi", "line")
    assert (line["oee"], line["rollup"]["rule"]) == (case["expect"]["OEE"], "sum")
    mean = sum(of_job(events, "machine.kpi", name)["oee"] for name in "ab") / 2
    assert mean == case["expect"]["wrong_mean"]


def test_machines_in_series() -> None:
    """A part a minute on both, read half a minute after it was made."""
    expected = CASES["serial-line"]["expect"]
    parts = {name: {"total": f"{name}.count", "scrap": f"{name}.scrap"} for name in ("one", "two")}
    machines = {"one": {"ideal": "60s", "parts": parts["one"]}, "two": {"ideal": "30s", "parts": parts["two"]}}
    lines: list[Line] = [(0, name, {**QUIET, "run": True}) for name in machines]
    for name in machines:
        lines += [(minute + 0.5, name, {"count": 1_000_001 + minute}) for minute in range(60)]
    events = replayed(config(machines, {}), [*lines, (60, "one", {"order": ""}), (60, "two", {})])
    assert of_job(events, "machine.kpi", "one")["oee"] == expected["machine1"]
    assert of_job(events, "machine.kpi", "two")["oee"] == expected["machine2"]
    line = of_job(events, "line.kpi", "line")
    assert line["oee"] == expected["line_at_bottleneck_own_cycle"]
    assert line["oee"] not in (expected["naive_mean"], expected["bottleneck_with_fastest_cycle"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "operating" in case])
def test_published_reliability(name: str) -> None:
    case = CASES[name]
    n, hour = case["failures"], 1 if case["operating"] >= 1000 else 60
    at, lines = 0.0, list[Line]([(0, "m", {**QUIET, "run": True})])
    for repair in case.get("repairs", [case["repair"] / n] * n):
        at += case["operating"] / n * hour
        lines.append((at, "m", {"run": False}))
        at += repair * hour
        lines.append((at, "m", {"run": True}))
    events = replayed(config({"m": {}}, {}), [*lines[:-1], (at, "m", {"order": "", "run": True})])
    told, expected, second = of_job(events, "machine.kpi", "m"), case["expect"], 60 * hour
    assert (told["failures"], told["mtbf_s"], told["mttr_s"]) == (
        n, expected["MTBF"] * second, expected["MTTR"] * second,
    )  # fmt: skip
    assert told["inherent_availability"] == pytest.approx(expected["availability"], abs=1e-6)


def test_every_case_is_replayed_or_named_as_of_later() -> None:
    plain = {name for name, case in CASES.items() if case.keys() & {"planned", "operating"}}
    assert CASES.keys() == plain | {"time-bucket-rollup", "serial-line"} | LATER
