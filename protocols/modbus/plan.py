"""Which requests read a device's signals: neighbours coalesced over small gaps, each signal in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ext.registers import RegisterPlan
from ext.table import SignalTable
from protocols.modbus.config import Address, ModbusDevice, ModbusSignal, Table
from protocols.modbus.request import Request

MAX_BITS = 2000
"""Most coils or discrete inputs in one request (Modbus Application Protocol V1.1b3, clauses 6.1 and 6.2)."""
BITS_A_REGISTER = 16


@dataclass(frozen=True, slots=True)
class _Placed:
    number: int
    signal: ModbusSignal
    address: Address

    @property
    def end(self) -> int:
        return self.address.number + self.signal.registers


class Planner:
    """Plans a device's requests, and smaller ones for those that the device refuses."""

    def __init__(self, device: ModbusDevice, table: SignalTable) -> None:
        self._device = device
        self._table = table
        self._signals = tuple(device.signals.values())

    def requests(self) -> list[Request]:
        """All requests, by scan class, table and address; defines each signal's kind in the table."""
        requests = []
        for scan, (_, numbers) in enumerate(self._device.scan_classes):
            placed = self._place(numbers)
            for table in Table:
                mine = sorted((p for p in placed if p.address.table is table), key=lambda p: p.address.number)
                requests += [self._request(table, block, scan) for block in _blocks(self._device, table, mine)]
        return requests

    def halves(self, request: Request) -> list[Request]:
        """A request of several signals as two of half as many: one of them leaves the refused address behind."""
        placed = self._place(request.signals)
        middle = len(placed) // 2
        return [self._request(request.table, part, request.scan) for part in (placed[:middle], placed[middle:])]

    def address(self, signal: int) -> str:
        """A signal's address as the configuration writes it."""
        return self._signals[signal].address

    def _place(self, numbers: Iterable[int]) -> list[_Placed]:
        named = ((number, self._signals[number]) for number in numbers)
        return [_Placed(number, signal, self._device.locate(signal)) for number, signal in named]

    def _request(self, table: Table, block: Sequence[_Placed], scan: int) -> Request:
        first = block[0].address.number
        count = max(one.end for one in block) - first
        decode = RegisterPlan(self._table, count, len(block), bits=table.is_bits)
        for one in block:
            self._add(decode, one, one.address.number - first)
        return Request(table, first, count, decode, self._device.unit_id, scan)

    def _add(self, decode: RegisterPlan, one: _Placed, position: int) -> None:
        signal, device = one.signal, self._device
        first, last = signal.bits or (one.address.bit or 0, -1)
        decode.add(
            one.number,
            position,
            signal.type or "bool",
            bit=first,
            width=last - first + 1 if signal.bits else 0,
            words_little=(signal.word_order or device.word_order) == "little",
            bytes_little=(signal.byte_order or device.byte_order) == "little",
            scale=signal.scale,
            offset=signal.offset,
            length=signal.length or 0,
            encoding=signal.encoding,
            invalid=signal.invalid,
        )


def plan_requests(device: ModbusDevice, table: SignalTable) -> list[Request]:
    """The requests that read a device once, over all its scan classes."""
    return Planner(device, table).requests()


def _blocks(device: ModbusDevice, table: Table, placed: Iterable[_Placed]) -> Iterator[list[_Placed]]:
    """Neighbours that one request reads together."""
    most = MAX_BITS if table.is_bits else device.max_registers
    gap = device.max_gap * BITS_A_REGISTER if table.is_bits else device.max_gap
    block: list[_Placed] = []
    end = 0
    for one in placed:
        begin = one.address.number
        if block and (not device.coalesce or begin - end > gap or max(end, one.end) - block[0].address.number > most):
            yield block
            block, end = [], 0
        block.append(one)
        end = max(end, one.end)
    if block:
        yield block
