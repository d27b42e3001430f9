"""`linegate explain` as people call it: by id or number from the daemon or its buffer, from files, and from a pipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.conftest import line_document
from tests.processes import Daemon, free_port, linegate, simulator, until


def explain(*arguments: Any, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)], input=given)


async def explained(one: Daemon, *arguments: Any) -> tuple[int, str, str]:
    """What the command says beside a running daemon."""
    return await linegate("explain", one.file, *arguments, "--state-dir", one.state)


async def test_by_id_from_the_daemon_and_from_its_buffer_once_it_has_ended(tmp_path: Path) -> None:
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    async with simulator("--chaos", "off", "--speed", "5") as plc:
        document["devices"]["filler_plc"]["port"] = plc.port
        one = Daemon(tmp_path, document)
        await one.start()
        await plc.tell(action="fault", code=17)

        def held() -> dict[str, Any] | None:
            return next((e for e in one.events() if e["data"].get("state") == "held"), None)

        event = await until(held)
        code, out, err = await explained(one, event["id"])
        assert (code, err) == (0, "")
        assert out.startswith("filler was held, accounted to unplanned_stop")
        assert 'code 17, "cap jam"' in out
        assert await explained(one, event["seq"]) == (0, out, "")
        code, _, err = await explained(one, "99999")
        assert code == 2
        assert "the buffer has no event 99999: it is not stored yet" in err
        code, _, err = await explained(one, f"0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10-{event['seq']}")
        assert code == 2
        assert "the buffer never had 0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10-" in err
        listing: dict[str, Any] = json.loads(
            (await one.get(f"/api/events?type=machine.state&subject=filler&after={event['prevseq']}"))[1]
        )
        assert listing["events"][0]["id"] == event["id"]
        assert listing["stream"] == event["stream"]
        assert int(listing["last_seq"]) >= int(event["seq"])
        assert len(json.loads((await one.get("/api/events?limit=2"))[1])["events"]) == 2
        for query, status in (("after=x", 400), ("limit=0", 400), ("limit=1001", 400), ("after=-1", 400), ("", 200)):
            assert (await one.get(f"/api/events?{query}"))[0] == status
        assert await one.stop() == 0
    before = (tmp_path / "line-3.db").read_bytes()
    code, later, err = await explained(one, event["id"])
    assert (code, err) == (0, "")
    assert later.startswith(out.splitlines()[0][:80])
    assert "note: it is of" not in later
    assert (tmp_path / "line-3.db").read_bytes() == before, "it is only read"
    buffer = tmp_path / "line-3.db"
    buffer.write_bytes(bytes(100) + buffer.read_bytes()[100:])  # a header that is gone: what is behind it is saved
    await one.start()  # nothing was left behind that would hold it
    try:

        async def ended() -> str | None:
            code, said, err = await explained(one, event["id"])
            assert (code, err) == (0, ""), "it is of a stream before this one"
            return said if "it ended at" in said else None

        said = await until(ended)  # as soon as the run after it has told
        assert said.startswith("filler was held, accounted to unplanned_stop")
        (before,) = (listing := json.loads((await one.get("/api/events"))[1]))["former"]
        assert listing["stream"] != before["stream"] == event["stream"]
        assert int(before["last_seq"]) >= int(event["seq"])
        found = json.loads((await one.get(f"/api/events?after={event['stream']}-{int(event['seq']) - 1}&limit=1"))[1])
        assert [of["id"] for of in found["events"]] == [event["id"]]
        assert (await one.get(f"/api/events?after={event['stream']}-{int(before['last_seq']) + 1}"))[0] == 404
        code, _, err = await explained(one, f"{event['stream']}-{int(before['last_seq']) + 1}")
        assert (code, f"and has events of {event['stream']} before it" in err) == (2, True)
    finally:
        assert await one.stop() == 0
    assert await explained(one, event["id"]) == (0, said, ""), "in the file too"


async def test_a_daemon_that_cannot_be_asked_is_said(tmp_path: Path) -> None:
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    document["devices"]["filler_plc"]["port"] = free_port()
    one = Daemon(tmp_path, document)
    await one.start()
    one.file.write_text(json.dumps({**document, "health": {"listen": "off"}}))
    code, _, err = await explained(one, "1")
    assert code == 2
    assert "`health.listen` says no address at which it can be asked; set health.listen" in err
    one.file.write_text(json.dumps({**document, "health": {"listen": f"127.0.0.1:{free_port()}"}}))
    code, _, err = await explained(one, "1")
    assert code == 2
    assert "cannot be asked: " in err
    await one.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text(json.dumps(line_document()))
    return path


EVENT = {
    "id": "s-7", "seq": "7", "type": "linegate.gateway.clock.v1", "subject": "gateway",
    "source": "/acme/berlin/filling/line-3", "time": "2026-11-23T07:00:00.000Z",
    "data": {"step_s": 5.0, "suspect": False},
}  # fmt: skip


def test_from_a_file_a_pipe_and_as_json(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(EVENT, indent=2))
    done = explain(file, path)
    assert done.exit_code == 0
    assert done.stdout.startswith("gateway.clock of gateway at 2026-11-23 08:00:00\n")
    assert "  The wall clock was set\n" in done.stdout
    assert "  step: 5 s\n" in done.stdout
    several = "\n".join(json.dumps({**EVENT, "id": f"s-{n}", "seq": str(n)}) for n in range(3))
    assert explain(file, "-", given=several).stdout == done.stdout
    document = json.loads(explain(file, path, "--json").stdout)
    assert document["headline"] == done.stdout.splitlines()[0]
    assert document["event"] == EVENT
    assert [section["title"] for section in document["sections"]] == ["What it means", "What it says"]
    other = explain(file, "-", given=json.dumps({**EVENT, "source": "/acme/berlin/filling/line-4"}))
    assert (
        "note: it is of /acme/berlin/filling/line-4, and this file describes /acme/berlin/filling/line-3"
        in other.stdout
    )


@pytest.mark.parametrize(
    ("wanted", "given", "words"),
    [
        ("nothing.json", None, "nothing.json is no event's id, and no file that can be read: No such file"),
        ("-", "{torn", "-: no JSON: "),
        ("-", "", "- is empty; give one CloudEvent"),
        ("-", "[1]", "-: no event of linegate; give one CloudEvent"),
        ("-", '{"data": {}, "id": "x"}', "-: an event without seq, subject, type"),
        ("7", None, "there is no buffer"),
    ],
)
def test_what_is_no_event_is_said(file: Path, tmp_path: Path, wanted: str, given: str | None, words: str) -> None:
    done = explain(file, wanted, "--state-dir", tmp_path, given=given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_file_that_is_no_buffer_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "line-3.db").write_bytes(b"x" * 5000)
    done = explain(file, "7", "--state-dir", tmp_path)
    assert done.exit_code == 2
    assert "cannot be read: file is not a database" in done.stderr
