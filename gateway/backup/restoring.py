"""`linegate restore`: an archive's line onto this machine, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.backup.archive import BUFFER, CONFIGURATION, PKI, RECORDINGS, BackupError, Manifest, extract
from gateway.backup.copy import check
from gateway.backup.making import give_to_owner, recordings_of
from gateway.backup.rebirth import last_readings, rebirth
from gateway.check import load_or_exit
from gateway.config.model import Config
from gateway.events import rfc3339
from gateway.outbox.errors import BufferLocked
from gateway.outbox.lock import BufferLock
from gateway.selftest import MOVED

_PLACE = ".restoring"
_REBORN = "reborn.db"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put where."""

    manifest: Manifest
    file: Path
    """The configuration."""
    stream: str
    aside: Path | None
    """Where what was there before is now."""


def restore(
    archive: Path, state_dir: Path, config_dir: Path, events: Path | None, *, force: bool, progress: Progress
) -> Restored:
    """Put an archive's line in place. Raises BackupError, BufferError or CheckpointError; nothing has changed then.

    `events`: what the plant has of the line's events, to go on counting where they end. `force`: what is there moves
    aside.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = state_dir / _PLACE
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        try:
            return _restore(archive, state_dir, config_dir, events, place, force=force, progress=progress)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        remedy = "see that there is room, and that this user may read and write there; sudo, for a service"
        raise BackupError(f"{error.filename or archive}: {error.strerror}", remedy) from None
    except sqlite3.Error as error:
        raise BackupError(f"the buffer in {archive} cannot be used: {error}", "take another archive") from None


def _restore(
    archive: Path,
    state_dir: Path,
    config_dir: Path,
    events: Path | None,
    place: Path,
    *,
    force: bool,
    progress: Progress,
) -> Restored:
    manifest = extract(archive, place, progress)
    config = load_or_exit(place / CONFIGURATION / manifest.file)
    progress("checking the buffer")
    with closing(sqlite3.connect(place / BUFFER)) as db:
        check(db, archive)
    readings = {}
    if events is not None:
        with events.open("rb") as lines:
            readings = last_readings(lines, manifest.stream, manifest.last_seq)
    stream = rebirth(place / BUFFER, place / _REBORN, moved=manifest.moved, readings=readings)
    buffer = state_dir / config.buffer.path
    buffer.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = BufferLock(buffer)
    except BufferLocked as locked:
        raise BackupError(locked.why, "stop the service first: systemctl stop linegate@LINE") from None
    try:
        targets = dict(_targets(place, config, state_dir, config_dir))
        there = dict(_in_the_way(place, targets, buffer, config, state_dir, config_dir))
        if there and not force:
            names = ", ".join(sorted(map(str, there)))
            raise BackupError(f"there is already {names}", "restore elsewhere, or move it aside with --force")
        aside = _move_aside(there, state_dir) if there else None
        for source, target in targets.items():
            is_state = target.is_relative_to(state_dir)
            _make_directory(target.parent, 0o700 if is_state else 0o755)  # another user reads the configuration
            shutil.move(source, target)
        lock.note(None)  # it knows of the buffer that was here
        shutil.move(place / _REBORN, buffer)  # last: what is cut short is seen to be
        os.chmod(buffer, 0o600)
        give_to_owner(state_dir)
        _sync(buffer.parent)
    finally:
        lock.release()
    return Restored(manifest, targets[place / CONFIGURATION / manifest.file], stream, aside)


def _targets(place: Path, config: Config, state_dir: Path, config_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Where each file of the archive belongs, but the buffer."""
    for name, target in (
        (CONFIGURATION, config_dir),
        (PKI, state_dir / "pki"),
        (RECORDINGS, recordings_of(config, state_dir)),
    ):
        for path in sorted((place / name).rglob("*")):
            if path.is_file():
                yield path, target / path.relative_to(place / name)


def _in_the_way(
    place: Path, targets: Mapping[Path, Path], buffer: Path, config: Config, state_dir: Path, config_dir: Path
) -> Iterator[tuple[Path, Path]]:
    """What is to go, and its name where things go: two trust lists or two recordings would become a third."""
    for end in ("", "-wal", "-shm"):
        yield from _there(buffer.with_name(buffer.name + end))
    yield from _there(state_dir / MOVED)
    yield from _there(state_dir / "pki")
    if (place / RECORDINGS).exists():
        yield from _there(recordings_of(config, state_dir))
    for source, target in targets.items():
        is_configuration = source.is_relative_to(place / CONFIGURATION)
        if is_configuration and target.exists() and target.read_bytes() != source.read_bytes():
            yield target, Path(CONFIGURATION) / target.relative_to(config_dir)


def _there(path: Path) -> Iterator[tuple[Path, Path]]:
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        yield path, Path(path.name)


def _move_aside(there: Mapping[Path, Path], state_dir: Path) -> Path:
    stamp = rfc3339(time.time_ns() // 1_000_000)[:19].replace("-", "").replace(":", "")
    aside = state_dir / f"before-restore-{stamp}Z"
    aside.mkdir(mode=0o700)
    for path, name in there.items():
        _make_directory((aside / name).parent, 0o700)
        shutil.move(path, aside / name)
    return aside


def _make_directory(path: Path, mode: int) -> None:
    if not path.is_dir():
        _make_directory(path.parent, mode)
        path.mkdir()
        path.chmod(mode)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
