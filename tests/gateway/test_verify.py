"""`linegate verify` and `linegate mute` beside a real daemon: what they say, and the events that keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.inputs import Mute
from gateway.pipeline import Pipeline
from gateway.schemas.catalogue import EVENT_DATA
from gateway.verify import agree, counted_by_plc
from protocols.model import Batch
from tests import processes
from tests.conftest import line_document
from tests.gateway.test_pipeline import RUNNING, START, T0, filler, good
from tests.processes import Daemon, daemon, free_port, simulator, until


async def linegate(what: str, one: Daemon, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command for one daemon's line."""
    return await processes.linegate(what, one.file, "--state-dir", one.state, *arguments, given="7\n")


def told(one: Daemon, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in one.events() if event["type"] == f"linegate.machine.{kind}.v1"]


async def test_counted_by_hand_and_worked_on_online(tmp_path: Path) -> None:
    """Right, wrong, prompted for; a machine that there is not; then muted, marked, and no longer."""
    async with simulator("--frozen", "--chaos", "off", "--speed", "4", "--bottles", "4294967290") as plc:
        document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
        document["devices"]["filler_plc"] |= {"port": plc.port, "scan_interval": "50ms"}
        async with daemon(tmp_path, document) as one:
            await until(lambda: told(one, "state"))
            code, out, _ = await linegate(
                "verify", one, "--machine", "filler", "--for", "1s", "--hand-count", "0", "--json"
            )
            assert (code, json.loads(out)) == (0, {"gateway": 0, "plc": 0, "hand": 0, "agrees": True})
            await plc.tell(action="thaw")
            code, out, _ = await linegate(
                "verify", one, "--machine", "filler", "--for", "3s", "--hand-count", "1000", "--who", "anna"
            )
            assert code == 1
            assert "do NOT agree" in out
            code, out, err = await linegate("verify", one, "--machine", "filler", "--for", "1s", "--tolerance", "9")
            assert "Parts that you counted" in err
            assert "7" in out
            code, _, err = await linegate("verify", one, "--machine", "filer", "--for", "1s")
            assert (code, "those are: filler" in err) == (2, True)
            await until(lambda: len(told(one, "verified")) == 3)
            found = told(one, "verified")
            assert (found[1]["hand"], found[1]["who"], found[1]["agrees"]) == (1000, "anna", False)
            assert found[1]["gateway"] == found[1]["plc"] > 6  # the counter rolled over meanwhile
            code, out, _ = await linegate("mute", one, "--machine", "filler", "--for", "1h", "--why", "new program")
            assert (code, "for 60 min" in out) == (0, True)
            await plc.tell(action="fault", code=17)
            await until(lambda: any(state.get("muted") and state["state"] == "held" for state in told(one, "state")))
            assert (await one.line())["machines"]["filler"]["muted_until"] is not None
            assert (await linegate("mute", one, "--machine", "filler", "--for", "0s"))[0] == 0
            assert (await one.line())["machines"]["filler"]["muted_until"] is None
            code, _, err = await linegate("mute", one, "--machine", "filler", "--for", "25h")
            assert (code, "more than a day" in err) == (2, True)
            assert await one.stop() == 0
    assert [muted["why"] for muted in told(one, "muted")] == ["new program", ""]


def test_events_are_marked_while_it_is_muted_and_over_a_restart() -> None:
    """From then until then, by the engine's time; a pipeline that goes on from the checkpoint marks on."""
    pipeline = Pipeline(filler(settle=0))
    pipeline.process(START)
    before, _ = pipeline.process(Batch("filler_plc", 0, RUNNING, T0 + 1000))
    (muted,), _ = pipeline.process(Mute("filler", T0 + 9000, "anna", "testing", T0 + 2000))
    saved, pipeline = pipeline.all_rows(), Pipeline(filler(settle=0))
    pipeline.restore(saved)
    within, _ = pipeline.process(Batch("filler_plc", 0, good(fault=17), T0 + 3000))
    after, _ = pipeline.process(Batch("filler_plc", 0, good(fault=23), T0 + 9000))
    assert muted.data["until"] > muted.data["production_date"]
    begun = [event.data for event in (*before, *within, *after) if event.data.get("ended", "") is None]
    assert [(data.get("muted", False), data["began"][-7:-1]) for data in begun if "interval" in data][-2:] == [
        (True, "03.000"), (False, "09.000")
    ]  # fmt: skip
    assert set(muted.data) >= set(EVENT_DATA["machine.muted"].__annotations__) - {"clock_suspect", "muted"}


@pytest.mark.parametrize(
    ("readings", "parts"),
    [
        ((100, 190), 90),
        ((4_294_967_290, 4), 10),
        ((None, 4), None),
    ],
)
def test_what_the_plc_counted(readings: tuple[int | None, int | None], parts: int | None) -> None:
    config = filler()
    lines = [{"devices": {"filler_plc": {"signals": {"bottles": {"value": value}}}}} for value in readings]
    assert counted_by_plc(config, config.machines["filler"], *lines) == parts


@pytest.mark.parametrize(("hand", "agrees"), [(99, True), (100, True), (101, True), (98, False), (102, False)])
def test_a_hand_may_be_a_part_off(hand: int, agrees: bool) -> None:
    assert agree(100, hand, 1) is agrees
    assert not agree(None, hand, 1)
