"""The line's windows beside its machines' as they stand: lost PLCs, restarts, resets, steps of the clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import ClockStep, DeviceState, Input, Reload, Tick
from gateway.pipeline import Pipeline
from protocols.model import Batch
from tests.conftest import line_document
from tests.gateway.kpi.test_line import HOUR, SIGNALS, good
from tests.gateway.stories import MINUTE, MONDAY, SECOND, latest

IDEALS, EACH = {"one": 1_000, "left": 3_000, "right": 1_500, "last": 9_600}, {"last": 12}
BIG = 1_000_000


def config(**line: Any) -> Config:
    """A machine that feeds two, which feed one that counts in cases of twelve; parallel ones of unequal pace."""
    flow = [{"from": ["one"], "to": ["left", "right"]}, {"from": ["left", "right"], "to": ["last"]}]
    return Config.model_validate(
        line_document(
            devices={
                name: {"protocol": "modbus_tcp", "host": f"127.0.0.{n}", "scan_interval": "1s", "signals": SIGNALS}
                for n, name in enumerate(IDEALS, 1)
            },
            machines={
                name: {
                    "states": [{"state": "execute", "when": f"{name}.run"}, {"state": "stopped"}],
                    "ideal": f"{ideal}ms",
                    "no_output": 0,
                    "minor_stops": "availability" if name == "left" else "performance",
                    "parts": {
                        role: {"signal": f"{name}.{signal}", "each": EACH.get(name, 1)}
                        for role, signal in (("total", "count"), ("scrap", "scrap"))
                    },
                }
                for name, ideal in IDEALS.items()
            },
            **{"flow": flow, **line},
        )
    )


LINES = [config(), config(line={**line_document()["line"], "constraint": "right"}), config(flow=[])]
machines = st.sampled_from(list(IDEALS))
waits = st.sampled_from([SECOND, 7 * SECOND, 90 * SECOND, 5 * MINUTE, 25 * MINUTE, 50 * MINUTE])
steps = st.tuples(
    machines, st.sampled_from(["run", "stop", "part", "part", "scrap", "lost", "back", "reset", "off", "clock"])
)
days = st.lists(st.tuples(waits, steps), max_size=30)


def story(given_: list[tuple[int, tuple[str, str]]]) -> list[Input]:
    """Each machine makes so many parts between two of its steps as it can; a reset begins its counter at 0."""
    at = MONDAY - MINUTE
    counts = {name: [BIG, BIG] for name in IDEALS}
    seen, lost = dict.fromkeys(IDEALS, at), set[str]()
    told: list[Input] = [Reload(at, 0)]

    def read(name: str, **more: bool) -> Batch:
        return Batch(name, 0, good(count=counts[name][0], scrap=counts[name][1], **more), at)

    for name in IDEALS:
        told += [DeviceState(name, True, at), read(name, run=True)]
    for wait, (name, step) in given_:
        at += wait
        if step in ("part", "scrap"):
            most = (at - seen[name]) // IDEALS[name]
            counts[name][0] += most
            counts[name][1] += most // 2 if step == "scrap" else 0
        seen[name] = at
        if step == "reset":
            counts[name] = [0, 0]
        if step == "off":
            lost = set()
            told.append(Reload(at, 0))
            told += [one for other in IDEALS for one in (DeviceState(other, True, at), read(other, run=True))]
        elif step == "clock":
            told.append(ClockStep(at, 1000 * (wait % 7 - 3)))
        elif step == "lost" and name not in lost:
            lost.add(name)
            told.append(DeviceState(name, False, at, "127.0.0.1:502", "no answer", "check it"))
        elif step == "back" and name in lost:
            lost.remove(name)
            told += [DeviceState(name, True, at), read(name, run=True)]
        elif name not in lost:
            told.append(read(name, **({"run": step != "stop"} if step in ("run", "stop") else {})))
    return [*told, Tick(at + 2 * HOUR)]


def played(which: Config, told: list[Input]) -> list[Event]:
    pipeline = Pipeline(which)
    return [event for one in told for event in pipeline.process(one)[0]] + pipeline.finish()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(range(len(LINES))), days)
def test_a_lines_window_is_what_its_machines_say(which: int, given_: list[tuple[int, tuple[str, str]]]) -> None:
    events = played(LINES[which], story(given_))
    alone: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for name in IDEALS:
        for one in latest([event for event in events if event.subject == name], "machine.kpi", "kpi"):
            alone.setdefault((one["window"], one["kpi"].rpartition("-")[2]), {})[name] = one
    lines = latest(events, "line.kpi", "kpi")
    assert {(one["window"], one["kpi"].rpartition("-")[2]) for one in lines} == alone.keys()
    for line in lines:
        mine = alone[line["window"], line["kpi"].rpartition("-")[2]]
        out = line["rollup"]["out"]
        assert line["gq"] == sum(mine[name]["gq"] * EACH.get(name, 1) for name in out)
        assert line["sq"] == sum(mine[name]["sq"] * EACH.get(name, 1) for name in mine)
        bounds = [line["oee_low"], line["oee"], line["oee_high"]]
        assert None in bounds or bounds == sorted(bounds)
        hold(line, mine, "sum" if which == 2 else "constraint")


def hold(line: dict[str, Any], mine: dict[str, dict[str, Any]], rule: str) -> None:
    """Time, availability and OEE by the rule."""
    assert line["rollup"]["rule"] == rule
    length = sum(mine["one"]["categories"].values())
    if rule == "sum":
        assert sum(line["categories"].values()) == pytest.approx(4 * length)
        assert line["run_s"] == pytest.approx(sum(one["run_s"] for one in mine.values()))
        return
    assert sum(line["categories"].values()) == pytest.approx(length, abs=1e-9)
    of = line["rollup"]["machines"]
    shares = {name: 1 / IDEALS[name] / sum(1 / IDEALS[one] for one in of) for name in of}
    for figure in ("pbt_s", "run_s", "unknown_s"):
        assert line[figure] == pytest.approx(sum(w * mine[name][figure] for name, w in shares.items()), abs=0.003)
    if len(of) == 1:
        assert line["availability"] == mine[of[0]]["availability"]
    certain = line["pbt_s"] - line["unrecovered_s"]
    if certain:
        assert line["oee"] == pytest.approx(line["gq"] * 1.0 / certain, abs=2e-6), (
            "1 s is that of left and right together"
        )
    if line["wip_delta"] is not None and not any(one["recovered"] for one in mine.values()):
        between = mine["one"]["gq"] - mine["left"]["pq"] - mine["right"]["pq"]
        assert line["wip_delta"] == between + mine["left"]["gq"] + mine["right"]["gq"] - 12 * mine["last"]["pq"]
