"""The stream of a running daemon: how soon a change is seen, by how many, and how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.health.channels import HEALTH_S
from gateway.health.stream import MOST_VIEWERS
from tests.conftest import FILLER_SIGNALS, line_document
from tests.gateway.health.viewing import viewer
from tests.processes import Daemon, Simulator, daemon, free_port, reload, simulator, until

MARKUP = "<b>&\"'</b>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plc() -> AsyncIterator[Simulator]:
    async with simulator("--chaos", "off") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(plc: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """One daemon for all tests of this file, whose machine has a reason with markup."""
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["devices"]["filler_plc"]["port"] = plc.port
    document["machines"]["filler"] = {**document["machines"]["filler"], "settle": "0s", "reasons": {17: MARKUP}}
    async with daemon(tmp_path_factory.mktemp("stream"), document) as running:

        async def executes() -> bool:
            return bool((await running.line())["machines"]["filler"]["state"] == "execute")

        await until(executes)
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_change_is_seen_at_once_and_markup_is_data(one: Daemon, plc: Simulator) -> None:
    """Within 0.5 s of its scan, of which there is one each 0.25 s; the soonest of some, where others compute too."""
    took: list[float] = []
    async with viewer(one.url) as looking:
        line = await looking.until("line")
        assert line.keys() == (await one.line()).keys()
        assert line["machines"]["filler"]["state"] == "execute"
        while len(took) < 3 or (min(took) >= 0.25 + 0.5 and len(took) < 20):
            began = time.monotonic()
            await plc.tell(action="fault", code=17)
            held = await looking.until("line", lambda line: line["machines"]["filler"]["state"] == "held")
            took.append(time.monotonic() - began)
            assert held["machines"]["filler"]["reason"]["text"] == MARKUP
            await plc.tell(action="clear")
            await looking.until("line", lambda line: line["machines"]["filler"]["state"] == "execute")
        assert "signals" not in looking.kinds
    assert min(took) < 0.25 + 0.5


async def test_whoever_does_not_unpack_gets_the_same_in_plain_words(one: Daemon) -> None:
    """What is packed begins anew with each message: whoever comes later understands what others were sent as well."""
    read: dict[str, str] = {}
    async with viewer(one.url, "?signals"):  # who has been sent some already
        for accepts, encoding in (("gzip", "gzip"), ("identity", None)):
            async with viewer(one.url, "?signals", headers={"Accept-Encoding": accepts}) as looking:
                assert looking.answer.headers.get("Content-Encoding") == encoding
                read[accepts] = json.dumps(sorted((await looking.until("signals"))["filler_plc"]))
                await looking.until("line")
    assert read["gzip"] == read["identity"] == json.dumps(sorted(FILLER_SIGNALS))


async def test_signals_are_all_at_first_and_then_those_that_changed(one: Daemon) -> None:
    began = time.monotonic()
    async with viewer(one.url, "?signals") as looking:
        first = await looking.until("signals")
        assert set(first["filler_plc"]) == set(FILLER_SIGNALS)
        assert first["filler_plc"]["running"] == {
            "value": True, "quality": "good", "why": None, "at_ms": first["filler_plc"]["running"]["at_ms"],
        }  # fmt: skip
        assert abs(first["filler_plc"]["bottles"]["at_ms"] / 1000 - time.time()) < 30
        news = [await looking.until("signals") for _ in range(3)]
        assert time.monotonic() - began > 0.9, "at most two a second"
        for changed in news:
            assert 0 < len(changed["filler_plc"]) < len(FILLER_SIGNALS)
            assert "recipe" not in changed["filler_plc"]


async def test_nothing_new_is_said_now_and_then(one: Daemon) -> None:
    began = time.monotonic()
    async with viewer(one.url) as looking:
        await looking.until("health")
        health = await looking.until("health", seconds=4 * HEALTH_S)
        assert health.keys() == json.loads((await one.get("/health"))[1]).keys()
        for _ in range(2):
            await looking.until("line")
        assert looking.kinds.count("line") <= 4 * (time.monotonic() - began + 1)


def device(report: dict[str, Any]) -> tuple[str, bool]:
    """How the filler's PLC is, and whether something is said of it."""
    check = report["checks"]["device:filler_plc"][0]
    return check["status"], "output" in check


