"""The gateway itself as event types: its runs, what it did not see or lost, its clock and its configuration."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict


class PreviousRun(TypedDict):
    """The run before this one; damaged, missing, restored: a whole buffer, and the stream of this one is new."""

    stream: str
    last_seq: str
    ended: Literal["clean", "unclean", "damaged", "missing", "restored"]


class GatewayStarted(TypedDict):
    """The daemon began."""

    version: str
    extension: str
    sqlite: str
    config_digest: str
    previous: PreviousRun | None


class GatewayStopped(TypedDict):
    """The daemon ended in order."""

    why: str


GatewayGap = TypedDict(
    "GatewayGap",
    {
        "what": Literal["off", "dropped", "damaged"],
        "began": str,
        "ended": str,
        "from": str | None,
        "to": str | None,
        "class": str | None,
        "count": int | None,
        "why": str,
        "of_stream": NotRequired[str],
    },
)
GatewayGap.__doc__ = (
    "A time that was not seen, or events that are gone; `of_stream` says whose numbers from and to are, where they "
    "are not this one's."
)


class GatewayClock(TypedDict):
    """The wall clock was set."""

    step_s: float
    suspect: bool


class GatewayAlive(TypedDict):
    """Each minute, so that silence is never ambiguous."""

    last_seq: str
    backlog: dict[str, int]
    open: list[str]


class NamesChanged(TypedDict):
    """Entries of one section of the configuration."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class ConfigChanges(TypedDict):
    """`sections` names what else differs."""

    devices: NamesChanged
    machines: NamesChanged
    uplinks: NamesChanged
    sections: list[str]


class ConfigApplied(TypedDict):
    """The running daemon took over a changed configuration; only what differs was begun anew."""

    digest: str
    changes: ConfigChanges
