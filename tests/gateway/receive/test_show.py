"""What a person sees: the same figures on a terminal and in a pipe, whatever a stranger writes into an event."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from gateway.receive.brief import brief
from gateway.receive.follower import Follower
from gateway.receive.show import Objects, Plain, Show, Terminal

SHOWS: dict[str, Callable[[io.StringIO], Show]] = {
    "terminal": lambda out: Terminal(Console(file=out, force_terminal=True, width=120, height=50)),
    "pipe": Plain,
    "programs": Objects,
}


@pytest.mark.parametrize("kind", SHOWS)
def test_a_loss_and_a_device_that_writes_escapes(kind: str) -> None:
    out = io.StringIO()
    show = SHOWS[kind](out)
    follower = Follower()
    for seq, prevseq, subject in ((1, 0, "filler"), (5, 4, "\x1b[2Jcapper"), (5, 4, "capper")):
        event = {
            "type": "linegate.machine.state.v1", "source": "/acme/line-3", "stream": "0192f0c4-6b7e", "seq": str(seq),
            "prevseq": str(prevseq), "subject": subject, "time": "2026-11-22T06:00:00.250Z",
            "data": {"interval": subject, "state": "held", "rev": 2, "final": True, "reason": {"text": "cap jam"}},
        }  # fmt: skip
        show.event(event, follower.take(event))
    follower.twins["/acme/line-3"] = ("0192f0c4-6b7e", "\x1b[2J0192f0c4-7f00")
    for hole in follower.holes():
        show.missing(hole)
        show.found(hole)
    show.draw(follower)
    show.end(follower)
    shown = out.getvalue()
    assert "\x1b[2J" not in shown
    if kind == "programs":
        assert '"missing":{"stream":"0192f0c4-6b7e","after":"1","upto":"4"}' in shown
        assert '"second_gateways":{"/acme/line-3":["0192f0c4-6b7e","' in shown
        assert '"complete":false,"received":2,"duplicates":1' in shown
        return
    assert "1  filler  machine.state  held  cap jam  rev 2  final" in shown
    assert "MISSING: event 4, and up to 2 between 1 and it of stream 0192f0c4-6b7e" in shown
    assert "came after all" in shown
    assert "TWO GATEWAYS of /acme/line-3 are alive, streams 0192f0c4-6b7e and" in shown
    assert "2 received, 1 more came again" in shown
    assert "/acme/line-3" in shown


def test_in_a_few_words() -> None:
    assert brief("machine.state", {"state": "held", "category": "unplanned_stop", "reason": None, "rev": 0}) == (
        "held  unplanned_stop"
    )
    assert brief("machine.production", {"total": 12, "good": 11, "scrap": 1}) == "total 12  good 11  scrap 1"
    assert brief("line.kpi", {"window": "hour", "oee": 0.7479}) == "hour  oee 0.7479"
    assert brief("of.another.day", {"a": 1, "b": {"c": 2}, "d": "x"}) == "a 1  d x"
