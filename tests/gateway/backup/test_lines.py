"""A line that moves: a real daemon's backup, what happens after it, and a restore; the plant's book stays right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import FILLER_MACHINE, line_document
from tests.processes import Daemon, Simulator, daemon, free_port, linegate, simulator, until

BOTTLES, REJECTS = 1_000_000, 20_000
"""Where the PLC's counters begin: too high for a reset that nobody saw."""
SPEED = 20


def document(plc: int) -> dict[str, Any]:
    one = line_document()
    one["devices"]["filler_plc"] |= {"port": plc, "scan_interval": "50ms", "timeout": "500ms"}
    one["machines"] = {"filler": {**FILLER_MACHINE, "ideal": f"{500 // SPEED}ms", "settle": "100ms"}}
    one["recording"] = {}
    one["health"] = {"listen": f"127.0.0.1:{free_port()}"}
    return one


async def has_read(one: Daemon, truth: dict[str, Any]) -> bool:
    """Whether the counters' last readings are the PLC's."""
    signals = json.loads((await one.get("/api/line?signals"))[1])["devices"]["filler_plc"]["signals"]
    readings = (signals["bottles"]["value"], signals["rejects"]["value"])
    return bool(readings == (BOTTLES + truth["total"], REJECTS + truth["rejects"]))


async def run_for_a_while(plc: Simulator) -> int:
    """The line makes parts; how many it has made by then."""
    made = (await plc.tell(action="thaw"))["total"]
    await until(lambda: plc.has_made(made + 15))
    return int((await plc.tell(action="freeze"))["total"])


def book(*journals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a receiver keeps: an event once, by stream and number."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for event in (event for journal in journals for event in journal):
        assert kept.setdefault((event["stream"], event["seq"]), event)["data"] == event["data"]
    return list(kept.values())


def produced(events: list[dict[str, Any]]) -> int:
    made = [event["data"] for event in events if event["type"] == "linegate.machine.production.v1"]
    return sum(one["total"] for one in made)


class Old:
    """The machine that dies: two archives of it, its journal, and what its line had made when it ended."""

    def __init__(self, place: Path, plc: Simulator) -> None:
        self.place = place
        self.plc = plc
        self.copy, self.moved = place / "copy.tar.zst", place / "moved.tar.zst"
        self.daemon: Daemon
        self.made = 0


@asynccontextmanager
async def old_machine(place: Path) -> AsyncIterator[Old]:
    counters = ("--bottles", str(BOTTLES), "--rejects", str(REJECTS))
    async with simulator("--speed", str(SPEED), "--chaos", "off", "--frozen", *counters) as plc:
        old = Old(place, plc)
        state = place / "old"
        state.mkdir()
        async with daemon(state, document(plc.port)) as one:
            old.daemon = one
            await until(lambda: has_read(one, {"total": 0, "rejects": 0}))
            await plc.tell(action="thaw")
            await until(lambda: plc.has_made(5))
            made = (await plc.tell(action="thaw"))["total"]
            code, out, err = await linegate("backup", one.file, "--state-dir", state, "--output", old.copy)
            assert (code, "read back" in out) == (0, True), err
            assert (await plc.tell(action="freeze"))["total"] > made  # it was made while parts were
            refused = await linegate("backup", one.file, "--state-dir", state, "--output", old.moved, "--move")
            assert refused[0] == 1
            assert "a line that is moved must not go on here; stop the service for good first" in refused[2]
            old.made = await run_for_a_while(plc)
            await until(lambda: has_read_now(one, plc))
            assert await one.stop() == 0
        code, _, err = await linegate("backup", one.file, "--state-dir", state, "--output", old.moved, "--move")
        assert code == 0, err
        yield old


async def has_read_now(one: Daemon, plc: Simulator) -> bool:
    return await has_read(one, await plc.tell(action="freeze"))


async def go_on(old: Old, name: str, archive: Path, *options: str | Path) -> tuple[Daemon, int, int]:
    """Restore on a new machine and run it for a while: its daemon, and what was made when it began and ended."""
    state = old.place / name
    code, out, err = await linegate("restore", archive, "--state-dir", state, "--config-dir", state, *options)
    assert code == 0, err
    assert "in the stream" in out
    async with daemon(state, json.loads((state / "line.yaml").read_text())) as one:
        await until(lambda: has_read_now(one, old.plc))
        began = int((await old.plc.tell(action="freeze"))["total"])
        ended = await run_for_a_while(old.plc)
        await until(lambda: has_read_now(one, old.plc))
        assert await one.stop() == 0
    return one, began, ended


async def test_no_part_is_counted_twice_whatever_came_after_the_backup(tmp_path: Path) -> None:
    async with old_machine(tmp_path) as old:
        before = old.daemon.events()
        assert produced(before) == old.made
        await run_for_a_while(old.plc)  # nobody looks

        moved, _, ended = await go_on(old, "moved", old.moved)
        assert produced(book(before, moved.events())) == ended

        copy, began, ended = await go_on(old, "copy", old.copy)
        assert produced(book(before, copy.events())) == old.made + ended - began  # what it cannot know it leaves out
        stream = before[0]["stream"]  # what the copy's uplink had not acknowledged then comes first
        first, gap = [event for event in copy.events() if event["stream"] != stream][:2]
        assert first["data"]["previous"]["ended"] == "restored"
        assert first["data"]["previous"]["stream"] == stream
        assert (first["seq"], first["prevseq"]) == ("1", "0")
        assert gap["data"]["why"].startswith("restored from a backup")

        events, _, ended = await go_on(old, "events", old.copy, "--events", old.daemon.state / "events.ndjson")
        assert produced(book(before, events.events())) == ended
        assert {path.name for path in (events.state / "recordings").iterdir()} >= {
            path.name for path in (old.daemon.state / "recordings").iterdir()
        }

        assert old.daemon.process is not None
        await old.daemon.start(ready=False)
        assert await asyncio.wait_for(old.daemon.process.wait(), 60) == 2  # systemd does not try again
        assert "given up here, and moved into moved.tar.zst" in old.daemon.log.read_text()
