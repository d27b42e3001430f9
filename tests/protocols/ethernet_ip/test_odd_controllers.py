"""Controllers that are slow, busy for a moment, or describe what cannot be: it costs what it must, no longer."""

from __future__ import annotations

import asyncio
import struct
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocols.driver import ConnectFailed
from protocols.ethernet_ip import driver as driver_module
from protocols.ethernet_ip import unit
from protocols.model import Quality
from protocols.simulated.ethernet_ip import objects
from protocols.simulated.ethernet_ip.cip import Refused, Status
from protocols.simulated.ethernet_ip.reading import Place
from protocols.simulated.ethernet_ip.router import Router
from tests.protocols.ethernet_ip.client import Client, controller, reading

LABELER = {"count": "Labeler_Count", "temp": "Labeler_Temp", "running": "Labeler_Running", "mode": "identity:mode"}
BUSY = 0x02


def refuse(monkeypatch: pytest.MonkeyPatch, service: str, times: int, is_meant: Any) -> None:
    """The controller is too busy for a service, so many times."""
    answer, left = getattr(Router, service), [times]

    def refusing(router: Router, request: Any, *rest: Any) -> Any:
        if left[0] and is_meant(*rest):
            left[0] -= 1
            raise Refused(BUSY)
        return answer(router, request, *rest)

    monkeypatch.setattr(Router, service, refusing)


async def test_program_that_cannot_be_listed_for_a_moment_is_listed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.2)
    refuse(monkeypatch, "_symbols", 1, lambda path, _: len(path) > 2)
    async with controller() as plc:
        async with reading(plc.port, {**LABELER, "step": "Program:MainProgram.Step"}) as one:
            await one.until(lambda: not one.whys(), "all can be read")


async def test_template_that_cannot_be_told_for_a_moment_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.2)
    refuse(monkeypatch, "_template", 1, lambda *_: True)
    async with controller() as plc, reading(plc.port, {**LABELER, "labels": "Labeler.Count"}) as one:
        await one.read()
        assert one.whys().keys() == {"labels"}, "only who needs it waits"
        await one.until(lambda: not one.whys(), "all can be read")


