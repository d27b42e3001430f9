"""The simulated PLC over real sockets, read by pymodbus's client."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from protocols.simulated.machine import CALM, Filler
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import ExtraUnit, FillerUnit, extra_value


@pytest.fixture
def filler() -> Filler:
    filler = Filler(1, CALM, bottles=70_000)
    filler.advance(30_000)
    return filler


@pytest.fixture
async def plc(filler: Filler) -> AsyncIterator[ModbusPlc]:
    extra = ExtraUnit(1_000)
    plc = ModbusPlc({1: FillerUnit(filler, extra), 2: extra}, lambda: filler.now_ms)
    await plc.start()
    yield plc
    await plc.close()


@pytest.fixture
async def client(plc: ModbusPlc) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=plc.port, timeout=5, retries=0, reconnect_delay=0)
    assert await client.connect()
    yield client
    client.close()


def frame(pdu: bytes, transaction: int = 1, unit_id: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit_id) + pdu


async def test_all_four_tables(plc: ModbusPlc, client: AsyncModbusTcpClient, filler: Filler) -> None:
    assert (await client.read_coils(0)).bits[0]
    assert (await client.read_discrete_inputs(4)).bits[0]
    assert (await client.read_input_registers(7)).registers == [1350]
    registers = (await client.read_holding_registers(100, count=5)).registers
    convert, kind = client.convert_from_registers, client.DATATYPE
    assert convert(registers[:2], kind.FLOAT32) == pytest.approx(filler.speed)
    assert convert(registers[2:4], kind.UINT32) == 70_000 + filler.truth().total
    assert registers[4] == filler.truth().rejects
    recipe = (await client.read_holding_registers(200, count=8)).registers
    assert convert(recipe, kind.STRING) == "cola-500ml"
    assert plc.violations == []
    assert plc.requests == 5


async def test_each_answer_is_of_its_own_instant(filler: Filler, client: AsyncModbusTcpClient) -> None:
    before = (await client.read_holding_registers(1)).registers[0]
    filler.advance(filler.now_ms + 5_000)
    assert (await client.read_holding_registers(1)).registers[0] == before + 50


async def test_a_whole_block_of_extra_values(filler: Filler, client: AsyncModbusTcpClient) -> None:
    for unit_id in (1, 2):
        registers = (await client.read_holding_registers(1_100, count=124, device_id=unit_id)).registers
        values = struct.unpack(">62f", struct.pack(">124H", *registers))
        assert list(values) == [extra_value(50 + place, filler.now_ms) for place in range(62)]


@pytest.mark.parametrize(("address", "count", "why"), [(22, 1, 2), (104, 2, 2), (65535, 1, 2), (1_000, 125, None)])
async def test_what_is_not_defined_is_exception_2(
    client: AsyncModbusTcpClient, address: int, count: int, why: int | None
) -> None:
    answer = await client.read_holding_registers(address, count=count)
    assert (answer.exception_code if answer.isError() else None) == why


async def test_an_unknown_unit_is_exception_11(client: AsyncModbusTcpClient) -> None:
    answer = await client.read_coils(0, device_id=9)
    assert (answer.isError(), answer.exception_code) == (True, 11)


async def test_device_identification(plc: ModbusPlc, client: AsyncModbusTcpClient) -> None:
    answer = await client.read_device_information(read_code=1)
    assert isinstance(answer, ReadDeviceInformationResponse)
    assert answer.information == {0: b"linegate", 1: b"simulated filler", 2: b"1.0"}
    one = await client.read_device_information(read_code=4, object_id=1)
    assert isinstance(one, ReadDeviceInformationResponse)
    assert one.information == {1: b"simulated filler"}
    none = await client.read_device_information(read_code=4, object_id=99)
    assert none.exception_code == 2
    assert plc.violations == []


async def test_writing_is_refused_and_recorded(plc: ModbusPlc, client: AsyncModbusTcpClient, filler: Filler) -> None:
    answers: list[ModbusPDU] = [
        await client.write_coil(0, False),
        await client.write_register(104, 0),
        await client.write_coils(0, [False]),
        await client.write_registers(102, [0, 0]),
        await client.mask_write_register(address=20, and_mask=0, or_mask=1),
        await client.readwrite_registers(read_address=100, read_count=1, write_address=100, values=[1]),
        await client.report_device_id(),
    ]
    assert [(answer.isError(), answer.exception_code) for answer in answers] == [(True, 1)] * 7
    assert [violation.request[0] for violation in plc.violations] == [5, 6, 15, 16, 22, 23, 17]
    assert str(plc.violations[1]) == "function code 6 to unit 1: 06 00 68 00 00"
    assert filler.bottles == 70_000 + filler.truth().total


@pytest.mark.parametrize(
    "pdu", [b"\x2b\x0d\x00", b"\x2b", b"\x00", b"\x64\x01", b"\x14\x07\x06\x00\x01\x00\x00\x00\x01"]
)
async def test_anything_outside_the_allow_list_is_exception_1(plc: ModbusPlc, pdu: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    writer.write(frame(pdu))
    answer = await asyncio.wait_for(reader.readexactly(9), 5)
    assert answer[7:] == bytes((pdu[0] | 0x80, 1))
    assert [violation.request for violation in plc.violations] == [pdu]
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("pdu", [b"\3\0\0", b"\3\0\x64\0\0", b"\3\0\x64\0\x7e", b"\1\0\0\x07\xd1", b"\3\0\x64\0\5\0"])
async def test_a_garbled_read_is_exception_3(plc: ModbusPlc, pdu: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    writer.write(frame(pdu))
    answer = await asyncio.wait_for(reader.readexactly(9), 5)
    assert answer[7:] == bytes((pdu[0] | 0x80, 3))
    assert plc.violations == []
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("cut", [1, 7, 8, 11, 12, 13, 100, 1 << 20])
async def test_requests_in_flight_are_all_answered_however_they_are_cut(plc: ModbusPlc, cut: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    sent = b"".join(frame(struct.pack(">BHH", 3, 1_000 + number, 1), number) for number in range(60))
    for begin in range(0, len(sent), cut):
        writer.write(sent[begin : begin + cut])
        await writer.drain()
        await asyncio.sleep(0)
    for number in range(60):
        answer = await asyncio.wait_for(reader.readexactly(11), 5)
        assert struct.unpack_from(">HHHBBB", answer) == (number, 0, 5, 1, 3, 2)
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_modbus_is_hung_up_on(plc: ModbusPlc) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_muted_plc_swallows_requests(filler: Filler) -> None:
    asked = asyncio.Event()

    def now() -> int:
        asked.set()
        return filler.now_ms

    plc = ModbusPlc({1: FillerUnit(filler)}, now)
    reader, writer = await asyncio.open_connection("127.0.0.1", await plc.start())
    plc.muted = True
    writer.write(frame(b"\1\0\0\0\1", 7))
    await asyncio.wait_for(asked.wait(), 5)
    plc.muted = False
    writer.write(frame(b"\1\0\0\0\1", 8))
    answer = await asyncio.wait_for(reader.readexactly(10), 5)
    assert answer[:2] == b"\0\x08"
    writer.close()
    await plc.close()


async def test_dropped_connections_end(plc: ModbusPlc) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
    writer.write(frame(b"\1\0\0\0\1"))
    await asyncio.wait_for(reader.readexactly(10), 5)
    plc.drop()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


async def test_refusing_keeps_the_connections_and_the_port(plc: ModbusPlc, client: AsyncModbusTcpClient) -> None:
    plc.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", plc.port)
    assert (await client.read_coils(0)).bits[0]
    await plc.accept()
    second = AsyncModbusTcpClient("127.0.0.1", port=plc.port, timeout=5, retries=0, reconnect_delay=0)
    assert await second.connect()
    assert (await second.read_coils(0)).bits[0]
    second.close()


async def test_a_taken_port_is_an_error(plc: ModbusPlc) -> None:
    other = ModbusPlc({}, lambda: 0, port=plc.port)
    with pytest.raises(OSError, match=r"in use|cannot listen"):
        await other.start()
    await other.close()
