"""The archive believes nothing that it has not compared; restoring from it is all or nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner, Result

from gateway.backup.archive import BackupError, Content, Manifest, extract, write
from gateway.cli import main
from gateway.outbox.lock import BufferLock
from tests.conftest import line_document

MANIFEST = Manifest(
    "/acme/berlin/filling/line-3", "line-3", "2026-11-22T06:00:00.000Z", "0.1.0", "d", "f", "s", 7, False
)


def silent(_line: str) -> None:
    return


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    contents = []
    for name, body in (("config/line.yaml", b"line: x\n"), ("pki/own/linegate.pem", b"key" * 999), ("buffer.db", b"")):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        path.chmod(0o600)
        contents.append(Content(name, path))
    contents.append(Content("recordings/gone", tmp_path / "gone"))  # removed while the archive was made
    write(tmp_path / "a.tar.zst", contents, MANIFEST, silent)
    return tmp_path / "a.tar.zst"


def test_what_goes_in_comes_out(archive: Path, tmp_path: Path) -> None:
    manifest = extract(archive, tmp_path / "out", silent)
    assert manifest.line == MANIFEST.line
    assert [member.name for member in manifest.members] == ["config/line.yaml", "pki/own/linegate.pem", "buffer.db"]
    assert (tmp_path / "out/pki/own/linegate.pem").read_bytes() == b"key" * 999
    assert (tmp_path / "out/pki/own/linegate.pem").stat().st_mode & 0o777 == 0o600
    assert archive.stat().st_mode & 0o777 == 0o600


def test_every_cut_and_every_changed_byte_is_noticed(archive: Path) -> None:
    """Unless nothing of the content is concerned: tar and zstd end with a few bytes that say nothing."""
    whole = archive.read_bytes()
    manifest = extract(archive, None, silent)
    cut = [whole[:end] for end in range(len(whole))]
    changed = [whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :] for at in range(len(whole))]
    unnoticed = 0
    for damaged in (*cut, *changed):
        archive.write_bytes(damaged)
        try:
            assert extract(archive, None, silent) == manifest
            unnoticed += 1
        except BackupError:
            continue
    assert unnoticed < 40


def repacked(archive: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """The same archive with other members: whole for tar and zstd."""
    with tarfile.open(fileobj=io.BytesIO(zstandard.decompress(archive.read_bytes(), 10_000_000))) as tar:
        members = [(info, source.read()) for info in tar if (source := tar.extractfile(info))]
    change(members)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for info, body in members:
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    archive.write_bytes(zstandard.compress(packed.getvalue()))


def test_nothing_leads_out_of_the_archive_or_is_left_unsaid(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()

    def rename(name: str) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
        return lambda members: setattr(members[0][0], "name", name)

    def link(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info = members[0][0]
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/shadow"
        members[0] = (info, b"")

    def append(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members.append((tarfile.TarInfo("more"), b"x"))

    def newer(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        info, body = members[-1]
        members[-1] = (info, json.dumps({**json.loads(body), "version": 9}).encode())

    for change, words in (
        (rename("/etc/passwd"), "leads out of it"),
        (rename("config/../../passwd"), "leads out of it"),
        (rename("config/other.yaml"), "is damaged: config/line.yaml, config/other.yaml"),
        (link, "is no plain file"),
        (append, "goes on behind its manifest"),
        (newer, "is of version 9"),
        (lambda members: members.pop(1) and None, "is damaged: pki/own/linegate.pem"),
        (lambda members: members.pop() and None, "has no manifest"),
    ):
        archive.write_bytes(whole)
        repacked(archive, change)
        with pytest.raises(BackupError, match=words):
            extract(archive, tmp_path / "out" / words, silent)
    assert not (tmp_path / "passwd").exists()


def linegate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def backing_up(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A process of its own: where no daemon runs it writes files in its event loop, as only a command may."""
    command = [sys.executable, "-m", "gateway", "backup", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def backup(tmp_path: Path) -> Path:
    """An archive of a line that never ran, but for its empty buffer."""
    old = tmp_path / "old"
    (old / "pki" / "trusted").mkdir(parents=True)
    (old / "pki" / "trusted" / "plc.der").write_bytes(b"trusted")
    (old / "line-3.yaml").write_text(json.dumps(line_document(include=["parts/reasons.yaml"])))
    (old / "parts").mkdir()
    (old / "parts" / "reasons.yaml").write_text('{"reasons": {"40": "no caps"}}')
    (old / "line-3.db").touch()
    done = backing_up(old / "line-3.yaml", "--state-dir", old, "--output", tmp_path / "line-3.tar.zst")
    assert done.returncode == 0, done.stderr
    return tmp_path / "line-3.tar.zst"


def contents(directory: Path) -> dict[Path, bytes]:
    """All but the lock's note of who had it."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_restore_is_all_or_nothing(tmp_path: Path) -> None:
    archive, new, config = backup(tmp_path), tmp_path / "new", tmp_path / "etc"
    again = backing_up(tmp_path / "old/line-3.yaml", "--state-dir", tmp_path / "old", "--output", archive)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    places = ("--state-dir", new, "--config-dir", config)
    assert linegate("restore", archive, *places).exit_code == 0
    assert (new / "pki/trusted/plc.der").read_bytes() == b"trusted"
    assert (config / "parts").stat().st_mode & 0o777 == 0o755
    assert linegate("check", config / "line-3.yaml").exit_code == 0

    (new / "pki/trusted/other.der").write_bytes(b"another")
    (config / "parts/reasons.yaml").write_text('{"reasons": {"40": "no glue"}}')
    before = contents(new)
    refused = linegate("restore", archive, *places)
    assert refused.exit_code == 1
    assert f"there is already {config}/parts/reasons.yaml, {new}/line-3.db, {new}/pki; restore" in refused.output
    assert contents(new) == before

    lock = BufferLock(new / "line-3.db")
    assert "stop the service first" in linegate("restore", archive, *places, "--force").output
    lock.release()
    assert (new / "line-3.db").read_bytes() == before[new / "line-3.db"]
    if os.geteuid() == 0:
        os.chown(new, 64123, 64123)  # as systemd has given it to the daemon's user
    assert linegate("restore", archive, *places, "--force").exit_code == 0
    assert {path.stat().st_uid for path in new.rglob("*")} == {new.stat().st_uid}
    assert (new / "pki").stat().st_mode & 0o777 == 0o700
    (aside,) = new.glob("before-restore-*")
    assert (aside / "pki/trusted/other.der").read_bytes() == b"another"
    assert "no glue" in (aside / "config/parts/reasons.yaml").read_text()
    assert (aside / "line-3.db").read_bytes() == before[new / "line-3.db"]
    assert [path.name for path in (new / "pki/trusted").iterdir()] == ["plc.der"], "nobody else is trusted"
    assert "no caps" in (config / "parts/reasons.yaml").read_text()


def test_a_damaged_archive_restores_nothing(tmp_path: Path) -> None:
    archive, new = backup(tmp_path), tmp_path / "new"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    done = linegate("restore", archive, "--state-dir", new, "--config-dir", tmp_path / "etc")
    assert done.exit_code == 1
    assert "is damaged or cut off" in done.output
    assert not list(new.iterdir())
    assert not (tmp_path / "etc").exists()


def test_what_cannot_be_backed_up_is_said(tmp_path: Path) -> None:
    file = tmp_path / "line-3.yaml"
    file.write_text(json.dumps(line_document()))
    done = backing_up(file, "--state-dir", tmp_path / "nowhere", "--output", tmp_path / "a.tar.zst")
    assert done.returncode == 1
    assert "there is no buffer" in done.stderr
    assert not [path for path in os.listdir(tmp_path) if path.startswith((".a", "a."))]


def test_of_a_lines_archives_the_newest_stay(tmp_path: Path) -> None:
    days = [f"{line}-2026010{day}T000000Z.tar.zst" for line in ("line-3", "line-33") for day in (1, 2)]
    for name in days:
        (tmp_path / name).touch()
    (tmp_path / "line-3.yaml").write_text(json.dumps(line_document()))
    (tmp_path / "line-3.db").touch()
    done = backing_up(tmp_path / "line-3.yaml", "--state-dir", tmp_path, "--output", tmp_path, "--keep", "2")
    assert done.returncode == 0, done.stderr
    kept = {path.name for path in tmp_path.glob("*.zst")}
    assert kept - set(days) == {Path(done.stdout.split(":")[0]).name}
    assert set(days) - kept == {days[0]}
