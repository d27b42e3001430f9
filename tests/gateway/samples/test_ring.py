"""The ring on the loop: what it takes in, how much memory, and that a disk which fails or hangs costs only samples."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

import gateway.samples.ring as ring
from ext.samples import LONGEST_TEXT, Sampler
from ext.table import Kind, SignalTable
from gateway.clock import EngineClock
from gateway.config.model import BufferConfig
from gateway.inputs import ClockStep
from gateway.samples.curves import Wanted
from gateway.samples.files import Files
from gateway.samples.ring import Busy, Samples
from gateway.samples.segment import Segment
from protocols.model import Batch, Change

BEGIN = 1_795_413_600_000


class Clock(EngineClock):
    """Stands still unless it is moved."""

    def __init__(self, at: int) -> None:
        super().__init__(synchronised=lambda: True)
        self.at, self.utc_offset = at, 0

    def now(self) -> int:
        """As EngineClock."""
        return self.at


class Line:
    """A ring with the table that it looks at."""

    def __init__(self, place: Path, kinds: Mapping[str, Kind] | None = None, at: int = BEGIN) -> None:
        self.clock = Clock(at)
        self.table = self.signals(kinds or {"level": Kind.FLOAT, "run": Kind.BOOL, "batch": Kind.TEXT})
        self.buffer = BufferConfig.model_construct(path="line.db", min_free_disk=0)
        self.ring = Samples(place, self.buffer, self.clock, {"d": self.table})

    def signals(self, kinds: Mapping[str, Kind]) -> SignalTable:
        table = SignalTable(list(kinds))
        for number, kind in enumerate(kinds.values()):
            table.define(number, kind, length=1000)
            table.forward(number, exact=True)
        return table

    def put(self, values: Mapping[str, Any], *, handed_over: bool = True) -> None:
        for name, value in values.items():
            self.table.put(self.table.names.index(name), value)
        changes = self.table.take()
        if handed_over:
            self.ring.record(Batch("d", 0, changes, self.clock.now()))

    def pass_(self, milliseconds: int) -> None:
        self.clock.at += milliseconds
        self.ring.look()

    async def written(self) -> None:
        await self.ring._writing.call(lambda: None)

    async def points(self, signal: str, begin: int = BEGIN, points: int = 2000) -> list[Any]:
        wanted = Wanted({signal: None}, begin, self.clock.now() + self.clock.utc_offset, points)
        body, _ = await self.ring.ask(wanted)
        found: list[Any] = orjson.loads(body)["signals"][signal]["points"]
        return found


async def test_changes_that_are_handed_over_are_exact_and_others_as_of_a_look(tmp_path: Path) -> None:
    one = Line(tmp_path)
    await one.ring.start()
    one.clock.at += 10
    one.put({"run": True, "level": 1.5})
    one.clock.at += 7
    one.put({"run": False})
    one.clock.at += 100
    one.put({"level": 2.5}, handed_over=False)
    one.pass_(300)
    assert await one.points("d.run") == [
        [BEGIN, None], [BEGIN + 10, True], [BEGIN + 17, False], [BEGIN + 417, False],
    ]  # fmt: skip
    assert await one.points("d.level") == [[BEGIN, None], [BEGIN + 10, 1.5], [BEGIN + 417, 2.5]]
    assert await one.points("d.none") == []
    one.put({"level": 3.5}, handed_over=False)
    one.clock.at += 50
    assert (await one.points("d.level"))[-1] == [BEGIN + 467, 3.5], "who asks has it looked at"
    await one.ring.close()


async def test_what_flickers_is_thinned_and_never_left_out_altogether(tmp_path: Path) -> None:
    """1,000 changes in ten seconds: a burst, then ten a second; the last is there at the next look."""
    one = Line(tmp_path)
    for number in range(1000):
        one.clock.at += 10
        one.put({"run": number % 2 == 0, "level": float(number)})
    one.ring.look()
    await one.ring.start()
    level = await one.points("d.level")
    assert 110 <= len(level) <= 130
    assert level[-1] == [BEGIN + 10_000, 999.0]
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(level[2:])]
    assert max(gaps) <= 110
    await one.ring.close()


def test_many_that_flicker_share_what_is_kept() -> None:
    """Of 2,000 signals that each change 20 times a second some 5,000 changes a second are kept for long."""
    count = 2000
    table = SignalTable([f"s{number}" for number in range(count)])
    sampler = Sampler({"d": table}, BEGIN)
    scans: list[list[Change]] = [[(number, value, 2, None, None) for number in range(count)] for value in range(2)]
    logs = []
    for scan in range(1, 3 * 600 + 1):
        at = BEGIN + 50 * scan
        sampler.feed("d", scans[scan % 2], at)
        if sampler.is_full or at >= sampler.log.began + 30_000:
            logs.append(sampler.turn(at, at))
    assert sampler.dropped == 0
    assert len(logs) >= 3
    for log in logs[1:]:
        seconds = (log.ended - log.began) / 1000
        assert 5_000 * seconds <= log.samples <= 5_000 * seconds + 21 * count, "and a burst of each"


async def test_texts_are_kept_in_part_and_integers_whole(tmp_path: Path) -> None:
    kinds = {"text": Kind.TEXT, "big": Kind.UINT, "small": Kind.INT}
    one = Line(tmp_path, kinds)
    await one.ring.start()
    one.clock.at += 1
    one.put({"text": "x" * 500, "big": 2**64 - 1, "small": -(2**63)})
    one.pass_(29_000)
    one.put({"text": "y", "big": 7})
    one.pass_(1_500)
    await one.written()
    one.pass_(500)
    assert [point[1] for point in await one.points("d.text")] == [None, "x" * LONGEST_TEXT, "y", "y"]
    assert [point[1] for point in await one.points("d.big")] == [None, 2**64 - 1, 7, 7]
    assert [point[1] for point in await one.points("d.small")] == [None, -(2**63), -(2**63)]
    await one.ring.close()


async def test_a_step_of_the_clock_is_a_gap_or_takes_over_what_was_then(tmp_path: Path) -> None:
    one = Line(tmp_path)
    await one.ring.start()
    one.put({"level": 1.0})
    one.clock.at += 10_000
    one.put({"level": 2.0})
    one.clock.at += 10_000
    one.put({"level": 3.0})
    one.clock.at += 1_000
    one.clock.utc_offset = -12_000
    one.ring.record(ClockStep(one.clock.now(), -12_000))
    one.pass_(1_000)
    assert await one.points("d.level") == [
        [BEGIN, 1.0], [BEGIN + 9_000, 3.0], [BEGIN + 10_000, 3.0],
    ]  # fmt: skip
    one.clock.utc_offset = 88_000
    one.ring.record(ClockStep(one.clock.now(), 88_000))
    one.pass_(1_000)
    assert await one.points("d.level", begin=BEGIN + 5_000) == [
        [BEGIN + 5_000, 1.0], [BEGIN + 9_000, 3.0],
        [BEGIN + 10_000, None], [BEGIN + 110_000, 3.0], [BEGIN + 111_000, 3.0],
    ]  # fmt: skip
    await one.ring.close()


async def test_another_configuration_goes_on_under_the_same_names(tmp_path: Path) -> None:
    """A signal that became a text; one that is gone."""
    one = Line(tmp_path, {"level": Kind.FLOAT, "old": Kind.INT})
    await one.ring.start()
    one.put({"level": 1.0, "old": 4})
    one.clock.at += 5_000
    one.table = one.signals({"level": Kind.TEXT})
    one.ring.show({"d": one.table}, one.buffer)
    one.clock.at += 5_000
    one.put({"level": "high"})
    one.pass_(1_000)
    assert await one.points("d.level") == [
        [BEGIN, 1.0], [BEGIN + 5_000, None], [BEGIN + 10_000, "high"], [BEGIN + 11_000, "high"],
    ]  # fmt: skip
    assert await one.points("d.old") == [[BEGIN, 4], [BEGIN + 5_000, 4], [BEGIN + 5_000, None]]
    await one.ring.close()


async def test_a_disk_that_takes_nothing_is_said_once_and_costs_only_what_memory_has_no_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples").write_text("a file where the directory belongs")
    monkeypatch.setattr(ring, "MOST_WAITING", 400)
    one = Line(tmp_path / "samples")
    with capture_logs() as logs:
        await one.ring.start()
        for number in range(20):
            one.put({"level": float(number)})
            one.pass_(30_000)
            await one.written()
        one.pass_(1)
        assert one.ring.trouble.endswith("samples: File exists")
        assert 5 < one.ring.lost < 20
        assert (await one.points("d.level"))[-1][1] == 19.0, "the newest are in memory"
        (tmp_path / "samples").unlink()
        one.pass_(30_000)
        await one.written()
        one.pass_(1)
        assert one.ring.trouble == ""
        await one.ring.close()
    assert [entry["event"] for entry in logs] == ["samples_not_kept", "samples_kept_again"]


async def test_a_disk_that_hangs_holds_neither_the_loop_nor_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, write = threading.Event(), Files.write

    def slow(files: Files, segment: Segment) -> None:
        hangs.wait(20)
        write(files, segment)

    monkeypatch.setattr(Files, "write", slow)
    one = Line(tmp_path)
    await one.ring.start()
    with capture_logs() as logs:
        for number in range(20):
            one.put({"level": float(number)})
            one.pass_(30_000)
        await asyncio.sleep(0)
        assert len(one.ring._store.logs) <= ring.MOST_LOGS
        assert one.ring.trouble == "the disk does not keep up"
        assert (await one.points("d.level"))[-1][1] == 19.0
        hangs.set()
        await one.written()
        one.pass_(30_000)
        await one.ring.close()
    assert [entry["event"] for entry in logs] == ["samples_not_kept", "samples_kept_again"]
    assert one.ring.lost == 0
    again = Line(tmp_path, at=one.clock.at)
    await again.ring.start()
    await again.written()
    values = [point[1] for point in await again.points("d.level")]
    assert [value for value in values if value is not None][-1] == 19.0
    assert {float(number) for number in range(20)} <= set(values)


async def test_a_log_that_is_full_leaves_samples_out_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the thread hangs; and the next look after it goes on has what is so then."""
    monkeypatch.setattr(ring, "MOST_LOGS", 0)
    count = 4000
    one = Line(tmp_path, {f"s{number}": Kind.INT for number in range(count)})
    await one.ring.start()
    for value in range(80):
        for number in range(count):
            one.table.put(number, value)
        one.pass_(1_000)
    assert one.ring.lost > 0
    monkeypatch.setattr(ring, "MOST_LOGS", 2)
    one.pass_(1_000)
    one.pass_(1_000)
    assert (await one.points("d.s0"))[-1][1] == 79
    assert (await one.points(f"d.s{count - 1}"))[-1][1] == 79
    await one.ring.close()


