"""What an uplink into files may say in the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.uplinks import ShapedUplink
from protocols.settings import Duration, Size, at_least, between


class FileUplink(ShapedUplink):
    """Events in an append-only file: JSON, one a line, or MessagePack, one after another."""

    type: Literal["file"] = Field(examples=["file"])
    """An append-only file."""
    path: str = Field(min_length=1, examples=["events.ndjson"])
    """Relative to the state directory."""
    rotate: Annotated[Size, at_least("1kB")] = 64_000_000
    """Size at which a new file begins."""
    rotate_every: Annotated[Duration, between("1min", "31d")] | None = None
    """Age at which a new file begins, by the UTC clock: `1h` on the hour, `1d` at midnight."""
    keep: int = Field(default=10, ge=1)
    """Closed files that are kept."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """What becomes of closed files."""
