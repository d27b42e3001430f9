"""`linegate buffer` beside the real daemon, over its socket, and alone, under the buffer's lock."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.config.model import BufferConfig
from gateway.events import Event, rfc3339
from gateway.runner.buffer import buffer
from gateway.uplinks.file.config import FileUplink
from tests.conftest import line_document
from tests.processes import Daemon, free_port, linegate, simulator, until


async def command(one: Daemon, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of `linegate buffer`."""
    what, *rest = arguments
    return await linegate("buffer", what, one.file, *rest, "--state-dir", one.state)


def set_aside(one: Daemon, seq: int) -> None:
    """As if the receiver had refused an event that is stored."""
    with closing(sqlite3.connect(one.state / "line.db")) as file:
        path = next(iter(file.execute("PRAGMA database_list")))[2]
        assert path
        event = file.execute("SELECT type, subject, time, data FROM stored WHERE seq = ?", (seq,)).fetchone()
        file.execute(
            "INSERT INTO quarantine (uplink, seq, why, quarantined_at, type, subject, time, data) "
            "VALUES ('journal', ?, 'no such column', 1795327200000, ?, ?, ?, ?)",
            (seq, *event),
        )
        file.commit()


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["buffer"] = {"path": "line.db"}
    one = Daemon(tmp_path, document)
    yield one
    if one.process is not None and one.process.returncode is None:
        await one.stop()


