"""Downloads at any moment: instances and templates are others' afterwards, and no signal ever gets another's value."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from protocols.driver import LinkError
from protocols.ethernet_ip import driver as driver_module
from protocols.ethernet_ip import unit
from protocols.model import Learned, Quality
from protocols.simulated.ethernet_ip import LabelerPlc
from protocols.simulated.ethernet_ip import reading as reading_module
from protocols.simulated.ethernet_ip.datatypes import DINT, INT
from protocols.simulated.ethernet_ip.objects import Identity
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.showcase import LONG_TEXT
from protocols.simulated.machine import CALM, Filler
from tests.protocols.ethernet_ip.client import Client, client, controller, reading, section

NUMBERS = 120
FEW = 12
ARRAY_LENGTH = 400


class Numbered(LabelerPlc):
    """Many tags of one type whose value tells which tag it is, so that instances mean others of the same type."""

    def _labeler(self, edition: int) -> Project:
        project = super()._labeler(edition)
        for number in range(NUMBERS):
            project.tag(f"Own_{number}", DINT, 1_000_000 + number)
        for number in range(FEW):
            values = [1000 * number + place for place in range(ARRAY_LENGTH)]
            project.tag(f"Array_{number}", INT, values, (ARRAY_LENGTH,))
            project.tag(f"Text_{number}", LONG_TEXT, f"{number:03}" * 150)
        return project


FEW_TAGS: dict[str, Any] = {f"own_{n}": f"Own_{n}" for n in range(0, NUMBERS, 25)}
TEXTS: dict[str, Any] = {f"text_{n}": {"tag": f"Text_{n}", "length": 500} for n in range(0, FEW, 4)}
MANY: dict[str, Any] = {
    **{f"own_{n}": f"Own_{n}" for n in range(NUMBERS)},
    **{f"array_{n}": f"Array_{n}[{7 * n}]" for n in range(FEW)},
    **{f"whole_{n}": f"Array_{n % 2}[{n}]" for n in range(300, ARRAY_LENGTH, 7)},
    "count": "Labeler.Count",
    "running": "Labeler_Running",
    "mode": "identity:mode",
}


def due(name: str, plc: LabelerPlc) -> Any:
    """What a signal must hold whenever it is good."""
    kind, _, number = name.partition("_")
    match kind:
        case "own":
            return 1_000_000 + int(number)
        case "array":
            return 1007 * int(number)
        case "text":
            return f"{int(number):03}" * 150
        case "whole":
            return 1000 * (int(number) % 2) + int(number)
        case "count":
            return 69_500 + plc.machine.bottles - 70_000 - plc.machine.rejects + 500
    return plc.identity.mode.value >> 4 & 15 if kind == "mode" else plc.machine.state.name == "EXECUTE"


def check(one: Client, plc: LabelerPlc) -> int:
    """Every good value is its signal's own. Returns how many are good."""
    table, good = one.tables["plc"], 0
    for number, name in enumerate(table.names):
        _, value, quality, _, _ = table.read(number)
        if quality == Quality.GOOD:
            assert value == due(name, plc), f"{name} has another tag's value, {value}"
            good += 1
    return good


async def numbered(**settings: Any) -> Numbered:
    machine = Filler(1, CALM, bottles=70_000, rejects=500)
    machine.advance(30_000)
    plc = Numbered(machine, lambda: machine.now_ms, **settings)
    await plc.start()
    return plc


@pytest.mark.parametrize(
    ("signals", "size", "seed", "settings"),
    [
        (MANY, 4000, 3, {"identity": Identity(major=20)}),
        (MANY, 4000, 1, {}),
        (MANY, 500, 1, {}),
        (FEW_TAGS, 4000, 1, {}),
        (FEW_TAGS, 4000, 2, {}),
        (FEW_TAGS, 500, 3, {"multiple": False}),
        (FEW_TAGS, 500, 4, {"multiple": False}),
        (TEXTS, 300, 1, {}),
        (TEXTS, 300, 2, {}),
        (FEW_TAGS | TEXTS, 300, 3, {}),
    ],
)
async def test_no_wrong_value_whenever_a_download_falls(
    monkeypatch: pytest.MonkeyPatch, signals: dict[str, Any], size: int, seed: int, settings: dict[str, Any]
) -> None:
    """The project changes before any frame that the controller answers: within scans, fragments and uploads."""
    monkeypatch.setattr(driver_module, "LOOK_AGAIN_S", 0.02)
    chance = random.Random(f"{size}/{seed}")
    plc = await numbered(identity=settings.get("identity"))
    plc.manager.largest = size
    plc.router.refuses_multiple = not settings.get("multiple", True)
    answer = plc.stack.answer
    left, downloads = 5, list(range(25))

    def interrupted(frame: bytes, address: tuple[str, int]) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and downloads:
            left = chance.choice((1, 2, 3, 5, 8, 20))
            if chance.random() < 0.2:
                plc.unload()
            else:
                downloads.pop()
                plc.download(keep_connections=True)
        return answer(frame, address)

    try:
        async with reading(plc.port, signals, scan_interval="10ms") as one:
            await one.read()
            assert check(one, plc) == len(signals)
            monkeypatch.setattr(plc.stack, "answer", interrupted)
            while downloads:
                await one.read()
                check(one, plc)
            monkeypatch.undo()
            plc.download(keep_connections=True)
            await one.until(lambda: check(one, plc) == len(signals), "all are good again")
            assert len([notice for notice in one.notices if notice.quarantined]) == 0, "a download refuses nothing"
    finally:
        await plc.close()
    assert not plc.violations


