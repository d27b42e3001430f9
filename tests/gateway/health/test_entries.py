"""What people enter over HTTP: stored before it is answered, refused in words, audited, each by who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.health.doorkeeper import FREE
from gateway.health.guard import MOST_BYTES
from tests.conftest import line_document
from tests.gateway.health.hurried import HURRIED
from tests.gateway.health.viewing import basic, viewer
from tests.gateway.test_service import sick
from tests.processes import Daemon, Simulator, daemon, free_port, simulator, until

PIN = {"anna": "4711", "ben": "0815", "clara": "1234"}
MARKUP = "<img src=x onerror=alert(1)>"


def as_(name: str, key: str | None = None) -> dict[str, str]:
    """The header by which a person with a PIN is known."""
    return {"Authorization": basic(name, PIN.get(name, "") if key is None else key)}


async def post(one: Daemon, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer; every refusal says why and what to do."""
    data = body if isinstance(body, bytes) else json.dumps(body)
    headers = {"Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{one.url}/api/entries", data=data, headers=headers) as answer:
            said = await answer.json()
            assert (said.keys() == {"entry", "seq"}) if answer.status == 201 else (said["why"] and said["remedy"])
            return answer.status, said


def entries(one: Daemon) -> dict[str, Any]:
    """What the file uplink has, by id."""
    return {event["data"]["entry"]: event for event in one.events() if event["type"] == "linegate.operator.entry.v1"}


def audit(one: Daemon) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in one.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "operator_entry"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plc() -> AsyncIterator[Simulator]:
    async with simulator("--chaos", "off") as running:
        yield running


async def a_stop(one: Daemon, plc: Simulator) -> str:
    """The id of one that goes on."""
    await plc.tell(action="fault", code=23)

    async def stop() -> str | None:
        filler = (await one.line())["machines"]["filler"]
        found: str | None = filler["stop"] if filler["state"] == "held" else None
        return found

    found: str = await until(stop)
    return found


