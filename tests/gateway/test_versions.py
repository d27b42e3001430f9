"""What older versions left on the disk goes on in this one: a stored file of every version that can be read.

Buffers have theirs in tests/gateway/outbox/stored. A version that changes a format leaves a file of the one before it
here, written by that one, and a migration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import pytest

from gateway import checkpoint
from gateway.checkpoint import unpack
from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.pipeline import Pipeline
from gateway.recording import header
from gateway.recording.header import RecordingError
from gateway.recording.reader import RecordedFile

STORED = Path(__file__).parent.parent / "cases" / "versions"
CHECKPOINTS = range(min(checkpoint.MIGRATIONS, default=checkpoint.SCHEMA), checkpoint.SCHEMA + 1)
RECORDINGS = range(min(header.MIGRATIONS, default=header.VERSION), header.VERSION + 1)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(STORED / "line.yaml").config


def test_there_is_a_file_of_every_version() -> None:
    stored = {path.name for path in STORED.iterdir()} - {"line.yaml"}
    checkpoints = {f"checkpoint-{version}.msgpack" for version in CHECKPOINTS}
    assert stored == checkpoints | {f"recording-{version}.rec.zst" for version in RECORDINGS}


def lost(before: Any, after: Any, place: str = "") -> list[str]:
    """What was stored and is not there any more; fields may be added."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            one
            for key in before
            for one in (lost(before[key], after[key], f"{place}.{key}") if key in after else [f"{place}.{key}"])
        ]
    return [] if before == after else [f"{place}: {before!r} became {after!r}"]


@pytest.mark.parametrize("version", CHECKPOINTS)
def test_the_engine_goes_on_from_a_checkpoint(config: Config, version: int) -> None:
    rows = msgpack.unpackb((STORED / f"checkpoint-{version}.msgpack").read_bytes())
    assert {msgpack.unpackb(body, strict_map_key=False)["v"] for body in rows.values()} == {version}
    pipeline = Pipeline(config)
    pipeline.restore(rows)
    assert pipeline.at > 1_795_000_000_000
    again = unpack(pipeline.all_rows())
    assert lost(unpack(rows), again) == []
    assert again["machine/filler"]["parts"]["counters"]["filler_plc.bottles"]["base"] == 43


@pytest.mark.parametrize("version", RECORDINGS)
def test_a_recording_is_read_whole(config: Config, version: int) -> None:
    file = RecordedFile(STORED / f"recording-{version}.rec.zst")
    assert len(list(file)) == 6
    assert (file.damaged, file.unfinished) == ("", False)
    assert [device.name for device in file.header.devices] == list(config.devices)
    Pipeline(config).restore(file.header.checkpoint)


def test_an_older_header_goes_through_every_version(monkeypatch: pytest.MonkeyPatch) -> None:
    file = RecordedFile(STORED / f"recording-{header.VERSION}.rec.zst")
    monkeypatch.setattr(header, "VERSION", header.VERSION + 2)
    data = file.header.pack().replace(b"\xa7version" + bytes([header.VERSION]), b"\xa7version" + bytes([1]))
    with pytest.raises(RecordingError, match=f"of version 1, this version of linegate reads {header.VERSION}"):
        header.unpack(data)
    monkeypatch.setitem(header.MIGRATIONS, 1, lambda body: {**body, "line": "renamed"})
    monkeypatch.setitem(header.MIGRATIONS, 2, lambda body: {**body, "line": body["line"] + " again"})
    assert header.unpack(data).line == "renamed again"
