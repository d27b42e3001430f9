"""What the outbox counts, for health and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OutboxStats:
    """Plain counters; they begin at 0 with the process. Read them, never write them."""

    commits: int = 0
    commit_failures: int = 0
    """Transactions that a full disk or the like undid; each was tried again."""
    commit_ms: float = 0.0
    """Duration of the last commit."""
    events_stored: int = 0
    events_mended: int = 0
    """Events of which JSON could not carry everything; they are stored as far as it can."""
    events_dropped: int = 0
    """Events deleted that no uplink waits for, because they were older than `retain` or their room was needed."""
    events_lost: int = 0
    """Events deleted for want of room that an uplink still waited for, or that nothing could store."""
    pending: int = 0
    """Events that wait in memory for a commit."""
    quarantined: int = 0
    size_bytes: int = 0
    backlog: dict[str, int] = field(default_factory=dict)
    """Committed events that each uplink has not settled yet."""
    full: str = ""
    """Why events are being lost, or empty."""
    degraded: str = ""
    """Why nothing can be stored at present, or empty."""
    exposed: str = ""
    """Why what is stored would be gone with the process, or empty: its files were deleted."""
    aside: tuple[str, ...] = ()
    """Names of damaged or foreign files that were moved aside and are still there."""