async def test_a_device_that_is_lost_is_in_the_health_at_once(one: Daemon, plc: Simulator) -> None:
    async with viewer(one.url) as looking:
        await looking.until("health", lambda report: device(report) == ("pass", False))
        await plc.tell(action="mute")
        await looking.until("health", lambda report: device(report) == ("warn", True))
        await plc.tell(action="unmute")
        await looking.until("health", lambda report: device(report) == ("pass", False))


async def tasks(one: Daemon) -> int:
    (line,) = (line for line in (await one.get("/metrics"))[1].splitlines() if line.startswith("linegate_tasks "))
    return round(float(line.split()[1]))


async def test_so_many_viewers_and_no_more(one: Daemon) -> None:
    """And nothing is left of those that were there."""
    before = await tasks(one)
    async with AsyncExitStack() as stack:
        looking = [await stack.enter_async_context(viewer(one.url)) for _ in range(MOST_VIEWERS)]
        lines = await asyncio.gather(*(each.until("line") for each in looking))
        assert {line["configuration"] for line in lines} == {lines[0]["configuration"]}
        async with aiohttp.ClientSession() as session, session.get(f"{one.url}/api/stream") as refused:
            assert refused.status == 503
            assert (await refused.json()).keys() == {"why", "remedy"}
    async with viewer(one.url) as again:  # at once, for those before are seen to be gone
        await again.until("line")

    async def as_before() -> bool:
        return await tasks(one) <= before

    await until(as_before)


async def test_head_has_no_stream(one: Daemon) -> None:
    async with aiohttp.ClientSession() as session, session.head(f"{one.url}/api/stream") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")


async def test_facts_of_signals(one: Daemon) -> None:
    facts = json.loads((await one.get("/api/signals"))[1])["filler_plc"]
    assert set(facts) == set(FILLER_SIGNALS)
    level = facts["level"]
    assert 0.01 < level.pop("round_trip_ms") < 1000, "longer, and it had not been waited for"
    assert level == {"unit": "mm", "type": "int16", "address": "input:7", "scan_interval_s": 0.25}
    assert facts["running"]["type"] == "bool"


async def test_a_reload_and_a_stop_say_goodbye(plc: Simulator, tmp_path: Path) -> None:
    """And the stop is quick, with a viewer that reads and one that does not."""
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["devices"]["filler_plc"]["port"] = plc.port
    async with daemon(tmp_path, document) as running:
        async with viewer(running.url, "?signals") as looking:
            await looking.until("signals")
            document["devices"]["filler_plc"]["signals"] = {**FILLER_SIGNALS, "copy": FILLER_SIGNALS["level"]}
            assert (await reload(running, document))[0] == 0
            assert await looking.until("bye") == {"why": "reload"}
            assert await looking.message() is None
        async with viewer(running.url) as looking:
            await looking.until("line")
            document["health"]["operators"] = [{"name": "anna", "pin": {"file": str(tmp_path / "pin")}}]
            changed, bye = await asyncio.gather(reload(running, document), looking.until("bye"))
            assert (changed[0], bye, await looking.message()) == (0, {"why": "reload"}, None)
        await until(running.is_ready)
        assert json.loads((await running.get("/api/me"))[1])["operators"] == ["anna"]
        async with viewer(running.url, "?signals") as looking, viewer(running.url):
            assert "copy" in (await looking.until("signals"))["filler_plc"]
            began = time.monotonic()
            code, bye = await asyncio.gather(running.stop(), looking.until("bye"))
            assert (code, bye) == (0, {"why": "stop"})
            assert time.monotonic() - began < 6