@pytest.mark.parametrize("size", [0, 6, 1 << 24, 0xFFFFFFFF])
async def test_structure_whose_size_cannot_be_costs_its_members_alone(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    tell = objects.template_attributes

    def wrong(*which: Any) -> Any:
        found = tell(*which)
        return found and {**found, 5: struct.pack("<I", size)}

    monkeypatch.setattr(objects, "template_attributes", wrong)
    async with controller() as plc:
        async with reading(plc.port, {**LABELER, "labels": "Labeler.Count", "heads": "Labeler.Heads[2].Labels"}) as one:
            await one.read()
            assert one.whys().keys() == {"labels", "heads"}


async def test_tags_that_are_no_longer_what_the_project_says_cost_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several in one packet, though the edition is the same: each is left alone, and found by itself."""
    odd = {f"dints_{n}": f"Tanks[{n}].Level" for n in range(0, 30, 10)} | {
        "word": "Labeler_Count",
        "rate": "Labeler_Temp",
    }
    read = Router._read

    def other(router: Router, place: Place, request: Any, room: int) -> Any:
        status, data = read(router, place, request, room)
        if place.symbol.name in ("Tanks", "Labeler_Count", "Labeler_Temp"):
            data = b"\xc9\x00" + data[2:] if data[:2] != b"\xa0\x02" else b"\xa0\x02\x01\x01" + data[4:]
        return status, data

    monkeypatch.setattr(Router, "_read", other)
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.2)
    good = {"running": "Labeler_Running", "mode": "identity:mode", "jam": "Labeler_Jam"}
    async with controller(shows_all=True) as plc, reading(plc.port, {**good, **odd}) as one:
        await one.until(lambda: one.whys().keys() == odd.keys(), "the others are read", scans=5)
        assert {notice.address for notice in one.notices if notice.quarantined} == set(odd.values())
        plc.reset_counts()
        for _ in range(40):
            await one.read()
            assert one.whys().keys() == odd.keys()
        assert plc.counts["read_tag"] > 40 * 2 + 5, "they are tried again"
        assert "get_instance_attribute_list" not in plc.counts, "nothing is uploaded for it"
        assert len(one.notices) == len(odd)


async def test_list_of_symbols_without_an_end_is_no_memory_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = 0

    def endless(router: Router, request: Any, path: Any, room: int) -> tuple[int, bytes]:
        nonlocal pages
        pages += 1
        begin = path[-1].number
        entry = struct.pack("<H", 1) + b"X" + struct.pack("<H12xB", 0xC4, 0)
        return Status.PARTIAL_TRANSFER, b"".join(struct.pack("<I", begin + n) + entry for n in range(2500))

    monkeypatch.setattr(Router, "_symbols", endless)
    async with controller() as plc:
        with pytest.raises(ConnectFailed, match="has no end"):
            async with reading(plc.port, LABELER):
                pass
    assert pages < 200


async def test_slow_upload_is_no_failure_and_goes_on_between_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no upload is read meanwhile; each slice goes on where the one before stopped."""
    monkeypatch.setattr(driver_module, "CONNECT_UPLOAD_S", 0.15)
    monkeypatch.setattr(driver_module, "UPLOAD_S", 0.15)
    async with controller(extra_tags=400) as plc:
        plc.manager.largest = 300
        plc.faults.delay_ms, plc.faults.delayed = 10, 1_000_000
        signals = {**LABELER, "last": "Extra_0399", "labels": "Labeler.Count"}
        async with reading(plc.port, signals) as one:
            await one.read()
            assert one.values()["mode"] == 6
            assert one.whys().keys() == signals.keys() - {"mode"}
            assert all("are being listed" in why for why in one.whys().values())
            assert not one.notices
            await one.until(lambda: not one.whys(), "the upload ends", scans=60)
            assert plc.counts["get_instance_attribute_list"] < 100, "no page twice"


@pytest.mark.parametrize("is_told", [True, False])
async def test_slow_look_for_what_is_missing_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """A template that is never told, or, where no edition tells that nothing changed, a tag that is not there."""
    monkeypatch.setattr(driver_module, "UPLOAD_S", 0.02)
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.2)
    missing = "Labeler.Count" if is_told else "Labeler_Cuont"
    if is_told:
        refuse(monkeypatch, "_template", -1, lambda *_: True)
    else:
        monkeypatch.setattr(objects, "change_attributes", lambda _: None)
    async with controller(extra_tags=400) as plc:
        plc.manager.largest = 300
        async with reading(plc.port, {**LABELER, "missing": missing}) as one:
            await one.read()
            plc.faults.delay_ms, plc.faults.delayed = 1, 1_000_000
            plc.reset_counts()
            for _ in range(60):
                await one.read()
                assert one.whys().keys() == {"missing"}
            assert plc.counts["get_instance_attribute_list"] > 40, "it was looked for"


async def test_values_are_bad_while_a_slow_upload_follows_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "UPLOAD_S", 0.1)
    async with controller(extra_tags=400) as plc:
        plc.manager.largest = 300
        async with reading(plc.port, LABELER) as one:
            await one.read()
            assert not one.whys()
            plc.faults.delay_ms, plc.faults.delayed = 10, 1_000_000
            plc.download(keep_connections=True)
            began = asyncio.get_running_loop().time()
            await one.until(lambda: one.whys(), "old values are not good any more", scans=3)
            assert asyncio.get_running_loop().time() - began < 0.5
            plc.download(keep_connections=True)
            await one.until(lambda: not one.whys(), "the new project is there", scans=200)
            assert one.values()["count"] == plc._count()


async def test_text_that_claims_more_than_there_is_room_for_is_bad() -> None:
    async with controller() as plc, reading(plc.port, {"recipe": "Labeler_Recipe", **LABELER}) as one:
        await one.read()
        assert not one.whys()
        symbol = plc.router.project.controller.by_name["labeler_recipe"]
        for claimed in (83, 0xFFFFFFFF, 0x80000000):
            symbol.read = partial(struct.pack, "<I84s", claimed, b"x" * 84)
            await one.read()
            assert quality(one, "recipe") == Quality.BAD
            assert one.whys().keys() == {"recipe"}
        symbol.read = partial(struct.pack, "<I84s", 82, b"x" * 84)
        await one.read()
        assert one.values()["recipe"] == "x" * 82