def document(plc: Simulator, **health: Any) -> dict[str, Any]:
    made = line_document(health={"listen": f"127.0.0.1:{free_port()}", **health})
    made["devices"]["filler_plc"]["port"] = plc.port
    parts = {"total": "filler_plc.bottles"}  # scrap is people's to enter
    made["machines"] = {"filler": {**made["machines"]["filler"], "settle": "0s", "parts": parts}}
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def free(plc: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """On loopback, without operators."""
    async with daemon(tmp_path_factory.mktemp("free"), document(plc)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staffed(plc: Simulator, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """On loopback, with operators, of whose PINs one is too short."""
    place = tmp_path_factory.mktemp("staffed")
    operators = [{"name": name, "pin": {"env": f"PIN_{name.upper()}"}} for name in (*PIN, "dora")]
    operators[1]["role"] = "supervisor"
    operators.append({"name": "wall", "pin": {"env": "PIN_ANNA"}, "role": "viewer"})
    environment = {f"PIN_{name.upper()}": pin for name, pin in PIN.items()} | {"PIN_DORA": "123"}
    async with daemon(place, document(plc, operators=operators), environment=environment) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_is_answered_is_stored_and_on_its_way(free: Daemon, plc: Simulator) -> None:
    """A reason with a note that has markup, by a free name: the event has it as data, and the line shows it."""
    stop = await a_stop(free, plc)
    async with viewer(free.url) as looking:
        body = {"what": "reason", "machine": "filler", "target": stop, "reason": "17", "note": MARKUP, "who": MARKUP}
        status, said = await post(free, body)
        assert status == 201, said
        assert said["entry"].startswith("filler-reason-")
        await looking.until("line", lambda line: int(line["buffer"]["last_seq"]) >= int(said["seq"]))
    (event,) = json.loads((await free.get(f"/api/events?after={int(said['seq']) - 1}&limit=1"))[1])["events"]
    assert (event["seq"], event["data"]["entry"], event["data"]["note"]) == (said["seq"], said["entry"], MARKUP)
    await until(lambda: said["entry"] in entries(free))
    data = entries(free)[said["entry"]]["data"]
    assert (data["who"], data["target"], data["reason"]["text"]) == (MARKUP, stop, "cap jam")
    line = audit(free)[-1]
    assert {key: line[key] for key in ("who", "role", "what", "machine", "target", "remote", "entry", "seq")} == {
        "who": MARKUP, "role": "local", "what": "reason", "machine": "filler", "target": stop, "remote": "127.0.0.1",
        "entry": said["entry"], "seq": said["seq"],
    }  # fmt: skip
    assert (await post(free, {"what": "undo", "machine": "filler", "target": said["entry"], "who": "x"}))[0] == 201


async def test_a_job_is_entered_with_what_it_is_to_make_and_when(free: Daemon) -> None:
    job = {"what": "job", "machine": "line", "job": "A", "job_target": 20_000, "who": "anna"}
    status, said = await post(free, {**job, "job_due": "2199-01-01T12:00:00+01:00"})
    assert status == 201, said
    told = (await free.line())["job"]
    assert (told["job"], told["target"], told["due"]) == ("A", 20_000, "2199-01-01T11:00:00.000Z")
    assert (await post(free, {"what": "undo", "machine": "line", "target": said["entry"], "who": "anna"}))[0] == 201


async def test_what_was_answered_survives_a_power_cut(plc: Simulator, tmp_path: Path) -> None:
    async with daemon(tmp_path, document(plc)) as one:
        status, said = await post(one, {"what": "crew", "machine": "line", "crew": "early", "who": "anna"})
        await one.kill()
        assert status == 201
        await one.start()
        assert json.loads((await one.get("/api/line"))[1])["crew"] == "early"
        await until(lambda: said["entry"] in entries(one))


async def test_what_cannot_be_stored_is_not_answered_as_if_it_were(plc: Simulator, tmp_path: Path) -> None:
    """While that is not known yet it is kept, and stored once the disk has room; afterwards it is not taken at all."""
    one = sick(Daemon(tmp_path, document(plc)))
    with (tmp_path / "site" / "sitecustomize.py").open("a") as file:
        file.write(HURRIED)
    await one.start()
    try:
        (tmp_path / "full").touch()
        note = {"what": "note", "machine": "filler", "who": "anna"}
        status, said = await post(one, {**note, "note": "first"})
        assert (status, "is entered, but was not stored within 1 s" in said["why"]) == (504, True)
        status, said = await post(one, {**note, "note": "second"})
        assert (status, "nothing can be stored now: database or disk is full" in said["why"]) == (503, True)
        assert entries(one) == {}
        assert ["refused" in line for line in audit(one)] == [True, True]
        (tmp_path / "full").unlink()
        await until(lambda: [event["data"]["note"] for event in entries(one).values()] == ["first"])
        assert (await post(one, {**note, "note": "third"}))[0] == 201
        assert await answered(one, b"Content-Length: 99", b"{") == b"408", "what does not come is not waited for"
    finally:
        await one.kill()


async def test_several_at_once_are_told_apart(free: Daemon) -> None:
    notes = [{"what": "note", "machine": "filler", "note": f"note {number}", "who": "anna"} for number in range(12)]
    answers = await asyncio.gather(*(post(free, note) for note in notes))
    assert {status for status, _ in answers} == {201}
    assert len({said["entry"] for _, said in answers}) == len({said["seq"] for _, said in answers}) == 12
    await until(lambda: {said["entry"] for _, said in answers} <= entries(free).keys())
    for (_, said), note in zip(answers, notes, strict=True):
        assert entries(free)[said["entry"]]["data"]["note"] == note["note"]
    assert sum(line["entry"] in {said["entry"] for _, said in answers} for line in audit(free) if "entry" in line) == 12


async def test_what_is_sent_again_is_entered_once(free: Daemon) -> None:
    """At the same time, later, and not under another's name."""
    note = {"what": "note", "machine": "filler", "note": "once", "who": "anna", "once": "d0d2b5a4"}
    answers = await asyncio.gather(*(post(free, note) for _ in range(5)))
    assert [status for status, _ in answers] == [201] * 5
    assert all(said == answers[0][1] for _, said in answers)
    assert await post(free, note) == answers[0]
    assert (await post(free, {**note, "note": "another"}))[0] == 409
    status, of_ben = await post(free, {**note, "who": "ben"})
    assert (status, of_ben["entry"] != answers[0][1]["entry"]) == (201, True)
    assert (await post(free, {**note, "once": "x" * 101}))[0] == 422
    await until(lambda: of_ben["entry"] in entries(free))
    assert sorted(event["data"]["who"] for event in entries(free).values() if event["data"]["note"] == "once") == [
        "anna", "ben",
    ]  # fmt: skip


async def test_what_is_sent_again_after_a_restart_is_entered_once(plc: Simulator, tmp_path: Path) -> None:
    """The answer was lost with the daemon, and whoever asked cannot know whether it was entered."""
    crew = {"what": "crew", "machine": "line", "crew": "early", "who": "anna", "once": "0f7a"}
    note = {"what": "note", "machine": "filler", "note": "once", "who": "anna", "once": "d0d2b5a4"}
    async with daemon(tmp_path, document(plc)) as one:
        first = [await post(one, entry) for entry in (crew, note)]
        assert {status for status, _ in first} == {201}
        await one.kill()
        await one.start()
        assert [await post(one, entry) for entry in (crew, note)] == first
        of_another = await post(one, {**note, "once": "another"})
        assert of_another[0] == 201
        said = {answer["entry"] for _, answer in (*first, of_another)}
        await until(lambda: entries(one).keys() >= said)
        assert len(entries(one)) == len(said) == 3


NOTE = {"what": "note", "machine": "filler", "note": "x", "who": "anna"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b'{"what": "\\ud800"}', 400, "no JSON"),
        ([], 400, "one object"),
        ({}, 422, "what is missing"),
        ({"what": "note"}, 422, "machine is missing"),
        ({**NOTE, "machin": "x"}, 422, "did you mean `machine`"),
        ({**NOTE, "note": 7}, 422, "note is no text"),
        ({**NOTE, "note": {"a": 1}}, 422, "note is no text"),
        ({**NOTE, "what": "riddle"}, 422, "riddle"),
        ({**NOTE, "machine": "fillr"}, 404, "fillr is no machine"),
        ({**NOTE, "who": " "}, 422, "nobody says it"),
        ({**NOTE, "who": None}, 422, "nobody says it"),
        ({**NOTE, "note": "x" * 3000}, 422, "characters"),
        ({**NOTE, "note": "\x1b[2J"}, 422, "control characters"),
        ({**NOTE, "what": "reason", "target": "filler-1", "reason": "17"}, 404, "no stop"),
        ({**NOTE, "what": "split", "target": "x", "at": "yesterday"}, 422, "at is no time"),
        ({**NOTE, "what": "split", "target": "x", "at": "2026-11-22T06:00:00"}, 422, "at is no time"),
        ({**NOTE, "what": "scrap", "amount": True}, 422, "whole number"),
        ({**NOTE, "what": "scrap", "amount": 1e400}, 400, "no JSON"),
        ({**NOTE, "what": "scrap", "amount": 2**80}, 422, "whole number"),
        ({**NOTE, "what": "scrap", "amount": 0}, 422, "amount"),
        (
            {**NOTE, "what": "job", "machine": "line", "job": "A", "job_target": "9"},
            422,
            "job_target is no whole number",
        ),
        ({**NOTE, "what": "job", "machine": "line", "job": "A", "job_target": 2**60}, 422, "the target is no number"),
        ({**NOTE, "what": "job", "machine": "line", "job": "A", "job_due": "soon"}, 422, "job_due is no time"),
        ({**NOTE, "what": "undo", "target": "filler-note-1"}, 404, "no entry"),
    ],
)
async def test_refusals_in_words(free: Daemon, body: Any, status: int, words: str) -> None:
    before = (await free.line())["buffer"]["last_seq"]
    found, said = await post(free, body)
    assert (found, words in said["why"]) == (status, True), said
    kinds = [event["type"] for event in json.loads((await free.get(f"/api/events?after={before}"))[1])["events"]]
    assert "linegate.operator.entry.v1" not in kinds


async def test_what_is_too_long_is_not_read(free: Daemon) -> None:
    """Whatever it says of its length."""
    assert (await post(free, b" " * (MOST_BYTES + 1)))[0] == 413
    chunk = b"%x\r\n%s\r\n" % (MOST_BYTES + 1, b" " * (MOST_BYTES + 1))
    assert await answered(free, b"Transfer-Encoding: chunked", chunk) == b"413"


async def answered(one: Daemon, length: bytes, body: bytes) -> bytes:
    """The status of a POST whose body does not end."""
    host, _, port = one.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST /api/entries HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    writer.write(head + b"\r\n" + length + b"\r\n\r\n" + body)
    status = (await asyncio.wait_for(reader.readline(), 8)).split()[1]
    writer.close()
    return status


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": FORM}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "OWN"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
    ],
)
async def test_another_sites_page_enters_nothing(free: Daemon, headers: dict[str, str], status: int) -> None:
    own = {name: free.url if value == "OWN" else value for name, value in headers.items()}
    assert (await post(free, NOTE, **own))[0] == status


