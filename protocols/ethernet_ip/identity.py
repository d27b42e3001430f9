"""The controller's own mode and faults, as signals: pieces of the Identity object's status word.

CIP Volume 1, 5-2 (Identity object, attribute 5); what Logix means by bits 4 to 15: 1756-RM003, ControllerDevice object.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.settings import shown

PREFIX = "identity:"
IDENTITY_CLASS, IDENTITY_INSTANCE, STATUS_ATTRIBUTE = 0x01, 1, 5


@dataclass(frozen=True, slots=True)
class StatusPiece:
    """Some bits of the status word: an unsigned number, or whether any of them is set (`any_of`)."""

    bits: tuple[int, int] | None = None
    any_of: int = 0


PIECES: dict[str, StatusPiece] = {
    "status": StatusPiece(),
    "mode": StatusPiece(bits=(4, 7)),
    "keyswitch": StatusPiece(bits=(12, 13)),
    "minor_fault": StatusPiece(any_of=0x0300),
    "major_fault": StatusPiece(any_of=0x0C00),
}
"""By name: `status` is the whole word; `mode` is 6 in run and 7 in program mode, 5 when faulted, 1 during a firmware
update and 4 with bad flash memory; `keyswitch` is 1 in run, 2 in program, 3 in remote; faults are there or not."""


def is_identity(tag: str) -> bool:
    """Whether what is written as a tag is of the controller itself."""
    return tag.lower().startswith(PREFIX)


def status_piece(tag: str) -> StatusPiece:
    """The piece that `identity:mode` and the like name; raises ValueError in words for any other."""
    name = tag[len(PREFIX) :]
    if not tag.startswith(PREFIX) or name not in PIECES:
        known = ", ".join(f"{PREFIX}{piece}" for piece in PIECES)
        raise ValueError(f"{shown(tag)} is nothing that a controller says of itself; it is one of {known}")
    return PIECES[name]
