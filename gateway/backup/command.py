"""`linegate backup` and `linegate restore`: what they say, and their exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from gateway.backup.archive import BackupError
from gateway.backup.making import archives, back_up
from gateway.backup.restoring import restore
from gateway.check import load_or_exit
from gateway.checkpoint import CheckpointError
from gateway.control.wire import ControlError
from gateway.outbox.errors import BufferError
from gateway.progress import Progress

GOOD, TROUBLE = 0, 1


def backup_line(
    file: Path, state_dir: Path, output: Path | None, keep: int | None, *, recordings: bool, move: bool
) -> int:
    """Make an archive of the line that `file` describes; beside it so many of its own may stay."""
    config = load_or_exit(file)

    def work(progress: Progress) -> None:
        target, made = back_up(file, config, state_dir, output, recordings=recordings, move=move, progress=progress)
        progress.done()
        size = target.stat().st_size / 1e6
        sys.stdout.write(f"{target}: {len(made.members)} files, {size:,.1f} MB, up to seq {made.last_seq}, read back\n")
        for old in [] if keep is None else archives(target.parent, file.stem)[:-keep]:
            old.unlink(missing_ok=True)
        if move:
            sys.stdout.write(f"this machine has given the line up: no daemon starts on {state_dir} any more\n")

    return _run(work)


def restore_line(archive: Path, state_dir: Path, config_dir: Path, events: Path | None, *, force: bool) -> int:
    """Put the line of an archive in place."""

    def work(progress: Progress) -> None:
        done = restore(archive, state_dir, config_dir, events, force=force, progress=progress)
        progress.done()
        made, out = done.manifest, sys.stdout
        out.write(f"{made.line} as of {made.made}: {done.file}, {state_dir}\n")
        if done.aside is not None:
            out.write(f"what was there is in {done.aside}\n")
        out.write(f"its events go on in the stream {done.stream}, after {made.stream} up to seq {made.last_seq}\n")
        if not made.moved and events is None:
            out.write(
                f"what was made since {made.made} will not be counted: the gateway before may have published it.\n"
                "If the plant has those events, restore with --events, to count on from the last of them\n"
            )
        out.write("see that the gateway before does not run any more, then start this one\n")

    return _run(work)


def _run(work: Callable[[Progress], None]) -> int:
    progress = Progress(sys.stderr)
    try:
        work(progress)
    except (BackupError, BufferError, CheckpointError, ControlError) as error:
        progress.done()
        sys.stderr.write(f"{error.why}; {error.remedy}\n" if error.remedy else f"{error.why}\n")
        return TROUBLE
    return GOOD
