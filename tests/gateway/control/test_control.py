"""The control socket: who may ask, what is answered, and what a bad request costs."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.control.client import ask
from gateway.control.server import MOST_CONNECTIONS, ControlServer, listen
from gateway.control.wire import ControlError, NoDaemon, Refused, socket_path


async def count(request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for number in range(request["to"]):
        yield {"number": number}


async def count_for_ever(request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    number = 0
    try:
        while True:
            yield {"number": (number := number + 1)}
    finally:
        Path(request["left"]).write_text(str(number))


async def refuse(_request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    raise Refused("the disk is full", "make room")
    yield {}


async def fail(_request: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield {"number": 0}
    raise KeyError("a bug")


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[None]:
    listening = await asyncio.to_thread(listen, path)
    assert listening is not None
    handlers = {"count": count, "count_for_ever": count_for_ever, "refuse": refuse, "fail": fail}
    task = asyncio.create_task(ControlServer(listening, handlers).run())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def answered(path: Path, do: str, **given: Any) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(ask(path, do, **given)))


async def test_items_come_in_order(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        assert await answered(path, "count", to=5000) == [{"number": number} for number in range(5000)]


async def test_the_socket_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        assert await asyncio.to_thread(lambda: stat.S_IMODE(path.stat().st_mode)) == 0o600


async def test_a_refusal_arrives_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        with pytest.raises(Refused, match="the disk is full") as refused:
            await answered(path, "refuse")
        assert refused.value.remedy == "make room"
        with pytest.raises(Refused, match="does not know 'reboot'"):
            await answered(path, "reboot")


async def test_a_bug_in_a_handler_costs_its_asker_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        with pytest.raises(ControlError, match="ended before its answer did"):
            await answered(path, "fail")
        assert len(await answered(path, "count", to=2)) == 2


@pytest.mark.parametrize("sent", [b"", b"\n", b"[]\n", b"{\n", b"\xff\xfe\n", b'{"do": 7}\n', b'{"do": "count"}\n'])
async def test_what_is_no_request_costs_nobody_else(tmp_path: Path, sent: bytes) -> None:
    path = tmp_path / "control.sock"

    def send() -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1000)

    async with serving(path):
        answer = await asyncio.to_thread(send)
        assert answer == b"" or b"refused" in answer
        assert len(await answered(path, "count", to=2)) == 2


async def test_an_asker_that_has_seen_enough_ends_its_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, left = tmp_path / "control.sock", tmp_path / "left"
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(orjson.dumps({"do": "count_for_ever", "left": str(left)}) + b"\n")
        await reader.readline()
        writer.close()
        async with asyncio.timeout(10):
            while not left.exists():  # noqa: ASYNC110 - the answer's end is seen there alone
                await asyncio.sleep(0.01)
    assert not caplog.records


async def test_more_askers_than_it_answers_are_told(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with serving(path):
        idle = [await asyncio.open_unix_connection(path) for _ in range(MOST_CONNECTIONS)]
        with pytest.raises(Refused, match="being answered already"):
            await answered(path, "count", to=1)
        for _, writer in idle:
            writer.close()


async def test_what_a_killed_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NoDaemon):
        await answered(path, "count", to=1)
    async with serving(path):
        assert len(await answered(path, "count", to=1)) == 1


def test_a_path_that_is_too_long_costs_the_commands_alone(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert listen(tmp_path / ("long" * 40) / "control.sock") is None
    assert [one["event"] for one in logs] == ["control_off"]


async def test_a_daemon_that_dies_while_it_answers_is_said(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"item": {"number": 0}}\n{"ite')
        writer.close()

    async with await asyncio.start_unix_server(die, path):
        with pytest.raises(ControlError, match="ended before its answer did"):
            await answered(path, "count", to=1)


def test_the_place_is_the_service_managers_or_the_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert socket_path(Path("/var/lib/linegate/line-3.db")) == Path("/var/lib/linegate/line-3.db.sock")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/linegate/line-3:/run/other")
    assert socket_path(Path("/var/lib/linegate/line-3.db")) == Path("/run/linegate/line-3/control.sock")
