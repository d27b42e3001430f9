"""The last hours over HTTP, from a running daemon: live, behind a cursor, and the same after a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import line_document
from tests.processes import Daemon, Simulator, daemon, free_port, reload, simulator, until

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plc() -> AsyncIterator[Simulator]:
    async with simulator("--chaos", "off", "--speed", "5") as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(plc: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """One daemon for all tests of this file."""
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["devices"]["filler_plc"]["port"] = plc.port
    document["calendar"] = {"shifts": {"all": {"days": DAYS, "from": "00:00", "to": "24:00"}}}
    async with daemon(tmp_path_factory.mktemp("history"), document) as running:
        yield running


async def asked(one: Daemon, path: str, status: int = 200) -> dict[str, Any]:
    found, text = await one.get(path)
    assert found == status, text
    document: dict[str, Any] = json.loads(text)
    return document


def intervals(history: dict[str, Any]) -> list[dict[str, Any]]:
    names = history["columns"]["intervals"]
    rows = history["machines"].get("filler", {}).get("intervals", [])
    return [dict(zip(names, row, strict=True)) for row in rows]


async def test_what_the_line_is_made_of(one: Daemon) -> None:
    about = await asked(one, "/api/about")
    (filler,) = about["machines"]
    assert (filler["name"], filler["level"], filler["devices"]) == ("filler", 0, ["filler_plc"])
    assert "filler_plc.running" in filler["signals"]
    assert (filler["parts"], filler["scrap"], filler["ideal_s"]) == (True, True, 0.5)
    jam = {"code": "17", "text": "cap jam", "group": None, "category": None, "failure": True}
    assert jam in filler["reasons"]
    assert about["shifts"] == [{"name": "all", "days": DAYS, "from": "00:00", "to": "24:00"}]
    assert about["digest"] == (await one.line())["configuration"]
    assert (about["time_zone"], about["history_hours"], about["links"]) == ("Europe/Berlin", 24, [])


async def test_when_nothing_is_meant_to_be_made(one: Daemon) -> None:
    """Of days that have a shift all day that is never; beyond the bounds nobody is told."""
    assert await asked(one, "/api/rests?from=1795417200000&to=1795590000000") == {"line": [], "machines": {}}
    for span in ("from=1&to=1", "from=0&to=300000000", "from=-1&to=1", "from=4102444800000&to=4102444800001", "to=1"):
        assert (await asked(one, f"/api/rests?{span}", 400)).keys() == {"why", "remedy"}


async def test_live_incremental_and_over_a_restart(one: Daemon, plc: Simulator) -> None:
    async def executes() -> dict[str, Any] | None:
        history = await asked(one, "/api/history")
        is_there = not history["loading"] and any(row["state"] == "execute" for row in intervals(history))
        return history if is_there else None

    before = await until(executes)
    assert before["full"]
    assert before["since_ms"] > before["from_ms"], "the daemon has not been there for 8 h"
    await plc.tell(action="fault", code=17)

    async def held() -> dict[str, Any] | None:
        change = await asked(one, f"/api/history?after={before['cursor']}")
        assert not change["full"]
        stops = change["machines"].get("filler", {}).get("stops", [])
        return change if [stop for stop in stops if stop["reason"] and stop["reason"]["code"] == "17"] else None

    change = await until(held)
    told = {row["interval"]: row for row in intervals(before)} | {row["interval"]: row for row in intervals(change)}
    assert len(intervals(change)) < len(told), "what did not change is not told again"
    events = {event["seq"]: event for event in one.events()}
    (stop,) = [row for row in change["machines"]["filler"]["stops"] if row["ended_ms"] is None]
    event = events[str(stop["event"])]
    assert (event["data"]["stop"], event["data"]["reason"]["code"]) == (stop["stop"], "17")
    queue = await asked(one, "/api/stops")
    assert queue["stops"][0]["stop"] == stop["stop"]
    assert queue["stops"][0]["machine"] == "filler"
    waiting = await asked(one, "/api/stops?waiting")
    assert stop["stop"] not in {row["stop"] for row in waiting["stops"]}, "the machine gave the reason"
    assert await one.stop() == 0
    await one.start()

    async def loaded() -> dict[str, Any] | None:
        history = await asked(one, f"/api/history?machine=filler&after={change['cursor']}")
        return history if not history["loading"] else None

    since = await until(loaded)
    assert not since["full"], "a cursor of the daemon before is as good"
    after = await asked(one, "/api/history?machine=filler")
    again = {row["interval"]: row for row in intervals(after)}
    assert told.keys() <= again.keys()
    assert [row["state"] for row in intervals(after)][: len(told)] == [row["state"] for row in told.values()]

    async def says_both_starts() -> bool:
        others = (await asked(one, "/api/history"))["others"]
        return [row["type"] for row in others].count("gateway.started") == 2

    await until(says_both_starts)


async def test_why_there_was_a_stop_is_explained_by_the_configuration_in_force(one: Daemon) -> None:
    async def explained() -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The stop and what is said of it, once no revision comes between the two."""
        stops: list[dict[str, Any]] = (await asked(one, "/api/stops"))["stops"]
        found = [stop for stop in stops if stop["reason"] and stop["reason"]["code"] == "17"]
        said = await asked(one, f"/api/explain?stop={found[0]['stop']}") if found else {}
        return (found[0], said) if found and said["notes"] == [] else None

    stop, said = await until(explained)
    assert said["headline"].startswith("filler had a stop of kind own from")
    assert said["event"]["data"]["stop"] == stop["stop"]
    lines = [line for section in said["sections"] for line in section["lines"]]
    place = f"({one.file}:1:"
    assert any("17, cap jam" in line and place in line for line in lines), lines
    assert await asked(one, f"/api/explain?stop={stop['stop']}/2") == said, "a part of it is explained by the whole"
    by_number = await asked(one, f"/api/explain?event={stop['event']}")
    by_id = await asked(one, f"/api/explain?event={by_number['event']['id']}")
    assert by_number == by_id
    before = one.file.read_text()
    changed = json.dumps({**json.loads(before), "kpi": {"grace": "7s"}})
    for text, note in ((changed, "not the one that is in force any more"), ("{", "cannot be read as it is now")):
        one.file.write_text(text)
        said = await asked(one, f"/api/explain?stop={stop['stop']}")
        assert note in said["notes"][0]
        assert not any(place in line for section in said["sections"] for line in section["lines"])
    one.file.write_text(before)
    assert await asked(one, f"/api/explain?event={stop['event']}") == by_number


