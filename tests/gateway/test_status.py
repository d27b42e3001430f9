"""`linegate status` against a daemon, against something else, and against nobody."""

from __future__ import annotations

import asyncio
import io
import json
from functools import partial
from pathlib import Path

import pytest

from gateway.status import Where, show_status
from tests.conftest import line_document
from tests.processes import Daemon, broker, daemon, free_port, simulator, until


async def status(url: str, *, signals: bool = False, as_json: bool = False) -> tuple[int, str]:
    """Exit code, and what stands on standard output in a pipe."""
    out = io.StringIO()
    code = await asyncio.to_thread(
        show_status, Where(url), signals=signals, watch=False, as_json=as_json, out=out
    )  # fmt: skip
    return code, out.getvalue()


async def executes(one: Daemon) -> bool:
    return bool((await one.line())["machines"]["filler"]["state"] == "execute")


async def test_what_is_wrong_comes_first_with_its_remedy(tmp_path: Path) -> None:
    """A lost PLC and a broker that is away; every machine, device and uplink in its table."""
    async with simulator("--chaos", "off") as plc:
        document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
        document["devices"]["filler_plc"]["port"] = plc.port
        gone = {**document["devices"]["filler_plc"], "port": free_port()}
        document["devices"] = {**document["devices"], "other_plc": gone}
        document["uplinks"]["plant"] = {"type": "mqtt", "url": f"mqtt://127.0.0.1:{free_port()}"}
        async with daemon(tmp_path, document) as one:
            await until(lambda: all(name in one.log.read_text() for name in ("uplink_lost", "device_lost")))
            await until(lambda: "device_connected" in one.log.read_text())
            await until(partial(executes, one))
            code, out = await status(one.url)
            assert code == 1
            sections = out.split("\n\n")
            assert sections[0].startswith("acme / berlin / filling / line-3: warn: 1/2 devices, 1/2 uplinks")
            assert sections[1].startswith("wrong\n")
            wrong = {line.split()[0] for line in sections[1].splitlines()[2:]} - {"clock", "loop"}
            assert wrong == {"device:other_plc", "uplink:plant"}
            assert "check that" in sections[1]
            assert "  filler   execute" in sections[2]
            code, out = await status(one.url, signals=True, as_json=True)
            found = json.loads(out)
            assert found["health"]["status"] == "warn"
            assert found["line"]["devices"]["filler_plc"]["signals"]["running"]["quality"] == "good"
            code, out = await status(one.url, signals=True)
            assert "signals of other_plc" in out
            assert await one.stop() == 0


async def answer_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As another service does."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.0 404 Not Found\r\nContent-Length: 15\r\n\r\n{"why": "none"}')
    writer.close()


async def test_who_does_not_answer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody, servers of something else, what is no address, and no certificates."""
    port = free_port()
    assert (await status(f"http://127.0.0.1:{port}"))[0] == 1
    assert (await status("127.0.0.1:8480"))[0] == 2
    mqtt = free_port()
    async with broker(tmp_path / "broker", mqtt):
        assert (await status(f"http://127.0.0.1:{mqtt}"))[0] == 1
    other = await asyncio.start_server(answer_json, "127.0.0.1", 0)
    host, their_port = other.sockets[0].getsockname()
    assert (await status(f"http://{host}:{their_port}"))[0] == 1
    other.close()
    assert (
        await asyncio.to_thread(
            show_status,
            Where("https://127.0.0.1:1", ca=str(tmp_path / "none.pem")),
            signals=False,
            watch=False,
            as_json=False,
        )
        == 2
    )
    said = capsys.readouterr().err.splitlines()
    assert "see whether the daemon runs" in said[0]
    assert "is no address of an endpoint" in said[1]
    assert "does not answer as linegate does" in said[3]
    assert "none.pem is no file of certificates that can be read: No such file" in said[4]
    assert len(said) == 5
