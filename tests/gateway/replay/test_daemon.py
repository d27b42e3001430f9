"""The real daemon records a simulated line over real sockets; its replay is what it sent, byte for byte in data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.replay.sent import utc_ms
from tests.conftest import line_document
from tests.processes import Daemon, free_port, linegate, simulator, until

SMALL_FILES = "import gateway.recording.recorder as recorder\nrecorder.FILE_MS = 1_000\n"
"""A `sitecustomize` of the daemon: a file is full after a second."""
OF_THE_GATEWAY = ("linegate.gateway.", "linegate.config.")


def document(port: int) -> dict[str, Any]:
    made = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    made["devices"]["filler_plc"] |= {"port": port, "scan_interval": "50ms"}
    made["trends"] = {
        "filler_plc.level": {"every": "1s"}, "filler_plc.speed": {"on_change": True, "at_least_every": "1s"},
    }  # fmt: skip
    made["buffer"]["min_free_disk"] = "1kB"
    return made


async def replay(one: Daemon, *arguments: Any) -> tuple[str, str]:
    """Standard output and error of `linegate replay`, which must be good."""
    code, out, err = await linegate("replay", one.file, one.state / "recordings", *arguments)
    assert code == 0, err
    return out, err


def decided(events: list[dict[str, Any]]) -> list[tuple[str, str, str, bytes]]:
    """What the engine has said: type, subject, time and the data as it stands in the line."""
    return [
        (event["type"], event["subject"], event["time"], orjson.dumps(event["data"]))
        for event in events
        if not event["type"].startswith(OF_THE_GATEWAY)
    ]


def has_stopped(one: Daemon, fault: int) -> bool:
    """Whether the fault has been told."""
    reasons = [event["data"].get("reason") for event in one.events()]
    return any(reason is not None and reason["code"] == str(fault) for reason in reasons)


def lasted_ms(events: list[tuple[str, str, str, bytes]]) -> int:
    """From the first to the last."""
    return utc_ms(events[-1][2]) - utc_ms(events[0][2]) if events else 0


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SMALL_FILES)
    return Daemon(tmp_path, document(0), "--record", environment={"PYTHONPATH": f"{site}:{':'.join(sys.path)}"})


async def test_replay_equals_live_over_restarts_and_rolling_files(daemon: Daemon, tmp_path: Path) -> None:
    """Each of two runs has rolled."""
    async with simulator("--speed", "20", "--seed", "5", "--bottles", "100") as plc:

        def recorded() -> list[Path]:
            return list((tmp_path / "recordings").iterdir())

        settings = json.loads(daemon.file.read_text())
        settings["devices"]["filler_plc"]["port"] = plc.port
        daemon.file.write_text(json.dumps(settings))
        for number, fault in enumerate((17, 23), 1):
            await daemon.start()
            await plc.tell(action="fault", code=fault)
            await until(lambda fault=fault: has_stopped(daemon, fault))  # type: ignore[misc]
            await plc.tell(action="clear")
            await until(lambda number=number: len(recorded()) >= 2 * number)  # type: ignore[misc]
            await until(lambda number=number: len(decided(daemon.events())) > 10 * number)  # type: ignore[misc]
            health = json.loads((await daemon.get("/health"))[1])["checks"]["recording"][0]
            assert health["status"] == "pass", health
            assert "linegate_recording_dropped_inputs_total 0" in (await daemon.get("/metrics"))[1]
            assert await daemon.stop() == 0
    out, err = await replay(daemon)
    live, again = decided(daemon.events()), decided([json.loads(line) for line in out.splitlines()])
    assert again[: len(live)] == live
    windows = {"linegate.machine.kpi.v1", "linegate.line.kpi.v1"}
    assert {kind for kind, *_ in again[len(live) :]} == windows, "they end with the recording"
    assert {kind for kind, *_ in live} >= {
        "linegate.machine.state.v1", "linegate.machine.stop.v1", "linegate.machine.production.v1",
        "linegate.signal.trend.v1",
    }  # fmt: skip
    assert err.count("\n") == 1, err
    against, _ = await replay(daemon, "--against", tmp_path / "events.ndjson")
    assert against.endswith("filler: no difference\n"), against


async def test_a_killed_daemon_has_recorded_all_but_its_last_second(daemon: Daemon, tmp_path: Path) -> None:
    async with simulator("--speed", "20", "--seed", "5") as plc:
        settings = json.loads(daemon.file.read_text())
        settings["devices"]["filler_plc"]["port"] = plc.port
        daemon.file.write_text(json.dumps(settings))
        await daemon.start()
        await until(lambda: lasted_ms(decided(daemon.events())) > 5_000)
        await daemon.kill()
        known = len(decided(daemon.events()))
        await daemon.start()
        await until(lambda: len(decided(daemon.events())) > known + 5)
        assert await daemon.stop() == 0
    out, err = await replay(daemon)
    again, live = decided([json.loads(line) for line in out.splitlines()]), decided(daemon.events())
    again = [event for event in again if not event[0].endswith(".kpi.v1")]  # windows end with the recording
    assert "no end: the daemon was killed or still writes" in err
    assert not [event for event in live if event[2] < "2000"], "no time before any input"
    begins = [index for index, event in enumerate(daemon.events()) if "gateway.started" in event["type"]]
    first, second = (decided(events) for events in (daemon.events()[: begins[1]], daemon.events()[begins[1] :]))
    assert again[-len(second) :] == second, "what the second run decided, from the checkpoint that it found on"
    both = [event for event in again[: -len(second)] if event in first]
    assert both == first[: len(both)]
    lost = {utc_ms(event[2]) for event in first[len(both) :]}
    assert both
    assert all(moment > utc_ms(first[-1][2]) - 3_000 for moment in lost), "the last second is in no file, or is written"
