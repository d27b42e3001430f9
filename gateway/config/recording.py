"""What is kept of the engine's inputs, to decide it all again later: the `recording:` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocols.settings import Duration, Settings, Size, at_least, between


class RecordingConfig(Settings):
    """Everything that the daemon reads, at full rate, in compressed files that `linegate replay` takes."""

    path: str = Field(default="recordings", min_length=1, examples=["recordings"])
    """Directory, relative to the state directory; it belongs to this recording alone."""
    max_size: Annotated[Size, at_least("10MB")] = 5_000_000_000
    """Most that all files may take; the oldest go first."""
    keep: Annotated[Duration, between("1min", "3650d")] = 14 * 86_400_000
    """Files whose last input is older go."""
