"""Every way of getting, and of not getting, a connection to a broker; and of giving it up."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiokafka.conn import AIOKafkaConnection, ScramAuthenticator

from protocols.driver import ConfigError, ConnectFailed
from tests.peers.kafka import USER, Front, Kafka
from tests.processes import free_port

if TYPE_CHECKING:
    from tests.gateway.uplinks.kafka.conftest import Make

Authority = tuple[trustme.CA, Path]
SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.ANSWER_S", 1.0)
    monkeypatch.setenv("PLANT_PASSWORD", SECRET)
    monkeypatch.setenv("WRONG_PASSWORD", "battery-staple")


def user(password: str = "PLANT_PASSWORD", **settings: Any) -> dict[str, Any]:
    return {"user": USER, "password": {"env": password}, **settings}


async def refused(make: Make, kind: type[Exception], words: str, port: int, **settings: Any) -> str:
    with pytest.raises(kind, match=words) as told:
        async with asyncio.timeout(8):
            await make(port, **settings).connect()
    assert "battery-staple" not in str(told.value)
    return str(told.value.remedy)  # type: ignore[attr-defined]


@pytest.mark.parametrize("sasl", ["scram-sha-512", "scram-sha-256", "plain"])
async def test_user_and_password(front: Front, make: Make, make_events: Any, sasl: str) -> None:
    front.password = SECRET
    await front.start()
    uplink = make(front.port, **user(sasl=sasl))
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    remedy = await refused(make, ConfigError, "authentication failed", front.port, **user("WRONG_PASSWORD", sasl=sasl))
    assert "`password`" in remedy


async def test_a_cluster_that_wants_a_user(front: Front, make: Make) -> None:
    front.password = SECRET
    await front.start()
    assert "`user`" in await refused(make, ConnectFailed, "before the session|closed the connection", front.port)


async def test_a_cluster_without_users(front: Front, make: Make) -> None:
    await front.start()
    with pytest.raises((ConfigError, ConnectFailed)) as told:
        await make(front.port, **user()).connect()
    assert told.value.remedy


async def test_tls_and_a_client_certificate(front: Front, make: Make, make_events: Any, authority: Authority) -> None:
    _, directory = authority
    await front.start(tls=directory / "server", ca=directory / "ca.pem")
    url, ca = f"kafkas://127.0.0.1:{front.port}", str(directory / "ca.pem")
    own = {"certificate": str(directory / "client.pem"), "private_key": str(directory / "client.key")}
    uplink = make(front.port, url=url, tls={"ca": ca, **own})
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    words = f"127.0.0.1:{front.port}"
    assert "client certificate" in await refused(make, ConnectFailed, words, front.port, url=url, tls={"ca": ca})
    assert "tls.ca" in await refused(make, ConnectFailed, "unknown authority", front.port, url=url)
    assert "kafkas://" in await refused(make, ConnectFailed, words, front.port)


async def test_tls_to_a_plain_port(front: Front, make: Make) -> None:
    await front.start()
    url = f"kafkas://127.0.0.1:{front.port}"
    assert await refused(make, ConnectFailed, f"127.0.0.1:{front.port}", front.port, url=url)


async def test_another_server_of_the_cluster(front: Front, make: Make) -> None:
    await front.start()
    away = [free_port(), free_port()]
    await make(away[0], others=[f"127.0.0.1:{away[1]}", f"127.0.0.1:{front.port}"]).connect()
    words = f"127.0.0.1:{away[0]} refuses .*127.0.0.1:{away[1]} refuses"
    await refused(make, ConnectFailed, words, away[0], others=[f"127.0.0.1:{away[1]}"])


async def test_a_broker_that_the_cluster_names_and_nobody_reaches(kafka: Kafka, make: Make) -> None:
    away = free_port()
    await kafka.start(away)
    remedy = await refused(make, ConnectFailed, f"127.0.0.1:{away} refuses", kafka.port)
    assert "advertised.listeners" in remedy


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Kafka"),
        (b"\xff\xff\xff\xff", "does not speak Kafka"),
        (b"", "does not speak Kafka"),
        (b"\0\0\0\4\0\0\0\1", "closed the connection before the session began"),
    ],
)
async def test_a_port_that_is_no_brokers(make: Make, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str) -> None:
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.ANSWER_S", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert "the port" in await refused(make, ConnectFailed, f"127.0.0.1:{port} {words}", port)
    server.close()


def test_the_private_names_by_which_a_connection_is_given_up_and_an_answer_bounded() -> None:
    assert "_writer" in AIOKafkaConnection.close.__code__.co_names
    assert {"_reader", "readexactly"} <= {*AIOKafkaConnection._read.__code__.co_names}
    assert {"_create_reader_task", "create_connection", "_loop"} <= {*AIOKafkaConnection.connect.__code__.co_names}
    assert "create_salted_password" in ScramAuthenticator.process_server_first_message.__code__.co_names
    assert {"_loop", "run_in_executor"} <= {*ScramAuthenticator.step.__code__.co_names}


async def test_no_thread_is_begun_that_holds_the_exit(front: Front, make: Make, make_events: Any) -> None:
    """Neither for a name nor for a password: the loop joins its executor at the end."""
    front.password = SECRET
    await front.start()
    uplink = make(front.port, url=f"kafka://localhost:{front.port}", **user(sasl="scram-sha-256"))
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    assert asyncio.get_running_loop()._default_executor is None  # type: ignore[attr-defined]


async def test_a_server_that_would_have_us_reckon_for_hours(
    front: Front, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.kafka.connection.MOST_ITERATIONS", 4095)
    front.password = SECRET
    await front.start()
    await refused(make, ConfigError, "authentication failed", front.port, **user(sasl="scram-sha-512"))


async def test_its_tasks_end(front: Front, make: Make, make_events: Any) -> None:
    await front.start()
    before = asyncio.all_tasks()
    uplink = make(front.port)
    await uplink.connect()
    assert await uplink.write(make_events(1)) == 1
    ours = asyncio.all_tasks() - before
    assert ours
    await uplink.close()
    async with asyncio.timeout(2):
        while any(not task.done() for task in ours):  # noqa: ASYNC110 - aiokafka's own, which tell nobody
            await asyncio.sleep(0)
