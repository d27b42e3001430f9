"""Which requests read a device's signals: neighbours coalesced over small gaps, each signal in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ext.registers import RegisterPlan
from ext.table import SignalTable
from protocols.modbus.config import Address, ModbusDevice, ModbusSignal, Table

MAX_BITS = 2000
"""Most coils or discrete inputs in one request (Modbus Application Protocol V1.1b3, clauses 6.1 and 6.2)."""
BITS_A_REGISTER = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One read of `count` registers or bits from `address`, and how its reply fills the table."""

    table: Table
    address: int
    count: int
    decode: RegisterPlan

    def __str__(self) -> str:
        last = self.address + self.count - 1
        return f"{self.table.name.lower()}:{self.address}..{last}"


@dataclass(frozen=True, slots=True)
class _Placed:
    number: int
    signal: ModbusSignal
    address: Address

    @property
    def end(self) -> int:
        return self.address.number + self.signal.registers


def plan_requests(device: ModbusDevice, table: SignalTable) -> list[Request]:
    """The requests of one scan, in order of table and address; defines each signal's kind in `table`."""
    placed = [_Placed(n, signal, device.locate(signal)) for n, signal in enumerate(device.signals.values())]
    requests = []
    for modbus_table in Table:
        mine = sorted((p for p in placed if p.address.table is modbus_table), key=lambda p: p.address.number)
        requests += [_request(device, modbus_table, block, table) for block in _blocks(device, modbus_table, mine)]
    return requests


def _blocks(device: ModbusDevice, table: Table, placed: Iterable[_Placed]) -> Iterator[list[_Placed]]:
    """Neighbours that one request reads together."""
    most = MAX_BITS if table.is_bits else device.max_registers
    gap = device.max_gap * BITS_A_REGISTER if table.is_bits else device.max_gap
    block: list[_Placed] = []
    end = 0
    for one in placed:
        begin = one.address.number
        if block and (begin - end > gap or max(end, one.end) - block[0].address.number > most):
            yield block
            block, end = [], 0
        block.append(one)
        end = max(end, one.end)
    if block:
        yield block


def _request(device: ModbusDevice, table: Table, block: list[_Placed], signals: SignalTable) -> Request:
    first = block[0].address.number
    count = max(one.end for one in block) - first
    decode = RegisterPlan(signals, count, len(block), bits=table.is_bits)
    for one in block:
        decode.add(
            one.number,
            one.address.number - first,
            one.signal.type or "bool",
            bit=one.address.bit or 0,
            words_little=(one.signal.word_order or device.word_order) == "little",
            bytes_little=(one.signal.byte_order or device.byte_order) == "little",
            scale=one.signal.scale,
            offset=one.signal.offset,
            length=one.signal.length or 0,
        )
    return Request(table, first, count, decode)
