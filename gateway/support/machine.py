"""What the line's computer is: versions, kernel, memory, disk, and what lies in the state directory."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from gateway import __version__, ntp
from gateway.events import rfc3339

_MOST_FILES = 1000
_LOG_LINES = 5000
_JOURNAL_S = 30.0


def versions() -> dict[str, Any]:
    """Of linegate, of what it runs on, and of every library."""
    libraries = {one.metadata["Name"]: one.version for one in distributions()}
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "linegate": __version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "kernel": f"{platform.system()} {platform.release()} {platform.version()}",
        "machine": platform.machine(),
        "system": release.get("PRETTY_NAME"),
        "libraries": dict(sorted(libraries.items(), key=lambda one: one[0].lower())),
    }


def computer(state_dir: Path) -> dict[str, Any]:
    """Processors, load, memory in bytes, the disk of the state directory, and the clock."""
    found: dict[str, Any] = {
        "time": rfc3339(time.time_ns() // 1_000_000),
        "clock_synchronised": ntp.is_synchronised(),
        "up_s": round(time.clock_gettime(time.CLOCK_BOOTTIME)),
        "processors": os.cpu_count(),
        "load": os.getloadavg(),
        "user": os.geteuid(),
    }
    with suppress(OSError, ValueError, IndexError):
        words = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        found["memory"] = {
            name: int(size[0]) * 1024 for name, *size in words if name in ("MemTotal:", "MemAvailable:", "SwapFree:")
        }
    with suppress(OSError):
        found["disk"] = shutil.disk_usage(state_dir)._asdict()
    return found


def files(state_dir: Path) -> list[dict[str, Any]]:
    """What lies in the state directory: names, sizes, modes, owners and times; no content. Raises OSError."""
    found = []
    state_dir.stat()
    for path in sorted(state_dir.rglob("*"))[:_MOST_FILES]:
        with suppress(OSError):
            of = path.lstat()
            found.append(
                {
                    "name": path.relative_to(state_dir).as_posix(),
                    "size": of.st_size,
                    "mode": f"{of.st_mode:o}",
                    "owner": f"{of.st_uid}:{of.st_gid}",
                    "changed": rfc3339(of.st_mtime_ns // 1_000_000),
                }
            )
    return found


def journal(line: str) -> str:
    """The newest lines that the service of a line has in systemd's journal. Raises OSError in words."""
    asked = [
        "journalctl",
        "--unit",
        f"linegate@{line}",
        "--lines",
        str(_LOG_LINES),
        "--no-pager",
        "--output",
        "short-iso",
    ]
    try:
        done = subprocess.run(asked, capture_output=True, timeout=_JOURNAL_S, check=False)
    except FileNotFoundError:
        raise OSError("there is no journalctl here; give the log's file with --log") from None
    except subprocess.TimeoutExpired:
        raise OSError("journalctl does not answer") from None
    said = done.stdout.decode(errors="replace")
    if done.returncode != 0 or not said.replace("-- No entries --", "").strip():
        why = done.stderr.decode(errors="replace").strip() or "it has no entries that this user may read"
        raise OSError(f"journalctl --unit linegate@{line}: {why}; give the log's file with --log")
    return said


def tail(path: Path) -> str:
    """The newest lines of a log file. Raises OSError."""
    most = 10_000_000
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read(most).decode(errors="replace")
