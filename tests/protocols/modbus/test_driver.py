"""The Modbus TCP driver over real sockets, against pymodbus's own server and against one that misbehaves."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerRTU, FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ext.table import SignalTable
from protocols.driver import ConnectFailed, EndpointConfig, LinkStats, NotConnected
from protocols.modbus.allowed import read_pdu, read_request
from protocols.modbus.config import ModbusTcpDevice, Table
from protocols.modbus.driver import ModbusDriver
from protocols.modbus.raw import LineFramer, RawReply, use_frames
from protocols.model import Batch, Quality
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import Table as PlcTable
from tests.mangler import Mangler

REGISTERS = 400


class Memory:
    """A unit whose registers hold their own address, and whose bits are on at odd addresses."""

    def __init__(self) -> None:
        self.holes: set[int] = set()
        self.registers = list(range(REGISTERS))

    def read(self, table: PlcTable, address: int, count: int, ms: int) -> bytes | None:
        if address + count > REGISTERS or self.holes & set(range(address, address + count)):
            return None
        if table.is_bits:
            bits = sum((n & 1) << (n - address) for n in range(address, address + count))
            return bits.to_bytes((count + 7) // 8, "little")
        return struct.pack(f">{count}H", *self.registers[address : address + count])


SIGNALS: dict[str, Any] = {
    "low": {"address": "holding:10", "type": "uint16"},
    "high": {"address": "holding:300", "type": "uint16"},
    "measured": {"address": "input:5", "type": "uint32"},
    "coil": {"address": "coil:7"},
    "contact": {"address": "discrete:8"},
}
GOOD = {"low": 10, "high": 300, "measured": 5 << 16 | 6, "coil": True, "contact": False}


@asynccontextmanager
async def serving(units: dict[int, Memory]) -> AsyncIterator[ModbusPlc]:
    plc = ModbusPlc(units, lambda: 0)
    await plc.start()
    try:
        yield plc
        assert plc.violations == []
    finally:
        await plc.close()


@asynccontextmanager
async def reading(
    port: int, units: tuple[int, ...] = (1,), **device: Any
) -> AsyncIterator[tuple[ModbusDriver, dict[str, SignalTable], LinkStats]]:
    settings = {
        "protocol": "modbus_tcp", "host": "127.0.0.1", "port": port, "scan_interval": "20ms", "timeout": "200ms",
        "signals": SIGNALS, **device,
    }  # fmt: skip
    devices = {f"unit{unit}": ModbusTcpDevice.model_validate({**settings, "unit_id": unit}) for unit in units}
    tables = {name: SignalTable(one.signals) for name, one in devices.items()}
    for table in tables.values():
        for number in range(len(table)):
            table.forward(number)
    stats = LinkStats()
    driver = ModbusDriver(EndpointConfig(f"127.0.0.1:{port}", devices), tables, stats)
    await driver.connect()
    try:
        yield driver, tables, stats
    finally:
        await driver.close()


def values(table: SignalTable) -> dict[str, Any]:
    return {name: table.read(number)[1] for number, name in enumerate(table.names)}


def whys(table: SignalTable) -> dict[str, str | None]:
    return {name: table.read(number)[3] for number, name in enumerate(table.names)}


async def read_until(driver: ModbusDriver, device: str) -> Batch:
    async with asyncio.timeout(10):
        while (batch := await driver.read()).device != device:
            pass
    return batch


async def test_pymodbus_server_all_four_tables_and_every_type() -> None:
    numbers = struct.pack(">hHiIqQfd", -2, 65535, -70_000, 4_000_000_000, -(2**40), 2**63 + 1, 1.5, -2.25)
    words = [*list(struct.unpack(f">{len(numbers) // 2}H", numbers)), 4660, 4660, 22136, 13367, 12593, 0]
    holding = [SimData(0, values=words, datatype=DataType.REGISTERS)]
    coils = [SimData(0, values=[False, True] * 8, datatype=DataType.BITS)]
    device = SimDevice(id=1, simdata=(coils, coils, holding, holding))
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    places = {
        "int16": 0, "uint16": 1, "int32": 2, "uint32": 4, "int64": 6, "uint64": 10, "float32": 14, "float64": 16,
        "bcd16": 20, "bcd32": 21, "string": 23,
    }  # fmt: skip
    signals: dict[str, Any] = {kind: {"address": f"holding:{at}", "type": kind} for kind, at in places.items()}
    signals["string"]["length"] = 6
    signals |= {"coil": {"address": "coil:1"}, "contact": {"address": "discrete:2"}, "input": {"address": "input:1.15"}}
    try:
        async with reading(port, signals=signals) as (driver, tables, _):
            await driver.read()
            assert values(tables["unit1"]) == {
                "int16": -2, "uint16": 65535, "int32": -70_000, "uint32": 4_000_000_000, "int64": -(2**40),
                "uint64": 2**63 + 1, "float32": 1.5, "float64": -2.25, "bcd16": 1234, "bcd32": 12345678,
                "string": "4711",
                "coil": True, "contact": False, "input": True,
            }  # fmt: skip
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def test_only_what_changed_comes_again() -> None:
    memory = Memory()
    async with serving({1: memory}) as plc, reading(plc.port) as (driver, _, stats):
        assert {change[0] for change in (await driver.read()).changes} == set(range(5))
        assert (await driver.read()).changes == []
        memory.registers[300] = 7
        assert (await driver.read()).changes == [(1, 7, Quality.GOOD, None, None)]
        assert stats.requests == 3 * 5


async def test_refused_block_costs_its_own_signals() -> None:
    memory = Memory()
    memory.holes = {300}
    async with serving({1: memory}) as plc, reading(plc.port) as (driver, tables, stats):
        await driver.read()
        assert values(tables["unit1"]) == {**GOOD, "high": None}
        assert whys(tables["unit1"])["high"] == "exception 2 (illegal data address) for holding:300..300"
        assert stats.request_errors == 1


MBAP = 7


def holding_10(reply: bytes) -> bool:
    """Whether this is the answer for holding:10, by its data."""
    return reply[MBAP:] == bytes((3, 2, 0, 10))


@pytest.mark.parametrize("cut", range(11))
async def test_reply_cut_at_every_offset_costs_one_block(cut: int) -> None:
    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port) as (driver, tables, _):
            await driver.read()
            mangler.mangle = lambda reply: reply[:cut] if holding_10(reply) else reply
            await driver.read()
            assert values(tables["unit1"]) == {**GOOD, "low": None}
            mangler.mangle = lambda reply: reply
            await driver.read()
            assert values(tables["unit1"]) == GOOD


@pytest.mark.parametrize("cut", range(1, 4))
async def test_reply_cut_with_its_length_told_right_costs_one_block(cut: int) -> None:
    def shorten(reply: bytes) -> bytes:
        pdu = reply[MBAP : MBAP + cut]
        return reply[:4] + struct.pack(">H", len(pdu) + 1) + reply[6:7] + pdu if holding_10(reply) else reply

    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port) as (driver, tables, _):
            await driver.read()
            mangler.mangle = shorten
            await driver.read()
            assert values(tables["unit1"]) == {**GOOD, "low": None}


@pytest.mark.parametrize(
    ("offset", "byte", "why"),
    [
        (0, 0x7F, "no answer within 0.2 s"),  # another transaction
        (6, 0x09, "no answer within 0.2 s"),  # another unit
        (7, 0x04, "function code 4, 3 was asked"),
        (7, 0x63, "function code 99, 3 was asked"),
        (7, 0x83, "function code 131, 3 was asked"),  # an exception of the wrong length
        (8, 0x04, "announces 4 bytes and holds 2"),
        (2, 0x01, "cut or garbled"),  # not Modbus
        (4, 0x01, "cut or garbled"),  # a length beyond what came
    ],
)
async def test_every_wrong_byte_of_a_reply_is_noticed(offset: int, byte: int, why: str) -> None:
    def spoil(reply: bytes) -> bytes:
        return reply[:offset] + bytes((byte,)) + reply[offset + 1 :] if holding_10(reply) else reply

    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port) as (driver, tables, _):
            mangler.mangle = spoil
            await driver.read()
            assert values(tables["unit1"]) == {**GOOD, "low": None}
            assert why in str(whys(tables["unit1"])["low"])
            mangler.mangle = lambda reply: reply
            await driver.read()
            assert values(tables["unit1"]) == GOOD


@pytest.mark.parametrize("seed", range(8))
async def test_random_bytes_in_place_of_a_reply_never_become_a_value(seed: int) -> None:
    import random

    noise = random.Random(seed).randbytes(40)
    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port) as (driver, tables, _):
            mangler.mangle = lambda reply: noise if holding_10(reply) else reply
            await driver.read()
            assert values(tables["unit1"]) == {**GOOD, "low": None}


async def test_late_reply_is_not_taken_for_the_next_ones_answer() -> None:
    held: list[bytes] = []

    def delay(reply: bytes) -> bytes:
        if holding_10(reply):
            held.append(reply)
            return b""
        late = b"".join(held)
        held.clear()
        return late + reply

    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port) as (driver, tables, _):
            mangler.mangle = delay
            await driver.read()
            assert values(tables["unit1"]) == {**GOOD, "low": None}


async def test_silent_endpoint_is_given_up() -> None:
    async with serving({1: Memory()}) as plc, reading(plc.port) as (driver, tables, stats):
        await driver.read()
        plc.muted = True
        await driver.read()
        assert set(whys(tables["unit1"]).values()) == {"no answer within 0.2 s"}
        assert stats.timeouts == 2  # not one for every block
        with pytest.raises(NotConnected, match="answers nothing"):
            await driver.read()


async def test_endpoint_that_was_given_up_stays_so() -> None:
    async with serving({1: Memory()}) as plc, reading(plc.port) as (driver, _, _):
        plc.muted = True
        await driver.read()
        with pytest.raises(NotConnected) as first:
            await driver.read()
        async with asyncio.timeout(1):
            with pytest.raises(NotConnected) as again:
                await driver.read()
        assert (again.value.why, again.value.remedy) == (first.value.why, first.value.remedy)


async def test_silent_unit_leaves_its_neighbour_alone() -> None:
    class Mute(Memory):
        def read(self, table: PlcTable, address: int, count: int, ms: int) -> bytes | None:
            return None

    async with serving({1: Memory(), 2: Mute()}) as plc, reading(plc.port, units=(1, 2)) as (driver, tables, _):
        for _ in range(6):
            await read_until(driver, "unit1")
        assert values(tables["unit1"]) == GOOD
        assert set(values(tables["unit2"]).values()) == {None}


async def test_units_share_one_connection() -> None:
    async with serving({1: Memory(), 2: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port, units=(1, 2)) as (driver, _, _):
            assert {(await driver.read()).device for _ in range(4)} == {"unit1", "unit2"}
            assert mangler.connections == 1


async def test_dropped_connection_is_seen_at_once() -> None:
    async with serving({1: Memory()}) as plc, Mangler(plc.port) as mangler:
        async with reading(mangler.port, timeout="30s") as (driver, _, _):
            await driver.read()
            mangler.mangle = lambda _: None
            with pytest.raises(NotConnected):
                async with asyncio.timeout(5):
                    await driver.read()


async def test_refused_connection() -> None:
    async with serving({1: Memory()}) as plc:
        port = plc.port
    with pytest.raises(ConnectFailed, match=f"127.0.0.1:{port} refuses the connection") as error:
        async with reading(port):
            pass
    assert "check that the server runs" in error.value.remedy


async def test_close_is_idempotent() -> None:
    async with serving({1: Memory()}) as plc, reading(plc.port) as (driver, _, _):
        await driver.close()
        await driver.close()
        with pytest.raises(NotConnected):
            await driver.read()


@pytest.mark.parametrize("table", Table)
def test_allow_list_makes_reading_requests_only(table: Table) -> None:
    pdu = read_pdu(table, 5, 3)
    assert pdu == struct.pack(">BHH", int(table), 5, 3)
    request = read_request(pdu, 17)
    assert (request.function_code, request.encode(), request.dev_id) == (int(table), pdu[1:], 17)


@pytest.mark.parametrize("code", [0, 5, 6, 15, 16, 22, 23, 43])
def test_allow_list_refuses_everything_else(code: int) -> None:
    with pytest.raises(PermissionError):
        read_pdu(code, 0, 1)  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        read_request(struct.pack(">BHH", code, 0, 1), 1)


async def test_the_place_where_we_plug_into_pymodbus_is_still_there() -> None:
    """`raw.py` replaces the framer: a new pymodbus must still have it, and give it the bytes as they come."""
    client = AsyncModbusTcpClient("127.0.0.1", framer=FramerType.RTU)
    assert isinstance(client.ctx.framer, FramerRTU)
    frames: list[tuple[int, bytes]] = []

    def accept(unit_id: int, pdu: bytes) -> bool:
        frames.append((unit_id, pdu))
        return pdu[0] == 0x83

    framer = use_frames(client, accept, lambda *_: False)
    assert client.ctx.framer is framer
    assert framer.buildFrame(read_request(read_pdu(Table.HOLDING, 0x6B, 3), 0x11)).hex(" ") == "11 03 00 6b 00 03 76 87"
    for byte in bytes.fromhex("55 1103 02 000a f980 0103 02 000a 3843 11 83 02 c134"):
        client.ctx.data_received(bytes((byte,)))
    assert frames == [(0x11, b"\x03\x02\x00\x0a"), (0x01, b"\x03\x02\x00\x0a"), (0x11, b"\x83\x02")]
    reply = client.ctx.response_future.result()
    assert isinstance(reply, RawReply)
    assert (reply.dev_id, reply.pdu, reply.transaction_id) == (0x11, b"\x83\x02", 0)


@pytest.mark.parametrize("awaited", [False, True])
def test_frame_within_the_data_of_an_awaited_one_is_its_data(awaited: bool) -> None:
    """Registers that log a line's traffic may hold whole frames."""
    inner = bytes.fromhex("0103 02 000a 3843")
    outer = bytes((1, 3, 8)) + inner + b"\0"
    outer += FramerRTU.compute_CRC(outer).to_bytes(2, "big")
    frames: list[bytes] = []

    def accept(_: int, pdu: bytes) -> bool:
        frames.append(pdu)
        return False

    framer = LineFramer(accept, lambda _unit, _function, size: awaited and size == 8)
    used, _ = framer.handleFrame(outer[:-1], 1, 0)
    assert frames == ([] if awaited else [inner[1:-2]])
    framer.handleFrame(outer[used:], 1, 0)
    assert frames == ([outer[1:-2]] if awaited else [inner[1:-2]])
