"""The driver against a controller over real sockets: every type, few packets, and whatever connection it gives."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from protocols.driver import ConnectFailed, NotConnected
from protocols.ethernet_ip import connection, link, unit
from protocols.simulated.ethernet_ip.datatypes import REAL
from protocols.simulated.ethernet_ip.extra import ARRAY, extra_array_value, extra_tag_value, name_of
from protocols.simulated.ethernet_ip.objects import Fault, Identity, Mode
from protocols.simulated.ethernet_ip.showcase import SHOWN
from tests.protocols.ethernet_ip.client import Client, client, controller, reading, section
from tests.protocols.ethernet_ip.controller import asked, leaves, rounded

HOSTS = {"Wide.Low": 1 << 17, "Wide.High": -(1 << 31)}
"""Words that bits lie in."""
EVERYTHING = dict(leaf for one in SHOWN if one.name != "Secret" for leaf in leaves(one)) | HOSTS
SOME = dict(list(EVERYTHING.items())[:60])
TEXTS = {one: value for one, value in EVERYTHING.items() if isinstance(value, str)}
DRIVE = {"class": 0x2A, "instance": 1}
LABELER = {"count": "Labeler_Count", "temp": "Labeler_Temp", "recipe": "Labeler_Recipe", "running": "Labeler_Running"}


def hold(client: Client, due: dict[str, Any]) -> bool:
    """Whether the signals, in order, hold what is due."""
    return list(client.values().values()) == list(due.values())


async def test_every_tag_of_every_type_has_its_value() -> None:
    async with controller(shows_all=True) as plc, reading(plc.port, asked(EVERYTHING)) as client:
        await client.read()
        assert dict(zip(EVERYTHING, client.values().values(), strict=True)) == EVERYTHING
        assert not client.notices
        types = {one.type for one in client.learned.values()}
        assert types >= {"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "string"}
        assert types >= {"float32", "float64"}
        assert plc.manager.connections
    await asyncio.sleep(0)
    assert not plc.manager.connections, "a closed driver leaves no connection behind"


@pytest.mark.parametrize("refused", ["nothing", "large", "all", "multiple", "large and multiple"])
@pytest.mark.parametrize("firmware", [20, 32])
async def test_whatever_the_controller_refuses_all_values_come(refused: str, firmware: int) -> None:
    async with controller(shows_all=True, identity=Identity(major=firmware)) as plc:
        plc.manager.refuses_large = "large" in refused
        plc.manager.refuses_all = refused == "all"
        plc.router.refuses_multiple = "multiple" in refused
        async with reading(plc.port, asked(SOME | TEXTS)) as client:
            await client.read()
            assert hold(client, SOME | TEXTS)
            assert plc.counts.get("unconnected_send", 0) > 0 if refused == "all" else plc.manager.connections
            await client.read()
            plc.reset_counts()
            await client.read()
            assert plc.counts.get("multiple_service_packet", 0) > 0 or "multiple" in refused
            assert "forward_open" not in plc.counts


@pytest.mark.parametrize("size", [4002, 1500, 504, 300, 120])
async def test_any_size_of_connection_is_kept_to(size: int) -> None:
    """A controller that names the size it can is taken at its word."""
    async with controller(shows_all=True) as plc:
        plc.manager.largest = size
        async with reading(plc.port, asked(SOME | TEXTS)) as client:
            await client.read()
            assert hold(client, SOME | TEXTS)
            (opened,) = plc.manager.connections.values()
            assert opened.request_room == opened.reply_room == min(4000, size)


async def test_replies_that_are_too_large_after_all_are_asked_smaller() -> None:
    async with controller(shows_all=True) as plc, reading(plc.port, asked(EVERYTHING)) as client:
        (opened,) = plc.manager.connections.values()
        opened.reply_room = 700
        await client.read()
        assert hold(client, EVERYTHING)
        assert not client.notices


def least_frames(services: int, request: int, reply: int, size: int) -> int:
    """How few packets can bring so many services: neither requests nor replies of one may be larger than `size`."""
    room = size - 2
    asked, answered = services * (request + 2), services * (reply + 2)
    return max(math.ceil(asked / (room - 8)), math.ceil(answered / (room - 6)))


@pytest.mark.parametrize("size", [4000, 500])
@pytest.mark.parametrize("tags", [50, 200, 1000])
async def test_as_few_packets_as_the_connection_allows(tags: int, size: int) -> None:
    """A DINT by its instance: 10 bytes of request, 10 of reply; each packet also asks for the project's edition."""
    async with controller(extra_tags=1000) as plc:
        plc.manager.largest = size
        async with reading(plc.port, {f"s{n}": name_of(n) for n in range(tags)}) as client:
            await client.read()
            due = [extra_tag_value(n, plc.machine.now_ms) for n in range(tags)]
            assert [rounded(REAL, one) if n % 2 else one for n, one in enumerate(due)] == list(client.values().values())
            plc.reset_counts()
            await client.read()
            edition = least_frames(1, 18, 36, size) * (18 + 2 + 36 + 2)
            assert plc.counts["frames"] <= least_frames(tags, 10, 10, size - edition)
            assert plc.counts["read_tag"] == tags


