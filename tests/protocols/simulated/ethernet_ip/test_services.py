"""Sessions, connections and services on the wire: what is answered, what is refused and how."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.simulated.ethernet_ip import LabelerPlc, showcase
from protocols.simulated.ethernet_ip.connections import Manager
from protocols.simulated.ethernet_ip.faults import Field
from protocols.simulated.ethernet_ip.objects import Identity
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.router import Router
from tests.processes import until
from tests.protocols.simulated.ethernet_ip.raw import (
    HEADER,
    TO_MANAGER,
    TO_ROUTER,
    Answer,
    RawClient,
    raw_client,
    symbolic,
)

ONE = b"\1\0"
COUNT = b"\x4c" + symbolic("Labeler_Count") + ONE


def read(*names: str, elements: int = 1) -> bytes:
    return b"\x4c" + symbolic(*names) + struct.pack("<H", elements)


def multiple(*messages: bytes) -> bytes:
    offset, offsets = 2 + 2 * len(messages), []
    for message in messages:
        offsets.append(offset)
        offset += len(message)
    return b"\x0a" + TO_ROUTER + struct.pack(f"<H{len(offsets)}H", len(offsets), *offsets) + b"".join(messages)


def shown_router() -> Router:
    project = Project("showcase")
    showcase.declare(project)
    project.seal()
    return Router(project, Identity(), lambda: 0)


SHOWCASE = shown_router()


async def test_lists_need_no_session_and_come_over_udp_too(plc: LabelerPlc) -> None:
    async with raw_client(plc.port, register=False) as client:
        _, status, identity = await client.frame(0x63)
        _, _, services = await client.frame(0x04)
        _, _, interfaces = await client.frame(0x64)
    assert status == 0
    assert struct.unpack_from(">hH4s", identity, 8) == (2, plc.port, b"\x7f\0\0\1")
    assert identity[24:38] == struct.pack("<HHHBBHI", 1, 14, 0xA6, 32, 11, 0x3060, 0x00C0FFEE)
    assert identity[38:] == b"\x0b1756-L83E/B\3"
    assert services == struct.pack("<HHHHH16s", 1, 0x100, 20, 1, 0x120, b"Communications")
    assert interfaces == b"\0\0"
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    with udp:
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(udp, HEADER.pack(0x65, 0, 0, 0, b"ignored!", 0), ("127.0.0.1", plc.port))
        await loop.sock_sendto(udp, HEADER.pack(0x63, 0, 0, 0, b"context!", 0), ("127.0.0.1", plc.port))
        answer = await asyncio.wait_for(loop.sock_recv(udp, 1_000), 5)
    assert HEADER.unpack_from(answer)[4] == b"context!"
    assert answer[24:] == identity


@pytest.mark.parametrize(
    ("command", "data", "status"),
    [
        (0x65, b"\2\0\0\0", 0x69),
        (0x65, b"\1\0", 0x65),
        (0x6F, bytes(16), 0x64),
        (0x70, bytes(16), 0x64),
        (0x66, b"", 0x64),
        (0x99, b"", 0x01),
    ],
)
async def test_what_encapsulation_refuses(plc: LabelerPlc, command: int, data: bytes, status: int) -> None:
    async with raw_client(plc.port, register=False) as client:
        assert await client.frame(command, data, 0x0BAD) == (command, status, b"")


@pytest.mark.parametrize("data", [b"", bytes(6), bytes(6) + b"\2\0", bytes(6) + b"\1\0\xb2\0\xff\0", bytes(16)])
async def test_items_that_are_no_items(plc: LabelerPlc, data: bytes) -> None:
    async with raw_client(plc.port) as client:
        _, status, _ = await client.frame(0x6F, data)
        assert status in (0x03, 0x65)
        assert (await client.unconnected(COUNT)).status == 0


async def test_frames_that_come_in_pieces_and_together(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        client.send(0x04)
        client.send(0x63)
        client.writer.write(HEADER.pack(0, 3, client.session, 0, b"context!", 0) + b"nop")
        frame = HEADER.pack(0x64, 0, 0, 0, b"context!", 0)
        for place in range(len(frame)):
            client.writer.write(frame[place : place + 1])
            await client.writer.drain()
        assert [(await client.receive())[0] for _ in range(3)] == [0x04, 0x63, 0x64]


async def test_connected_messages(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        opened = await client.open()
        assert opened.data == struct.pack("<IIHHIIIxx", client.connection, 0xABCD, 1, 0x4C, 77, 2_000_000, 2_000_000)
        assert (await client.connected(COUNT)).data[:2] == b"\xc4\0"
        assert (await client.close_connection()).data == struct.pack("<HHIxx", 1, 0x4C, 77)
        assert (await client.close_connection()).extended == (0x107,)
        # A connection that is closed is not answered: the next answer is to the next frame.
        client.send_connected(COUNT)
        assert (await client.frame(0x64))[0] == 0x64


async def test_a_repeated_sequence_count_is_the_same_request(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        client.send_connected(COUNT, 7)
        client.send_connected(read("Labeler_Recipe"), 7)
        first, second = await client.receive_connected(), await client.receive_connected()
        assert first == second
        assert plc.counts["read_tag"] == 1


async def test_a_connection_belongs_to_its_session(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as one, raw_client(plc.port) as other:
        await one.open()
        other.connection = one.connection
        other.send_connected(COUNT)
        assert (await other.frame(0x64))[0] == 0x64
        assert (await one.connected(COUNT)).status == 0
    await until(lambda: not plc.stack.sessions)
    assert plc.manager.connections == {}


async def test_unregistering_closes_the_socket(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        client.send(0x66)
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
    assert plc.manager.connections == {}


async def test_a_connection_times_out() -> None:
    clock = [0.0]
    manager = Manager(Router(Project("empty"), Identity(), lambda: 0), lambda: clock[0], ())
    body = struct.pack("<BBIIHHIB3xIHIHBB", 5, 247, 0, 1, 1, 1, 1, 0, 1_000_000, 0x43F4, 1_000_000, 0x43F4, 0xA3, 2)
    opened = manager.answer(b"\x54" + TO_MANAGER + body + TO_ROUTER[1:], 1)
    (number,) = struct.unpack_from("<I", opened, 4)
    for now, answered in ((4.0, True), (8.0, True), (12.1, False), (12.2, False)):
        clock[0] = now
        assert (manager.answer_connected(number, 1, b"\1\0\x0e" + TO_ROUTER) is not None) is answered


async def test_forward_opens_that_are_refused(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        assert (await client.open(4_003, large=True)).extended == (0x109, 4_002)
        assert (await client.open(path="01 05 20 02 24 01")).extended == (0x312,)
        assert (await client.open(path="01 00 20 04 24 01")).status == 0x05
        assert (await client.open(path="20 02 24 01")).status == 0
        again = await client.open()
        assert (again.extended, again.data) == ((0x100,), struct.pack("<HHIxx", 1, 0x4C, 77))
        plc.manager.most = 1
        assert (await client.open(serial=2)).extended == (0x113,)
        plc.manager.most, plc.manager.refuses_large = 2, True
        assert (await client.open(4_000, 2, large=True)).status == 0x08
        plc.manager.refuses_large = False
        assert (await client.open(4_000, 2, large=True)).status == 0
        truncated = await client.unconnected(b"\x54" + TO_MANAGER + bytes(10))
        assert truncated.status == 0x13


async def test_unconnected_send_follows_its_route(plc: LabelerPlc) -> None:
    def sent(message: bytes, route: str) -> bytes:
        path = bytes.fromhex(route)
        padding = b"\0" * (len(message) % 2)
        length = struct.pack("<BBH", 5, 247, len(message))
        return b"\x52" + TO_MANAGER + length + message + padding + bytes((len(path) // 2, 0)) + path

    async with raw_client(plc.port) as client:
        assert (await client.unconnected(sent(COUNT, "01 00"))).data[:2] == b"\xc4\0"
        assert (await client.unconnected(sent(COUNT + b"\0", "01 00"))).status == 0
        assert (await client.unconnected(sent(COUNT, "01 03"))).extended == (0x312,)
        assert (await client.unconnected(sent(COUNT, "")[:-4])).status == 0x13


async def test_a_longer_route(plc: LabelerPlc) -> None:
    plc.manager.routes = frozenset({"1/2/2/192.168.1.5/1/0"})
    path = "01 02 12 0b 31 39 32 2e 31 36 38 2e 31 2e 35 00 01 00 20 02 24 01"
    async with raw_client(plc.port) as client:
        assert (await client.open(path=path)).status == 0
        assert (await client.open(serial=2)).extended == (0x312,)


STATUSES = {
    "a tag that is not there": (read("Ghost"), 0x04, (0,)),
    "an instance that is not there": (bytes.fromhex("4c 03 20 6b 25 00 ff ff 01 00"), 0x05, (0,)),
    "a member that is not there": (read("Tank", "Ghost"), 0x05, (0,)),
    "a member of what has none": (read("Word_Bits", "Ghost"), 0x05, (0,)),
    "a program that is not there": (read("Program:Ghost", "Speed"), 0x04, (0,)),
    "a system symbol": (read("Task:MainTask"), 0x05, (0,)),
    "an array of two dimensions by one": (
        bytes.fromhex("4c 04 91 04 47 72 69 64 28 01 01 00"), 0x05, (0,),
    ),
    "an array of two dimensions by none": (read("Grid"), 0x05, (0,)),
    "an element beyond the end": (bytes.fromhex("4c 05 91 05 44 69 6e 74 73 00 28 14 01 00"), 0xFF, (0x2105,)),
    "more elements than there are": (read("Dints", elements=21), 0xFF, (0x2105,)),
    "no elements": (read("Dints", elements=0), 0xFF, (0x2105,)),
    "a fragment beyond the end": (b"\x52" + symbolic("Dints") + struct.pack("<HI", 20, 80), 0xFF, (0x2105,)),
    "a request without elements": (b"\x4c" + symbolic("Dints"), 0x13, ()),
    "a fragment without an offset": (b"\x52" + symbolic("Dints") + ONE, 0x13, ()),
    "a path that is longer than the request": (b"\x4c\x20\x91\x05Dints", 0x26, ()),
    "a segment that there is not": (bytes.fromhex("4c 02 ee 00 ee 00 01 00"), 0x04, (0,)),
    "a symbol that is longer than the path": (bytes.fromhex("4c 02 91 40 44 69 01 00"), 0x04, (0,)),
    "a class that is not there": (bytes.fromhex("0e 03 20 77 24 01 30 01"), 0x05, (0,)),
    "an instance of a class that is not there": (bytes.fromhex("0e 03 20 01 24 09 30 01"), 0x05, (0,)),
    "an attribute that is not there": (bytes.fromhex("0e 03 20 01 24 01 30 63"), 0x14, ()),
    "a list that is too short": (bytes.fromhex("03 02 20 01 24 01 02 00 01 00"), 0x1C, ()),
    "a service that the object has not": (bytes.fromhex("55 02 20 01 24 01 01 00 01 00"), 0x05, (0,)),
    "reading an object as a tag": (bytes.fromhex("4c 02 20 01 24 01 01 00"), 0x08, ()),
    "a template that is not there": (bytes.fromhex("4c 03 20 6c 25 00 01 00 00 00 00 00 10 00"), 0x05, (0,)),
    "a tag that nobody may read": (read("Secret"), 0x0F, ()),
    "embedded requests that overlap": (b"\x0a" + TO_ROUTER + bytes.fromhex("02 00 06 00 06 00"), 0x13, ()),
    "nothing embedded": (b"\x0a" + TO_ROUTER + bytes(2), 0x13, ()),
    "nothing embedded where some is promised": (b"\x0a" + TO_ROUTER + bytes.fromhex("09 00"), 0x13, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", STATUSES)
async def test_status_codes(plc: LabelerPlc, case: str) -> None:
    message, status, extended = STATUSES[case]
    async with raw_client(plc.port) as client:
        answer = await client.unconnected(message)
    assert (answer.status, answer.extended, answer.service) == (status, extended, message[0] | 0x80)
    assert plc.violations == []


@given(
    message=st.sampled_from([message for message, _, _ in STATUSES.values()] + [multiple(COUNT, COUNT)]),
    begin=st.integers(0, 30),
    end=st.integers(0, 30),
    instead=st.binary(max_size=6),
    room=st.integers(60, 4_000),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_get_a_reply_that_fits(message: bytes, begin: int, end: int, instead: bytes, room: int) -> None:
    manager = Manager(SHOWCASE, lambda: 0.0, ())
    mangled = message[:begin] + instead + message[max(begin, end) :]
    reply = SHOWCASE.answer(mangled, room)
    assert len(reply) <= room
    assert reply[0] == (mangled[0] if mangled else 0) | 0x80
    assert Answer.parse(manager.answer(mangled, 1)).service == reply[0]


async def test_attributes_of_objects(plc: LabelerPlc) -> None:
    plc.router.objects[0x93, 3] = lambda: {9: struct.pack("<h", -250), 10: b"\7"}
    async with raw_client(plc.port) as client:
        assert (await client.unconnected(bytes.fromhex("0e 03 20 93 24 03 30 09"))).data == b"\x06\xff"
        assert (await client.unconnected(bytes.fromhex("01 02 20 93 24 03"))).data == b"\x06\xff\7"
        listed = await client.unconnected(bytes.fromhex("03 02 20 93 24 03 02 00 09 00 63 00"))
        assert (listed.status, listed.data) == (0x0A, bytes.fromhex("02 00 09 00 00 00 06 ff 63 00 14 00"))
        name = await client.unconnected(bytes.fromhex("0e 03 20 01 24 01 30 07"))
        assert name.data == b"\x0b1756-L83E/B"
        instance = plc.project.controller.by_name["tank"].instance
        path = bytes.fromhex("04 20 6b 25 00") + struct.pack("<H", instance) + b"\x30\1"
        assert (await client.unconnected(b"\x0e" + path)).data == b"\4\0Tank"


async def test_what_does_not_fit_is_partial_or_too_large(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open(100)
        partial = await client.connected(read("Trace", elements=100))
        assert (partial.status, len(partial.data)) == (0x06, 2 + 4 * 23)
        texts = await client.connected(read("Texts", elements=3))
        assert (texts.status, len(texts.data) % 4) == (0x06, 0)
        both = await client.connected(multiple(read("Trace", elements=20), COUNT))
        # What the first leaves is room for the header of the second, which has to be an error.
        second = struct.unpack_from("<H", both.data, 4)[0]
        assert (both.status, both.data[6 + 2], both.data[second:]) == (0x1E, 0x06, b"\xcc\0\x11\0")
        too_long = await client.connected(multiple(*[COUNT] * 10))
        assert too_long.status == 0x15


async def test_replies_that_have_no_room_left_in_a_packet(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open(60)
        instance = plc.project.controller.by_name["dint_most"].instance
        message = bytes.fromhex("4c 03 20 6b 25 00") + struct.pack("<H", instance) + ONE
        answer = await client.connected(multiple(message, message, message))
        assert answer.status == 0
        plc.manager.connections[client.connection].reply_room = 40
        answer = await client.connected(multiple(message, message, message))
        assert answer.status == 0x1E
        offsets = struct.unpack_from("<3H", answer.data, 2)
        assert [answer.data[offset + 2] for offset in offsets] == [0, 0, 0x11]


@pytest.mark.parametrize(
    "message",
    [
        b"\x4d" + symbolic("Labeler_Count") + bytes.fromhex("c4 00 01 00 00 00 00 00"),
        b"\x53" + symbolic("Labeler_Count") + bytes.fromhex("c4 00 01 00 00 00 00 00 00 00 00 00"),
        b"\x4e" + symbolic("Word_Bits") + bytes.fromhex("04 00 04 00 00 00 df ff ff ff"),
        bytes.fromhex("10 03 20 01 24 01 30 07 00"),
        bytes.fromhex("02 02 20 01 24 01 00"),
        bytes.fromhex("04 02 20 8b 24 01 01 00 06 00") + bytes(8),
        bytes.fromhex("05 02 20 01 24 01"),
        bytes.fromhex("4d 20 ee"),
        bytes.fromhex("4e 02 ee 00 ee 00"),
        bytes.fromhex("06 02 20 68 24 01"),
        bytes.fromhex("07 02 20 68 24 01"),
        bytes.fromhex("4b 02 20 67 24 01 07 4c 00 01 00 00 00 00"),
    ],
    ids=lambda message: message.hex()[:8],
)
async def test_what_does_not_read_is_refused_and_kept(plc: LabelerPlc, message: bytes) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        assert (await client.unconnected(message)).status == 0x08
        assert (await client.connected(message)).status == 0x08
        inside = await client.connected(multiple(COUNT, message))
        assert inside.status == 0x1E
    assert [violation.request for violation in plc.violations] == [message] * 3
    assert message.hex(" ") in str(plc.violations[0])


async def ask(client: RawClient) -> float:
    """Seconds that a reply takes."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.unconnected(COUNT)
    return loop.time() - began


