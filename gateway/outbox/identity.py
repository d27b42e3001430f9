"""Who a buffer is, and which one or which run was before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.events import Former
from gateway.outbox.witness import Witness

APPLICATION_ID = 0x4C474154
"""Says that a SQLite file is a buffer of ours: `LGAT`."""

Ended: TypeAlias = Literal["clean", "unclean", "damaged", "missing", "restored"]
"""How a run, or a whole buffer, came to its end."""


@dataclass(frozen=True, slots=True)
class Previous:
    """What the run before left: its stream, the last seq it gave, and how it ended."""

    stream: str
    last_seq: int
    ended: Ended

    @property
    def clean(self) -> bool:
        """Whether it stopped in order."""
        return self.ended == "clean"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a buffer is."""

    stream: str
    last_seq: int = 0
    former: tuple[Former, ...] = ()
    """Buffers before it of which it has events, the youngest first."""
    previous: Previous | None = None
    replaced: Witness | None = None
    """What is known of the buffer in whose place somebody put this one."""
