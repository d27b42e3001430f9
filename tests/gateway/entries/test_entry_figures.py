"""KPI windows and what people say: computed again from what was published, and as they were once it is undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.model import Config
from gateway.entries.overlay import SaidStop, overlay
from gateway.entries.word import WHATS, Word
from gateway.inputs import Entry, Input, Reload, Tick
from gateway.pipeline import Pipeline
from tests.gateway.entries.speaking import Hearing, Say, says
from tests.gateway.kpi.test_windows_truth import CALENDAR, COUNTED, begun, stories, story
from tests.gateway.kpi.truth import Span, categories, spans, windows
from tests.gateway.stories import MINUTE, MONDAY, machine

SHORT = 2 * MINUTE
REASONS = {"jam": {"text": "cap jam", "group": "mechanical"}, "tools": {"text": "tool change", "failure": False}}
RULES = [
    {"state": "held", "when": "plc.hold", "reason": {"signal": "plc.fault"}},
    {"state": "suspended", "when": "plc.starved", "cause": "starved", "for": "40s"},
    {"category": "setup", "when": "plc.mode == 4"},
    {"state": "stopped", "when": "plc.stop", "for": "3min"},
    {"state": "execute", "when": "plc.run"},
    {"state": "idle"},
]
KPI = {"freeze": "30d"}
LINES: list[Config] = [
    machine(**COUNTED, calendar=CALENDAR, short_stop="2min", reasons=REASONS, kpi=KPI),
    machine(**COUNTED, states=RULES, calendar=CALENDAR, reasons=REASONS, kpi=KPI, minor_stops="availability"),
]
HAND: dict[str, Any] = {
    "ideal": "1s",
    "parts": {"total": {"signal": "plc.count", "max_rate": "3/s"}},
    "no_output": 0,
    "resume": "10s",
    "reasons": REASONS,
    "kpi": KPI,
}
PRODUCTS = {"list": {"4711": {"ideal": "2s"}, "4712": {}}}
BY_HAND = [machine(**HAND, products=PRODUCTS), machine(**HAND)]
"""Nothing says what is made: of listed products, or of any."""
LABELS = ("rev", "job", "product")
anything = st.lists(st.tuples(st.integers(0, 40), says(*WHATS)), min_size=1, max_size=8)
working = st.lists(st.tuples(st.integers(0, 40), says("job", "job", "undo", "scrap")), min_size=1, max_size=8)
OF_FIGURES = ("reason", "split", "merge", "scrap", "undo", "note")
lines = st.sampled_from(range(len(LINES)))
speeches = st.lists(st.tuples(st.integers(0, 40), says(*OF_FIGURES)), min_size=1, max_size=8)


def spoken(given_: list[tuple[int, Any]], speech: list[tuple[int, Say]]) -> tuple[list[Input | Say], int]:
    """A story's inputs with what people say between them, at the time of the input before; when it ends."""
    steps, end = story(given_, clock=False)
    told: list[Input | Say] = []
    inputs = begun(steps)
    said = sorted(((min(place, len(inputs) - 1), one) for place, one in speech), key=lambda one: one[0])
    for place, one in enumerate(inputs):
        told.append(one)
        told += [replace(say, at=one.at) for where, say in said if where == place]
    return told, end


def heard(which: int, told: list[Input | Say], *, deaf: bool = False) -> Hearing:
    one = Hearing(Pipeline(LINES[which]), deaf=deaf)
    for given_input in told:
        one.give(given_input)
    return one


def figures(hearing: Hearing) -> list[Any]:
    """Of every window that stands, and of the line's; whatever its revision is."""
    hearing.events += hearing.pipeline.finish()
    found = [window.data for window in windows(hearing.events)]
    latest = {event.data["kpi"]: event.data for event in hearing.events if event.type == "line.kpi"}
    return [{key: value for key, value in one.items() if key != "rev"} for one in (*found, *latest.values())]


@settings(max_examples=50, deadline=None)
@given(lines, stories, speeches)
def test_what_is_said_and_undone_leaves_every_figure_as_it_was(
    which: int, given_: list[tuple[int, Any]], speech: list[tuple[int, Say]]
) -> None:
    told, end = spoken(given_, speech)
    one, other = heard(which, told), heard(which, told, deaf=True)
    one.take_back(MONDAY + end)
    other.take_back(MONDAY + end)
    assert figures(one) == figures(other)


@settings(max_examples=50, deadline=None)
@given(lines, stories, speeches)
def test_figures_are_those_of_stops_as_people_put_them(
    which: int, given_: list[tuple[int, Any]], speech: list[tuple[int, Say]]
) -> None:
    told, end = spoken(given_, speech)
    one, other = heard(which, told), heard(which, told, deaf=True)
    one.events += one.pipeline.finish()
    other.events += other.pipeline.finish()
    intervals = spans(other.events, "machine.state", "interval", MONDAY + end)
    stops = said_stops(spans(other.events, "machine.stop", "stop", MONDAY + end), one.said)
    scraps = [say for say in standing(one.said) if say.what == "scrap"]
    for window, silent in zip(windows(one.events), windows(other.events), strict=True):
        assert window.data["categories"] == silent.data["categories"] == categories(window, intervals)
        found = {key: window.data[key] for key in ("minor_stops", "failures", "mttr_s", "stops")}
        breakdowns = window.data["losses"]["breakdowns"]
        assert {**found, "breakdowns": breakdowns} == expected(window, intervals, stops)
        assert window.data["pq"] == silent.data["pq"] == window.data["gq"] + (window.data["sq"] or 0)
        scrap = [say for say in scraps if window.began <= moment(say) < window.ended]
        assert window.data["sq"] == (min(window.data["pq"], sum(map(amount, scrap))) if scrap else None)