async def test_late_replies_stay_in_their_order(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        plc.faults.delay_ms, plc.faults.delayed = 200, 1
        client.send_connected(COUNT)
        client.send_connected(read("Word_Bits"))
        assert [(await client.receive_connected())[0] for _ in range(2)] == [1, 2]
        plc.faults.delayed = 1
        assert await ask(client) >= 0.2
        assert plc.faults.delayed == 0


async def test_garbled_replies(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        for field in Field:
            plc.faults.field, plc.faults.garbled = field, 1
            client.send_connected(COUNT)
            head = HEADER.unpack(await client.reader.readexactly(HEADER.size))
            data = await client.reader.readexactly(head[1])
            wrong = {
                Field.CONTEXT: head[4] != b"context!",
                Field.SESSION: head[2] != client.session,
                Field.SEQUENCE: struct.unpack_from("<H", data, 20)[0] != client.sequence,
                Field.SHORT: len(data) == 20 + 2 + 4 + 2 + 3 and struct.unpack_from("<H", data, 18)[0] == 11,
            }
            assert [name for name, is_wrong in wrong.items() if is_wrong] == [field]
        assert (await client.connected(COUNT)).status == 0


async def test_cut_off_after_some_frames(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        plc.faults.drops_after = 2
        await client.unconnected(COUNT)
        await client.unconnected(COUNT)
        with pytest.raises(asyncio.IncompleteReadError):
            await client.unconnected(COUNT)
    async with raw_client(plc.port) as client:
        assert (await client.unconnected(COUNT)).status == 0


async def test_muted_dropped_refused(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        plc.muted = True
        frames = plc.stack.frames
        client.send(0x64)
        await until(lambda: plc.stack.frames > frames)
        plc.muted = False
        assert (await client.frame(0x04))[0] == 0x04
        plc.drop_sessions()
        assert (await client.frame(0x6F, bytes(16)))[1] == 0x64
        plc.refuse()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection("127.0.0.1", plc.port)
        assert (await client.frame(0x04))[0] == 0x04
        plc.drop()
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
    await plc.accept()
    async with raw_client(plc.port) as client:
        assert client.session


async def test_a_failing_tag_fails_alone(plc: LabelerPlc) -> None:
    plc.router.failing["labeler_temp"] = 0x0A
    async with raw_client(plc.port) as client:
        await client.open()
        answer = await client.connected(multiple(COUNT, read("Labeler_Temp"), read("Word_Bits")))
        offsets = struct.unpack_from("<3H", answer.data, 2)
        assert [answer.data[offset + 2] for offset in offsets] == [0, 0x0A, 0]


async def test_a_download_that_leaves_connections_alone(plc: LabelerPlc) -> None:
    """The old instance is then that of another symbol, or of none: a client must not trust it."""
    async with raw_client(plc.port) as client:
        await client.open()
        before = {symbol.name: symbol.instance for symbol in plc.project.controller.by_instance.values()}
        plc.unload()
        assert (await client.connected(COUNT)).status == 0x05
        assert (await client.connected(bytes.fromhex("01 02 20 01 24 01"))).status == 0
        plc.download(keep_connections=True)
        assert (await client.connected(COUNT)).status == 0
        names = {symbol.instance: symbol.name for symbol in plc.project.controller.by_instance.values()}
        assert set(names.values()) == set(before)
        assert sum(names.get(instance) not in (None, name) for name, instance in before.items()) > len(before) * 0.9


async def test_a_programs_symbols_by_instance(plc: LabelerPlc) -> None:
    program = symbolic("Program:Showcase")[1:]
    instances = {symbol.name: symbol.instance for symbol in plc.project.programs["showcase"].by_instance.values()}

    def path(instance: int) -> bytes:
        logical = bytes.fromhex("20 6b 25 00") + struct.pack("<H", instance)
        return bytes((len(program + logical) // 2,)) + program + logical

    async with raw_client(plc.port) as client:
        assert (await client.unconnected(b"\x4c" + path(instances["Speed"]) + ONE)).data == b"\xca\0\0\0\x2a\x42"
        last = max(instances.values())
        listed = await client.unconnected(b"\x55" + path(last) + bytes.fromhex("01 00 02 00"))
        assert listed.data[:4] == struct.pack("<I", last)
        assert len(listed.data) == 6
        beyond = await client.unconnected(b"\x55" + path(last + 1) + bytes.fromhex("01 00 02 00"))
        assert (beyond.status, beyond.data) == (0, b"")


async def test_counts(plc: LabelerPlc) -> None:
    async with raw_client(plc.port) as client:
        await client.open()
        plc.reset_counts()
        await client.connected(multiple(COUNT, COUNT, COUNT))
        await client.connected(COUNT)
        assert plc.counts == {"frames": 2, "multiple_service_packet": 1, "read_tag": 4}
        plc.router.refuses_multiple = True
        assert (await client.connected(multiple(COUNT))).status == 0x08
