"""The EtherNet/IP link against replies that are late, wrong, cut or missing: no value is ever another's."""

from __future__ import annotations

import asyncio
import random

import pytest

from ext.table import SignalTable
from gateway.clock import EngineClock
from gateway.inputs import DeviceState, Input
from gateway.runner.device import DeviceRunner
from protocols.driver import ConnectFailed, EndpointConfig, LinkError, NotConnected
from protocols.ethernet_ip import frames
from protocols.ethernet_ip import link as link_module
from protocols.ethernet_ip.allowed import check
from protocols.ethernet_ip.driver import EthernetIpDriver
from protocols.model import Batch
from protocols.simulated.ethernet_ip import LabelerPlc
from protocols.simulated.ethernet_ip.extra import extra_tag_value, name_of
from protocols.simulated.ethernet_ip.faults import Field
from tests.mangler import Mangler
from tests.processes import until
from tests.protocols.ethernet_ip.client import Client, client, controller, reading, section

TAGS = 60
SIGNALS = {f"s{n}": name_of(2 * n) for n in range(TAGS)}
"""DINTs whose value says the tag and the time."""
SHORT = {"timeout": "150ms", "scan_interval": "10ms"}


def check_values(one: Client, plc: LabelerPlc, since_ms: int) -> None:
    """Each good value is its own tag's, of a time between `since_ms` and now."""
    for number in range(TAGS):
        _, value, _, _, _ = one.tables["plc"].read(number)
        if value is not None:
            least, most = (extra_tag_value(2 * number, ms) for ms in (since_ms, plc.machine.now_ms))
            assert float(least) <= float(value) <= float(most), f"s{number}: {value} is outside {least}..{most}"


@pytest.mark.parametrize("size", [4000, 300])
async def test_late_reply_is_never_read(size: int) -> None:
    """After a timeout nothing of the old socket counts; the next driver begins with values of now."""
    async with controller(extra_tags=2 * TAGS) as plc:
        plc.manager.largest = size
        for _ in range(4):
            async with reading(plc.port, SIGNALS, **SHORT) as one:
                began = plc.machine.now_ms
                await one.read()
                check_values(one, plc, began)
                plc.faults.delay_ms, plc.faults.delayed = 200, 1
                with pytest.raises(NotConnected, match=r"no answer within 0\.15 s"):
                    await one.until(lambda: False, "a reply is late")
                assert one.stats.timeouts == 1
                before = one.values()
                plc.machine.advance(plc.machine.now_ms + 60_000)
                await asyncio.sleep(0.1)
                assert one.values() == before
                with pytest.raises(NotConnected):
                    await one.driver.read()


@pytest.mark.parametrize("field", list(Field))
@pytest.mark.parametrize("refused", [(), ("connection",)])
async def test_reply_with_a_wrong_field_closes_the_link(field: Field, refused: tuple[str, ...]) -> None:
    """But for one that is a byte too short at its end, where the edition is: the project is looked at anew."""
    if field is Field.SEQUENCE:
        refused = ()
    async with controller(extra_tags=2 * TAGS) as plc:
        plc.manager.refuses_all = bool(refused)
        async with reading(plc.port, SIGNALS, **SHORT) as one:
            await one.read()
            before = one.values()
            plc.machine.advance(plc.machine.now_ms + 60_000)
            plc.faults.field, plc.faults.garbled = field, 1
            if field is Field.SHORT:
                await one.read()
                check_values(one, plc, plc.machine.now_ms)
                return
            with pytest.raises(NotConnected):
                await one.until(lambda: False, "a reply is wrong")
            assert one.values() == before, "nothing of it was believed"
            assert one.stats.garbled == 1
            await until(lambda: not plc.links)