async def test_array_is_read_as_one() -> None:
    async with controller(extra_tags=1000) as plc:
        async with reading(plc.port, {f"s{n}": f"{ARRAY}[{n}]" for n in range(1000)}) as client:
            await client.read()
            due = [rounded(REAL, extra_array_value(n, plc.machine.now_ms)) for n in range(1000)]
            assert list(client.values().values()) == due
            plc.reset_counts()
            await client.read()
            assert plc.counts["frames"] == 2, "4,000 bytes and their heads"
            assert plc.counts["read_tag"] <= 2


async def test_large_structures_come_in_fragments_and_are_proved_afterwards() -> None:
    """A text of 480 characters is larger than a small connection's packet."""
    async with controller(shows_all=True) as plc:
        plc.manager.largest = 300
        async with reading(plc.port, asked(["Long", "Batch.Comment", "Text"])) as client:
            await client.read()
            assert list(client.values().values()) == ["l" * 480, "c" * 99, "Grüße, 82 at most"]
            plc.reset_counts()
            await client.read()
            assert plc.counts["read_tag_fragmented"] >= 4
            assert plc.counts["get_attribute_list"] >= 1


async def test_route_and_slot_lead_to_the_controller() -> None:
    async with controller(routes=("1/2/2/10.1.1.5/1/3",)) as plc:
        route = {"route": "backplane/2/ip/10.1.1.5", "slot": 3}
        async with reading(plc.port, LABELER, **route) as client:
            await client.read()
            assert not client.whys()
        plc.manager.refuses_all = True
        async with reading(plc.port, LABELER, **route) as client:
            await client.read()
            assert not client.whys(), "without a connection too"


async def test_wrong_route_says_so() -> None:
    async with controller() as plc:
        with pytest.raises(ConnectFailed, match="nothing at an address on the route"):
            async with reading(plc.port, LABELER, slot=7):
                pass


async def test_status_and_attributes_are_read_beside_tags_and_without() -> None:
    signals: dict[str, Any] = {
        "mode": "identity:mode", "keyswitch": "identity:keyswitch", "faulted": "identity:major_fault",
        "rpm": {"object": {**DRIVE, "attribute": 8, "type": "int16"}},
        "name": {"object": {"class": 1, "attribute": 7, "type": "short_string"}},
    }  # fmt: skip
    async with controller(routes=()) as plc, reading(plc.port, signals, slot="none") as client:
        assert not {"get_instance_attribute_list", "read_tag"} & plc.counts.keys(), "nothing to upload"
        await client.read()
        due = {"mode": 6, "keyswitch": 3, "faulted": False, "rpm": 1450, "name": "1756-L83E/B"}
        assert client.values() == due
        plc.identity.mode, plc.identity.faults = Mode.PROGRAM, (Fault.MAJOR_RECOVERABLE,)
        await client.read()
        assert client.values() == {**due, "mode": 7, "keyswitch": 1 + 1, "faulted": True}
        plc.reset_counts()
        await client.read()
        assert plc.counts["frames"] == 1


async def test_what_is_not_there_or_another_type_is_told_and_costs_nobody_else() -> None:
    signals: dict[str, Any] = {
        **LABELER,
        "gone": "Labeler_Cuont",
        "wrong": {"tag": "Labeler_Temp", "type": "int32"},
        "beyond": "Labeler.Heads[4].Labels",
        "nobody": {"object": {**DRIVE, "attribute": 99, "type": "int16"}},
        "wide": {"object": {**DRIVE, "attribute": 8, "type": "int32"}},
    }
    async with controller() as plc, reading(plc.port, signals) as client:
        await client.read()
        whys = client.whys()
        assert whys.keys() == {"gone", "wrong", "beyond", "nobody", "wide"}
        assert "did you mean Labeler_Count" in whys["gone"]
        assert "is a REAL in the controller, which is float32, and int32 in the configuration" in whys["wrong"]
        assert "elements 0 to 3" in whys["beyond"]
        assert "not supported" in whys["nobody"]
        assert "has 2 bytes" in whys["wide"]
        told = {one.address for one in client.notices if one.quarantined}
        assert told == {
            "Labeler_Cuont", "Labeler_Temp", "Labeler.Heads[4].Labels", "object 0x2a/1/99", "object 0x2a/1/8"
        }  # fmt: skip
        for _ in range(5):
            await client.read()
        assert len(client.notices) == 5, "said once"
        plc.reset_counts()
        await client.read()
        assert plc.counts.keys() == {"frames", "multiple_service_packet", "read_tag", "get_attribute_list"}


