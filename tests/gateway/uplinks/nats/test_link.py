"""What of nats-py the uplink leans on: its transport can be given, its tasks end, and nothing is sent before TLS."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import nats.aio.client
import pytest
from nats.protocol.parser import Parser

from gateway.uplinks.nats.link import Link
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from tests.peers.nats import NatsServer, Reader

if TYPE_CHECKING:
    from tests.gateway.uplinks.nats.conftest import Make

INFO = b'INFO {"server_id":"x","version":"2.10.0","max_payload":1000,"headers":true}\r\n'


def test_the_private_names_that_take_the_transport_and_the_parser() -> None:
    client = nats.aio.client.Client()
    assert "_transport" in vars(client)
    assert type(client._ps) is Parser
    assert {"buf", "needed"} <= vars(client._ps).keys()


async def test_its_tasks_end(server: NatsServer, make: Make, make_events: Any) -> None:
    await server.start()
    reader = Reader()
    await reader.follow(server)
    await reader.leave()
    before = asyncio.all_tasks()
    uplink = make()
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    ours = asyncio.all_tasks() - before
    assert ours
    await uplink.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert all(task.done() for task in ours)


async def test_sizes_count_as_the_server_counts_them(server: NatsServer, make: Make, make_events: Any) -> None:
    """A message of exactly the limit passes, and one byte more is refused before it is sent."""
    headers = {"content-type": "text/plain", "x": "ä"}
    payload = b"x" * 100
    limit = Link.size(headers, payload)
    await server.start(f"max_payload: {limit}")
    client = await server.client(error_cb=_ignore)
    subscription = await client.subscribe("here")
    await client.publish("here", payload, headers=headers)
    assert (await subscription.next_msg(2)).data == payload
    await client.publish("here", payload + b"x", headers=headers)
    async with asyncio.timeout(5):
        while client.is_connected:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
    assert "maximum payload" in str(client.last_error).lower()
    await client.close()


async def _ignore(_error: Exception) -> None:
    pass


@contextlib.asynccontextmanager
async def scripted(*lines: bytes) -> Any:
    """A server that says these lines whatever it hears; what it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for line in lines:
                writer.write(line)
            while data := await reader.read(65_536):
                heard.append(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heard
    server.close()


async def test_nothing_is_sent_to_a_server_without_tls(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """nats-py would take the server's word for it, and send the password in plain text."""
    monkeypatch.setenv("PLANT_PASSWORD", "secret")
    async with scripted(INFO) as (port, heard):
        uplink = make(url=f"tls://127.0.0.1:{port}", user="line-3", password={"env": "PLANT_PASSWORD"})
        with pytest.raises(ConnectFailed, match="offers no TLS"):
            await uplink.connect()
        await uplink.close()
    assert heard == []


async def test_a_server_that_wants_tls(make: Make) -> None:
    async with scripted(INFO.replace(b"}", b',"tls_required":true}')) as (port, heard):
        with pytest.raises(ConfigError, match="wants TLS") as told:
            await make(url=f"nats://127.0.0.1:{port}").connect()
    assert "tls://" in told.value.remedy
    assert heard == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak NATS"),
        (b"x" * 2_000_000, "does not speak NATS"),
        (b"", "does not speak NATS"),
        (INFO + b"-ERR 'maximum connections exceeded'\r\n", "refuses the connection: maximum connections exceeded"),
        (INFO + b"-ERR 'User Authentication Expired'\r\n", "refuses the client: User Authentication Expired"),
    ],
    ids=["http", "endless", "silent", "full", "expired"],
)
async def test_what_else_a_port_may_say(make: Make, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str) -> None:
    monkeypatch.setattr("gateway.uplinks.nats.publisher.ANSWER_S", 1.0)
    async with scripted(said) as (port, _):
        with pytest.raises((ConnectFailed, ConfigError), match=words) as told:
            await make(url=f"nats://127.0.0.1:{port}").connect()
    assert told.value.remedy


async def test_closing_waits_for_nobody(make: Make, make_events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uplinks.nats.publisher.ANSWER_S", 0.2)
    async with scripted(INFO, b"PONG\r\nPONG\r\n") as (port, _):
        uplink = make(url=f"nats://127.0.0.1:{port}")
        await uplink.connect()
        async with asyncio.timeout(1.0):
            await uplink.close()


@pytest.mark.parametrize("said", [b"MSG x 1 2000000000\r\n" + b"x" * 100_000, b"MSG " + b"x" * 3_000_000])
async def test_a_message_without_an_end_ends_the_connection(make: Make, said: bytes) -> None:
    async with scripted(INFO, b"PONG\r\nPONG\r\n", said) as (port, _):
        uplink = make(url=f"nats://127.0.0.1:{port}")

        async def used() -> None:
            await uplink.connect()
            await uplink.serve()

        async with asyncio.timeout(5):
            with pytest.raises((ConnectFailed, NotConnected), match="a message of more than 1,048,576 bytes"):
                await used()
    await uplink.close()


async def test_answers_that_nobody_waits_for_are_kept_by_nobody(
    server: NatsServer, make: Make, make_events: Any
) -> None:
    """Whoever may publish to our inbox, and a server that says things twice."""
    await server.start()
    reader = Reader()
    await reader.follow(server)
    uplink = make()
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    link = uplink._link
    assert link is not None
    client = await server.client()
    for name in ("1", "7", "x", "9" * 5000):
        await client.publish(f"{link._inbox}.{name}", b'{"stream":"x","seq":1}')
    await client.flush()
    assert await uplink.write(make_events(2)) == 1
    assert link.answers == {}
    await client.close()
    await uplink.close()
    await reader.leave()
