"""The command line's end of the control socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from gateway.control.wire import MAX_LINE, ControlError, NoDaemon, Refused, socket_path

ANSWER_S = 60.0
RUNTIME = Path("/run/linegate")
"""Where systemd's unit has its instances' sockets, of which only the daemon is told."""


def ask_daemon(state_dir: Path, buffer: Path, do: str, **given: Any) -> Iterator[dict[str, Any]]:
    """`ask` of the daemon that has `buffer` in `state_dir`, be it started by hand or by systemd."""
    of_the_unit = RUNTIME / state_dir.name / "control.sock"
    beside = socket_path(buffer)
    # os.path.exists: what may not be looked at is connected to, and refused in words
    return ask(next((one for one in (beside, of_the_unit) if os.path.exists(one)), beside), do, **given)


def ask(path: Path, do: str, **given: Any) -> Iterator[dict[str, Any]]:
    """The items with which the daemon that listens at `path` answers, as they come.

    Raises NoDaemon where none listens, Refused with the daemon's words, ControlError where it falls silent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(str(path))
        except PermissionError:
            remedy = "run the command as the daemon's user, or root"
            raise ControlError(f"{path} belongs to another user", remedy) from None
        except OSError as error:
            why = f"no daemon listens at {path}: {error.strerror or error}"
            raise NoDaemon(why, "start it (systemctl start linegate@LINE), or give its --state-dir") from None
        try:
            connection.sendall(orjson.dumps({"do": do, **given}) + b"\n")
            with connection.makefile("rb") as answers:
                yield from _items(answers)
        except OSError as error:
            raise ControlError(f"the daemon at {path} does not answer: {error}", "see its log") from None


def _items(answers: Any) -> Iterator[dict[str, Any]]:
    while True:
        line = answers.readline(MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise ControlError("the daemon ended before its answer did", "see its log, and try again")
        answer = orjson.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"], answer["remedy"])
        if "done" in answer:
            return
        yield answer["item"]
