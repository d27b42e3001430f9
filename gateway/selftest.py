"""What has to be right before the daemon begins, each said in words of its own: decoders, SQLite, state, clock."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import sqlite3
import stat
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import structlog

from gateway.events import rfc3339

if TYPE_CHECKING:
    from gateway.config.model import Config

DECODERS = ("table", "registers", "opcua", "cip", "trends", "samples", "curves")
SQLITE = (3, 35, 0)
"""The oldest that knows every statement of ours."""
MADE_MS = 1_767_225_600_000
"""2026-01-01: no clock that is right shows less."""
MOVED = "moved.json"
"""In a state directory: the line was given up here, by `linegate backup --move`."""

log = structlog.get_logger("gateway")


class NotFit(Exception):
    """The daemon cannot begin. With `code` 2 it cannot later either, before a person has done something."""

    def __init__(self, why: str, remedy: str, code: int = 1) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        self.code = code


def check_decoders() -> None:
    """Before anything else is imported. Raises NotFit where the compiled decoders are missing or decode wrongly."""
    remedy = f"install linegate anew for this Python ({sys.executable}); in a checkout: make"
    try:
        table_module, registers, *_ = (importlib.import_module(f"ext.{name}") for name in DECODERS)
        sent = (-2, 1.5, 2**63 + 1)
        table = table_module.SignalTable(["short", "float", "long"])
        plan = registers.RegisterPlan(table, 7, 3)
        for signal, (position, kind) in enumerate(((0, "int16"), (1, "float32"), (3, "uint64"))):
            plan.add(signal, position, kind)
        plan.decode(struct.pack(">hfQ", *sent))
        found = tuple(table.read(signal)[1] for signal in range(3))
    except (ImportError, AttributeError, TypeError) as error:
        raise NotFit(f"the compiled decoders cannot be used: {error}", remedy, 2) from None
    if found != sent:
        raise NotFit(f"the compiled decoders make {found} of {sent}", remedy, 2)


def decoders_or_exit() -> None:
    """Before there is a log: what is wrong with the decoders on standard error, and the end of the process."""
    try:
        check_decoders()
    except NotFit as unfit:
        sys.stderr.write(f"{unfit.why}; {unfit.remedy}\n")
        sys.exit(unfit.code)


def check_host(config: Config, state_dir: Path) -> None:
    """SQLite, the state directory, disk and clock. Raises NotFit; what is only doubtful is logged. Blocking."""
    if sqlite3.sqlite_version_info < SQLITE:
        needed = ".".join(map(str, SQLITE))
        why = f"Python's SQLite is {sqlite3.sqlite_version}, and {needed} is the oldest that will do"
        raise NotFit(why, "use a newer Python or libsqlite3", 2)
    _check_state(state_dir)
    _check_moved(state_dir / MOVED)
    free = shutil.disk_usage(state_dir).free
    if free < config.buffer.min_free_disk:
        what = f"{free / 1e6:,.0f} MB are free on the disk of {state_dir}, less than `buffer.min_free_disk`"
        log.warning("disk_nearly_full", why=what, remedy="free space: what does not fit is dropped or kept in memory")
    if (now_ms := time.time_ns() // 1_000_000) < MADE_MS:
        what = f"the system's clock shows {rfc3339(now_ms)}, before this version was made"
        log.warning("clock_is_wrong", why=what, remedy="set it, and let it synchronise; its battery may be empty")


def _check_state(state_dir: Path) -> None:
    """Whether files can be made, written and removed. A full disk is no reason not to begin."""
    probe = state_dir / f".probe-{os.getpid()}"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"linegate")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise NotFit(
                f"the state directory {state_dir} cannot be written: {error.strerror}", _remedy(error)
            ) from None
    keys = state_dir / "pki" / "own"
    for path, forbidden in ((state_dir, stat.S_IWOTH), (keys / "linegate.pem", stat.S_IRWXO)):
        if path.exists() and path.stat().st_mode & forbidden:
            what = "written" if path == state_dir else "read"
            log.warning("others_have_access", why=f"{path} can be {what} by every user", remedy=f"chmod o-rwx {path}")


def _remedy(error: OSError) -> str:
    return {
        errno.EACCES: f"it has to belong to the user that the daemon runs as (now {os.geteuid()})",
        errno.EPERM: f"it has to belong to the user that the daemon runs as (now {os.geteuid()})",
        errno.EROFS: "its file system is read-only: mount it for writing; if the disk failed, see the system's log",
        errno.EIO: "the disk fails: see the system's log, and replace it",
        errno.ENOTDIR: "a part of its path is a file: give another directory",
        errno.EEXIST: "it is a file: give another directory",
    }.get(error.errno or 0, "see the disk and the system's log")


def _check_moved(note: Path) -> None:
    if not note.exists():
        return
    try:
        said = orjson.loads(note.read_bytes())
        whence = f"into {said['archive']} at {said['at']}"
    except (OSError, ValueError, KeyError, TypeError):
        whence = f"({note} cannot be read)"
    remedy = f"run the line where that was restored; if it never was, remove {note} to go on here"
    raise NotFit(f"the line was given up here, and moved {whence}", remedy, 2)