def standing(said: list[Entry]) -> list[Entry]:
    undone = {one.target for one in said if one.what == "undo"}
    return [one for one in said if one.entry not in undone and one.what != "undo"]


def moment(one: Entry) -> int:
    return one.at if one.moment is None else one.moment


def amount(one: Entry) -> int:
    return one.amount or 0


def said_stops(told: list[Span], said: list[Entry]) -> list[SaidStop]:
    """The stops that stand, with all that was said of them."""
    stops = [
        SaidStop(
            span.data["stop"],
            span.data["kind"],
            span.data["category"],
            ((span.began, span.ended),),
            span.data["reason"],
            of=(span.data["stop"],),
        )
        for span in told
        if span.ended > span.began
    ]
    known: dict[str, dict[str, Any]] = {
        "jam": {"code": "jam"},
        "tools": {"code": "tools", "failure": False},
        "17": {"code": "17"},
    }
    words = [
        Word(entry=one.entry, what=one.what, at=one.at, target=one.target, other=one.other, moment=one.moment,
             reason=known.get(one.reason or ""))
        for one in said
    ]  # fmt: skip
    return overlay(stops, words)


def expected(window: Span, intervals: list[Span], stops: list[SaidStop]) -> dict[str, Any]:
    """What stops come to in a window, by the definitions."""
    minor_n, minor_ms, failures, repair, lost_ms = 0, 0, 0, 0, 0
    times: dict[tuple[str, str | None], list[int]] = {}
    for stop in stops:
        planned, lost = within(stop, intervals, window)
        begins = int(window.began <= stop.began < window.ended)
        if begins or planned:
            time = times.setdefault((stop.kind, None if stop.reason is None else stop.reason["code"]), [0, 0])
            time[0], time[1] = time[0] + begins, time[1] + planned
        if stop.kind == "own" and stop.is_minor(SHORT, stop.ended or 0):
            minor_n, minor_ms = minor_n + begins, minor_ms + lost
        elif stop.kind == "own":
            lost_ms += lost
            if begins and stop.is_failure(False):
                failures += 1
                repair += within(stop, intervals, Span(0, 2**60, {}))[0]
    ordered = sorted(times.items(), key=lambda one: (-one[1][1], -one[1][0], one[0][0], one[0][1] or ""))
    return {
        "minor_stops": {"n": minor_n, "seconds": minor_ms / 1000},
        "failures": failures,
        "mttr_s": round(repair / failures) / 1000 if failures else None,
        "breakdowns": lost_ms / 1000,
        "stops": [
            {"kind": kind, "reason": reason, "n": n, "seconds": ms / 1000} for (kind, reason), (n, ms) in ordered
        ],
    }


def within(stop: SaidStop, intervals: list[Span], window: Span) -> tuple[int, int]:
    """Planned and lost milliseconds of a stop in a window."""
    planned, lost = 0, 0
    for one in intervals:
        if one.data["stop"] not in stop.of or one.data["category"] in ("planned_stop", "no_demand"):
            continue
        part = Span(max(one.began, window.began), min(one.ended, window.ended), {})
        ms = sum(part.within(Span(began, ended or 2**60, {})) for began, ended in stop.stretches)
        planned += ms
        lost += 0 if one.data["category"] in ("production", "unknown") else ms
    return planned, lost


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*LINES, *BY_HAND]), stories, anything, st.sets(st.integers(0, 60), max_size=4))
def test_ticks_and_restores_anywhere_change_nothing_of_it(
    config: Config, given_: list[tuple[int, Any]], speech: list[tuple[int, Say]], restores: set[int]
) -> None:
    told, _ = spoken(given_, speech)
    one, other = Hearing(Pipeline(config)), Hearing(Pipeline(config))
    rows: dict[str, bytes] = {}
    for index, given_input in enumerate(told):
        events, again = one.give(given_input), list[Any]()
        if not isinstance(given_input, Reload):
            for back in (9000, 1):
                again += other.give(Tick(max(other.pipeline.at, given_input.at - back)))
        again += other.give(given_input)
        assert again == events
        subjects = {event.subject for event in events}
        rows |= other.pipeline.checkpoint(subjects) if index % 3 else other.pipeline.checkpoint()
        if index in restores:
            rows |= other.pipeline.checkpoint()
            other.pipeline = Pipeline(config)
            other.pipeline.restore(rows)
    assert one.pipeline.finish() == other.pipeline.finish()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(BY_HAND), stories, working)
def test_a_product_that_is_undone_leaves_every_figure_as_it_was(
    config: Config, given_: list[tuple[int, Any]], speech: list[tuple[int, Say]]
) -> None:
    told, end = spoken(given_, speech)
    one, other = Hearing(Pipeline(config)), Hearing(Pipeline(config), deaf=True)
    for given_input in told:
        one.give(given_input)
        other.give(given_input)
    one.take_back(MONDAY + end)
    other.take_back(MONDAY + end)
    found, wanted = (
        [{key: value for key, value in each.items() if key not in LABELS} for each in figures(hearing)]
        for hearing in (one, other)
    )
    assert [each for each in found if each["window"] != "job"] == wanted
