"""The recorder: files roll and go, a disk that fails costs inputs that are counted, and never a scan."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from structlog.testing import capture_logs

import gateway.recording.recorder as recording
from gateway.config.recording import RecordingConfig
from gateway.inputs import Tick
from gateway.recording.files import recorded
from gateway.recording.header import RecordingError
from gateway.recording.reader import RecordedFile, is_recording
from gateway.recording.writer import Writer
from protocols.model import Batch
from tests.gateway.recording.lines import BEGIN, Life, line, live, replayed, said

CONFIG = line()


def noise(count: int, step: int = 250) -> Iterator[Batch]:
    """Scans that hardly compress."""
    for number in range(1, count + 1):
        level = int.from_bytes(os.urandom(3)) / 7
        yield Batch("b", 0, said(level=level, speed=level / 3), BEGIN + number * step)


def test_a_file_opens_with_all_that_a_replay_needs(tmp_path: Path) -> None:
    one = live(tmp_path, CONFIG, [Batch("a", 0, said(run=True, level=2.5), BEGIN + 250)])
    (path,) = one.files
    assert path.name == "00000001-20261123T070000Z.rec.zst"
    assert path.stat().st_mode & 0o777 == 0o640
    assert is_recording(path)
    header = RecordedFile(path).header
    assert (header.opens, header.first, header.at, header.utc_offset) == ("start", 0, BEGIN, 0)
    assert (header.line, header.configuration) == (CONFIG.source, CONFIG.digest)
    assert [device.name for device in header.devices] == ["a", "b"]
    assert header.devices[0].scans == ((250, (0, 1, 2, 3, 5, 6, 7)), (1000, (4,)))
    assert [type(one).__name__ for one in RecordedFile(path)] == ["Reload", "Batch", "Reload"]


def test_zstd_itself_reads_a_file(tmp_path: Path) -> None:
    (path,) = live(tmp_path, CONFIG, noise(50)).files
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert data.startswith(b"\x8f") or b"linegate.recording" in data[:100]


def test_full_files_are_followed_by_new_ones_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of `max_size` is a file; no more than `max_size` stays, and a replay begins with any of them."""
    monkeypatch.setattr(recording, "BLOCK_BYTES", 4_000)
    one = Life(tmp_path, CONFIG, RecordingConfig.model_construct(max_size=120_000))

    async def run() -> None:
        await one.start(BEGIN)
        for number, given in enumerate(noise(12_000)):
            one.give(given)
            if number % 200 == 0:
                await asyncio.sleep(0.002)  # the thread takes its blocks
        await one.stop(given.at)

    asyncio.run(run())
    sizes = [path.stat().st_size for path in one.files]
    assert len(sizes) >= 4
    assert sum(sizes) <= 120_000
    assert int(one.files[0].name[:8]) > 1
    assert max(sizes) <= 22_000, "a block more than an eighth"
    events, replay = replayed(CONFIG, one.files)
    assert replay.inputs > 1000
    assert events == one.decided[-len(events) :]
    assert one.recorder.dropped == 0


def test_files_older_than_keep_go(tmp_path: Path) -> None:
    paths = []
    for age in (7200, 60):
        one = live(tmp_path, CONFIG, noise(4), keep="1h")
        paths.append(one.files[-1])
        past = paths[-1].stat().st_mtime - age
        os.utime(paths[-1], (past, past))
    (tmp_path / "recordings" / "notes.txt").write_text("not ours")
    live(tmp_path, CONFIG, noise(4), keep="1h")
    assert recorded(tmp_path / "recordings")[0] == paths[1]
    assert (tmp_path / "recordings" / "notes.txt").exists()


