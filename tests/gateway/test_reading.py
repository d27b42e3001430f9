"""`linegate read` and `linegate check --connect` against real devices and brokers, beside a daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.conftest import FILLER_SIGNALS, line_document
from tests.processes import broker, daemon, free_port, linegate, simulator, until


def with_plc(port: int, **sections: Any) -> dict[str, Any]:
    document = line_document(**sections)
    document["devices"]["filler_plc"]["port"] = port
    return document


async def test_every_signal_and_every_order(tmp_path: Path) -> None:
    """A good line, a bad address named alone, a wrong word order shown beside the right one."""
    file = tmp_path / "line.yaml"
    async with simulator("--frozen", "--bottles", "4711") as plc:
        document = with_plc(plc.port)
        file.write_text(json.dumps(document))
        code, out, err = await linegate("read", file, "--state-dir", tmp_path, "--json")
        assert (code, err) == (0, "")
        readings = {one["signal"]: one for one in map(json.loads, out.splitlines())}
        assert list(readings) == [f"filler_plc.{name}" for name in FILLER_SIGNALS]
        speed = readings["filler_plc.speed"]
        assert set(speed) == {"signal", "value", "quality", "source_time", "round_trip_ms", "why"}
        assert (speed["quality"], speed["why"]) == ("good", None)
        assert speed["round_trip_ms"] > 0
        signals = document["devices"]["filler_plc"]["signals"]
        document["devices"]["filler_plc"]["signals"] = {
            **signals,
            "bottles": {**signals["bottles"], "word_order": "little"},
            "nowhere": {"address": "holding:9000", "type": "uint16"},
        }
        file.write_text(json.dumps(document))
        code, out, _ = await linegate("read", file, "--state-dir", tmp_path, "--orders", "--json")
        assert code == 1
        readings = {one["signal"]: one for one in map(json.loads, out.splitlines())}
        assert readings["filler_plc.nowhere"]["quality"] == "bad"
        assert readings["filler_plc.bottles"]["value"] == 4711 << 16
        assert readings["filler_plc.bottles[words big, bytes big]"]["value"] == 4711
        code, out, _ = await linegate("read", file, "--state-dir", tmp_path, "--only", "filler_plc.speed")
        assert code == 0
        assert len(out.splitlines()) == 2
        code, _, err = await linegate("read", file, "--only", "filer_plc")
        assert code == 2
        assert "it has filler_plc" in err


async def test_watch_says_changes_alone(tmp_path: Path) -> None:
    file = tmp_path / "line.yaml"
    async with simulator("--frozen") as plc:
        file.write_text(json.dumps(with_plc(plc.port)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "read", str(file), "--watch", "--json", "--state-dir", str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        first = [json.loads(await asyncio.wait_for(process.stdout.readline(), 60)) for _ in FILLER_SIGNALS]
        assert {one["signal"] for one in first} == {f"filler_plc.{name}" for name in FILLER_SIGNALS}
        await plc.tell(action="fault", code=17)
        changed = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        assert changed["signal"] in ("filler_plc.fault", "filler_plc.running", "filler_plc.speed")
        process.terminate()
        await process.wait()


async def test_check_connects_to_all_and_takes_no_session(tmp_path: Path) -> None:
    """Beside a daemon: a line each with its remedy; the daemon's own session with the broker stands."""
    mqtt = free_port()
    async with simulator("--frozen") as plc, broker(tmp_path / "broker", mqtt):
        uplinks = {
            "journal": {"type": "file", "path": "events.ndjson"},
            "plant": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{mqtt}"},
            "away": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{free_port()}"},
        }
        document = with_plc(plc.port, uplinks=uplinks, health={"listen": f"127.0.0.1:{free_port()}"})
        gone = {**document["devices"]["filler_plc"], "port": free_port()}
        document["devices"] = {**document["devices"], "other_plc": gone}
        async with daemon(tmp_path, document) as one:
            await until(lambda: '"uplink": "plant", "event": "uplink_connected"' in one.log.read_text())
            code, out, _ = await linegate("check", one.file, "--connect", "--state-dir", tmp_path)
            lines = dict(line.split(": ", 1) for line in out.splitlines())
            assert code == 1
            assert lines["device:filler_plc"].startswith("good: 127.0.0.1:")
            assert lines["device:other_plc"].startswith("FAILS: 127.0.0.1:")
            assert lines["uplink:journal"].startswith("good: file")
            assert lines["uplink:plant"].startswith("good: mqtt: connected in ")
            assert lines["uplink:away"].startswith("FAILS: mqtt: ")
            code, out, _ = await linegate("check", one.file, "--connect", "--state-dir", tmp_path, "--json")
            found = {one["name"]: one["good"] for one in map(json.loads, out.splitlines()) if one["kind"] == "trial"}
            assert code == 1
            assert found == {
                "device:filler_plc": True, "device:other_plc": False,
                "uplink:journal": True, "uplink:plant": True, "uplink:away": False,
            }  # fmt: skip
            state = json.loads((await one.get("/health"))[1])["checks"]["uplink:plant"][0]
            assert (state["status"], state["observedValue"]["reconnects"]) == ("pass", 0)
            assert await one.stop() == 0
