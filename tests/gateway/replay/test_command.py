"""`linegate replay` as people call it: events on standard output, words on standard error, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.conftest import line_document
from tests.gateway.recording.lines import document, line, live
from tests.gateway.replay.test_replay import whole_day

FIRST = {"running": True, "infeed_ready": True, "estop": False, "fault": 0, "speed": 60, "bottles": 0, "rejects": 0}


def replay(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text(json.dumps(line_document()))
    return path


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Ten minutes of the filler: it runs, jams for a minute, runs."""
    lines = []
    for second in range(600):
        jam = 300 <= second < 360
        made = {"bottles": 2 * min(second, 300) + 2 * max(0, second - 360), "fault": 17 if jam else 0}
        time = f"2026-11-23T08:{second // 60:02d}:{second % 60:02d}Z"
        values = {**(FIRST if second == 0 else {}), **made}
        lines.append(json.dumps({"time": time, "device": "filler_plc", "values": values}))
    path = tmp_path / "day.ndjson"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_events_are_cloudevents_numbered_from_1_and_the_same_each_time(file: Path, day: Path) -> None:
    done = replay(file, day)
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert "2026-11-23T08:00:00.000Z to 2026-11-23T08:09:59.000Z: 603 inputs in" in done.stderr
    assert "times real time" in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    stream = events[0]["stream"]
    assert [(e["seq"], e["prevseq"], e["id"]) for e in events] == [
        (str(number), str(number - 1), f"{stream}-{number}") for number in range(1, len(events) + 1)
    ]
    assert {e["source"] for e in events} == {"/acme/berlin/filling/line-3"}
    held = [e["data"] for e in events if e["type"] == "linegate.machine.state.v1" and e["data"]["state"] == "held"]
    assert held[-1]["duration_s"] == 60.0
    assert held[-1]["reason"]["text"] == "cap jam"
    assert replay(file, day).stdout == done.stdout


def test_a_rule_change_is_tried_against_what_was_sent(file: Path, day: Path, tmp_path: Path) -> None:
    sent = tmp_path / "sent.ndjson"
    lines = replay(file, day).stdout.splitlines(keepends=True)
    sent.write_text("".join(line for line in lines if ".kpi.v1" not in line))  # none has ended by itself
    same = replay(file, day, "--against", sent)
    assert same.exit_code == 0
    assert same.stdout.endswith("filler: no difference\n")
    changed = line_document()
    changed["machines"]["filler"] = {**changed["machines"]["filler"], "short_stop": "30s"}
    file.write_text(json.dumps(changed))
    other = replay(file, day, "--against", sent)
    assert other.exit_code == 0
    assert "minor stops     1         0          -1    0:01:00        0:00:00    -0:01:00" in other.stdout
    assert "downtimes       0         1          +1    0:00:00        0:01:00    +0:01:00" in other.stdout
    found = json.loads(replay(file, day, "--against", sent, "--json").stdout)["machines"]["filler"]
    assert found["stops"]["downtimes"] == {"sent": 0.0, "replayed": 1.0}
    assert found["states"] == []


def test_a_recording_is_given_as_directory_or_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.recording.recorder.FILE_MS", 12_000)
    one = live(tmp_path, line(), whole_day())
    file = tmp_path / "line.yaml"
    file.write_text(json.dumps(document()))
    whole = replay(file, tmp_path / "recordings")
    assert whole.exit_code == 0
    windows = [line for line in whole.stdout.splitlines() if '.kpi.v1","subject"' in line]
    assert len(whole.stdout.splitlines()) - len(windows) == len(one.decided)
    assert replay(file, *one.files).stdout == whole.stdout
    data = bytearray(one.files[1].read_bytes())
    data[-20] ^= 0x55
    one.files[1].write_bytes(data)
    damaged = replay(file, tmp_path / "recordings")
    assert damaged.exit_code == 1
    assert f"{one.files[1]}: a damaged frame" in damaged.stderr
    one.files[3].write_bytes(one.files[3].read_bytes()[:-30])
    assert f"{one.files[3]}: no end: the daemon was killed or still writes" in replay(file, one.files[3]).stderr


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"\x28\xb5\x2f\xfdrubbish", 1, "its first frame is damaged"),
        (b"", 1, "there was nothing to replay"),
        (b'{"time": "2026-11-23T08:00:00Z", "device": "nobody", "values": {}}\n', 1, 'device "nobody" is not in'),
    ],
)
def test_what_cannot_be_replayed_is_said(file: Path, tmp_path: Path, content: bytes, code: int, words: str) -> None:
    given = tmp_path / "given"
    given.write_bytes(content)
    done = replay(file, given)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr


def test_wrong_use_is_exit_code_2(file: Path, day: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no recording" in replay(file, tmp_path / "empty").stderr
    assert replay(file, tmp_path / "empty").exit_code == 2
    assert replay(file, day, "--json").exit_code == 2
    assert replay(file, tmp_path / "missing").exit_code == 2
    assert replay(tmp_path / "missing.yaml", day).exit_code == 2
    recording = tmp_path / "one.rec.zst"
    recording.write_bytes(b"")
    mixed = replay(file, day, recording)
    assert mixed.exit_code == 2
    assert "recordings and plain JSON lines are given together" in mixed.stderr
