"""The interface between an uplink and its runner.

The runner gives committed events in order and takes back how many of them the other side has
acknowledged; errors of the link are those of `protocols.driver`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gateway.config.model import LineConfig
from gateway.events import Envelope, StoredEvent
from protocols.driver import NotConnected

if TYPE_CHECKING:
    from gateway.lineview import LineView


class Rejected(Exception):
    """The other side refuses one event for good, whatever is tried: it settles into quarantine.

    `which` is the position in what `write` was given; everything before it is acknowledged.
    """

    def __init__(self, which: int, why: str) -> None:
        super().__init__(why)
        self.which = which
        self.why = why


class TryLater(NotConnected):
    """The other side asks to be left alone for a while: the runner waits so long beside its own backoff."""

    def __init__(self, why: str, remedy: str, wait_s: float) -> None:
        super().__init__(why, remedy)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class UplinkContext:
    """What an uplink is told besides its own section."""

    name: str
    line: LineConfig
    envelope: Envelope
    state_dir: Path
    view: LineView
    trial: bool = False
    """Only whether it connects is asked, maybe beside the daemon: nothing is said there, and no session is taken."""
    said: set[str] = field(default_factory=set)
    """What was logged once and need not be again, whatever the number of connections."""
    others: dict[str, str] = field(default_factory=dict)
    """Other gateways of this line that the other side tells of: streams, and since when."""
    kept: dict[str, int] = field(default_factory=dict)
    """Numbers that an uplink takes from one connection to the next."""


class Uplink(Protocol):
    """One way out. The constructor does no I/O; an uplink is used for one connection."""

    def __init__(self, config: Any, context: UplinkContext) -> None:
        """`config` is the section of this uplink's type."""

    async def connect(self) -> None:
        """Connect once. Raises ConnectFailed or ConfigError."""

    async def serve(self) -> None:
        """Listen while connected; never returns. Raises NotConnected when the connection is gone."""

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Send in order; how many of the prefix are acknowledged (at least one). Raises Rejected or NotConnected."""

    async def close(self) -> None:
        """Give everything back; idempotent."""