async def test_too_many_who_ask_and_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Line(tmp_path)
    await one.ring.start()
    one.pass_(1_000)
    answers = await asyncio.gather(*(one.points("d.level") for _ in range(20)), return_exceptions=True)
    assert 0 < sum(isinstance(one, Busy) for one in answers) <= 12
    monkeypatch.setattr(ring, "ANSWER_S", -1.0)
    with pytest.raises(Busy, match="takes longer"):
        await one.points("d.level")
    hangs = threading.Event()
    monkeypatch.setattr(ring, "answer", lambda *_: hangs.wait(20))
    monkeypatch.setattr(ring, "ANSWER_S", 0.01)
    monkeypatch.setattr(ring, "HANGS_S", 0.01)
    with pytest.raises(Busy, match="does not answer"):
        await one.points("d.level")
    hangs.set()
    await one.ring.close()
    with pytest.raises(Busy, match="stopping"):
        await one.points("d.level")


async def test_a_ring_that_is_off_notices_nothing_and_removes_its_files(tmp_path: Path) -> None:
    one = Line(tmp_path)
    await one.ring.start()
    one.put({"level": 1.0})
    one.pass_(30_000)
    await one.written()
    assert len(list(tmp_path.iterdir())) == 1
    one.put({"level": 1.5})
    with capture_logs() as logs:
        one.ring.show({"d": one.table}, BufferConfig.model_construct(path="line.db", samples=0))
        one.put({"level": 2.0})
        one.pass_(30_000)
        await one.written()
        one.pass_(1_000)
    assert not logs
    assert not one.ring.is_on
    assert one.ring.trouble == ""
    assert not list(tmp_path.iterdir())
    one.ring.show({"d": one.table}, BufferConfig.model_construct(path="line.db", samples=10_000_000, min_free_disk=0))
    one.put({"level": 3.0})
    one.pass_(30_000)
    await one.ring.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_period_and_room_follow_the_number_of_signals() -> None:
    for count, period in ((1, 1000), (5000, 1000), (20_000, 4000)):
        table = SignalTable([f"s{number}" for number in range(count)])
        sampler = Sampler({"d": table}, BEGIN)
        assert sampler.period_ms == period
        assert not sampler.is_full