def test_a_torn_end_is_cut_and_said_and_all_before_it_counts(tmp_path: Path) -> None:
    (path,) = live(tmp_path, CONFIG, noise(400)).files
    whole = list(RecordedFile(path))
    data = path.read_bytes()
    for length in (len(data) - 1, len(data) - 40, len(data) * 2 // 3):
        path.write_bytes(data[:length])
        file = RecordedFile(path)
        read = list(file)
        assert file.unfinished
        assert not file.damaged
        assert read == whole[: len(read)]
    assert len(whole) // 2 < len(read) < len(whole)


def test_a_killed_daemon_loses_its_last_block_alone(tmp_path: Path) -> None:
    one = Life(tmp_path, CONFIG)

    async def run() -> None:
        await one.start(BEGIN)
        for given in noise(41):
            one.give(given)
        await one.recorder._worker.call(lambda: None)  # what it was given is written; and then it is killed

    asyncio.run(run())
    file = RecordedFile(one.files[0])
    assert len(list(file)) == 40, "the start, and all before the last second began"
    assert file.unfinished


def test_damage_costs_the_rest_of_its_file_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.recording.writer.FRAME_BYTES", 2_000)
    (path,) = live(tmp_path, CONFIG, noise(400)).files
    whole = list(RecordedFile(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    file = RecordedFile(path)
    read = list(file)
    assert "damaged" in file.damaged or "no message" in file.damaged
    assert read == whole[: len(read)]
    assert 100 < len(read) < 300


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not begin"),
        (b'{"time": 1}\n', "Unknown frame"),
        (zstandard.compress(b"hello"), "does not begin"),
        (zstandard.compress(b"\x81\xa6format\xb2linegate.recording"), "does not begin"),
        (zstandard.compress(b"\x82\xa6format\xb2linegate.recording\xa7version\x63"), "of version 99"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=why):
        RecordedFile(path)


async def test_a_disk_that_takes_nothing_costs_inputs_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("a file where the directory belongs")
    one = Life(tmp_path, CONFIG)
    with capture_logs() as logs:
        await one.start(BEGIN)
        for given in noise(20):
            one.give(given)
            await one.recorder._worker.call(lambda: None)
        assert one.recorder.trouble.endswith("recordings: File exists")
        assert one.recorder.dropped > 10
        (tmp_path / "recordings").unlink()
        for given in noise(4, step=31_000):
            one.give(given)
            await one.recorder._worker.call(lambda: None)
        assert not one.recorder.trouble
        await one.stop(BEGIN + 130_000)
    assert [entry["event"] for entry in logs] == ["recording_dropped", "recording_again"]
    dropped = one.recorder.dropped
    ((header, inputs),) = await asyncio.to_thread(_read, one)
    assert header.opens == "gap"
    assert header.first == dropped
    assert [type(given).__name__ for given in inputs][-1] == "Reload"


def _read(one: Life) -> list[Any]:
    files = [RecordedFile(path) for path in one.files]
    return [(file.header, list(file)) for file in files]


async def test_a_disk_that_hangs_fills_the_queue_and_holds_no_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_WAITING", 5_000)
    hangs, put = threading.Event(), Writer._put

    def slow(writer: Writer, data: bytes) -> None:
        hangs.wait(20)
        put(writer, data)

    one = Life(tmp_path, CONFIG)
    await one.start(BEGIN)
    monkeypatch.setattr(Writer, "_put", slow)
    with capture_logs() as logs:
        for given in noise(1000):
            one.give(given)
        assert one.recorder.dropped > 500
        assert one.recorder.trouble == "the disk does not keep up"
        hangs.set()
        await one.recorder._worker.call(lambda: None)
        one.give(Tick(BEGIN + 400_000))
        assert not one.recorder.trouble
        await one.stop(BEGIN + 400_001)
    assert [entry["event"] for entry in logs] == ["recording_dropped", "recording_again"]
    assert [header.opens for header, _ in await asyncio.to_thread(_read, one)] == ["start", "gap"]


def test_the_disk_is_left_to_others(tmp_path: Path) -> None:
    """Where `min_free_disk` is not free, the oldest files go, and then nothing is recorded."""
    live(tmp_path, CONFIG, noise(4))
    writer = Writer(tmp_path / "recordings", RecordingConfig(), 1_000_000, min_free=2**62)
    writer.open(b"header", BEGIN)
    assert "leaves to others" in writer.failed
    assert recorded(tmp_path / "recordings") == []
    writer.write(b"dropped", 3)
    assert (writer.written, writer.lost) == (0, 3)
