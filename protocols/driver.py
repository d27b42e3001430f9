"""The interface between a driver and its runner, and the errors that steer the runner.

    LinkError
    ├── ConnectFailed   connecting did not work; try again after a backoff
    ├── NotConnected    the connection is gone; build a new driver
    └── ConfigError     what is configured cannot work here; say so and retry slowly

A refused block, a silent unit or a garbled frame is not an error of the link: its signals become bad
and `read` goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from protocols.device import DeviceSettings
from protocols.model import Batch

if TYPE_CHECKING:
    from ext.table import SignalTable
    from protocols.modbus.order import Order


class LinkError(Exception):
    """A connection to a device or an uplink cannot go on; `remedy` tells the user what to do."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class ConnectFailed(LinkError):
    """The other side could not be reached or refused the connection."""


class NotConnected(LinkError):
    """The connection is gone; what uses it is not used again."""


class ConfigError(LinkError):
    """The other side is there, but not as configured; only a person can mend it."""


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """One connection and all devices (unit ids) behind it."""

    name: str
    """For logs and health: `127.0.0.1:502`."""
    devices: Mapping[str, DeviceSettings]
    state_dir: Path | None = None
    """Where a driver keeps files of its own, such as its certificate; None where nothing may be kept."""


@dataclass(slots=True)
class LinkStats:
    """What a driver counts; kept by the runner across reconnects, so that counters never go back."""

    requests: int = 0
    request_errors: int = 0
    garbled: int = 0
    """Replies that were cut, damaged, or not the answer; among the request errors."""
    timeouts: int = 0
    overruns: int = 0
    """Scans skipped because the one before took too long."""
    dropped: int = 0
    """Times that a device's own queue was full, so that values between two that came are not known."""
    skewed: int = 0
    """Times of values that were too far from the gateway's clock to be used."""
    bytes_read: int = 0
    round_trip_ms: float | None = None
    """Duration of the last scan's requests; None where nothing is asked, or was."""
    quarantined: set[tuple[str, int]] = field(default_factory=set)
    """Device and number of each signal whose address is refused, so that it is reported once."""
    orders: dict[int, Order] = field(default_factory=dict)
    """By unit id, on a line without transaction ids: requests whose answer may come yet, on a later connection too."""


class Driver(Protocol):
    """One endpoint and all devices behind it. The constructor does no I/O; one driver, one connection."""

    def __init__(self, endpoint: EndpointConfig, tables: Mapping[str, SignalTable], stats: LinkStats) -> None: ...

    async def connect(self) -> None:
        """Connect once. Raises ConnectFailed or ConfigError."""

    async def read(self) -> Batch:
        """Wait for the next scan or notification. Raises NotConnected when the endpoint is gone."""

    async def close(self) -> None:
        """Give everything back; idempotent, and never raises for a connection that is dead already."""