async def test_texts_have_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of them fills pieces early; where the thread hangs, texts are left out, and numbers are not."""
    count = 2000
    one = Line(tmp_path, {**{f"t{number}": Kind.TEXT for number in range(count)}, "level": Kind.FLOAT})
    await one.ring.start()
    monkeypatch.setattr(ring, "MOST_LOGS", 0)
    for step in range(13):
        for number in range(count):
            one.table.put(number, f"{step} {number} ".ljust(190, "x"))
        one.table.put(count, float(step))
        one.pass_(1_000)
    assert 0 < one.ring.lost <= 3 * count
    assert (await one.points("d.level"))[-1][1] == 12.0
    monkeypatch.setattr(ring, "MOST_LOGS", 2)
    one.pass_(1_000)
    await one.written()
    one.pass_(1_000)
    assert (await one.points("d.t1999"))[-1][1] == "12 1999 ".ljust(190, "x")
    assert one.ring._sampler is not None
    assert one.ring._sampler.log.began > BEGIN, "a piece ended before its time"
    await one.ring.close()


async def test_a_clock_that_is_set_again_and_again_while_the_disk_hangs(tmp_path: Path) -> None:
    """Each time a piece ends; memory keeps some."""
    one = Line(tmp_path)
    for number in range(50):
        one.put({"level": float(number)})
        one.clock.at += 1_000
        one.ring.record(ClockStep(one.clock.now(), number % 2))
    assert len(one.ring._store.logs) == 2 * ring.MOST_LOGS
    assert one.ring.lost > 40


async def test_a_killed_daemon_loses_its_last_half_minute_alone(tmp_path: Path) -> None:
    """And what nobody saw until the next start is a gap."""
    one = Line(tmp_path)
    await one.ring.start()
    one.put({"level": 1.0})
    one.pass_(30_000)
    one.put({"level": 2.0})
    one.pass_(20_000)
    await one.written()  # and then it is killed
    again = Line(tmp_path, at=one.clock.at + 10_000)
    await again.ring.start()
    await again.written()
    again.put({"level": 3.0})
    again.pass_(1_000)
    assert await again.points("d.level") == [
        [BEGIN, 1.0], [BEGIN + 30_000, None], [BEGIN + 60_000, 3.0], [BEGIN + 61_000, 3.0],
    ]  # fmt: skip
    await again.ring.close()
