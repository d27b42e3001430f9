"""What peers that are slow, silent or many may cost: bounded connections, memory, time and log."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.health.guest import MOST_CONNECTIONS
from tests.conftest import line_document
from tests.gateway.health.hurried import hurried
from tests.gateway.health.test_guard import certified
from tests.gateway.health.viewing import viewer
from tests.processes import Daemon, daemon, free_port, simulator, until

MANY = 1000
POST = b"POST /api/me HTTP/1.1\r\nHost: localhost\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """With many signals that change in each scan."""
    place = tmp_path_factory.mktemp("bounds")
    document = line_document(health={"listen": f"127.0.0.1:{free_port()}"})
    async with simulator("--chaos", "off", "--units", "2", "--extra-registers", str(MANY)) as plc:
        document["devices"]["filler_plc"]["port"] = plc.port
        document["devices"]["many_plc"] = {
            "protocol": "modbus_tcp", "host": "127.0.0.1", "port": plc.port, "unit_id": 2, "scan_interval": "250ms",
            "signals": {f"v{n}": {"address": f"holding:{1000 + 2 * n}", "type": "float32"} for n in range(MANY)},
        }  # fmt: skip
        environment = {**hurried(place), "MADE": str(place / "made")}
        async with daemon(place, document, environment=environment) as running:
            yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


def connected(one: Daemon, receive_bytes: int = 0) -> socket.socket:
    """A socket of the test's own, which reads when it is told to."""
    host, _, port = one.url.removeprefix("http://").partition(":")
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(10)
    client.connect((host, int(port)))
    return client


def rest(client: socket.socket) -> bytes:
    """All that comes before the other side ends it, in order or not."""
    found = bytearray()
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return bytes(found)


async def test_a_viewer_that_takes_nothing_is_left_and_hinders_nobody(one: Daemon) -> None:
    """It gets what fits into its buffers, and no more is kept for it."""
    with connected(one, 4096) as slow:
        slow.sendall(b"GET /api/stream?signals HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with viewer(one.url, "?signals") as quick:
            sizes = [len(json.dumps(await quick.until("signals"))) for _ in range(10)]
        got = await asyncio.to_thread(rest, slow)
    assert got.startswith(b"HTTP/1.1 200")
    assert not got.endswith(b"\r\n0\r\n\r\n"), "it was cut"
    assert len(got) < 3 * max(sizes) < sum(sizes) / 2


async def test_a_message_is_made_once_for_all_and_none_while_nobody_looks(one: Daemon) -> None:
    made = Path(one.environment["MADE"])

    async def rests() -> bool:
        before = made.stat().st_size
        await asyncio.sleep(1.2)  # the health is looked at each second
        return made.stat().st_size == before

    async def works() -> bool:
        return not await rests()

    async with AsyncExitStack() as stack:
        looking = [await stack.enter_async_context(viewer(one.url, "?signals")) for _ in range(8)]
        for each in looking:
            await each.until("signals")
        before = made.stat().st_size
        for _ in range(4):
            await asyncio.gather(*(each.until("signals") for each in looking))
        read = sum(len(each.kinds) - 1 for each in looking)
        assert made.stat().st_size - before < read / 2
        await until(works)
    await until(rests)


async def test_a_request_that_does_not_come_is_not_waited_for(one: Daemon) -> None:
    """Neither the first of a connection nor one behind another, in one piece or byte by byte."""
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for before, drip in ((b"", b""), (b"", b"GET /livez HTTP/1.1\r\nHost: "), (whole, b""), (whole, b"GET /livez HTT")):
        with connected(one) as client:
            client.sendall(before + drip[:5])

            def dripping(drip: bytes = drip, client: socket.socket = client) -> float:
                began = time.monotonic()
                client.settimeout(0.3)
                for byte in drip[5:]:
                    try:
                        client.sendall(bytes([byte]))
                        if not client.recv(65536):
                            break
                    except TimeoutError:
                        continue
                    except OSError:
                        break
                client.settimeout(10)
                rest(client)
                return time.monotonic() - began

            assert await asyncio.to_thread(dripping) < 8


async def test_so_many_connections_and_no_more(one: Daemon) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(one)) for _ in range(MOST_CONNECTIONS + 1)]
        assert await asyncio.to_thread(rest, clients[-1]) == b""
    async with asyncio.timeout(5):
        await until(one.is_ready)


async def test_what_is_no_http_is_refused_and_not_logged(one: Daemon) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\x01" + bytes(200),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        POST + b"Content-Length: 1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000,
    ):
        with connected(one) as client:
            client.sendall(sent)
            assert (await asyncio.to_thread(rest, client)).split(b" ")[1] in (b"400", b"415"), sent
    with connected(one) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        assert (await asyncio.to_thread(rest, client)).startswith(b"HTTP/1.1 200")
    assert "uvicorn" not in one.log.read_text()


async def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    context, port = certified(tmp_path), free_port()
    tls = {"certificate": str(tmp_path / "ipc.pem"), "private_key": str(tmp_path / "ipc.key")}
    document = line_document(health={"listen": f"127.0.0.1:{port}", "tls": tls})
    document["devices"]["filler_plc"]["port"] = free_port()
    secure = Daemon(tmp_path, document, environment=hurried(tmp_path))
    await secure.start(ready=False)
    try:
        await until(lambda: "endpoint_listening" in secure.log.read_text())
        with connected(secure) as client:
            began = time.monotonic()
            assert await asyncio.to_thread(rest, client) == b""
            assert time.monotonic() - began < 8, "uvloop waits a minute by itself"
        async with viewer(f"https://127.0.0.1:{port}", ssl=context) as looking:
            await looking.until("line")
            assert secure.process is not None
            secure.process.terminate()
            assert await looking.until("bye") == {"why": "stop"}
            assert await looking.message() is None
        assert await asyncio.wait_for(secure.process.wait(), 10) == 0
    finally:
        if secure.process is not None and secure.process.returncode is None:
            await secure.kill()
