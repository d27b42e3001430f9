"""A daemon whose endpoint has less patience, so that tests need not have its own."""

from __future__ import annotations

import os
from pathlib import Path

HURRIED = """
import os, gateway.health.channels, gateway.health.entries, gateway.health.guest, gateway.health.stream
gateway.health.guest.HEAD_S = gateway.health.stream.SLOW_S = gateway.health.entries.STORED_S = 1.0
gateway.health.entries.BODY_S = 1.0
gateway.health.guest.SEND_BYTES = 4096
gateway.health.guest.OPTIONS["timeout_keep_alive"] = 1
make = gateway.health.channels.Channel.make

def counted(channel):
    if "MADE" in os.environ:
        with open(os.environ["MADE"], "ab") as file:
            file.write(b".")
    return make(channel)

gateway.health.channels.Channel.make = counted
"""
"""A `sitecustomize` of the daemon: less patience, small buffers, and a byte in a file for each message that is made."""


def hurried(place: Path) -> dict[str, str]:
    """The environment of a daemon that has it."""
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(HURRIED)
    return {"PYTHONPATH": os.pathsep.join([str(place / "site"), os.environ.get("PYTHONPATH", "")])}