async def test_controllers_that_hang_up_are_found_with_the_new_project() -> None:
    async with controller() as plc:
        signals = {"count": "Labeler.Count", "head": "Labeler.Heads[2].Labels"}
        for _ in range(3):
            one = client({"plc": section(plc.port, signals)})
            await one.driver.connect()
            await one.read()
            assert one.values() == {"count": 69_500 + plc.machine.bottles - 70_000 - plc.machine.rejects + 500,
                                    "head": (one.values()["count"] + 1) // 4}  # fmt: skip
            plc.download()
            with pytest.raises(LinkError):
                await one.until(lambda: False, "the connection is closed")
            await one.driver.close()


async def test_tags_that_a_download_takes_and_brings_back() -> None:
    signals = {"count": "Labeler_Count", "temp": {"tag": "Labeler_Temp", "type": "float32"}, "run": "Labeler_Running"}
    async with controller() as plc, reading(plc.port, signals) as one:
        await one.read()
        assert not one.whys()
        plc.edits.without = {"Labeler_Count"}
        plc.edits.retyped = {"Labeler_Temp": "LREAL"}
        plc.download(keep_connections=True)
        await one.read()
        whys = one.whys()
        assert whys.keys() == {"count", "temp"}
        assert "has no tag Labeler_Count" in whys["count"]
        assert "is a LREAL in the controller, which is float64, and float32 in the configuration" in whys["temp"]
        plc.edits.without, plc.edits.retyped = set(), {}
        plc.download(keep_connections=True)
        await one.read()
        assert not one.whys()
        assert [(notice.address, notice.quarantined) for notice in one.notices] == [
            ("Labeler_Count", True), ("Labeler_Temp", True), ("Labeler_Count", False), ("Labeler_Temp", False),
        ]  # fmt: skip


async def test_type_that_the_configuration_leaves_open_follows_the_controller() -> None:
    async with controller() as plc, reading(plc.port, {"count": "Labeler_Count"}) as one:
        await one.read()
        assert one.learned[0] == Learned("int32")
        plc.edits.retyped = {"Labeler_Count": "LINT"}
        plc.download(keep_connections=True)
        await one.read()
        assert one.learned[0] == Learned("int64")
        assert one.values() == {"count": plc._count()}


async def test_while_a_download_goes_on_the_mode_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "LOOK_AGAIN_S", 0.1)
    async with controller() as plc, reading(plc.port, {"count": "Labeler_Count", "mode": "identity:mode"}) as one:
        await one.read()
        plc.unload()
        await one.read()
        assert one.whys() == {"count": unit.UNLOADED}
        assert one.values()["mode"] == 6
        assert not one.notices, "a download is no refusal"
        plc.download(keep_connections=True)
        await one.until(lambda: not one.whys(), "the tags are back")


async def test_controller_without_a_project_is_connected_to_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "LOOK_AGAIN_S", 0.1)
    async with controller() as plc:
        plc.unload()
        async with reading(plc.port, {"count": "Labeler_Count", "mode": "identity:mode"}) as one:
            await one.read()
            assert one.whys() == {"count": unit.UNLOADED}
            plc.download(keep_connections=True)
            await one.until(lambda: not one.whys(), "the tags come")