async def stats(one: Daemon) -> dict[str, Any]:
    code, out, err = await command(one, "stats", "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


async def test_looked_at_beside_the_daemon_and_alone(daemon: Daemon) -> None:
    async with simulator("--speed", "20") as plc:
        settings = json.loads(daemon.file.read_text())
        settings["devices"]["filler_plc"]["port"] = plc.port
        daemon.file.write_text(json.dumps(settings))
        await daemon.start()
        await until(lambda: len(daemon.events()) >= 3)
        beside = await stats(daemon)
        assert beside["last_seq"] >= 3
        assert sum(of["events"] for of in beside["classes"].values()) >= beside["last_seq"]
        assert beside["classes"]["states"]["data_bytes"] > 100
        assert beside["log_bytes"] > 0
        assert beside["cursors"]["journal"]["detached"] is None
        assert beside["backlog"].keys() == settings["uplinks"].keys()
        code, out, err = await command(daemon, "export")
        assert code == 0, err
        exported = [json.loads(line) for line in out.splitlines()]
        assert [int(event["seq"]) for event in exported] == list(range(1, len(exported) + 1))
        assert exported[:3] == daemon.events()[:3]
        code, out, _ = await command(daemon, "peek", "--type", "gateway.*")
        assert code == 0
        assert "gateway.started.v1" in out
        assert "machine" not in out
        assert await daemon.stop() == 0
    del settings["uplinks"]["journal"]
    daemon.file.write_text(json.dumps(settings))
    alone = await stats(daemon)
    assert alone["stream"] == beside["stream"]
    assert alone["last_seq"] >= beside["last_seq"]
    assert alone["cursors"]["journal"]["detached"]
    code, out, _ = await command(daemon, "stats")
    assert code == 0
    assert out.splitlines()[-2].split()[-5:] == ["not", "in", "the", "configuration", "since"]
    code, out, err = await command(daemon, "estimate")
    assert (code, "less than a minute" in err) == (2, True)


async def test_quarantine_is_listed_retried_and_deleted(daemon: Daemon) -> None:
    await daemon.start()
    await until(lambda: len(daemon.events()) >= 1)
    assert await daemon.stop() == 0
    set_aside(daemon, 1)
    code, out, _ = await command(daemon, "quarantine", "list")
    assert code == 0
    assert "no such column" in out
    await daemon.start()
    code, out, err = await command(daemon, "quarantine", "show", "journal", "1")
    assert code == 0, err
    assert json.loads(out)["quarantine"]["why"] == "no such column"
    sent = len([event for event in daemon.events() if event["seq"] == "1"])
    code, out, err = await command(daemon, "quarantine", "retry", "journal", "--all")
    assert (code, out) == (0, "1 wait for another attempt\n"), err
    await until(lambda: len([event for event in daemon.events() if event["seq"] == "1"]) == sent + 1)
    await until_async(daemon, 0)
    code, _, err = await command(daemon, "quarantine", "delete", "nobody", "--all")
    assert (code, "nobody is no uplink of this line" in err) == (2, True)
    assert await daemon.stop() == 0
    set_aside(daemon, 2)
    assert (await command(daemon, "quarantine", "delete", "journal", "2"))[:2] == (0, "1 were deleted\n")
    assert (await stats(daemon))["quarantined"] == 0


async def until_async(one: Daemon, count: int) -> None:
    async def is_so() -> bool:
        return bool((await stats(one))["quarantined"] == count)

    await until(is_so)


async def test_estimate_says_how_long_an_outage_may_last(daemon: Daemon) -> None:
    """3,600 events in an hour: the hours are the room by what an event takes, so many a second."""
    daemon.state.mkdir(parents=True, exist_ok=True)
    config = BufferConfig.model_validate({"path": "line.db"})
    async with buffer(daemon.state / "line.db", config, {}) as outbox:
        data = {"text": "x" * 200}
        began = time.time_ns() // 1_000_000 - 3_600_000  # the daemon's first events are of now
        outbox.append([Event("machine.state", "filler", began + 1000 * n, data) for n in range(3601)])
        await outbox.flush()
    settings = json.loads(daemon.file.read_text())
    settings["buffer"] |= {"max_size": "100MB", "min_free_disk": "1kB"}
    daemon.file.write_text(json.dumps(settings))
    code, out, err = await command(daemon, "estimate", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["bound"] == "max_size"
    assert found["events_per_hour"] == pytest.approx(3600, rel=0.01)
    assert 250 < found["bytes_per_event"] < 400
    assert found["hours"] == pytest.approx(found["room"]["max_size"] / 3600 / found["bytes_per_event"], rel=0.01)
    assert (await command(daemon, "estimate"))[1].split()[:2] == ["what", "is"]
    await daemon.start(ready=False)
    await until(lambda: "endpoint_listening" in daemon.log.read_text())
    shown = json.loads((await daemon.get("/api/buffer"))[1])
    beside = json.loads((await command(daemon, "estimate", "--json"))[1])
    assert shown["hours_left"] == pytest.approx(beside["hours"], rel=0.05)
    assert (shown["bound"], shown["max_size"]) == ("max_size", 100_000_000)
    assert shown["oldest_time"] == rfc3339(began)
    assert 3601 <= shown["stored"] < 3700


async def test_what_was_refused_before_the_buffer_was_recovered_is_named_by_its_id(daemon: Daemon) -> None:
    daemon.state.mkdir(parents=True, exist_ok=True)
    config = BufferConfig.model_validate({"path": "line.db"})
    uplinks = {"journal": FileUplink.model_validate({"type": "file", "path": "x", "from": "oldest"})}
    path = daemon.state / "line.db"
    async with buffer(path, config, uplinks) as outbox:
        outbox.append([Event("machine.state", "filler", 1_795_327_200_000 + n, {"n": n}) for n in range(3)])
        await outbox.quarantine("journal", (await outbox.read("journal", 1))[0], "no such column")
        stream = outbox.stream
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
    code, out, err = await command(daemon, "quarantine", "list")
    assert code == 0, err
    assert f"{stream}-1" in out
    assert (await command(daemon, "quarantine", "show", "journal", "1"))[0] == 2
    code, out, err = await command(daemon, "quarantine", "show", "journal", f"{stream}-1")
    assert (json.loads(out)["id"], json.loads(out)["data"]) == (f"{stream}-1", {"n": 0}), err
    assert (await command(daemon, "quarantine", "delete", "journal", f"{stream}-1"))[:2] == (0, "1 were deleted\n")
    code, out, err = await command(daemon, "export")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [f"{stream}-{n}" for n in (1, 2, 3)]
    code, _, err = await command(daemon, "quarantine", "delete", "journal", "0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10-1")
    assert (code, "no event of the stream" in err) == (2, True)
