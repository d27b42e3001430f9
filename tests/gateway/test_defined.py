"""What the engine decides step by step is what the semantics define of the whole story, looked at afterwards."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inputs import DeviceState, Tick
from tests.gateway.stories import MINUTE, MONDAY, QUIET, SECOND, Step, intervals, latest, machine, run

SIGNALS = ("run", "hold", "starved", "stop")
RULES: list[dict[str, Any]] = [
    {"state": "aborted", "when": "plc.stop", "for": "5s"},
    {"state": "held", "when": "plc.hold"},
    {"state": "suspended", "when": "plc.starved", "cause": "starved", "for": "3s"},
    {"state": "execute", "when": "plc.run"},
    {"state": "idle"},
]
HELD_FOR = {"aborted": 5_000, "suspended": 3_000}
CONDITIONS = {"aborted": "stop", "held": "hold", "suspended": "starved", "execute": "run"}
Value = bool | None
Said = dict[str, Value]
Segment = tuple[int, int, str]
"""Begin, end, and what held."""

values = st.booleans() | st.booleans() | st.booleans() | st.none()
stories = st.lists(
    st.tuples(
        st.sampled_from([250, 500, 1000, 2000, 2500, 3000, 4000, 5000, 12_000]),
        st.dictionaries(st.sampled_from(SIGNALS), values, max_size=2),
    ),
    min_size=1,
    max_size=30,
)


def timeline(story: list[tuple[int, Said]]) -> tuple[list[tuple[int, dict[str, Value]]], int]:
    """All signals from each moment on, and the end."""
    at, now = 0, {name: bool(QUIET[name]) for name in SIGNALS}
    moments: list[tuple[int, dict[str, Value]]] = [(0, dict(now))]
    for wait, said in story:
        at += wait
        now |= said  # type: ignore[arg-type]
        moments.append((at, dict(now)))
    return moments, at + 1000


def spans(moments: list[tuple[int, dict[str, Value]]], end: int, signal: str) -> list[tuple[int, int, Value]]:
    """When a signal was what, as far as it stayed so."""
    edges = [*((at, now[signal]) for at, now in moments), (end, None)]
    held = [list(group) for _, group in groupby(edges[:-1], key=lambda one: one[1])]
    begins = [*(group[0][0] for group in held), end]
    return [(began, ended, group[0][1]) for (began, ended), group in zip(pairwise(begins), held, strict=True)]


def defined_states(story: list[tuple[int, Said]]) -> list[Segment]:
    """By the rules alone: the first that is not false; one with `for` only where it holds for so long."""
    moments, end = timeline(story)
    counts: dict[str, list[tuple[int, int, Value]]] = {}
    for state, signal in CONDITIONS.items():
        counts[state] = [
            (began, ended, value)
            for began, ended, value in spans(moments, end, signal)
            if value is not True or ended - began >= HELD_FOR.get(state, 0)
        ]
    edges = sorted({edge for one in counts.values() for began, ended, _ in one for edge in (began, ended)} | {0, end})

    def state_at(at: int) -> str:
        for state, held in counts.items():
            value = next((value for began, ended, value in held if began <= at < ended), False)
            if value is not False:
                return state if value else "unknown"
        return "idle"

    return joined([(began, ended, state_at(began)) for began, ended in pairwise(edges)])


def joined(segments: list[Segment]) -> list[Segment]:
    """Neighbours that are alike as one, without those of no length."""
    alike = [list(group) for _, group in groupby((one for one in segments if one[0] < one[1]), key=lambda one: one[2])]
    return [(group[0][0], group[-1][1], group[0][2]) for group in alike]


def settled(segments: list[Segment], settle: int) -> list[Segment]:
    """What lasts too short never was; unknown counts at once, and so does what it interrupts."""
    kept: list[Segment] = []
    for began, ended, state in segments:
        if state != "unknown" and ended - began < settle:
            kept.append((began, ended, kept[-1][2] if kept else "unknown"))
        else:
            kept.append((began, ended, state))
    return joined(kept)


def told(story: list[tuple[int, Said]], end: int, **machine_settings: Any) -> list[Segment]:
    steps: list[Step] = []
    at = 0
    for wait, said in story:
        at += wait
        steps.append((at, dict(said)))
    events = run(machine(**machine_settings), *steps, (end, Tick(0)))
    return joined([(since(one["began"]), since(one["ended"], end), one["state"]) for one in intervals(events)])


def since(text: str | None, end: int = 0) -> int:
    return end if text is None else round(datetime.fromisoformat(text).timestamp() * 1000) - MONDAY


@given(stories)
@settings(max_examples=60, deadline=None)
def test_states_are_what_the_rules_define(story: list[tuple[int, Said]]) -> None:
    _, end = timeline(story)
    assert told(story, end, states=RULES) == defined_states(story)


PLAIN_RULES = [{key: value for key, value in rule.items() if key != "for"} for rule in RULES]


@given(stories, st.sampled_from([300, 1000, 2500, 6000]))
@settings(max_examples=40, deadline=None)
def test_states_that_settle_are_what_is_defined(story: list[tuple[int, Said]], settle: int) -> None:
    moments, end = timeline(story)
    order = [*CONDITIONS]

    def state_at(now: dict[str, Value]) -> str:
        for state in order:
            if now[CONDITIONS[state]] is not False:
                return state if now[CONDITIONS[state]] else "unknown"
        return "idle"

    edges = [*((at, state_at(now)) for at, now in moments), (end, "")]
    raw = joined([(began, ended, state) for (began, state), (ended, _) in pairwise(edges)])
    assert told(story, end, states=PLAIN_RULES, settle=f"{settle}ms") == settled(raw, settle)


KINDS = {
    "unplanned_stop": "own", "starved": "external", "blocked": "external", "suspended": "external", "setup": "setup",
    "unknown": "unknown", "idle": "idle",
}  # fmt: skip


def defined_stops(told_intervals: list[Segment], resume: int) -> list[tuple[str, int, int | None, int]]:
    """Kind, begin, end and planned time within; the last may be open."""
    found: list[tuple[str, int, int | None, int]] = []
    kind, began, planned = "", 0, 0
    runs = joined([(a, b, "production" if what == "production" else f"{what}@{a}") for a, b, what in told_intervals])
    for start, end, named in runs:
        what = named.partition("@")[0]
        mine = KINDS.get(what, "")
        ends = what == "no_demand" or (what == "production" and end - start >= resume)
        splits = mine not in ("", "idle") and kind not in ("idle", mine)
        if kind and (ends or splits):
            found.append((kind, began, start, planned))
            kind = ""
        if not kind and mine:
            kind, began, planned = mine, start, 0
        elif kind == "idle" and mine:
            kind = mine
        if kind and what == "planned_stop":
            planned += end - start
    return [*found, (kind, began, None, planned)] if kind else found


CALENDAR = {
    "shifts": {
        "day": {
            "days": ["mon"], "from": "06:00", "to": "14:00",
            "breaks": [{"from": "08:01", "to": "08:02"}, {"from": "08:03", "to": "08:06"}],
        }
    }
}  # fmt: skip
STOP_RULES = [
    {"category": "setup", "when": "plc.mode == 4"},
    {"category": "no_demand", "when": "plc.mode == 5"},
    *PLAIN_RULES,
]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([500, 3000, 7000, 9999, 10_000, 15_000, 31_000, 64_000]),
            st.dictionaries(st.sampled_from(SIGNALS), values, max_size=2)
            | st.fixed_dictionaries({"mode": st.sampled_from([1, 1, 4, 5])})
            | st.just("lost"),
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=80, deadline=None)
def test_stops_are_what_is_defined_over_their_intervals(story: list[tuple[int, Any]]) -> None:
    steps: list[Step] = []
    at = 0
    for wait, said in story:
        at += wait
        if said == "lost":
            steps.append((at, DeviceState("plc", False, 0, "e", "no answer", "r")))
            steps.append((at + 400, DeviceState("plc", True, 0)))
            at += 400
            steps.append((at, {name: QUIET[name] for name in (*SIGNALS, "mode")}))
        else:
            steps.append((at, dict(said)))
    end = at + MINUTE - 1 * SECOND
    events = run(machine(states=STOP_RULES, calendar=CALENDAR), *steps, (end, Tick(0)))
    tiled = [(since(one["began"]), since(one["ended"], end), one["category"]) for one in intervals(events)]
    stops = [one for one in latest(events, "machine.stop", "stop") if one["duration_s"] != 0]
    mine = [(one["kind"], since(one["began"]), None if one["ended"] is None else since(one["ended"])) for one in stops]
    defined = defined_stops(tiled, 10_000)
    assert mine == [(kind, began, ended) for kind, began, ended, _ in defined]
    for stop, (*_, ended, planned) in zip(stops, defined, strict=True):
        assert ended is None or round(stop["planned_overlap_s"] * 1000) == planned
