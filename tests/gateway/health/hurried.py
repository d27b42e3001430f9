"""A daemon whose endpoint has less patience, so that tests need not have its own."""

from __future__ import annotations

import os
from pathlib import Path

HURRIED = """
import gateway.health.entries, gateway.health.guest, gateway.health.stream
gateway.health.guest.HEAD_S = gateway.health.stream.SLOW_S = gateway.health.entries.STORED_S = 1.0
gateway.health.guest.SEND_BYTES = 4096
"""
"""A `sitecustomize` of the daemon: less patience, and small buffers."""


def hurried(place: Path) -> dict[str, str]:
    """The environment of a daemon that has it."""
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(HURRIED)
    return {"PYTHONPATH": os.pathsep.join([str(place / "site"), os.environ.get("PYTHONPATH", "")])}
