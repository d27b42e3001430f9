"""The disk refuses writes and syncs for a while, is full or broken: the daemon goes on, says so, and loses nothing."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path

from tests.conftest import FILLER_MACHINE, line_document
from tests.processes import Daemon, daemon, free_port, simulator, until
from tests.torture import layer
from tests.torture.book import Book
from tests.torture.journal import Journals

PARTS, REJECTS, EXTRA = 1_000_000, 30_000, 10
STORE = ("storing_fails", "storing_works_again")
UPLINK = ("uplink_lost", "uplink_restored")
TROUBLES = [
    ("wal.write", errno.ENOSPC, STORE),
    ("wal.sync", errno.EIO, STORE),
    ("wal.write", errno.EIO, STORE),
    ("wal.write", errno.EROFS, STORE),
    ("journal.write", errno.ENOSPC, UPLINK),
    ("journal.sync", errno.EIO, UPLINK),
]


def count(one: Daemon, event: str) -> int:
    return one.log.read_text().count(f'"event": "{event}"')


async def has_read(one: Daemon, parts: tuple[int, int]) -> bool:
    signals = json.loads((await one.get("/api/line?signals"))[1])["devices"]["filler_plc"]["signals"]
    return (signals["bottles"]["value"], signals["rejects"]["value"]) == parts


async def has_stored(one: Daemon, events: int) -> bool:
    return int((await one.line())["buffer"]["last_seq"]) > events


async def nothing_waits(one: Daemon) -> bool:
    return bool((await one.line())["uplinks"]["journal"]["backlog"] == 0)


async def test_a_disk_that_refuses_for_a_while_costs_nothing(tmp_path: Path) -> None:
    state, trouble = tmp_path / "state", tmp_path / "trouble"
    state.mkdir()
    library = layer.build(tmp_path)
    counters = ("--bottles", str(PARTS), "--rejects", str(REJECTS), "--extra-registers", str(EXTRA))
    async with simulator("--speed", "5", "--frozen", *counters) as plc:
        document = line_document(
            buffer={"path": "line.db", "commit_interval": "20ms"}, health={"listen": f"127.0.0.1:{free_port()}"}
        )
        device = document["devices"]["filler_plc"]
        extra = {f"extra_{n}": {"address": f"holding:{1000 + 2 * n}", "type": "float32"} for n in range(EXTRA)}
        device |= {"port": plc.port, "scan_interval": "50ms", "signals": {**device["signals"], **extra}}
        document["machines"] = {"filler": {**FILLER_MACHINE, "ideal": "100ms", "settle": "100ms"}}
        document["trends"] = {f"filler_plc.{name}": {"on_change": True} for name in extra}
        environment = layer.environment(library, state, fail=trouble)
        async with daemon(state, document, environment=environment) as one:
            await until(lambda: has_read(one, (PARTS, REJECTS)))
            await plc.tell(action="thaw")
            for what, number, (lost, back) in TROUBLES:
                before = count(one, lost), count(one, back)
                trouble.write_text(f"{what} {number}")
                await until(lambda lost=lost, before=before: count(one, lost) > before[0])  # type: ignore[misc]
                await asyncio.sleep(0.3)  # the line goes on meanwhile
                assert (await one.get("/livez"))[0] == 200
                assert not await one.is_well()
                trouble.unlink()
                await until(lambda back=back, before=before: count(one, back) > before[1])  # type: ignore[misc]
                await until(lambda: one.is_well())
            await until(lambda: has_stored(one, 500))
            truth = await plc.tell(action="freeze")
            await until(lambda: has_read(one, (PARTS + truth["total"], REJECTS + truth["rejects"])))
            await until(lambda: nothing_waits(one))
            assert await one.stop() == 0
    book = Book("journal")
    reader = Journals(state / "events.ndjson")
    for line in await asyncio.to_thread(lambda: list(reader.news())):
        book.take(line)
    reader.close()
    book.is_produced({"filler": truth})
    book.is_without_gaps_of_time()