async def test_context_may_be_nought_in_a_connected_reply_and_nothing_else() -> None:
    """A target sends a connected message under a sender context of its own; controllers take ours or none."""
    framed = frames.connected(7, 5, b"\x4c\x00")
    for context, is_good in ((9, True), (0, True), (8, False)):
        reply = bytearray(framed.numbered(9))
        reply[12:20] = context.to_bytes(8, "little")
        if is_good:
            assert frames.connected_size(bytes(reply), 7, (5, 6), 9) == 2
        else:
            with pytest.raises(frames.Garbled, match="another request"):
                frames.connected_size(bytes(reply), 7, (5, 6), 9)
    for where in (*range(2), *range(4, 12), *range(32, 46)):
        reply = bytearray(framed.numbered(9))
        reply[where] ^= 0x40
        with pytest.raises(frames.Garbled):
            frames.connected_size(bytes(reply), 7, (5, 6), 9)


async def connect_and_read(one: Client) -> None:
    await one.driver.connect()
    await one.until(lambda: False, "it ends")


@pytest.mark.parametrize("answered", range(12))
async def test_socket_that_closes_after_any_frame(answered: int) -> None:
    async with controller(extra_tags=2 * TAGS) as plc:
        plc.faults.drops_after = answered
        one = client({"plc": section(plc.port, SIGNALS, **SHORT)})
        with pytest.raises(LinkError, match="closed"):
            await connect_and_read(one)
        await one.driver.close()
        async with reading(plc.port, SIGNALS) as again:
            await again.read()
            assert not again.whys()


@pytest.mark.parametrize("lost", ["drop_sessions", "drop_connections", "mute"])
async def test_what_the_controller_forgets_is_an_end_of_the_link(lost: str) -> None:
    async with controller(extra_tags=2 * TAGS) as plc, reading(plc.port, SIGNALS, **SHORT) as one:
        await one.read()
        if lost == "mute":
            plc.muted = True
        else:
            getattr(plc, lost)()
        with pytest.raises(NotConnected, match="session" if lost == "drop_sessions" else "no answer"):
            await one.until(lambda: False, "it ends")


async def test_end_of_the_link_is_noticed_between_slow_scans() -> None:
    async with controller() as plc, reading(plc.port, {"count": "Labeler_Count"}, scan_interval="1min") as one:
        task = asyncio.create_task(one.driver.read())
        await asyncio.sleep(0)
        plc.drop()
        async with asyncio.timeout(2):
            with pytest.raises(NotConnected, match="closed"):
                await task


async def test_mute_controller_is_no_connection() -> None:
    async with controller() as plc:
        plc.muted = True
        one = client({"plc": section(plc.port, {"count": "Labeler_Count"}, **SHORT)})
        with pytest.raises(ConnectFailed, match="no answer"):
            await one.driver.connect()
        await one.driver.close()


@pytest.mark.parametrize("seed", range(6))
async def test_damaged_heads_never_give_a_wrong_value(seed: int) -> None:
    """Bytes outside the values are changed, frames cut, joined and doubled: values stay right, or the link ends."""
    chance = random.Random(seed)
    ended = 0
    async with controller(extra_tags=2 * TAGS) as plc, Mangler(plc.port) as wire:
        for _ in range(12):
            wire.mangle = lambda reply: reply
            async with reading(wire.port, SIGNALS, **SHORT) as one:
                await one.read()
                wire.mangle = lambda reply: damaged(reply, chance)
                try:
                    for _ in range(8):
                        await one.read()
                        check_values(one, plc, 0)
                except NotConnected:
                    ended += 1
                check_values(one, plc, 0)
        assert ended > 6


def damaged(reply: bytes, chance: random.Random) -> bytes | None:
    """A reply whose encapsulation or structure is wrong; the values themselves nothing protects."""
    match chance.randrange(7):
        case 0:
            place = chance.choice([*range(2), *range(4, 8), *range(12, 20), *range(30, 56)])
            wrong = bytearray(reply)
            if place < len(wrong):
                wrong[place] ^= 1 << chance.randrange(8)
            return bytes(wrong)
        case 1:
            return reply[: chance.randrange(1, len(reply))]
        case 2:
            return reply + reply
        case 3:
            return chance.randbytes(chance.randrange(1, 200)) + reply
        case 4:
            return None
        case _:
            return reply


