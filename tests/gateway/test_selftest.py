"""The self-test at the start: each thing that is wrong has words of its own; what is only doubtful does not hold it."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

import ext.registers
from gateway import selftest
from gateway.cli import main
from gateway.config.model import Config
from gateway.selftest import NotFit, check_decoders, check_host
from tests.conftest import line_document


@pytest.fixture
def config() -> Config:
    return Config.model_validate(line_document(buffer={"path": "line-3.db", "min_free_disk": "1kB"}))


def test_a_sound_host_is_left_as_it_was(config: Config, tmp_path: Path) -> None:
    check_decoders()
    with capture_logs() as said:
        check_host(config, tmp_path / "state")
    assert not said
    assert not list((tmp_path / "state").iterdir())


def test_every_compiled_module_is_tried() -> None:
    assert set(selftest.DECODERS) == {path.stem for path in Path(ext.registers.__file__).parent.glob("*.pyi")}


@pytest.mark.parametrize("name", selftest.DECODERS)
def test_a_decoder_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, f"ext.{name}", None)
    with pytest.raises(NotFit, match=f"the compiled decoders cannot be used: .*ext.{name}") as found:
        check_decoders()
    assert found.value.code == 2
    done = CliRunner().invoke(main, ["run", str(tmp_path / "line.yaml")])
    assert done.exit_code == 2
    assert f"install linegate anew for this Python ({sys.executable})" in done.output


def test_decoders_of_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(ext.registers.RegisterPlan):
        def decode(self, *_arguments: object) -> None:
            return

    other = ModuleType("ext.registers")
    monkeypatch.setitem(sys.modules, "ext.registers", other)
    with pytest.raises(NotFit, match=r"cannot be used: .*RegisterPlan"):
        check_decoders()
    other.RegisterPlan = Deaf  # type: ignore[attr-defined]
    with pytest.raises(NotFit, match=r"make \(None, None, None\) of \(-2, 1.5, 9223372036854775809\)"):
        check_decoders()


def test_an_old_sqlite(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(NotFit, match=r"SQLite is 3.34.1, and 3.35.0 is the oldest"):
        check_host(config, tmp_path)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, f"the user that the daemon runs as (now {os.geteuid()})"),
        (errno.EROFS, "mount it for writing"),
        (errno.EIO, "replace it"),
        (errno.ELOOP, "see the disk"),
    ],
)
def test_a_state_directory_that_takes_nothing(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(NotFit, match=f"the state directory .* cannot be written: {os.strerror(number)}") as found:
            check_host(config, tmp_path)
    assert remedy in found.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_path_that_leads_through_a_file(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFit) as found:
        check_host(config, tmp_path / "file" / "state")
    assert found.value.remedy == "a part of its path is a file: give another directory"


def test_a_full_disk_does_not_hold_the_start(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    check_host(config, tmp_path)


def test_what_is_doubtful_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tmp_path / "pki" / "own"
    keys.mkdir(parents=True)
    (keys / "linegate.pem").touch(0o644)
    tmp_path.chmod(0o777)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    config = Config.model_validate(line_document(buffer={"path": "line-3.db", "min_free_disk": "1000TB"}))
    with capture_logs() as said:
        check_host(config, tmp_path)
    assert [(one["event"], one["why"].split(",")[0]) for one in said] == [
        ("others_have_access", f"{tmp_path} can be written by every user"),
        ("others_have_access", f"{keys / 'linegate.pem'} can be read by every user"),
        ("disk_nearly_full", said[2]["why"].split(",")[0]),
        ("clock_is_wrong", "the system's clock shows 1970-01-01T00:00:01.000Z"),
    ]
    assert all(one["remedy"] for one in said)


def test_a_state_that_was_moved_away(config: Config, tmp_path: Path) -> None:
    note = tmp_path / "moved.json"
    note.write_text('{"archive": "line-3.tar.zst", "at": "2026-11-22T06:00:00.000Z"}')
    with pytest.raises(NotFit, match=r"moved into line-3.tar.zst at 2026-11-22T06:00:00.000Z") as found:
        check_host(config, tmp_path)
    assert (found.value.code, f"remove {note} to go on here" in found.value.remedy) == (2, True)
    note.write_text("{")
    with pytest.raises(NotFit, match="cannot be read"):
        check_host(config, tmp_path)
