"""`linegate reload`: has the running daemon take over a changed configuration, and says what that changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from gateway.config.apart import load_apart
from gateway.control.client import ask_daemon
from gateway.control.wire import ControlError

GOOD, TROUBLE = 0, 1


def reload_file(file: Path, state_dir: Path, *, as_json: bool) -> int:
    """Returns the exit code: 0, or 1 where the daemon refused or none runs; a bad file ends the process with 2."""
    config = load_apart(file)
    asked = {"file": str(file.resolve()), "digest": config.digest}
    try:
        (answer,) = ask_daemon(state_dir, state_dir / config.buffer.path, "reload", **asked)
    except ControlError as error:
        sys.stderr.write(f"{error.why}\n  {error.remedy}\n")
        return TROUBLE
    if as_json:
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    else:
        lines = [*_changes(answer["changes"])] or ["nothing differs from what runs already"]
        sys.stdout.write("".join(f"{line}\n" for line in [*lines, f"configuration {answer['digest']} is in force"]))
    return GOOD


def _changes(changes: Mapping[str, Any]) -> Iterator[str]:
    for section, change in changes.items():
        if isinstance(change, Mapping):
            yield from (f"{section} {how}: {', '.join(names)}" for how, names in change.items() if names)
        elif change:
            yield f"also changed: {', '.join(change)}"
