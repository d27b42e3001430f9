"""The last hours from a real store: as they were live, without holding up who stores, whatever became of the file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config.model import BufferConfig, Config
from gateway.events import Envelope, Event
from gateway.history import loading
from gateway.history.explaining import NO_FILE, Explainer
from gateway.history.history import HOURS, MOST_ROWS, History
from gateway.history.loading import SLICE, load
from gateway.history.telling import Asked, told
from gateway.outbox.encode import encode
from gateway.outbox.outbox import Outbox
from tests.conftest import line_document
from tests.gateway.history.line import HOUR, JAM, entry, interval, minute, stop, window
from tests.gateway.history.line import told as event_of

CONFIG = BufferConfig.model_validate({"path": "x", "commit_interval": "10ms", "min_free_disk": "1B"})
MACHINES = {"filler": 120_000, "capper": 120_000}
NOW = time.time_ns() // 1_000_000
LINE = Config.model_validate(line_document())
ALIVE = Event("gateway.alive", "gateway", NOW, {})
Answer = dict[str, Any]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[tuple[Outbox, History]]:
    """A buffer whose store task runs, and a history that follows it."""
    outbox = await Outbox.open(path, CONFIG, {})
    history = History(outbox.envelope("/acme/berlin/filling/line-3"), outbox.last_seq, lambda: NOW)
    outbox.follow(history.committed)
    task = asyncio.get_running_loop().create_task(outbox.run())
    try:
        yield outbox, history
    finally:
        await outbox.close()
        await task


async def answered(history: History, hours: int = HOURS) -> list[Answer]:
    """What /api/history says of all machines, and of each with its minutes."""
    found = []
    for machines in (MACHINES, *({name: short} for name, short in MACHINES.items())):
        asked = Asked(machines, NOW - hours * HOUR, NOW, None, len(machines) == 1)
        answer = orjson.loads(await told(history, asked, "d"))
        found.append({key: answer[key] for key in ("machines", "line", "entries", "others", "last_seq", "cursor")})
    return found


def shift(began: int) -> list[Event]:
    """Two machines for some hours: what they did, made, and what was said of it."""
    events: list[Event] = []
    for number in range(300):
        at = began + number * 96_000
        for name in MACHINES:
            events += [interval(name, at), stop(name, at), interval(name, at, at + 60_000, 1)]
            events += [stop(name, at, at + 60_000, 1), minute(name, at, number, "cola")]
        if number % 20 == 0:
            events += [window(name, "hour", at, at + HOUR) for name in MACHINES]
            reason = {**JAM, "source": "operator"}
            events.append(entry("filler", number, at + 90_000, "reason", f"filler-stop-{at}", reason=reason))
    return events


async def test_what_was_told_live_is_there_after_a_restart_and_who_stores_is_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "buffer.db"
    events = shift(NOW - 9 * HOUR)
    async with opened(path) as (outbox, live):
        live.loaded(None)
        for first in range(0, len(events), 100):
            outbox.append(events[first : first + 100])
            await outbox.flush()
        before = await answered(live)
    slices = 0

    def counted(newest: Callable[..., Any], *asked: Any) -> Any:
        nonlocal slices
        slices += 1
        return newest(*asked)

    monkeypatch.setattr(loading, "_newest", partial(counted, loading._newest))
    async with opened(path) as (outbox, history):
        task = asyncio.get_running_loop().create_task(load(history, outbox))
        waited = []
        while not task.done():
            begun = slices
            outbox.append([ALIVE])
            await outbox.flush()
            waited.append(slices - begun)
        await task
        assert slices > len(events) // SLICE
        assert max(waited) <= 3 < slices, "a commit waits for the slice that is being read, and not for all"
        after = await answered(history)
    stored = len(waited)
    for one, other in zip(before, after, strict=True):
        assert other.pop("last_seq") == one.pop("last_seq") + stored
        assert one.pop("cursor") != other.pop("cursor")
        assert one == other
    assert history.began == events[0].time, "the store does not go back as far as is kept"
    assert history.complete_from(NOW - 8 * HOUR, NOW, MACHINES) is None
    assert history.complete_from(NOW - 10 * HOUR, NOW, MACHINES) == events[0].time


async def test_what_was_stored_before_the_hours_that_are_kept_is_not_read_but_for_a_clock_that_was_wrong(
    tmp_path: Path,
) -> None:
    path = tmp_path / "buffer.db"
    async with opened(path) as (outbox, _):
        outbox.append([interval("filler", NOW + number) for number in range(3 * SLICE)])
        await outbox.flush()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE event SET stored_at = stored_at - ? WHERE seq <= ?", (25 * HOUR, 2 * SLICE))
        db.execute("UPDATE event SET stored_at = 0 WHERE seq = ?", (3 * SLICE - 7,))
        db.commit()
    async with opened(path) as (outbox, history):
        await load(history, outbox)
        kept = {row.seq for row in history.shelves["filler"].all("intervals")}
    assert kept == set(range(2 * SLICE + 1, 3 * SLICE + 1)) - {3 * SLICE - 7}
    assert history.complete_from(NOW - 23 * HOUR, NOW, MACHINES) is None


async def test_damaged_and_foreign_rows_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    good = [interval("filler", NOW - HOUR), stop("filler", NOW - HOUR), minute("filler", NOW - HOUR, 3)]
    async with opened(path) as (outbox, _):
        outbox.append(good)
        await outbox.flush()
    texts = {name: orjson.dumps(event.data) for name, event in zip(("state", "stop", "production"), good, strict=True)}
    wrong = [
        ("machine.state", b"\xff{"), ("machine.state", b"[]"), ("machine.state", b"{}"), ("machine.state", b"null"),
        ("machine.state", texts["state"].replace(b'"began":"', b'"began":"x')),
        ("machine.state", texts["state"].replace(b'"rev":0', b'"rev":"0"')),
        ("machine.state", texts["state"].replace(b'"reason":{', b'"reason":17,"x":{')),
        ("machine.stop", texts["stop"].replace(b'"stop":"', b'"stop":17,"x":"')),
        ("machine.kpi", b'{"window": []}'), ("operator.entry", b'{"entry": 7}'), ("gateway.gap", b'{"began": 1}'),
        ("machine.production", texts["production"].replace(b'"total":3', b'"total":99999999999999999999')),
        ("machine.production", texts["production"].replace(b'"cycle":{', b'"cycle":[7],"x":{')),
        ("machine.production", texts["production"].replace(b'"product":null', b'"product":[]')),
    ]  # fmt: skip
    rows = [(4 + number, NOW, kind, "filler", NOW, data) for number, (kind, data) in enumerate(wrong)]
    with closing(sqlite3.connect(path)) as db:
        db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
        foreign = ["CAST(x'ff' AS TEXT), 'filler', 1, '{}'", "'machine.state', CAST(x'ff' AS TEXT), 1, '{}'"]
        foreign += ["'machine.state', 'filler', 'soon', '{}'", "'machine.state', 'filler', 1.5, '{}'"]
        for number, columns in enumerate(foreign, 4 + len(wrong)):
            db.execute(f"INSERT INTO event SELECT {number}, {NOW}, {columns}")
        db.execute("UPDATE meta SET last_seq = ?", (3 + len(wrong) + len(foreign),))
        db.commit()
    (tmp_path / "buffer.db.lock").unlink(missing_ok=True)
    async with opened(path) as (outbox, history):
        await load(history, outbox)
        answer = (await answered(history))[1]["machines"]["filler"]
    assert [len(answer[key]) for key in ("intervals", "stops", "production")] == [1, 1, 1]
    assert history.unreadable == len(wrong)


async def test_events_of_a_damaged_buffer_are_shown_and_explained_by_the_ids_that_they_had(tmp_path: Path) -> None:
    path = tmp_path / "buffer.db"
    async with opened(path) as (outbox, _):
        former = outbox.stream
        outbox.append([interval("filler", NOW - HOUR), stop("filler", NOW - HOUR)])
        await outbox.flush()
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])
    async with opened(path) as (outbox, history):
        assert outbox.stream != former
        outbox.append([stop("filler", NOW - HOUR, NOW - HOUR // 2, 1)])
        await outbox.flush()
        await load(history, outbox)
        filler = (await answered(history))[0]["machines"]["filler"]
        assert filler["intervals"][0][-1] == f"{former}-1"
        assert [one["rev"] for one in filler["stops"]] == [1]
        number = history.envelope.stored_seq(former, 1)
        assert number is not None
        said = await Explainer(outbox, None).explain(number, "it", LINE)
    assert said["headline"].startswith("filler was held")
    assert said["event"]["id"] == f"{former}-1"
    assert NO_FILE in said["notes"]


def fed(events: Sequence[Event]) -> History:
    """A history that was told events live."""
    history = History(Envelope("/x", "s"), 0, lambda: NOW)
    history.loaded(None)
    for number, event in enumerate(events, 1):
        history.committed(number, [encode(event)[0]])
    return history


def gap(what: str, kind: str | None) -> Event:
    """Half an hour, three hours ago."""
    span = interval("filler", NOW - 3 * HOUR, NOW - 5 * HOUR // 2).data
    data = {"what": what, "began": span["began"], "ended": span["ended"], "from": "1", "to": "2", "class": kind}
    return event_of("gateway.gap", "gateway", NOW, {**data, "count": 2, "why": "no room"})


@pytest.mark.parametrize(
    ("lost", "since"),
    [
        (gap("dropped", "states"), NOW - 5 * HOUR // 2),
        (gap("damaged", None), NOW - 5 * HOUR // 2),
        (gap("dropped", "trends"), None),
        (gap("off", None), None),
    ],
    ids=["dropped", "damaged", "trends", "off"],
)
def test_what_is_lost_is_said(lost: Event, since: int | None) -> None:
    history = fed([lost])
    assert history.complete_from(NOW - 8 * HOUR, NOW, MACHINES) == since
    assert history.complete_from(NOW - 2 * HOUR, NOW, MACHINES) is None
    assert [row.seq for kind in ("others", "gaps") for row in history.shelves[""].all(kind)] == [1], "it is told too"


def test_one_machine_that_chatters_has_a_bounded_number_of_rows_and_takes_none_from_others() -> None:
    chatter = [interval("capper", NOW - HOUR + number, NOW - HOUR + number + 1) for number in range(MOST_ROWS + 5)]
    lasting = interval("capper", NOW - 2 * HOUR)
    history = fed([interval("filler", NOW - 2 * HOUR, NOW - HOUR), lasting, *chatter, interval("capper", NOW - HOUR)])
    assert history.shelves["filler"].count("intervals") == 1
    assert MOST_ROWS // 2 < history.shelves["capper"].count("intervals") <= MOST_ROWS
    since = history.complete_from(NOW - 8 * HOUR, NOW, MACHINES)
    assert history.complete_from(NOW - 8 * HOUR, NOW, ["filler"]) is None, "its answers are whole"
    assert since is not None
    rows = list(history.shelves["capper"].all("intervals"))
    assert min(row.began for row in rows if row.ended is not None) <= since <= min(row.ended or NOW for row in rows)
    assert [row.began for row in rows if row.ended is None] == [NOW - 2 * HOUR], (
        "what lasts stays, what is gone does not come back"
    )


async def test_what_a_full_disk_held_back_is_taken_in_turns() -> None:
    events = [encode(interval("filler", NOW - HOUR + number))[0] for number in range(5000)]
    history = fed([])
    history.committed(1, events)
    assert 0 < history.last_seq < len(events)
    async with asyncio.timeout(10):
        while history.last_seq < len(events):  # noqa: ASYNC110 - it goes on by itself, turn by turn
            await asyncio.sleep(0)
    assert history.shelves["filler"].count("intervals") == len(events)


def test_what_is_older_than_a_day_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    history = fed(shift(NOW - 9 * HOUR)[:53])
    assert set(history.shelves) == {"", "filler", "capper"}
    assert history.shelves["filler"].count("intervals") == 5

    def later(by: int) -> None:
        for second in range(4):  # one shelf at a time
            monkeypatch.setattr(history, "now", lambda at=NOW + by + second * 1000: at)
            history.committed(2000, [encode(ALIVE)[0]])

    later(15 * HOUR + 300_000)
    assert history.shelves["filler"].count("intervals") == 2, "three ended within the first five minutes"
    later(17 * HOUR)
    assert set(history.shelves) == {""}
