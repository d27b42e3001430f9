"""What people tell the daemon of a machine, as event types."""

from __future__ import annotations

from typing import Literal, NotRequired

from gateway.schemas.common import OfLine, StopReason


class OperatorEntry(OfLine):
    """A person's word."""

    entry: str
    what: Literal["reason", "note", "split", "merge", "scrap", "job", "crew", "undo"]
    target: str | None
    reason: StopReason | None
    note: str | None
    amount: int | None
    who: str
    when: str
    at: str | None
    other: str | None
    given_job: str | None
    given_product: str | None
    given_target: NotRequired[int | None]
    given_due: NotRequired[str | None]
    crew: str | None


class MachineVerified(OfLine):
    """A person counted by hand: parts of one time by gateway, by the PLC's counter, and by hand."""

    began: str
    ended: str
    gateway: int | None
    plc: int | None
    hand: int
    agrees: bool
    who: str


class MachineMuted(OfLine):
    """A person works on the machine online: its events until then carry `muted`, and none is left out."""

    until: str
    who: str
    why: str
