"""A packet on its way: decoded where its reply arrives, or kept until the project is known to be the uploaded one."""

from __future__ import annotations

from collections.abc import Callable

from ext.cip import PACKET, TypeChanged
from protocols.ethernet_ip.attributes import EDITION_REQUEST
from protocols.ethernet_ip.frames import Framed
from protocols.ethernet_ip.places import TagPlace
from protocols.ethernet_ip.plan import Packet, Planner
from protocols.ethernet_ip.status import PARTIAL_TRANSFER

_STATUS_AT = 2


class Asking:
    """One packet of a device, asked again and again, and what came of it last.

    `is_proof`: the packet itself asks for the edition. `is_kept`: it cannot, and it has tags, so that its values are
    decoded only by `believe`, after a proof that came later.
    """

    def __init__(
        self, packet: Packet, planner: Planner, framed: Callable[[bytes], Framed], *, has_edition: bool
    ) -> None:
        self.packet = packet
        self.framed = framed(packet.request)
        self._make_frame = framed
        self.is_proof = any(one.request == EDITION_REQUEST for one in packet.services)
        has_tags = any(isinstance(planner.places[n], TagPlace) for one in packet.services for n in one.signals)
        self.is_kept = has_edition and has_tags and not self.is_proof
        self._kept = b""
        self.refused: tuple[tuple[int, int, int], ...] = ()
        self.changed: TypeChanged | None = None
        """Why nothing of the packet was believed: another type, or another edition."""

    @property
    def is_settled(self) -> bool:
        """Whether everything of the packet was decoded where it arrived."""
        return not self.is_kept and not self.refused and self.changed is None

    @property
    def proves(self) -> bool:
        """Whether its reply told the expected edition."""
        return self.is_proof and self.changed is None and all(service != PACKET for service, _, _ in self.refused)

    def begin(self) -> None:
        """Forget the last scan."""
        self._kept, self.refused, self.changed = b"", (), None
        if self.packet.is_fragmented:
            self.packet.decode.begin()

    def receive(self, frame: bytes, start: int, size: int) -> Framed | None:
        """See `link.Exchange`."""
        if self.is_kept and not (self.packet.is_fragmented and _is_partial(frame, start, size)):
            self._kept = frame[start : start + size]
            return None
        self._decode(frame, start, size)
        received = self.packet.decode.received
        return self._make_frame(self.packet.fragment(received)) if received else None

    def believe(self) -> None:
        """Decode what was kept. Raises DecodeError."""
        if self._kept:
            self._decode(self._kept, 0, len(self._kept))

    def _decode(self, frame: bytes, start: int, size: int) -> None:
        try:
            self.refused = self.packet.decode.decode(frame, start, size)
        except TypeChanged as error:
            self.changed = error


class Proof:
    """Asks for the edition alone, after packets that cannot."""

    is_settled = False

    def __init__(self, edition: bytes, framed: Callable[[bytes], Framed]) -> None:
        self.framed = framed(EDITION_REQUEST)
        self._edition = edition
        self.holds = False

    def receive(self, frame: bytes, start: int, size: int) -> None:
        """See `link.Exchange`."""
        head = bytes((EDITION_REQUEST[0] | 0x80, 0, 0, 0))
        self.holds = frame[start : start + size] == head + self._edition


def _is_partial(frame: bytes, start: int, size: int) -> bool:
    return size > _STATUS_AT and frame[start + _STATUS_AT] == PARTIAL_TRANSFER