@pytest.mark.parametrize("path", ["/", "/api/line", "/api/stream", "/health", "/livez"])
async def test_another_sites_page_embeds_nothing(free: Daemon, path: str) -> None:
    """A link to the page is followed all the same."""
    assert (await free.get(path, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}))[0] == 403
    assert (await free.get(path, **{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}))[0] == 403
    framed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert (await free.get(path, **framed))[0] == 403
    if path != "/api/stream":
        assert (await free.get(path, **{**framed, "Sec-Fetch-Dest": "document"}))[0] == 200


async def me(one: Daemon, **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await one.get("/api/me", **headers))[1])
    return answer


async def test_me(free: Daemon, staffed: Daemon) -> None:
    assert await me(free) == {"who": None, "role": "local", "operators": [], "wants_pin": False}
    names = ["anna", "ben", "clara", "dora"]
    assert await me(staffed) == {"who": None, "role": "local", "operators": names, "wants_pin": True}
    assert await me(staffed, **as_("anna")) == {
        "who": "anna", "role": "operator", "operators": names, "wants_pin": False,
    }  # fmt: skip
    assert (await me(staffed, **as_("ben")))["role"] == "supervisor"
    assert await me(staffed, **as_("wall", PIN["anna"])) == {
        "who": "wall", "role": "viewer", "operators": names, "wants_pin": True,
    }  # fmt: skip


