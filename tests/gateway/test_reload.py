"""A configuration that is changed while the daemon runs: what differs begins anew, and everything else goes on."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import re
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.control.client import ask_daemon
from gateway.control.wire import Refused
from tests.conftest import FILLER_MACHINE, FILLER_SIGNALS, line_document
from tests.processes import Daemon, Simulator, daemon, free_port, reload, simulator, until

SPEED = 5
"""Times real time at which the simulated PLCs live."""
EDITS = 8


async def plumbing(one: Daemon) -> dict[str, Any]:
    """The values of each check of /health."""
    checks: dict[str, Any] = json.loads((await one.get("/health"))[1])["checks"]
    return {name: check[0]["observedValue"] for name, check in checks.items()}


def chain(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(int(event["prevseq"]), int(event["seq"])) for event in events]


def is_whole(events: list[dict[str, Any]]) -> bool:
    """Each event follows the one before it: none is lost, and none is there twice."""
    links = chain(events)
    return all(before == seq for (before, _), (_, seq) in zip(links[1:], links, strict=False))


def two_lines(filler: int, other: int) -> dict[str, Any]:
    """A machine behind each of two simulated PLCs; that one of them is slow to answer ends no interval."""
    plc = {
        "protocol": "modbus_tcp", "host": "127.0.0.1", "scan_interval": "200ms", "timeout": "20s",
        "signals": FILLER_SIGNALS,
    }  # fmt: skip
    machine = {**FILLER_MACHINE, "ideal": f"{500 // SPEED}ms", "settle": "100ms", "no_output": "0s"}
    again = json.loads(json.dumps(machine).replace("filler_plc", "other_plc"))
    return line_document(
        devices={"filler_plc": {**plc, "port": filler}, "other_plc": {**plc, "port": other}},
        machines={"filler": machine, "other": again},
        flow=[],
        buffer={"path": "line.db"},
        health={"listen": f"127.0.0.1:{free_port()}"},
    )


async def counts(one: Daemon) -> list[tuple[int, int]]:
    """Total and scrap of both machines, whatever the day."""
    machines = (await one.line())["machines"]
    return [(machines[name]["ever"]["total"], machines[name]["ever"]["scrap"]) for name in ("filler", "other")]


async def have_counted(one: Daemon, truths: list[dict[str, Any]]) -> bool:
    return await counts(one) == [(truth["total"], truth["rejects"]) for truth in truths]


@pytest.fixture
async def plcs() -> AsyncIterator[list[Simulator]]:
    calm = ("--frozen", "--chaos", "off", "--speed", str(SPEED))
    async with simulator(*calm) as one, simulator(*calm) as other:
        yield [one, other]


async def test_only_what_differs_begins_anew(tmp_path: Path, plcs: list[Simulator]) -> None:
    """One device, one uplink and the endpoint change; the other machine's interval, device and counts go on."""
    document = two_lines(plcs[0].port, plcs[1].port)
    async with daemon(tmp_path, document) as one:
        await until(lambda: {event["subject"] for event in one.events()} >= {"filler", "other"})
        for plc in plcs:
            await plc.tell(action="thaw")
        await until(lambda: counted_some(one, 10))
        before = (await one.line())["machines"]
        changed = copy.deepcopy(document)
        changed["devices"]["other_plc"]["timeout"] = "2s"
        changed["machines"]["filler"]["short_stop"] = "1min"
        changed["uplinks"]["again"] = {"type": "file", "path": "again.ndjson", "from": "oldest"}
        changed["health"] = {"listen": f"127.0.0.1:{free_port()}"}
        code, out, err = await reload(one, changed)
        assert code == 0, err
        assert out.splitlines()[:-1] == [
            "devices changed: other_plc", "machines changed: filler", "uplinks added: again", "also changed: health"
        ]  # fmt: skip
        one.url = f"http://{changed['health']['listen']}"
        await until(one.is_ready)
        await until(lambda: "linegate.device.restored.v1" in [event["type"] for event in one.events()])
        checks = await plumbing(one)
        assert checks["device:filler_plc"]["reconnects"] == 0
        after = (await one.line())["machines"]
        assert after["filler"]["interval"] == before["filler"]["interval"]
        assert after["other"]["interval"] != before["other"]["interval"]
        truths = [await plc.tell(action="freeze") for plc in plcs]
        await until(lambda: have_counted(one, truths))
        assert await one.stop() == 0
    journal, again = one.events(), one.events("again.ndjson")
    assert is_whole(journal)
    assert is_whole(again)
    assert [event["id"] for event in again] == [event["id"] for event in journal]
    (applied,) = [event["data"] for event in journal if event["type"] == "linegate.config.applied.v1"]
    assert applied["changes"]["devices"] == {"added": [], "removed": [], "changed": ["other_plc"]}
    assert [event["subject"] for event in journal if event["type"] == "linegate.device.lost.v1"] == ["other_plc"]


async def counted_some(one: Daemon, parts: int) -> bool:
    return all(total >= parts for total, _ in await counts(one))