async def test_whole_frames_and_single_bytes_are_the_same() -> None:
    async with controller(extra_tags=2 * TAGS) as plc, reading(plc.port, SIGNALS, **SHORT) as one:
        link = one.driver._link
        assert link is not None
        take = link.data_received

        def in_pieces(data: bytes) -> None:
            for at in range(len(data)):
                take(data[at : at + 1])

        assert link._transport is not None
        link.data_received = in_pieces  # type: ignore[method-assign]
        link._transport.set_protocol(link)
        for _ in range(3):
            await one.read()
            assert not one.whys()


async def test_reading_that_is_cancelled_leaves_nothing_that_could_be_read() -> None:
    async with controller(extra_tags=2 * TAGS) as plc, reading(plc.port, SIGNALS, **SHORT) as one:
        await one.read()
        plc.faults.delay_ms, plc.faults.delayed = 100, 1
        plc.reset_counts()
        task = asyncio.create_task(one.driver.read())
        await until(lambda: plc.counts["frames"])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(NotConnected):
            await one.driver.read()


async def test_runner_comes_back_from_everything_with_right_values() -> None:
    """A controller's trouble one after another; each time the device is lost and back, and no task is left over."""
    given: list[Input] = []
    async with controller(extra_tags=2 * TAGS) as plc:
        device = section(plc.port, SIGNALS, **SHORT)
        table = SignalTable(device.signals)
        endpoint = EndpointConfig(device.endpoint, {"plc": device})
        runner = DeviceRunner(
            endpoint, lambda stats: EthernetIpDriver(endpoint, {"plc": table}, stats), {"plc": table}, EngineClock(),
            given.append,
        )  # fmt: skip
        task = asyncio.create_task(runner.run())
        try:
            await until(lambda: table.good == TAGS)
            for trouble in (plc.drop, plc.drop_sessions, plc.drop_connections, plc.download):
                given.clear()
                trouble()
                await until(lambda: any(isinstance(one, DeviceState) and not one.connected for one in given))
                await until(lambda: table.good == TAGS)
            assert runner.stats.timeouts >= 1
            assert any(isinstance(one, Batch) for one in given)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


FORBIDDEN = [
    bytes((0x4D, 2)) + b"\x91\x01X\x00" + b"\xc4\x00\x01\x00" + bytes(4),  # Write Tag
    bytes((0x53, 2)) + b"\x91\x01X\x00",  # Write Tag Fragmented
    bytes((0x4E, 2)) + b"\x91\x01X\x00",  # Read Modify Write
    bytes((0x10, 3, 0x20, 0x01, 0x24, 0x01, 0x30, 0x05)),  # Set Attribute Single
    bytes((0x05, 2, 0x20, 0x01, 0x24, 0x01)),  # Reset
    bytes((0x52, 2, 0x20, 0x06, 0x24, 0x01)),  # Unconnected Send, which would carry anything
    bytes((0x07, 2, 0x20, 0x8E, 0x24, 0x01)),
    bytes((0x4B, 2, 0x20, 0x67, 0x24, 0x01)),  # Execute PCCC
]


@pytest.mark.parametrize("request_", FORBIDDEN, ids=lambda one: one.hex())
async def test_link_lets_nothing_out_that_does_not_read(request_: bytes) -> None:
    within = bytes((0x0A, 2, 0x20, 0x02, 0x24, 0x01)) + b"\x01\x00\x04\x00" + request_
    async with controller() as plc, reading(plc.port, {"count": "Labeler_Count"}) as one:
        link = one.driver._link
        assert isinstance(link, link_module.EipLink)
        plc.reset_counts()
        for message in (request_, within):
            with pytest.raises(PermissionError, match="not among those that only read"):
                await link.call(message)
        assert plc.counts == {"frames": 0}
        with pytest.raises(PermissionError):
            check(request_)