async def test_operators_enter_under_their_name_and_take_back_what_is_theirs(staffed: Daemon) -> None:
    note = {"what": "note", "machine": "filler", "note": "the belt slips"}
    status, said = await post(staffed, note)
    assert (status, "PIN" in said["why"]) == (401, True)
    assert (await post(staffed, {**note, "who": "anna"}))[0] == 401, "a name alone is not enough, on loopback either"
    assert (await post(staffed, note, **as_("anna", "0000")))[0] == 401
    assert (await post(staffed, {**note, "who": "ben"}, **as_("anna")))[0] == 403
    assert (await post(staffed, note, **as_("wall", PIN["anna"])))[0] == 401, "who only looks enters nothing"
    of_anna, of_clara = [(await post(staffed, note, **as_(name)))[1]["entry"] for name in ("anna", "clara")]
    undo = {"what": "undo", "machine": "filler"}
    status, said = await post(staffed, {**undo, "target": of_clara}, **as_("anna"))
    assert (status, said["why"]) == (403, "clara said that, not anna")
    assert (await post(staffed, {**undo, "target": of_anna}, **as_("anna")))[0] == 201
    assert (await post(staffed, {**undo, "target": of_anna}, **as_("anna")))[0] == 409, "once"
    assert (await post(staffed, {**undo, "target": of_clara, "who": "ben"}, **as_("ben")))[0] == 201
    await until(lambda: of_clara in entries(staffed))
    assert entries(staffed)[of_clara]["data"]["who"] == "clara"
    refused = [line for line in audit(staffed) if "refused" in line]
    assert {line["refused"] for line in refused} >= {"clara said that, not anna", "anna cannot enter as ben"}


async def test_a_pin_that_is_too_short_lets_nobody_in(staffed: Daemon) -> None:
    assert (await post(staffed, NOTE, **as_("dora", "123")))[0] == 401
    log = staffed.log.read_text()
    assert '"operator_without_pin"' in log
    assert "at least 4 characters" in log


async def test_guessing_locks_the_name_alone(staffed: Daemon) -> None:
    """The right PIN is not told from a wrong one then; no PIN and no guess is in the log."""
    wrong = [post(staffed, NOTE, **as_("clara", f"99{number:02}")) for number in range(FREE)]
    assert [status for status, _ in await asyncio.gather(*wrong)] == [401] * FREE
    assert (await post(staffed, NOTE, **as_("clara")))[0] == 429
    status, text = await staffed.get("/api/me", **as_("clara"))
    assert (status, "locked" in json.loads(text)["why"]) == (429, True)
    assert (await me(staffed))["role"] == "local"
    assert (await me(staffed, **as_("anna")))["who"] == "anna"
    log = staffed.log.read_text()
    assert '"operator_locked"' in log
    assert not any(pin in log.replace('"remote"', "") for pin in ("9900", "9904"))