async def test_what_cannot_be_taken_over_changes_nothing(tmp_path: Path, plcs: list[Simulator]) -> None:
    """What does not differ, a file with a problem by command and by signal, what needs a restart, another's file."""
    document = two_lines(plcs[0].port, plcs[1].port)
    async with daemon(tmp_path, document) as one:
        digest = (await one.line())["configuration"]
        code, out, err = await reload(one)
        assert code == 0, err
        assert out == f"nothing differs from what runs already\nconfiguration {digest} is in force\n"
        bad = copy.deepcopy(document)
        bad["devices"]["other_plc"]["signals"]["running"] = {"address": "coil:70000"}
        code, out, err = await reload(one, bad)
        assert code == 2
        assert "other_plc.signals.running.address" in err
        assert one.process is not None
        one.process.send_signal(signal.SIGHUP)
        await until(lambda: "reload_refused" in one.log.read_text())
        assert "coil:70000" in one.log.read_text()
        checks = json.loads((await one.get("/health"))[1])["checks"]
        assert checks["configuration"][0]["status"] == "warn"
        elsewhere = copy.deepcopy(document)
        elsewhere["line"]["name"] = "line-4"
        code, _, err = await reload(one, elsewhere)
        assert code == 1
        assert "needs a restart" in err
        one.file.write_text(json.dumps(document))
        half = {"file": str(one.file), "digest": "of what was there before the rest of it was written"}
        with pytest.raises(Refused, match="is being changed while it is read"):
            await asyncio.to_thread(lambda: [*ask_daemon(one.state, one.state / "line.db", "reload", **half)])
        other = tmp_path / "other.yaml"
        other.write_text(json.dumps(document))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "reload", str(other), "--state-dir", str(one.state),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, err_bytes = await process.communicate()
        assert process.returncode == 1
        assert b"was started with" in err_bytes
        assert (await one.line())["configuration"] == digest
        assert await one.stop() == 0
    assert "linegate.config.applied.v1" not in [event["type"] for event in one.events()]
    code, _, err = await reload(one, document)
    assert code == 1
    assert "no daemon listens" in err


def edited(document: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """The same with something else about the other device, its machine, or an uplink: the filler's stay as they are."""
    one = copy.deepcopy(document)
    plc, machine = one["devices"]["other_plc"], one["machines"]["other"]
    match choose.randrange(6):
        case 0:
            plc["timeout"] = f"{choose.randrange(500, 3000)}ms"
        case 1:
            machine["short_stop"] = f"{choose.randrange(10, 300)}s"
        case 2:
            machine["settle"] = f"{choose.randrange(0, 200)}ms"
        case 3:
            one["uplinks"].pop("passing", None) or one["uplinks"].update(
                passing={"type": "file", "path": "passing.ndjson", "events": ["machine.*"]}
            )
        case 4:
            one["trends"] = {"filler_plc.level": {"every": f"{choose.randrange(1, 50)}s"}}
        case 5:
            shift = {"days": ["mon", "sun"], "from": f"0{choose.randrange(10)}:00", "to": "14:00"}
            one["calendar"] = {"shifts": {"early": shift}}
    return one


def has_answered(one: Daemon, known: int) -> bool:
    """Whether the log says behind so many characters how the reload went."""
    return re.search("config_applied|reload_", one.log.read_text()[known:]) is not None


async def test_reload_campaign(tmp_path: Path, plcs: list[Simulator]) -> None:
    """Random edits under load: the untouched device misses no scan, and no part and no event is lost or doubled."""
    document, choose = two_lines(plcs[0].port, plcs[1].port), random.Random(20261123)
    document["devices"]["filler_plc"]["scan_interval"] = "500ms"  # several times what a reload may hold the loop
    async with daemon(tmp_path, document) as one:
        await until(lambda: {event["subject"] for event in one.events()} >= {"filler", "other"})
        for plc in plcs:
            await plc.tell(action="thaw")
        assert one.process is not None
        for number in range(EDITS):
            await until(partial(plcs[0].has_made, 2 * number))  # parts are made all the time
            document = edited(document, choose)
            one.file.write_text(json.dumps(document))
            known = len(one.log.read_text())
            one.process.send_signal(signal.SIGHUP)
            await until(partial(has_answered, one, known))
        assert "reload_refused" not in one.log.read_text()
        checks = await plumbing(one)
        assert checks["device:filler_plc"]["reconnects"] == 0
        assert checks["device:filler_plc"]["overruns"] < EDITS // 2  # by a busy machine, but not by each reload
        truths = [await plc.tell(action="freeze") for plc in plcs]
        await until(lambda: have_counted(one, truths))
        assert await one.stop() == 0
    journal = one.events()
    assert is_whole(journal)
    assert [event["subject"] for event in journal if "device.lost" in event["type"]].count("filler_plc") == 0
    assert sum(event["type"] == "linegate.config.applied.v1" for event in journal) >= EDITS // 2
