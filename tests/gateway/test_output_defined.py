"""Whether parts come as the state says: step by step as the semantics define it of the whole story."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inputs import Tick
from tests.gateway.stories import MINUTE, MONDAY, Step, intervals, machine, run

RUNS = ("run", "stop")
LONGEST = 10_000
"""`no_output`: ten ideal cycles of 1 s."""
BREAKS = ((1 * MINUTE, 2 * MINUTE), (3 * MINUTE, 6 * MINUTE))
CALENDAR = {
    "shifts": {
        "day": {
            "days": ["mon"], "from": "06:00", "to": "14:00",
            "breaks": [{"from": "08:01", "to": "08:02"}, {"from": "08:03", "to": "08:06"}],
        }
    }
}  # fmt: skip
Segment = tuple[int, int, str]

stories = st.lists(
    st.tuples(
        st.sampled_from([500, 1000, 1000, 1000, 3000, 7000, 9_999, 10_000, 15_000, 40_000]),
        st.sampled_from(["part", "part", "part", "run", "stop", "look"]),
    ),
    min_size=1,
    max_size=40,
)


def defined(story: list[tuple[int, str]], end: int) -> list[Segment]:
    """What the time was spent on: by state, calendar and parts."""
    at, runs = 0, False
    changes: list[tuple[int, bool]] = [(0, False)]
    parts: list[tuple[int, bool]] = []
    for wait, what in story:
        at += wait
        if what == "part":
            parts.append((at, runs))
        elif (what == "run") != runs and what != "look":
            runs = what == "run"
            changes.append((at, runs))
    segments: list[Segment] = []
    for (began, runs), (ended, _) in pairwise([*changes, (end, False)]):
        made = [moment for moment, while_running in parts if began <= moment <= ended and while_running == runs]
        segments += executed(began, ended, made) if runs else stopped(began, ended, made)
    alike = (list(group) for _, group in groupby((s for s in segments if s[0] < s[1]), key=lambda one: one[2]))
    return [(group[0][0], group[-1][1], group[0][2]) for group in alike]


def executed(began: int, ended: int, made: list[int]) -> list[Segment]:
    """It runs: production, but for stretches without a part for as long as `no_output`."""
    segments = []
    for since, until in pairwise([began, *made, ended]):
        is_missing = until - since >= LONGEST
        for a, b, planned in divided(since, until):
            segments.append((a, b, ("unplanned_stop" if planned else "planned_stop") if is_missing else "production"))
    return segments


def stopped(began: int, ended: int, made: list[int]) -> list[Segment]:
    """It does not run: parts outside the calendar are production all the same, from the first to the last of them."""
    segments = []
    for a, b, planned in divided(began, ended):
        if planned:
            segments.append((a, b, "idle"))
            continue
        mine = [moment for moment in made if a <= moment < b]
        edges = [a, *mine, b]
        for index, (since, until) in enumerate(pairwise(edges)):
            comes = index > 0 and until - since < LONGEST
            goes_on = until < b or b == ended  # into production by the state, or nobody knows yet
            segments.append((since, until, "production" if comes and goes_on else "planned_stop"))
    return segments


def divided(since: int, until: int) -> list[tuple[int, int, bool]]:
    """At the boundaries of breaks; whether production is meant."""
    edges = sorted({since, until} | {edge for rest in BREAKS for edge in rest if since < edge < until})
    return [(a, b, not any(began <= a < ended for began, ended in BREAKS)) for a, b in pairwise(edges)]


@given(stories)
@settings(max_examples=80, deadline=None)
def test_parts_and_states_give_the_category_that_is_defined(story: list[tuple[int, str]]) -> None:
    steps: list[Step] = []
    at = count = 0
    for wait, what in story:
        at += wait
        count += what == "part"
        said: dict[str, Any] = {"count": count} if what == "part" else {"run": what == "run"} if what in RUNS else {}
        steps.append((at, said))
    end = at + LONGEST - 1
    config = machine(calendar=CALENDAR, ideal="1s", parts={"total": "plc.count"})
    events = run(config, *steps, (end, Tick(0)))
    told = [(since(one["began"]), since(one["ended"], end), one["category"]) for one in intervals(events)]
    alike = (list(group) for _, group in groupby(told, key=lambda one: one[2]))
    mine = [(group[0][0], group[-1][1], group[0][2]) for group in alike]
    assert mine == defined(story, end)


def since(text: str | None, end: int = 0) -> int:
    return end if text is None else round(datetime.fromisoformat(text).timestamp() * 1000) - MONDAY
