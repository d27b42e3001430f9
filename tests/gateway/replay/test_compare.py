"""What differs between a replay and what was sent: by hand-made events whose difference is known."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
import zstandard

from gateway.events import rfc3339
from gateway.recording.header import RecordingError
from gateway.replay.compare import FIGURES, SILENT, Difference, Told, compare, plain
from gateway.replay.compare_show import show
from gateway.replay.sent import Standing, read_sent

BEGIN = 1_795_417_200_000
HOUR = 3600


def at(seconds: float) -> str:
    return rfc3339(BEGIN + round(seconds * 1000))


def state(began: float, ended: float | None, name: str, category: str, rev: int = 0, **more: Any) -> dict[str, Any]:
    interval = f"filler-{began}"
    times = {"began": at(began), "ended": None if ended is None else at(ended)}
    return {"interval": interval, "rev": rev, "state": name, "category": category, "reason": None, **times, **more}


def stop(began: float, ended: float | None, kind: str = "own", minor: bool | None = None) -> dict[str, Any]:
    times = {"began": at(began), "ended": None if ended is None else at(ended)}
    return {"stop": f"stop-{began}", "rev": 0, "kind": kind, "minor": minor, **times}


def kpi(oee: float | None, rev: int = 0, **more: Any) -> dict[str, Any]:
    times = {"began": at(0), "ended": at(HOUR)}
    figures = dict.fromkeys(FIGURES) | {"oee": oee}
    return {"kpi": "filler-hour-0", "window": "hour", "rev": rev, **times, **figures, **more}


def side(*events: tuple[str, dict[str, Any]]) -> Standing:
    standing = Standing(BEGIN, BEGIN + HOUR * 1000)
    for kind, data in events:
        standing.add(kind, "filler", data)
    return standing


def difference(sent: Standing, replayed: Standing) -> Difference:
    """What differs of the one machine."""
    (one,) = compare(sent, replayed, ["filler"])
    return one


RUNS = ("machine.state", state(-600, 600, "execute", "production"))
HELD = ("machine.state", state(600, 700, "held", "unplanned_stop", reason={"code": "17", "text": "cap jam"}))
ON = ("machine.state", state(700, None, "execute", "production"))


def test_the_same_is_no_difference() -> None:
    one = difference(side(RUNS, HELD, ON), side(RUNS, HELD, ON))
    assert one.is_none
    assert one.categories["production"] == (3500.0, 3500.0), "within the time of the recording alone"
    assert one.states == []


def test_where_states_differ_is_told_with_both_sides() -> None:
    starved = ("machine.state", state(600, 650, "suspended", "starved"))
    early = ("machine.state", state(650, None, "execute", "production"))
    one = difference(side(RUNS, HELD, ON), side(RUNS, starved, early))
    spans = [(span.began - BEGIN, span.ended - BEGIN, span.sent, span.replayed) for span in one.states]
    jam = Told("held", "unplanned_stop", "cap jam")
    assert spans == [
        (600_000, 650_000, jam, Told("suspended", "starved", None)),
        (650_000, 700_000, jam, Told("execute", "production", None)),
    ]
    assert one.categories["unplanned_stop"] == (100.0, 0.0)
    assert [pair.difference for pair in one.categories.values() if pair.differs] == [50.0, -100.0, 50.0]


def test_the_highest_revision_stands_whatever_came_last() -> None:
    provisional = ("machine.state", state(600, None, "idle", "idle"))
    final = ("machine.state", state(600, 700, "held", "unplanned_stop", rev=2, reason=HELD[1]["reason"]))
    assert difference(side(RUNS, HELD, ON), side(RUNS, final, provisional, ON)).is_none


def test_time_that_was_not_told_is_no_state() -> None:
    one = difference(side(RUNS, HELD), side(RUNS, HELD, ON))
    assert one.states[0].sent == SILENT
    assert one.categories[SILENT.category] == (2900.0, 0.0)


def test_stops_by_kind_with_their_time_inside() -> None:
    sent = side(("machine.stop", stop(-100, 100, minor=False)), ("machine.stop", stop(200, 230, minor=True)))
    replayed = side(
        ("machine.stop", stop(-100, 100, minor=False)),
        ("machine.stop", stop(200, 200, minor=True)),
        ("machine.stop", stop(3000, None, "external")),
        ("machine.stop", stop(9000, 9100, minor=False)),
    )
    one = difference(sent, replayed)
    assert one.stops == {"downtimes": (1, 1), "minor stops": (1, 0), "external": (0, 1)}
    assert one.stopped == {"downtimes": (100, 100), "minor stops": (30, 0), "external": (0, 600)}


def test_parts_are_summed_by_when_their_minute_ended() -> None:
    minute = {"total": 10, "good": 9, "scrap": None}
    events = [("machine.production", {**minute, "began": at(t - 60), "ended": at(t)}) for t in (0, 60, HOUR, HOUR + 60)]
    assert difference(side(*events, RUNS), side(RUNS)).counts == {"total": (20, 0), "good": (18, 0), "scrap": (0, 0)}


def test_kpi_windows_are_matched_by_what_they_are_of() -> None:
    sent = side(("machine.kpi", kpi(0.5)), ("machine.kpi", kpi(0.61, rev=2)))
    one = difference(sent, side(("machine.kpi", kpi(0.7, pq=100))))
    (window,) = one.windows
    oee = window.figures["oee"]
    assert oee.difference == pytest.approx(0.09)
    assert oee == (0.61, 0.7)
    assert window.figures["pq"] == (None, 100)
    assert not one.is_none


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard.compress])
def test_events_are_read_as_uplinks_leave_them(tmp_path: Path, packed: Any) -> None:
    def event(number: int, kind: str, data: dict[str, Any], source: str = "/a/b/c/d") -> bytes:
        body = {"id": f"s-{number}", "source": source, "type": f"linegate.{kind}.v1", "subject": "filler", "data": data}
        return orjson.dumps(body) + b"\n"

    made = {"began": at(0), "ended": at(60), "total": 5, "good": 5, "scrap": 0}
    lines = [
        event(1, "machine.production", made), event(1, "machine.production", made), event(2, *RUNS), b"{torn\n", b"\n",
        event(3, "gateway.alive", {}), event(4, *HELD, source="/a/b/c/e"), b'{"source": "/a/b/c/d"}\n',
    ]  # fmt: skip
    path = tmp_path / "events"
    path.write_bytes(packed(b"".join(lines)))
    standing = side()
    said = list(read_sent([path], "/a/b/c/d", standing))
    assert [words.partition(": no")[0] for words in said] == [f"{path}:4", f"{path}:8"]
    assert standing.others == 1
    assert standing.made("filler")["total"] == 5, "an event that came twice counts once"
    assert [data["state"] for data in standing.of("machine.state", "filler")] == ["execute"]


def test_a_cut_compression_is_said(tmp_path: Path) -> None:
    path = tmp_path / "events.gz"
    path.write_bytes(gzip.compress(b"{}\n" * 1000)[:-9])
    with pytest.raises(RecordingError, match="its compression is damaged"):
        list(read_sent([path], "/a/b/c/d", side()))


def test_it_is_shown_in_columns_and_in_the_lines_time() -> None:
    out = io.StringIO()
    sent = side(RUNS, HELD, ON, ("machine.kpi", kpi(0.5)), ("machine.stop", stop(600, 700, minor=True)))
    replayed = side(RUNS, ("machine.state", state(600, None, "execute", "production")), ("machine.kpi", kpi(0.625)))
    show(compare(sent, replayed, ["filler"]), at(0), at(HOUR), ZoneInfo("Europe/Berlin"), out)
    text = out.getvalue()
    assert "2026-11-23 08:00:00 to 2026-11-23 09:00:00: the replay against what was sent" in text
    assert "unplanned_stop  0:01:40   0:00:00    -0:01:40" in text
    assert "minor stops     1         0          -1    0:01:40        0:00:00    -0:01:40" in text
    assert "50.00 %   62.50 %    +12.50 %" in text
    assert "2026-11-23 08:10:00  0:01:40  held (unplanned_stop, cap jam)  execute (production)" in text


class Terminal(io.StringIO):
    """Says that a person watches."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_the_same_figures() -> None:
    out = Terminal()
    show(compare(side(RUNS, HELD, ON), side(RUNS), ["filler"]), at(0), at(HOUR), ZoneInfo("UTC"), out)
    assert "filler: time by category" in out.getvalue()
    assert "-0:01:40" in out.getvalue()
    silent = Terminal()
    show([], at(0), at(HOUR), ZoneInfo("UTC"), silent)
    assert "nothing to compare" in silent.getvalue()


def test_no_difference_is_one_line_and_json_has_it_all() -> None:
    out = io.StringIO()
    found = compare(side(RUNS, ON), side(RUNS, ON), ["filler"])
    show(found, at(0), at(HOUR), ZoneInfo("UTC"), out)
    assert out.getvalue().splitlines()[1:] == ["filler: no difference"]
    document = plain(found, at(0), at(HOUR))
    assert document["same"]
    assert document["machines"]["filler"]["categories"]["production"] == {"sent": 3500.0, "replayed": 3500.0}
    assert orjson.loads(orjson.dumps(document)) == document
