"""What goes over the control socket: one JSON object asked, a line of JSON for each thing answered.

    {"do": "buffer.stats", ...}          the request
    {"item": {...}}                      any number of these, as they come
    {"done": {...}}                      the last line, or
    {"refused": why, "remedy": what}     the last line: nothing was done

Errors:

    ControlError          the daemon cannot be asked
      NoDaemon            none runs there
      Refused             it runs, and refuses this
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_LINE = 4_000_000
"""Bytes of a request or of one item."""
LONGEST_PATH = 107
"""What the kernel takes as the name of a socket (sun_path of unix(7), less its end)."""


class ControlError(Exception):
    """The daemon cannot be asked; `remedy` says what to do."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class NoDaemon(ControlError):
    """No daemon listens."""


class Refused(ControlError):
    """What was asked is not possible, or not now."""


def socket_path(buffer: Path) -> Path:
    """Where the daemon of a buffer listens: in systemd's runtime directory, else beside the buffer."""
    given = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(given) / "control.sock" if given else buffer.with_name(buffer.name + ".sock")
