"""Looking at Modbus devices over real sockets and lines: all that can be read is found, in as many requests as said."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.discovery import Discovery, Pace, Wishes
from protocols.driver import ConnectFailed, NotConnected
from protocols.modbus import discover
from protocols.modbus.allowed import identification_pdu
from protocols.modbus.config import ModbusRtuDevice, ModbusTcpDevice
from protocols.modbus.discover import ModbusTarget, discover_modbus, spans
from protocols.modbus.identification import Identification
from protocols.modbus.request import Outcome
from protocols.simulated.modbus import ModbusPlc
from protocols.simulated.registers import Table
from tests.peers.peer import Unit as PeerUnit
from tests.peers.peer import pty_peer
from tests.peers.processes import tcp_slave
from tests.peers.toolchain import SLAVE, compile_c
from tests.processes import free_port

ModbusTcpDevice.model_rebuild()  # the command checks the URL before the loop runs, which builds it and reads files
ModbusRtuDevice.model_rebuild()
NAMES = {Table.COIL: "coil", Table.DISCRETE: "discrete", Table.HOLDING: "holding", Table.INPUT: "input"}


class Memory:
    """A unit that has some addresses of each table; registers hold their own address, odd bits are on."""

    def __init__(self, there: dict[Table, set[int]]) -> None:
        self.there = there

    def read(self, table: Table, address: int, count: int, ms: int) -> bytes | None:
        places = range(address, address + count)
        if not self.there.get(table, set()).issuperset(places):
            return None
        if table.is_bits:
            return sum((place & 1) << (place - address) for place in places).to_bytes((count + 7) // 8, "little")
        return b"".join(place.to_bytes(2, "big") for place in places)


class Plc(ModbusPlc):
    """One that can be odd: `instead` gives the reply PDU to a request, or None for the usual one."""

    instead: Callable[[bytes], bytes | None] = staticmethod(lambda request: None)

    def answer(self, unit_id: int, request: bytes) -> bytes:
        """As of any."""
        usual = super().answer(unit_id, request)
        return self.instead(request) or usual


@asynccontextmanager
async def serving(units: dict[int, Memory], now: Callable[[], int] = lambda: 0) -> AsyncIterator[Plc]:
    plc = Plc(units, now)
    await plc.start()
    try:
        yield plc
        assert plc.violations == []
    finally:
        await plc.close()


def target(port: int, first: int, last: int, *units: int, only_first: bool = False) -> ModbusTarget:
    section = {"protocol": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout": "200ms"}
    return ModbusTarget(section, units or (1,), only_first, first, last)


async def look(at: ModbusTarget, rate: float = 100_000, **wishes: Any) -> Discovery:
    found = await discover_modbus(at, Wishes(**{"limit": 10_000, **wishes}), Pace(rate), lambda line: None)
    assert found.asked <= at.most
    return found


def addresses(found: Discovery) -> set[str]:
    return {one.address["address"] for one in found.signals}


@pytest.mark.parametrize("seed", range(4))
async def test_exactly_what_can_be_read_is_found(seed: int) -> None:
    chance = random.Random(seed)
    there = {table: {at for at in range(300) if chance.random() < (0, 0.3, 0.97, 1)[chance.randrange(4)]}
             for table in Table}  # fmt: skip
    memory = Memory(there)
    async with serving({7: memory}) as plc:
        at = target(plc.port, 20, 279, 7)
        found = await look(at)
        assert plc.requests == found.asked
    assert addresses(found) == {f"{NAMES[table]}:{n}" for table in Table for n in there[table] if 20 <= n <= 279}
    assert found.settings["unit_id"] == 7
    for one in found.signals:
        number = int(one.address["address"].partition(":")[2])
        is_bit = one.type == "bool"
        assert one.value == (("false", "true")[number & 1] if is_bit else f"0x{number:04X}")
        assert one.name == one.address["address"].replace(":", "_")


async def test_it_takes_what_was_said() -> None:
    async with serving({1: Memory({table: set(range(1000)) for table in Table})}) as plc:
        at = target(plc.port, 0, 999, 1, 255, 0, only_first=True)
        assert (await look(at)).asked == at.fewest == 42
        plc._units = {1: Memory({})}
        at = target(plc.port, 0, 149, 1)
        found = await look(at)
        # one answer showed that it is there, one who it is
        assert found.asked == at.most - 1 - (discover.MOST_IDENTIFICATIONS - 1)
    assert found.signals == []
    assert ("holding", "nothing of it can be read") in found.facts


async def test_the_first_unit_that_answers_is_looked_at() -> None:
    everything = Memory({table: set(range(10)) for table in Table})
    async with serving({255: everything, 0: everything}) as plc:
        found = await look(target(plc.port, 0, 9, 1, 255, 0, only_first=True))
        assert found.settings["unit_id"] == 255
        assert not any("nobody there" in note for note in found.notes)
        with pytest.raises(ConnectFailed, match=r"no unit answers: units 5\.\.6: exception 11") as failed:
            await look(target(plc.port, 0, 9, 5, 6))
        assert "--units 1-16" in failed.value.remedy
        plc.muted = True
        with pytest.raises(ConnectFailed, match=r"unit 5: no answer within 0\.2 s"):
            await look(target(plc.port, 0, 9, 5))


async def test_requests_keep_apart() -> None:
    times: list[float] = []

    def now() -> int:
        times.append(time.monotonic())
        return 0

    async with serving({1: Memory({table: set(range(500)) for table in Table})}, now) as plc:
        await look(target(plc.port, 0, 499), rate=100)
    assert len(times) == 21
    assert times[-1] - times[0] > 20 * 0.0095


async def test_limits_of_a_device_go_into_its_section() -> None:
    def instead(request: bytes) -> bytes | None:
        if request[0] == 1:
            return bytes((0x81, 1))
        return bytes((request[0] | 0x80, 3)) if request[0] < 5 and int.from_bytes(request[3:5], "big") > 30 else None

    async with serving({1: Memory({Table.HOLDING: set(range(300)) - {77}})}) as plc:
        plc.instead = instead
        found = await look(target(plc.port, 0, 299))
    assert addresses(found) == {f"holding:{n}" for n in range(300) if n != 77}
    assert found.settings["max_registers"] == 25
    assert found.settings["max_gap"] == 0
    assert ("holding", "0..76, 78..299 can be read") in found.facts
    coil = next(one for one in found.left_out if one.place == ("coil",))
    assert coil.why == "exception 1 (illegal function) for coil:0..99"


async def test_a_wish_narrows_what_is_proposed() -> None:
    async with serving({1: Memory({table: set(range(20)) for table in Table})}) as plc:
        found = await look(target(plc.port, 0, 19), match=("input_1*", "coil"), limit=15, name="mixer")
    assert found.name == "mixer"
    kept = [one.name for one in found.signals]
    assert kept == [f"input_{n}" for n in (1, *range(10, 20))] + [f"coil_{n}" for n in range(4)]
    assert any("16 more values beyond --limit 15" in note for note in found.notes)
    assert any("49 values not asked for by --match" in note for note in found.notes)


async def test_it_ends_where_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "MOST_REQUESTS", 60)
    async with serving({1: Memory({Table.HOLDING: {0, 1, 2}})}) as plc:
        found = await look(target(plc.port, 0, 999))
        assert plc.requests == found.asked == 60
    assert addresses(found) == {"holding:0", "holding:1", "holding:2"}
    assert any("it ends here, after 60 requests: narrow it with --range" in note for note in found.notes)


async def test_what_was_found_is_kept_when_the_device_hangs_up() -> None:
    async with serving({1: Memory({Table.HOLDING: set(range(10))})}) as plc:

        def instead(request: bytes) -> bytes | None:
            if request[0] == 2:
                plc.drop()
            return None

        plc.instead = instead
        found = await look(target(plc.port, 0, 9))
        assert len(found.signals) == 10
        assert any("not all was looked at: the connection was closed" in note for note in found.notes)
        with pytest.raises(NotConnected, match="closed"):
            await look(target(plc.port, 20, 29))
    with pytest.raises(ConnectFailed, match="refuses the connection"):
        await look(target(free_port(), 0, 9))


async def test_a_second_stack_says_who_it_is() -> None:
    identity = ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
        info_name={
            "VendorName": "Acme " * 20, "ProductCode": "FX-7", "MajorMinorRevision": "2.11",
            "VendorUrl": "acme.example/" + "x" * 90, "ProductName": "Filler 3000", "ModelName": "m" * 200,
        }
    )  # fmt: skip
    holding = [SimData(0, values=[7, 8, 9], datatype=DataType.REGISTERS)]
    coils = [SimData(0, values=[True] * 16, datatype=DataType.BITS)]
    server = ModbusTcpServer(
        SimDevice(id=1, simdata=(coils, coils, holding, holding)), identity=identity, address=("127.0.0.1", 0)
    )
    await server.serve_forever(background=True)
    try:
        found = await look(target(server.transport.sockets[0].getsockname()[1], 0, 7))  # type: ignore[attr-defined]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
    assert found.name == "filler_3000"
    facts = dict(found.facts)
    assert facts["vendor"] == ("Acme " * 20).strip()
    assert facts["revision"] == "2.11"
    assert facts["model"] == "m" * 200
    assert facts["holding"] == "0..2 can be read"


async def test_libmodbus_is_looked_at_and_has_no_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    program = compile_c(SLAVE, tmp_path_factory.mktemp("slave"))
    async with tcp_slave(program, 3, "--hole", "30-39") as port:
        found = await look(target(port, 0, 99, 3))
    assert addresses(found) == {f"{name}:{n}" for name in NAMES.values() for n in range(100) if not 30 <= n < 40}
    assert "exception 1 (illegal function)" in dict(found.facts)["identification"]


async def test_a_line_with_a_silent_table_and_a_silent_unit() -> None:
    class Mostly(PeerUnit):
        def answer(self, asked: Any) -> bytes | None:
            return None if asked.function == 2 else super().answer(asked)

    async with pty_peer({2: Mostly({5})}) as peer:
        section = {"protocol": "modbus_rtu", "serial": {"path": peer.path, "parity": "none"}, "timeout": "100ms"}
        at = ModbusTarget(section, (1, 2), False, 0, 199)
        found = await look(at)
    assert addresses(found) == {f"{name}:{n}" for name in ("holding", "input", "coil") for n in range(200) if n != 5}
    assert found.settings["serial"]["path"] == peer.path
    assert found.settings["unit_id"] == 2
    assert any(note.startswith("nobody there: unit 1: no answer within 0.1 s") for note in found.notes)
    assert "it stopped answering for this table" in {one.why for one in found.left_out}


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_an_identification_or_garbled(data: bytes, with_head: bool) -> None:
    data = bytes((43, 14)) + data if with_head else data
    one = Identification(1, 0, 1)
    one.receive(b"xx" + data, 2, len(data))
    if one.failure is not None:
        assert one.failure.outcome in (Outcome.GARBLED, Outcome.REFUSED)
    else:
        assert sum(len(text) for text in one.texts.values()) <= len(data)


def test_nothing_but_basic_and_regular_texts_is_asked_for() -> None:
    assert identification_pdu(1, 0) == bytes((43, 14, 1, 0))
    for level in (0, 3, 4):
        with pytest.raises(PermissionError):
            identification_pdu(level, 0)


def test_spans() -> None:
    assert spans([5, 1, 2, 3, 9, 10]) == "1..3, 5, 9..10"
