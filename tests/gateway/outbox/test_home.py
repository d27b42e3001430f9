"""A real daemon whose files are taken away from under it: it says so, puts them back, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox.errors import BufferLocked
from gateway.outbox.lock import BufferLock
from tests.conftest import line_document
from tests.processes import Daemon, daemon, free_port, simulator, until


def document(plc: int) -> dict[str, Any]:
    one = line_document(
        buffer={"path": "store/line.db", "commit_interval": "20ms"}, health={"listen": f"127.0.0.1:{free_port()}"}
    )
    one["devices"]["filler_plc"] |= {"port": plc, "scan_interval": "50ms"}
    one["trends"] = {"filler_plc.speed": {"on_change": True}}
    return one


def stored(path: Path) -> tuple[str, int]:
    """Stream and last seq of what a start would find now, whether it was there before or not."""
    copy = path.parent.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path.parent, copy, ignore=shutil.ignore_patterns("*.sock"))
    with closing(sqlite3.connect(copy / path.name)) as db:
        found: tuple[str, int] = db.execute("SELECT stream, last_seq FROM meta").fetchone()
    return found


async def store(one: Daemon) -> dict[str, Any]:
    checks = json.loads((await one.get("/health"))[1])["checks"]
    found: dict[str, Any] = checks["store"][0]
    return found


async def is_back(one: Daemon, path: Path, times: int) -> bool:
    return path.exists() and one.log.read_text().count('"buffer_put_back"') == times


async def test_what_is_deleted_or_replaced_is_put_back(tmp_path: Path) -> None:
    async with simulator("--speed", "10") as plc:
        one = document(plc.port)
        async with daemon(tmp_path, one) as running:
            path = tmp_path / "store" / "line.db"
            await until(lambda: len(running.events()) >= 5)
            stream = stored(path)[0]
            path.unlink()
            await until(lambda: is_back(running, path, 1))
            path.with_name("line.db-wal").unlink()
            await until(lambda: is_back(running, path, 2))
            assert (await store(running))["status"] == "pass"
            foreign = tmp_path / "theirs"
            foreign.write_text("an old copy, or whatever it is")
            foreign.rename(path)
            await until(lambda: is_back(running, path, 3))
            (aside,) = path.parent.glob("line.db.aside-*")
            assert aside.read_text() == "an old copy, or whatever it is"
            await until(lambda: _says(running, aside.name))
            shutil.rmtree(path.parent)
            path.parent.write_text("no directory")
            await until(lambda: _says(running, "cannot be"))
            assert (await store(running))["status"] == "fail"
            sent = len(running.events())
            await until(lambda: len(running.events()) > sent)
            path.parent.unlink()
            await until(lambda: is_back(running, path, 4), 40)
            await until(lambda: _passes(running))
            sent = len(running.events())
            await until(lambda: len(running.events()) > sent)
            assert stored(path)[0] == stream
            assert stored(path)[1] >= sent
            with pytest.raises(BufferLocked):
                await asyncio.to_thread(BufferLock, path)
            await running.kill()
            await running.start()
            sent = len(running.events())
            await until(lambda: len(running.events()) > sent)
            assert await running.stop() == 0
            events = running.events()
    assert {event["stream"] for event in events} == {stream}
    seqs = [int(event["seq"]) for event in events]
    assert sorted(set(seqs)) == list(range(1, max(seqs) + 1))
    assert len(seqs) - len(set(seqs)) < 50, "what was sent and not noted before the kill, and no more"
    assert '"buffer_recovered"' not in running.log.read_text()


async def _says(one: Daemon, words: str) -> bool:
    return words in (await store(one)).get("output", "")


async def _passes(one: Daemon) -> bool:
    return bool((await store(one))["status"] == "pass")
