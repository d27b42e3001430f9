"""`linegate backup`: of the daemon that runs, or of a buffer that no daemon has."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

import orjson

from gateway import __version__
from gateway.backup.archive import (
    BUFFER,
    CONFIGURATION,
    PKI,
    RECORDINGS,
    BackupError,
    Content,
    Manifest,
    extract,
    write,
)
from gateway.backup.copy import Copied, copy_buffer
from gateway.buffer.asking import answer
from gateway.config.loader import files_of
from gateway.config.model import Config
from gateway.events import rfc3339
from gateway.outbox.errors import BufferError, BufferLocked
from gateway.outbox.lock import BufferLock
from gateway.recording.files import recorded
from gateway.selftest import MOVED

ENDING = ".tar.zst"
Progress = Callable[[str], None]


def back_up(
    file: Path,
    config: Config,
    state_dir: Path,
    output: Path | None,
    *,
    recordings: bool,
    move: bool,
    progress: Progress,
) -> tuple[Path, Manifest]:
    """Make an archive, and read it once more; where it is, and what is in it.

    `move`: no daemon may run, and none starts on this state again. Raises BackupError, BufferError or ControlError.
    """
    now_ms = time.time_ns() // 1_000_000
    stamp = rfc3339(now_ms)
    name = f"{file.stem}-{stamp[:19].replace('-', '').replace(':', '')}Z{ENDING}"
    target = Path(name) if output is None else output / name if output.is_dir() else output
    if target.exists():
        raise BackupError(f"{target} exists", "give another name with --output")
    buffer = state_dir / config.buffer.path
    if move:
        _claim(buffer).release()
    partial_name = target.with_name(target.name + ".partial")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as place:
            copied = copy_buffer(partial(answer, config, state_dir), Path(place) / BUFFER, progress)
            files = [path.resolve() for path in files_of(file)]
            top = Path(os.path.commonpath([path.parent for path in files]))
            manifest = Manifest(
                config.source, file.stem, stamp, __version__, config.digest, files[0].relative_to(top).as_posix(),
                copied.stream, copied.last_seq, move,
            )  # fmt: skip
            contents = _contents(files, top, Path(place) / BUFFER, state_dir, config, recordings=recordings)
            partial_name.unlink(missing_ok=True)
            manifest = write(partial_name, contents, manifest, progress)
        if extract(partial_name, None, lambda name: progress(f"checking {name}")) != manifest:
            raise BackupError(f"{partial_name} reads otherwise than it was written", "see the disk, try again")
        if move:
            _give_up(state_dir, buffer, copied, target, stamp)
        partial_name.rename(target)
    except OSError as error:
        where = error.filename or target
        raise BackupError(f"{where}: {error.strerror}", "see that there is room and that it may be read") from None
    finally:
        partial_name.unlink(missing_ok=True)
    return target, manifest


def archives(directory: Path, line: str) -> list[Path]:
    """A line's archives that have the name that they get by default, the oldest first."""
    named = re.compile(re.escape(line) + r"-[0-9]{8}T[0-9]{6}Z" + re.escape(ENDING))
    return sorted(path for path in directory.iterdir() if named.fullmatch(path.name))


def _contents(
    files: list[Path], top: Path, buffer: Path, state_dir: Path, config: Config, *, recordings: bool
) -> Iterator[Content]:
    for path in files:
        yield Content(f"{CONFIGURATION}/{path.relative_to(top).as_posix()}", path)
    yield Content(BUFFER, buffer)
    pki = state_dir / "pki"
    for path in sorted(pki.rglob("*")):
        if path.is_file():
            yield Content(f"{PKI}/{path.relative_to(pki).as_posix()}", path)
    directory = recordings_of(config, state_dir)
    for path in recorded(directory) if recordings and directory.is_dir() else ():
        yield Content(f"{RECORDINGS}/{path.name}", path)


def recordings_of(config: Config, state_dir: Path) -> Path:
    """Where a line's recording is, or was when `run --record` made one."""
    return state_dir / (config.recording.path if config.recording is not None else "recordings")


def give_to_owner(state_dir: Path) -> None:
    """What root writes into a state directory belongs to its daemon's user; systemd looks at the directory alone."""
    if os.geteuid() == 0:
        owner = state_dir.stat()
        for path in state_dir.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _claim(buffer: Path) -> BufferLock:
    try:
        return BufferLock(buffer)
    except BufferLocked as locked:
        remedy = "stop the service for good first: systemctl disable --now linegate@LINE"
        raise BackupError(f"{locked.why}: a line that is moved must not go on here", remedy) from None


def _give_up(state_dir: Path, buffer: Path, copied: Copied, target: Path, stamp: str) -> None:
    """Say in the state directory that the line goes on elsewhere. Raises BackupError where it went on here."""
    lock = _claim(buffer)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(buffer))}?mode=ro", uri=True)) as db:
            ((last_seq,),) = db.execute("SELECT last_seq FROM meta").fetchall()
        if last_seq != copied.last_seq:
            raise BackupError("a daemon ran on this state meanwhile", "stop the service for good, and try again")
        note = {"archive": target.name, "at": stamp, "stream": copied.stream, "last_seq": copied.last_seq}
        new = state_dir / f".{MOVED}"
        new.write_bytes(orjson.dumps(note, option=orjson.OPT_INDENT_2) + b"\n")
        new.rename(state_dir / MOVED)
        give_to_owner(state_dir)
    except sqlite3.Error as error:
        raise BufferError(f"the buffer {buffer} cannot be read: {error}", "see the file's mode and the disk") from None
    finally:
        lock.release()
