"""What a check of several sections finds: one problem or note, and where it stands."""

from __future__ import annotations

from typing import NamedTuple

from gateway.config.compose import Path


class Finding(NamedTuple):
    """One problem or note: its path, and the character within its text where that matters."""

    path: Path
    message: str
    offset: int | None = None
    note: bool = False
    key: bool = False
    """Whether the key is meant and not its value."""
