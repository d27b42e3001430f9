"""The files of a recording: their names, their order, and which of them go."""

from __future__ import annotations

import errno
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.config.recording import RecordingConfig

ENDING = ".rec.zst"
_NAME = re.compile(r"(\d{8})-\d{8}T\d{6}Z" + re.escape(ENDING))


def recorded(directory: Path) -> list[Path]:
    """The recording's files in a directory, oldest first by the number in front, whatever the clock did."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def next_path(directory: Path, utc_ms: int) -> Path:
    """The name of a new file."""
    files = recorded(directory)
    number = int(files[-1].name[:8]) + 1 if files else 1
    began = datetime.fromtimestamp(utc_ms / 1000, UTC)
    return directory / f"{number:08d}-{began:%Y%m%dT%H%M%SZ}{ENDING}"


def make_room(directory: Path, config: RecordingConfig, room: int, min_free: int, now_s: float) -> None:
    """Remove the oldest files: those beyond `keep`, and as many as a new file of `room` bytes and the disk need.

    Raises OSError where that is not enough for the disk.
    """
    files = {path: path.stat() for path in recorded(directory)}
    size = sum(stat.st_size for stat in files.values())
    for path, stat in files.items():
        is_old = stat.st_mtime < now_s - config.keep / 1000
        if not is_old and size + room <= config.max_size and shutil.disk_usage(directory).free >= min_free:
            return
        with suppress(FileNotFoundError):
            path.unlink()
        size -= stat.st_size
    if shutil.disk_usage(directory).free < min_free:
        words = f"less than {min_free / 1e6:,.0f} MB of the disk is free, which `buffer.min_free_disk` leaves to others"
        raise OSError(errno.ENOSPC, words)