async def test_nothing_is_remembered_for_nobody_and_all_that_is_stored_once_somebody_can_ask(
    plc: Simulator, tmp_path: Path
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    document = line_document(health={"listen": listen})
    document["devices"]["filler_plc"]["port"] = plc.port
    one = Daemon(tmp_path, document)
    one.file.write_text(json.dumps({**document, "health": {"listen": "off"}}))
    await one.start(ready=False)
    try:
        await until(lambda: any(event["type"] == "linegate.machine.state.v1" for event in one.events()))
        assert "history_loaded" not in one.log.read_text()
        before = {event["data"]["interval"] for event in one.events() if event["type"] == "linegate.machine.state.v1"}
        assert (await reload(one, document))[0] == 0
        await until(lambda: "history_loaded" in one.log.read_text())
        await until(one.is_ready)
        assert before <= {row["interval"] for row in intervals(await asked(one, "/api/history"))}
    finally:
        await one.stop()


async def test_those_who_ask_at_the_same_time_are_all_answered(one: Daemon) -> None:
    paths = ["/api/history?machine=filler", "/api/history", "/api/stops", "/api/about"] * 4
    answers = await asyncio.gather(*(asked(one, path) for path in paths))
    wholes = [answer for answer in answers if "full" in answer]
    assert len(wholes) == 8
    assert all(0 <= answer["to_ms"] - answer["from_ms"] - 8 * 3_600_000 < 60_000 for answer in wholes)
    assert all(answer["machines"]["filler"]["intervals"] for answer in wholes)


async def test_what_people_say_is_laid_over_stops_and_a_reload_keeps_everything(one: Daemon) -> None:
    stop = (await asked(one, "/api/stops"))["stops"][0]["stop"]
    before = await asked(one, "/api/history")

    async def say(what: str, target: str, **more: str) -> str:
        body = {"what": what, "machine": "filler", "target": target, "who": "anna", **more}
        async with aiohttp.ClientSession() as session, session.post(f"{one.url}/api/entries", json=body) as reply:
            assert reply.status == 201, await reply.text()
            return str((await reply.json())["entry"])

    async def told(path: str) -> dict[str, Any]:
        rows = (await asked(one, path))["machines"]["filler"]["stops"]
        return next(dict(row) for row in rows if row["stop"] == stop)

    said = await say("reason", stop, reason="23", note="valve")
    row = await told("/api/history")
    assert (row["reason"]["code"], row["note"], row["entries"]) == ("23", "valve", [said])
    changed = await asked(one, f"/api/history?after={before['cursor']}")
    assert [entry["entry"] for entry in changed["entries"]] == [said]
    assert await told(f"/api/history?after={before['cursor']}") == row
    assert (await asked(one, "/api/entries?limit=1"))["entries"][0]["entry"] == said
    text = (await asked(one, f"/api/explain?stop={stop}"))["sections"]
    people = next(section for section in text if section["title"] == "What people said of it")
    assert "the reason is 23, low product pressure" in people["lines"][0]
    await say("undo", said)
    again = await told(f"/api/history?after={changed['cursor']}")
    assert again["entries"] == []
    assert again["reason"] is None or again["reason"]["source"] != "operator"
    whole = await asked(one, "/api/history")
    document = json.loads(one.file.read_text())
    code, _, _ = await reload(one, {**document, "kpi": {"grace": "7s"}})
    assert code == 0
    reloaded = await asked(one, "/api/history")
    assert reloaded["digest"] != whole["digest"]
    kept = {row["interval"] for row in intervals(whole)}
    assert kept <= {row["interval"] for row in intervals(reloaded)}
    assert not (await asked(one, f"/api/history?after={whole['cursor']}"))["full"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/history?machine=nobody", 404),
        ("/api/history?hours=25", 400),
        ("/api/history?hours=nan", 400),
        ("/api/history?from=5&to=4", 400),
        ("/api/history?from=-1", 400),
        ("/api/history?to=9" + "9" * 5000, 400),
        ("/api/history?to=9999999999999999999", 400),
        ("/api/history?hours=inf", 400),
        ("/api/history?after=7", 400),
        ("/api/stops?limit=0", 400),
        ("/api/stops?limit=x", 400),
        ("/api/entries?limit=1001", 400),
        ("/api/explain", 404),
        ("/api/explain?stop=nothing", 404),
        ("/api/explain?event=999999", 404),
        ("/api/explain?event=0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10-1", 404),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_remedy(one: Daemon, path: str, status: int) -> None:
    refused = await asked(one, path, status)
    assert refused["why"]
    assert refused["remedy"]
