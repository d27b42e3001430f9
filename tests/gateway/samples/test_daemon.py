"""Samples of a running daemon: what /api/samples answers and refuses, across a restart, a kill and reloads."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from tests.conftest import FILLER_SIGNALS, line_document
from tests.processes import Daemon, daemon, free_port, reload, simulator, until

NAMES = "filler_plc.running,filler_plc.level,filler_plc.recipe"
MANY = ",".join(f"filler_plc.s{number}" for number in range(51))


async def samples(one: Daemon, **asked: Any) -> tuple[int, dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    status, body = await one.get(f"/api/samples?{query}")
    return status, json.loads(body)


async def points(one: Daemon, signal: str, **asked: Any) -> list[list[Any]]:
    status, body = await samples(one, signals=signal, **asked)
    assert status == 200, body
    found: list[list[Any]] = body["signals"][signal]["points"]
    return found


async def until_good(one: Daemon, signal: str, count: int = 1) -> None:
    async def is_there() -> bool:
        return len([point for point in await points(one, signal) if point[1] is not None]) >= count

    await until(is_there)


async def test_samples_outlive_restarts_and_reloads(tmp_path: Path) -> None:
    """Points before and after, null between; a signal that was renamed is still known under its old name."""
    began = time.time_ns() // 1_000_000
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    async with simulator("--chaos", "off") as plc:
        document["devices"]["filler_plc"]["port"] = plc.port
        async with daemon(tmp_path, document) as one:
            await until_good(one, "filler_plc.bottles", 4)
            await what_is_told(one, began)
            await what_is_refused(one)
            before = await points(one, "filler_plc.bottles", from_ms=began, points=2000)
            assert [point[0] for point in before] == sorted(point[0] for point in before)
            assert before[0][1] is None, "nothing was read when it began"

            await one.stop()
            await one.start()
            again = await points(one, "filler_plc.bottles", from_ms=began, points=2000)
            assert again[: len(before) - 1] == before[:-1], "what was kept is the same"

            async def counts_on() -> bool:
                found = await points(one, "filler_plc.bottles", from_ms=began, points=2000)
                told = [point[1] for point in found[len(before) - 1 :]]
                return None in told and told[-1] is not None and told[-1] >= before[-1][1]

            await until(counts_on)
            await until(one.is_well)

            signals = {"height" if name == "level" else name: signal for name, signal in FILLER_SIGNALS.items()}
            document["devices"]["filler_plc"]["signals"] = signals
            assert (await reload(one, document))[0] == 0
            await until_good(one, "filler_plc.height")
            level = await points(one, "filler_plc.level", from_ms=began)
            assert any(point[1] is not None for point in level)
            assert level[-1][1] is None
            kept = list((tmp_path / "samples" / "line-3.db").iterdir())
            assert [path.name for path in kept] == ["00000001.samples"]
            assert kept[0].stat().st_mode & 0o777 == 0o640

            document["buffer"]["samples"] = "0MB"
            assert (await reload(one, document))[0] == 0
            status, body = await samples(one, signals=NAMES)
            assert (status, "buffer.samples" in body["remedy"]) == (404, True)
            assert "samples" not in json.loads((await one.get("/health"))[1])["checks"]
            assert "linegate_samples" not in (await one.get("/metrics"))[1]
            assert await one.stop() == 0
            assert not list((tmp_path / "samples").rglob("*.samples"))


async def what_is_told(one: Daemon, began: int) -> None:
    """Units, types, as few points as were asked for; and since when a signal is so that nothing is decided from."""
    status, body = await samples(one, signals=NAMES, from_ms=began, points=50)
    assert status == 200
    assert body["signals"]["filler_plc.level"]["unit"] == "mm"
    assert all(len(body["signals"][name]["points"]) <= 50 for name in NAMES.split(","))
    assert body["signals"]["filler_plc.recipe"]["points"][-1][1] == "cola-500ml"
    assert body["signals"]["filler_plc.running"]["points"][-1][1] is True
    checks = json.loads((await one.get("/health"))[1])["checks"]
    assert checks["samples"][0]["status"] == "pass"
    metrics = (await one.get("/metrics"))[1]
    assert "linegate_samples_up 1" in metrics
    assert "linegate_samples_lost_total 0" in metrics
    signals = json.loads((await one.get("/api/line?signals"))[1])["devices"]["filler_plc"]["signals"]
    assert signals["recipe"]["at_ms"] >= began


async def what_is_refused(one: Daemon) -> None:
    """With why and remedy; and of many who ask at once some are told to ask again."""
    wrong: list[tuple[int, dict[str, Any]]] = [
        (400, {}),
        (400, {"signals": ""}),
        (400, {"signals": MANY}),
        (400, {"signals": NAMES, "points": 2001}),
        (400, {"signals": NAMES, "points": 9}),
        (400, {"signals": NAMES, "points": "x"}),
        (400, {"signals": NAMES, "from_ms": 2000, "to_ms": 1000}),
        (400, {"signals": NAMES, "from_ms": -1}),
        (400, {"signals": NAMES, "from_ms": 10**30}),
        (404, {"signals": f"{NAMES},filler_plc.levle"}),
    ]
    for status, query in wrong:
        found, body = await samples(one, **query)
        assert found == status, query
        assert body["why"]
        assert body["remedy"]
    answers = await asyncio.gather(*(samples(one, signals=NAMES, from_ms=0) for _ in range(30)))
    assert {200} <= {status for status, _ in answers} <= {200, 503}