def quality(one: Client, name: str) -> int:
    """Of one signal."""
    table = one.tables["plc"]
    return int(table.read(list(table.names).index(name))[2])


async def longest_stop() -> float:
    """For how long nothing else ran, until it is cancelled."""
    loop, longest = asyncio.get_running_loop(), 0.0
    last = loop.time()
    try:
        while True:
            await asyncio.sleep(0.001)
            longest, last = max(longest, loop.time() - last), loop.time()
    except asyncio.CancelledError:
        return max(longest, loop.time() - last)


async def test_many_tags_that_a_large_controller_does_not_have_stop_nobody() -> None:
    signals = {f"s{n}": f"Extra_0{n}x" for n in range(100)}
    async with controller(extra_tags=6000) as plc:
        watch = asyncio.create_task(longest_stop())
        await asyncio.sleep(0.01)
        async with reading(plc.port, signals) as one:
            await one.read()
            assert len(one.whys()) == 100
            assert "did you mean Extra_" in one.whys()["s0"]
        watch.cancel()
        assert await watch < 1.5


async def test_structures_within_each_other_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the next one twice, at the same place: few templates, and more ways through them than time."""
    deepest, first = 24, 0xE00

    def template(_: Router, request: Any, instance: int, *__: Any) -> tuple[int, bytes]:
        below = 0xC4 if instance == first + deepest else 0x8000 | instance + 1
        data = struct.pack("<HHIHHI", 0, below, 0, 0, below, 0) + b"T\0A\0B\0"
        return Status.SUCCESS, data[int.from_bytes(request.data[:4], "little") :]

    def attributes(*_: Any) -> Any:
        return {1: b"\1\0", 2: b"\2\0", 4: struct.pack("<I", 11), 5: struct.pack("<I", 4)}

    def one_page(*_: Any) -> tuple[int, bytes]:
        name = struct.pack("<IH", 1, 4) + b"Bomb"
        return Status.SUCCESS, name + struct.pack("<H12xB", 0x8000 | first, 0)

    monkeypatch.setattr(Router, "_template", template)
    monkeypatch.setattr(Router, "_symbols", one_page)
    monkeypatch.setattr(objects, "template_attributes", attributes)
    monkeypatch.setattr(objects, "change_attributes", lambda _: None)  # the list is uploaded twice and compared
    path = ".".join(["Bomb", *("AB"[n % 2] for n in range(deepest + 1))])
    async with controller() as plc:
        watch = asyncio.create_task(longest_stop())
        await asyncio.sleep(0.01)
        async with reading(plc.port, {"deep": path}) as one:
            await one.read()
            assert "has no" not in one.whys()["deep"], "its type was found"
        watch.cancel()
        assert await watch < 1.5


async def test_names_that_are_none_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(*_: Any) -> tuple[int, bytes]:
        names = (b"A" * 30_000, b"\x1b[2J\nok", b"Real")
        entry = struct.Struct("<H12xB")
        told = (struct.pack("<IH", n, len(name)) + name + entry.pack(0xC4, 0) for n, name in enumerate(names))
        return Status.SUCCESS, b"".join(told)

    monkeypatch.setattr(Router, "_symbols", page)
    async with controller() as plc, reading(plc.port, {"count": "Zzz"}) as one:
        await one.read()
        assert one.whys() == {"count": "Zzz: the controller has no tag Zzz; it has Real"}


@pytest.mark.parametrize("given", [True, False])
async def test_controller_without_a_connection_to_give_is_told_once(given: bool) -> None:
    with capture_logs() as logs:
        async with controller() as plc:
            plc.manager.refuses_all = not given
            async with reading(plc.port, LABELER) as one:
                await one.read()
                await one.read()
                assert not one.whys()
    told = [entry for entry in logs if entry["event"] == "no_connection_given"]
    assert len(told) == (not given)
    assert given or "connection" in told[0]["why"]
