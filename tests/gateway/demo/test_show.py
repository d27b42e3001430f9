"""What the demo says to a pipe and draws on a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway.demo.configuration import Places
from gateway.demo.show import Plain, Rates, Show, Terminal, describe, why

STATE = Path("/state")
PLACES = Places(STATE / "demo.yaml", STATE / "events", STATE, STATE / "log", STATE / "truth", "http://127.0.0.1:1", {})
JAM = {"code": 17, "text": "cap jam", "source": "signal"}


def snapshot(total: int) -> dict[str, Any]:
    machine = {
        "state": "held",
        "category": "unplanned_stop",
        "since": "2026-11-22T06:00:00.250Z",
        "reason": JAM,
        "parts": {"total": total, "good": total - 11, "scrap": 11},
    }
    return {"machines": {"filler": machine}}


def state(**data: Any) -> dict[str, Any]:
    shown = {"state": "held", "reason": JAM, "cause": None, "final": False, "duration_s": None, "parts": None, **data}
    return {
        "type": "linegate.machine.state.v1",
        "subject": "filler",
        "time": "2026-11-22T06:00:00.250Z",
        "data": shown,
    }


@pytest.mark.parametrize(
    ("decided", "words"),
    [
        ({"reason": JAM}, "cap jam (17)"),
        ({"reason": {"code": 99, "text": None}}, "fault (99)"),
        ({"reason": {"code": None, "text": "emergency stop"}}, "emergency stop"),
        ({"reason": None, "cause": "starved"}, "starved"),
        ({"reason": None}, ""),
    ],
)
def test_why_in_words(decided: dict[str, Any], words: str) -> None:
    assert why(decided) == words


def test_events_in_words() -> None:
    assert describe(state()) == "06:00:00.250Z  filler  held cap jam (17)"
    ended = state(final=True, duration_s=4.25, parts={"total": 10, "good": 9, "scrap": 1})
    assert describe(ended) == "06:00:00.250Z  filler  held ended after 4.2 s, 10 parts, 1 scrap"
    assert describe({"type": "linegate.gateway.alive.v1", "data": {}}) is None


def tell_all(show: Show) -> None:
    show.begin(PLACES)
    show.event(state())
    show.event(state(final=True, duration_s=4.25))
    for elapsed_s in (1.0, 9.9, 10.0, 11.0, 20.0):
        show.line(snapshot(4511 + round(20 * elapsed_s)), elapsed_s)
    show.note("Done [with] it.")
    show.end()


def test_plain_lines_for_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    tell_all(Plain())
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["page", "http://127.0.0.1:1/"]
    assert lines[9:] == [
        "06:00:00.250Z  filler  held cap jam (17)",
        "10 s:  filler  held  4711 parts, 11 scrap  1200/min",
        "20 s:  filler  held  4911 parts, 11 scrap  1200/min",
        "Done [with] it.",
    ]


def test_a_page_for_a_terminal() -> None:
    output = io.StringIO()
    tell_all(Terminal(Console(file=output, force_terminal=True, width=100, height=40)))
    page = output.getvalue()
    words = ("held", "cap jam (17)", "4911", "4900", "1200/min", "http://127.0.0.1:1/health", "ended after", "[with]")
    for word in words:
        assert word in page


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rates, seen = Rates(), []
    for elapsed_s in range(41):
        made = min(elapsed_s, 20) * 20
        seen.append(rates.of("filler", snapshot(made)["machines"]["filler"], elapsed_s))
    assert (seen[0], seen[1], seen[20], seen[25], seen[40]) == ("", "1200/min", "1200/min", "600/min", "0/min")


def test_a_production_day_that_begins_has_no_rate_at_first() -> None:
    rates = Rates()
    rates.of("filler", snapshot(5_000)["machines"]["filler"], 1)
    assert rates.of("filler", snapshot(20)["machines"]["filler"], 2) == ""
    assert rates.of("filler", {"parts": None}, 3) == ""
