"""The power fails at every sync of the unmodified daemon: what an uplink was sent is never missing or contradicted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load_config
from gateway.config.model import Config
from tests.conftest import FILLER_MACHINE, line_document
from tests.processes import daemon, free_port, simulator, until
from tests.torture import layer
from tests.torture.disk import Disk
from tests.torture.layer import Call, Done
from tests.torture.powercut import judge

EXTRA = 40
KEEP = 1000
"""More than a life fills, however busy the computer: of what is judged all is to be there, from the first event on."""
COUNTERS = ("--bottles", "1000000", "--rejects", "30000")
"""Where the PLC's counters begin: too high to have been reset unseen, so that no number is ambiguous."""
HASTE = """
import sqlite3

class Hasty(sqlite3.Connection):
    def execute(self, sql, *arguments):
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *arguments)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, **options, factory=Hasty)
"""
"""Put in front of the daemon's modules: its connections ask for no sync."""


def document(plc: int) -> dict[str, Any]:
    """A filler and signals of which every change is an event."""
    one = line_document(
        buffer={"path": "line.db", "commit_interval": "50ms", "retain": "1s"},
        uplinks={"journal": {"type": "file", "path": "events.ndjson", "rotate": "150kB", "keep": KEEP}},
        health={"listen": f"127.0.0.1:{free_port()}"},
    )
    device = one["devices"]["filler_plc"]
    extra = {f"extra_{n}": {"address": f"holding:{1000 + 2 * n}", "type": "float32"} for n in range(EXTRA)}
    device |= {"port": plc, "scan_interval": "50ms", "signals": {**device["signals"], **extra}}
    one["machines"] = {"filler": {**FILLER_MACHINE, "ideal": "100ms", "settle": "100ms"}}
    one["trends"] = {f"filler_plc.{name}": {"on_change": True} for name in extra}
    return one


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layer.build(tmp_path_factory.mktemp("layer"))


class Logged:
    """A daemon's life with a log of what it did to its disk."""

    def __init__(self, place: Path, library: Path) -> None:
        self.state, self.log = place / "state", place / "calls"
        self.state.mkdir()
        self._environment = layer.environment(library, self.state, log=self.log)

    async def live(self, *events: int, haste: bool = False) -> tuple[list[Done], Config]:
        """A run until so many more events are written, for each of `events`; all but the last end in order."""
        environment = dict(self._environment)
        if haste:
            hook = self.state.parent / "hook"
            hook.mkdir()
            (hook / "sitecustomize.py").write_text(HASTE)
            environment["PYTHONPATH"] = os.pathsep.join([str(hook), *filter(None, [os.environ.get("PYTHONPATH")])])
        async with simulator(*COUNTERS, "--speed", "5", "--extra-registers", str(EXTRA)) as plc:
            one = document(plc.port)
            for number, count in enumerate(events, 1):
                async with daemon(self.state, one, environment=environment) as running:
                    enough = self.written() + count * 400
                    await until(lambda enough=enough: self.written() > enough)  # type: ignore[misc]
                    if number < len(events):
                        assert await running.stop() == 0
        config = await asyncio.to_thread(lambda: load_config(self.state / "line.yaml").config)
        return list(layer.read_log(self.log)), config

    def written(self) -> int:
        """Bytes of the log."""
        return self.log.stat().st_size


def is_of(done: Done, ending: str) -> bool:
    return done.name.endswith(ending)


async def test_what_was_sent_survives_a_power_cut_at_every_sync(tmp_path: Path, library: Path) -> None:
    life = Logged(tmp_path, library)
    log, config = await life.live(1500, 3000)
    kinds = {(done.call, ending) for done in log for ending in (".db", "-wal", ".ndjson") if is_of(done, ending)}
    assert kinds >= {(Call.SYNC, ".db"), (Call.SYNC, "-wal"), (Call.SYNC, ".ndjson"), (Call.WRITE, ".db")}
    assert (Call.UNLINK, "-wal") in kinds
    assert (Call.RENAME, ".ndjson") in kinds
    disk = Disk()
    for done in log:
        disk.do(done)
    rebuilt = disk.now()
    assert rebuilt == {name: (life.state / name).read_bytes() for name in rebuilt}, "the layer misses what is written"
    with closing(sqlite3.connect(life.state / "line.db")) as file:
        assert file.execute("SELECT min(seq) FROM stored").fetchone()[0] > 50, "the oldest were let go on the way"
    verdict = await judge(log, {}, config, tmp_path / "cuts", seed=1)
    assert verdict.broken == []
    assert verdict.syncs > 50
    assert verdict.cuts == 3 * verdict.syncs


async def test_a_database_that_does_not_sync_is_caught(tmp_path: Path, library: Path) -> None:
    """The same judge finds what `synchronous=OFF` loses: so it would find it in ours."""
    log, config = await Logged(tmp_path, library).live(800, haste=True)
    assert not any(done.call is Call.SYNC and is_of(done, "-wal") for done in log)
    verdict = await judge(log, {}, config, tmp_path / "cuts", seed=1)
    assert len(verdict.broken) > verdict.syncs // 4
    assert any("sent was" in one for one in verdict.broken)
