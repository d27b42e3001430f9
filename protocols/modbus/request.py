"""One read request: its bytes, which signals its reply fills, and how a reply is checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ext.registers import RegisterPlan
from ext.table import DecodeError
from protocols.modbus.allowed import read_pdu
from protocols.modbus.config import Table

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Exception codes (Modbus Application Protocol V1.1b3, clause 7)."""
UNREACHABLE = (10, 11)


class Outcome(Enum):
    """What became of a request that brought no values."""

    SILENT = "silent"
    UNASKED = "unasked"
    GARBLED = "garbled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request brought no values; `why` is what its signals show. `code` is the exception's."""

    outcome: Outcome
    why: str
    code: int = 0

    @property
    def is_silence(self) -> bool:
        """Whether the unit itself said nothing: no answer, or a gateway's word that it could not reach it."""
        return self.outcome is Outcome.SILENT or self.code in UNREACHABLE


class Exchange:
    """A request as it travels, and what became of it. The link sets `failure` at each turn."""

    __slots__ = ("failure", "pdu", "tail", "unit_id")

    def __init__(self, pdu: bytes, unit_id: int) -> None:
        self.pdu = pdu
        self.unit_id = unit_id
        self.tail = struct.pack(">HHB", 0, len(pdu) + 1, unit_id) + pdu
        """MBAP after the transaction id (Messaging on TCP/IP V1.0b, 3.1.3), and the PDU."""
        self.failure: Failure | None = None

    def receive(self, data: bytes, at: int, size: int) -> None:
        """Take the reply PDU of `size` bytes at `at`, or note the failure."""
        raise NotImplementedError

    def refuse(self, code: int) -> None:
        """Note that an exception came in place of an answer."""
        name = EXCEPTIONS.get(code, "not in the standard")
        self.fail(Outcome.REFUSED, f"exception {code} ({name}) for {self}", code)

    def fail(self, outcome: Outcome, why: str, code: int = 0) -> None:
        """Note why there is no answer this time."""
        self.failure = Failure(outcome, why, code)


class Request(Exchange):
    """Reads `count` registers or bits of one table from `address`; lives as long as its driver.

    Everything that can be made once is made here, since a request is sent thousands of times an hour.
    """

    __slots__ = (
        "_function",
        "_size",
        "address",
        "count",
        "decode",
        "scan",
        "shape",
        "silences",
        "table",
    )

    def __init__(self, table: Table, address: int, count: int, decode: RegisterPlan, unit_id: int, scan: int) -> None:
        super().__init__(read_pdu(table, address, count), unit_id)
        self.table = table
        self.address = address
        self.count = count
        self.decode = decode
        self.scan = scan
        self.silences = 0
        """Scans in a row in which it was not answered."""
        self._function = int(table)
        self._size = decode.size
        self.shape = (self._function, self._size)
        """Function code and bytes of data of the reply."""

    @property
    def signals(self) -> Sequence[int]:
        """Numbers of the signals that it reads."""
        return self.decode.signals

    def receive(self, data: bytes, at: int, size: int) -> None:
        """Check the reply PDU of `size` bytes at `at`, decode it into the table, or note the failure."""
        if size == self._size + 2 and data[at] == self._function and data[at + 1] == self._size:
            try:
                self.decode.decode(data, at + 2, size - 2)
            except DecodeError as error:
                self.fail(Outcome.GARBLED, str(error))
            return
        self._explain(data, at, size)

    def _explain(self, data: bytes, at: int, size: int) -> None:
        """What is wrong with a reply that is not the one expected."""
        code = data[at] if size else 0
        if code == self._function | 0x80 and size == 2:
            self.refuse(data[at + 1])
        elif code != self._function:
            self.fail(Outcome.GARBLED, f"the reply has function code {code}, {self._function} was asked")
        elif size < 2 or data[at + 1] != size - 2:
            told = data[at + 1] if size > 1 else 0
            self.fail(Outcome.GARBLED, f"the reply announces {told} bytes and holds {max(0, size - 2)}")
        else:
            self.fail(Outcome.GARBLED, f"the reply has {size - 2} bytes of data, {self._size} were asked for")

    def __str__(self) -> str:
        last = self.address + self.count - 1
        return f"{self.table.name.lower()}:{self.address}..{last}"
