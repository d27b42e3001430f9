"""Which request a reply on a line without transaction ids belongs to: what the order of a unit's requests proves.

RTU frames carry a unit id, a function code and a number of bytes, and nothing that tells two requests of one
shape apart (Modbus over Serial Line V1.02, 2.5.1). What can be relied on is this: a unit takes one request at a
time (2.4.1), so that it answers in the order asked, each request once or never, however late; and a frame that
is repeated or damaged on its way is either no frame, or comes before the next request is sent.

Requests are numbered as they are sent. One that has no answer may have it still, at any time later. A reply
may then come from any unanswered request of its shape (an exception: from any of its function code); let `p` be
the earliest of these. Whichever of them it came from, that one is not before `p`, and so, by the order, no
request up to `p` can be answered any more. Two things follow:

- If `p` is the request that was sent last, the reply is its answer. This alone is believed. The value was read
  after its request was sent: it is neither another signal's nor older than the timeout.
- Otherwise the reply says nothing, but all requests up to `p` are settled.

A request is therefore sent only while none of its own shape is unanswered (`tells`). In that case a *fence* goes
first, a request of another shape whose reply is not wanted: any reply to it settles what was sent before it. A
line on which everything is answered needs none. The first request to a unit needs one, since whoever held the
line before may have left the same one behind.

A shape's unanswered requests are kept as the numbers of the first and the last: as if there were more between
them, which only makes less believed. So a unit that is silent for a year takes no memory.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from protocols.modbus.address import Table
from protocols.modbus.allowed import read_pdu
from protocols.modbus.request import UNREACHABLE

Shape: TypeAlias = tuple[int, int]
"""Function code and bytes of data of the reply to a request."""
MOST_BYTES = 250
"""Most data in a reply (Application Protocol V1.1b3, 6.1 and 6.3: 2000 bits, 125 registers)."""
_EXCEPTION = 0x80
_OTHER_TABLE = {Table.COIL: Table.DISCRETE, Table.DISCRETE: Table.COIL, Table.HOLDING: Table.INPUT}
_OTHER_TABLE[Table.INPUT] = Table.HOLDING


class Heard(Enum):
    """What a reply is."""

    ANSWER = "of the request sent last, and of no other"
    LATE = "perhaps of an earlier request"
    STRANGE = "of no request that is unanswered"


class Order:
    """The unanswered requests of one unit; kept as long as the line, over all connections."""

    def __init__(self) -> None:
        self._sent = 0
        self._first: dict[Shape, int] = {}
        self._last: dict[Shape, int] = {}
        self._same_table = False
        """Whether fences read the table of the request that they protect: for units that ignore the other one."""

    def asked(self, shape: Shape) -> None:
        """A request is sent."""
        self._sent += 1
        self._first.setdefault(shape, self._sent)
        self._last[shape] = self._sent

    def heard(self, pdu: bytes) -> Heard:
        """A reply has come: a whole frame's function code and what follows it, of two bytes at least."""
        function, second = pdu[0], pdu[1]
        if function & _EXCEPTION:
            causes = [first for (code, _), first in self._first.items() if code == function ^ _EXCEPTION]
        else:
            causes = [self._first[shape] for shape in ((function, second),) if shape in self._first]
        if not causes:
            return Heard.STRANGE
        earliest = min(causes)
        if not (function & _EXCEPTION and second in UNREACHABLE):  # a gateway's word: the unit may answer yet
            self._settle(earliest)
        return Heard.ANSWER if earliest == self._sent else Heard.LATE

    def _settle(self, upto: int) -> None:
        for shape, last in list(self._last.items()):
            if last <= upto:
                del self._first[shape], self._last[shape]
            else:
                self._first[shape] = max(self._first[shape], upto + 1)

    def tells(self, shape: Shape) -> bool:
        """Whether the values of a request of this shape, sent now, could be told from all that may still come."""
        return shape not in self._first

    def fence(self, shape: Shape, address: int) -> tuple[bytes, Shape]:
        """The PDU and the shape of a request whose answer settles those of `shape`, near the address.

        It reads the other table of the same width, since an exception is then as good as values; or, for units
        that do not answer for a table which they lack, another number of registers or bits of the same one.
        """
        table = Table(shape[0]) if self._same_table else _OTHER_TABLE[Table(shape[0])]
        step = 1 if table.is_bits else 2
        fresh = self._last[shape] + 1  # a fence that is unanswered itself still serves if it was sent later
        size = max(
            (size for size in range(step, MOST_BYTES + 1, step) if (table, size) != shape),
            key=lambda size: min(self._first.get((int(table), size), fresh), fresh),
        )
        count = size * 8 - 7 if table.is_bits else size // 2
        return read_pdu(table, min(address, 0x10000 - count), count), (int(table), size)

    def fence_was_ignored(self) -> None:
        """Try the other kind next time."""
        self._same_table = not self._same_table
