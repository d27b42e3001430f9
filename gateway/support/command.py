"""`linegate support`: writes the archive, and says what is in it and what is not."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

import orjson

from gateway import __version__
from gateway.events import rfc3339
from gateway.support.gathering import Gathered, Gathering
from gateway.support.redaction import REDACTED

GOOD, TROUBLE = 0, 1
FORMAT = "linegate.support"
VERSION = 1
MANIFEST = "manifest.json"


def support_line(file: Path, state_dir: Path, output: Path | None, log: Path | None, *, recording: bool) -> int:
    """Make the archive of the line that `file` describes; the exit code."""
    stamp = rfc3339(time.time_ns() // 1_000_000)
    name = f"{file.stem}-support-{stamp[:19].replace('-', '').replace(':', '')}Z.zip"
    target = Path(name) if output is None else output / name if output.is_dir() else output
    found = Gathering(file, state_dir, log, recording=recording).collect()
    try:
        size = _write(target, found, stamp)
    except OSError as error:
        sys.stderr.write(f"{target}: {error.strerror}; give another name or place with --output\n")
        return TROUBLE
    out = sys.stdout
    out.write(f"{target}: {len(found.parts)} files, {size / 1e3:,.0f} kB\n")
    out.writelines(f"  {part.name:<20} {part.what}\n" for part in found.parts)
    out.writelines(f"  missing: {what}: {why}\n" for what, why in found.missing.items())
    out.write("names of hosts, machines and products, and counts, are in it: look through it before you send it\n")
    return GOOD


def _write(target: Path, found: Gathered, stamp: str) -> int:
    """The archive's size in bytes; mode 0600, and never a part of one under the name. Raises OSError."""
    if target.exists():
        raise FileExistsError(17, "it exists")
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "made": stamp,
        "linegate": __version__,
        "redacted": f"{REDACTED} stands for secrets, users, people, and paths and queries of http URLs",
        "members": [{"name": part.name, "what": part.what, "size": len(part.content)} for part in found.parts],
        "missing": [{"what": what, "why": why} for what, why in found.missing.items()],
    }
    unfinished = target.with_name(f".{target.name}.partial")
    unfinished.unlink(missing_ok=True)
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
            for part in found.parts:
                archive.writestr(part.name, part.content)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size