@pytest.mark.parametrize("is_told", [True, False])
async def test_controller_that_tells_no_edition_is_asked_by_names(
    monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """Names cannot be another tag's; a path that is refused, or another type, leads to a fresh look."""
    from protocols.simulated.ethernet_ip import objects

    if not is_told:
        monkeypatch.setattr(objects, "change_attributes", lambda _: None)
    async with controller() as plc:
        signals = {"count": "Labeler.Count", "run": "Labeler_Running", "temp": "Labeler_Temp"}
        async with reading(plc.port, signals) as one:
            await one.read()
            before = one.values()
            plc.edits.without = {"Labeler_Temp"}
            plc.download(keep_connections=True)
            await one.until(lambda: one.whys(), "one is gone", scans=3)
            assert one.whys().keys() == {"temp"}
            assert {**one.values(), "temp": before["temp"]} == before, "others are read by the new template"


async def test_downloads_do_not_disturb_each_other() -> None:
    async with controller() as one_plc, controller() as other_plc:
        async with reading(one_plc.port, {"count": "Labeler_Count"}) as one:
            async with reading(other_plc.port, {"count": "Labeler_Count"}) as other:
                await asyncio.gather(one.read(), other.read())
                one_plc.unload()
                await asyncio.gather(one.read(), other.read())
                assert one.whys()
                assert not other.whys()


async def test_new_project_is_found_where_no_tag_of_the_old_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """No packet tells the edition then; it is asked for when what is missing is due again."""
    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.1)
    async with controller() as plc:
        plc.edits.without = {"Labeler_Count"}
        plc.download()
        async with reading(plc.port, {"count": "Labeler_Count"}) as one:
            plc.reset_counts()
            await one.until(lambda: len(one.batches) > 20, "a retry or more")
            assert plc.counts.keys() == {"frames", "get_attribute_list"}
            assert one.whys().keys() == {"count"}
            plc.edits.without = set()
            plc.download(keep_connections=True)
            await one.until(lambda: not one.whys(), "it is there")
            assert [notice.quarantined for notice in one.notices] == [True, False]


@pytest.mark.parametrize("answer", ["type", "length"])
async def test_tag_that_is_not_what_the_controller_says_costs_itself_alone(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """A reply of another type or length, though the project is the uploaded one."""
    read_tag = reading_module.read_tag

    def misread(place: Any, request: Any, room: int) -> tuple[int, bytes]:
        status, data = read_tag(place, request, room)
        if place.symbol.name != "Labeler_Temp":
            return status, data
        return status, (b"\xc3\0\1\0" if answer == "type" else data + b"\0\0")

    signals = {"count": "Labeler_Count", "temp": "Labeler_Temp", "step": "Program:MainProgram.Step"}
    async with controller() as plc:
        monkeypatch.setattr(reading_module, "read_tag", misread)
        async with reading(plc.port, signals) as one:
            await one.read()
            assert one.whys().keys() == {"temp"}
            assert ("type 0x00c3" if answer == "type" else "brings 6 bytes, not 4") in one.whys()["temp"]
            plc.reset_counts()
            await one.read()
            assert plc.counts["frames"] == 1
            assert [notice.address for notice in one.notices] == ["Labeler_Temp"]


class Reshaped(LabelerPlc):
    """An array of two dimensions whose values say their indices, and which lies the other way after a download."""

    def _labeler(self, edition: int) -> Project:
        project = super()._labeler(edition)
        rows, columns = (2, 3) if edition % 2 else (3, 2)
        values = [10 * row + column for row in range(rows) for column in range(columns)]
        project.tag("Grid", DINT, values, (rows, columns))
        return project


@pytest.mark.parametrize("is_told", [True, False])
async def test_array_of_another_shape_has_its_own_values(monkeypatch: pytest.MonkeyPatch, is_told: bool) -> None:
    from protocols.simulated.ethernet_ip import objects

    if not is_told:
        monkeypatch.setattr(objects, "change_attributes", lambda _: None)
    machine = Filler(1, CALM, bottles=70_000, rejects=500)
    plc = Reshaped(machine, lambda: machine.now_ms)
    await plc.start()
    due_values = {f"g{row}{column}": 10 * row + column for row in range(2) for column in range(2)}
    try:
        async with reading(plc.port, {name: f"Grid[{name[1]},{name[2]}]" for name in due_values}) as one:
            for _ in range(4):
                await one.read()
                assert one.values() == due_values
                plc.download(keep_connections=True)
    finally:
        await plc.close()


async def test_nothing_is_back_before_its_value_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits into no packet with the edition waits for another's, which the controller is too busy to tell."""
    from protocols.simulated.ethernet_ip import objects
    from protocols.simulated.ethernet_ip.cip import Refused

    def busy(_: object) -> Any:
        raise Refused(0x02)

    monkeypatch.setattr(unit, "QUARANTINE_RETRY_S", 0.1)
    plc = await numbered()
    plc.manager.largest = 300
    try:
        async with reading(plc.port, {**FEW_TAGS, "text_0": TEXTS["text_0"]}) as one:
            plc.router.failing["text_0"] = 0x0F
            await one.until(lambda: one.notices, "it is refused")
            plc.router.failing.clear()
            with monkeypatch.context() as moment:
                moment.setattr(objects, "change_attributes", busy)
                for _ in range(20):
                    await one.read()
                    assert [notice.quarantined for notice in one.notices] == [True]
            await one.until(lambda: not one.whys(), "all are back")
            await one.read()
            assert [notice.quarantined for notice in one.notices] == [True, False]
            assert check(one, plc) == len(FEW_TAGS) + 1
    finally:
        await plc.close()