async def test_refused_tag_is_found_among_many_and_read_again_when_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.2)
    signals = {f"s{n}": f"Tanks[{n}].Level" for n in range(30)} | {f"d{n}": f"Dints[{n}]" for n in range(20)} | LABELER
    async with controller(shows_all=True) as plc, reading(plc.port, signals) as client:
        await client.read()
        assert not client.whys()
        plc.router.failing["dints"] = 0x0F
        await client.read()
        assert client.whys().keys() == {f"d{n}" for n in range(20)}
        assert all("not permitted" in why for why in client.whys().values())
        assert {one.address for one in client.notices} == {f"Dints[{n}]" for n in range(20)}
        await client.until(lambda: len(client.batches) > 30, "retries")
        assert len(client.notices) == 20
        plc.router.failing.clear()
        await client.until(lambda: not client.whys(), "they are back")
        assert sum(not one.quarantined for one in client.notices) == 20
        assert not client.stats.quarantined


async def test_busy_controller_costs_a_scan_and_nobody_is_quarantined() -> None:
    async with controller() as plc, reading(plc.port, LABELER) as client:
        await client.read()
        plc.router.failing["labeler_temp"] = 0x02
        await client.read()
        assert client.whys() == {"temp": "the controller is too busy (status 0x02)"}
        plc.router.failing.clear()
        await client.read()
        assert not client.whys()
        assert not client.notices


async def test_scan_classes_and_devices_of_one_controller_share_a_connection() -> None:
    signals = {"count": {"tag": "Labeler_Count"}, "temp": {"tag": "Labeler_Temp", "scan_interval": "60ms"}}
    async with controller() as plc:
        devices = {"one": section(plc.port, signals), "two": section(plc.port, {"step": "Program:MainProgram.Step"})}
        both = client(devices)
        try:
            await both.driver.connect()
            seen: set[tuple[str, int]] = set()
            while len(seen) < 3:
                batch = await both.read()
                seen.add((batch.device, batch.scan))
            assert len(plc.links) == len(plc.manager.connections) == 1
            assert not both.whys("one")
            assert not both.whys("two")
        finally:
            await both.driver.close()


@pytest.mark.parametrize("is_kept_alive", [True, False])
async def test_slow_scan_keeps_its_connection(monkeypatch: pytest.MonkeyPatch, is_kept_alive: bool) -> None:
    monkeypatch.setattr(connection, "REQUESTED_INTERVAL_S", 0.02)
    monkeypatch.setattr(link, "KEEP_ALIVE_S", 0.08 if is_kept_alive else 10)
    async with controller() as plc, reading(plc.port, LABELER, scan_interval="1s", timeout="200ms") as client:
        (opened,) = plc.manager.connections.values()
        assert opened.timeout_s == pytest.approx(0.32)
        if is_kept_alive:
            await client.read()
            await client.read()
            assert not client.whys()
        else:
            with pytest.raises(NotConnected, match="no answer within"):
                await client.until(lambda: False, "it is not")


def test_the_controller_waits_longer_than_we_are_silent() -> None:
    assert connection.KEEP_ALIVE_S * 2 < connection.TIMEOUT_S == 32


async def test_only_changed_values_are_passed_on() -> None:
    async with controller() as plc, reading(plc.port, LABELER) as client:
        first = await client.read()
        assert len(first.changes) == len(LABELER)
        assert (await client.read()).changes == []
        plc.machine.advance(plc.machine.now_ms + 60_000)
        changes = {number: value for number, value, *_ in (await client.read()).changes}
        assert 0 in changes
        assert changes[0] == client.values()["count"] > 69_500


async def test_closing_twice_and_before_connecting_is_fine() -> None:
    async with controller() as plc:
        one = client({"plc": section(plc.port, LABELER)})
        await one.driver.close()
        async with reading(plc.port, LABELER) as another:
            await another.driver.close()
