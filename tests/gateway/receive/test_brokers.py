"""`linegate receive` from brokers that keep what they got: NATS JetStream and Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from nats.js.api import StreamConfig

from gateway.receive.follower import Follower
from tests.conftest import line_document
from tests.peers.certificates import make_certificates
from tests.peers.kafka import PARTITIONS, TOPIC, USER, Front, Kafka
from tests.peers.nats import STREAM, SUBJECTS, NatsServer
from tests.peers.receive import ids, receive, said
from tests.processes import daemon, free_port, simulator, until


async def told(*cases: tuple[Coroutine[Any, Any, tuple[int, str]], int, str]) -> None:
    """Exit codes and words of calls, all at once."""
    answers = await asyncio.gather(*(call for call, _, _ in cases))
    for (code, words), (_, wanted, part) in zip(answers, cases, strict=True):
        assert (code, part in words) == (wanted, True), words
        assert "Traceback" not in words


async def make_stream(server: NatsServer) -> None:
    client = await server.client()
    await client.jetstream().add_stream(StreamConfig(STREAM, subjects=list(SUBJECTS)))
    await client.close()


async def test_a_stream_of_nats_is_read_whole(tmp_path: Path) -> None:
    """Also when the consumer is killed in between, and the server too: a durable consumer goes on.

    What the first one had not acknowledged comes some seconds after what is younger.
    """
    server = NatsServer(tmp_path)
    await server.start()
    await make_stream(server)
    state = tmp_path / "mes.state"
    arguments = (f"nats://127.0.0.1:{server.port}/{STREAM}", "--state", str(state), "--json")
    uplink = {"type": "nats", "url": f"nats://127.0.0.1:{server.port}", "content": "binary"}
    document = line_document(uplinks={"plant": uplink}, health={"listen": f"127.0.0.1:{free_port()}"})
    try:
        async with simulator("--seed", "7", "--speed", "20") as plc, receive(*arguments) as first:
            document["devices"]["filler_plc"] |= {"port": plc.port, "scan_interval": "50ms"}
            await first.listens()
            async with daemon(tmp_path, document) as gateway:
                await until(lambda: len(first.events) >= 5)
                assert await first.end("kill") < 0
                async with receive(*arguments) as second:
                    await until(lambda: second.events)
                    await server.end()
                    await until(lambda: b"the connection broke" in second.err)
                    await server.start()
                    assert await gateway.stop() == 0
                    await until(lambda: any("gateway.stopped" in event["type"] for event in second.events))
                    await until(lambda: Follower.restored(json.loads(state.read_text())).is_complete)
                    assert await second.end() == 0, second.err
    finally:
        await server.end()
    over = set(ids(first.events) + ids(second.events))
    assert sorted(seq for _, seq in over) == list(range(1, len(over) + 1))
    assert second.summary["complete"]
    assert second.summary["received"] == len(over)


async def test_what_nats_refuses_is_said_with_its_remedy(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    server = NatsServer(tmp_path)
    await server.start(tls=tmp_path / "server", password="right")
    try:
        await make_stream(server)
        url, login = f"tls://127.0.0.1:{server.port}/{STREAM}", ("--user", "reader", "--password-env", "P")
        ca = ("--ca", str(tmp_path / "ca.pem"))
        await told(
            (said(url, *ca, *login, "--for", "1s", environment={"P": "readers-own"}), 0, f"stream {STREAM} at"),
            (said(url, *ca, *login, environment={"P": "wrong"}), 2, "check --user"),
            (said(url, *login, environment={"P": "readers-own"}), 1, "set --ca"),
            (
                said(f"{url}X", *ca, *login, environment={"P": "readers-own"}),
                2,
                f"has no stream {STREAM}X; check its name",
            ),
            (said(url.replace("tls:", "nats:"), *login, environment={"P": "readers-own"}), 2, "write tls://"),
        )
    finally:
        await server.end()


async def test_nats_gets_no_password_without_tls(tmp_path: Path) -> None:
    """Where the URL asks for TLS: to the server's own words that it has none nobody listens."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1000,"headers":true}\r\n')
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}/{STREAM}"
    login = ("--user", "reader", "--password-env", "P")
    await told((said(url, *login, environment={"P": "readers-own"}), 1, "offers no TLS"))
    server.close()
    assert heard == [b""]


@asynccontextmanager
async def kafka(**how: Any) -> AsyncIterator[Front]:
    """A broker with a topic of several partitions, behind its front."""
    broker = Kafka()
    front = Front(broker)
    try:
        await broker.start(front.port)
        await front.start(**how)
        yield front
    finally:
        front.stop()
        await broker.end()


async def test_a_topic_of_kafka_is_read_whole(tmp_path: Path) -> None:
    """Its partitions are not in step: holes are there and go. A group commits its offsets; else all is read."""
    async with kafka() as front:
        url = f"kafka://127.0.0.1:{front.port}/{TOPIC}"
        group = (url, "--name", "mes", "--json")
        uplink = {"type": "kafka", "url": f"kafka://127.0.0.1:{front.port}", "content": "binary"}
        document = line_document(uplinks={"plant": uplink}, health={"listen": f"127.0.0.1:{free_port()}"})
        async with simulator("--seed", "7", "--speed", "20") as plc, receive(*group) as first:
            document["devices"]["filler_plc"] |= {"port": plc.port, "scan_interval": "50ms"}
            async with daemon(tmp_path, document) as gateway:
                await until(lambda: len(first.events) >= 8)
                assert await gateway.stop() == 0
            await until(lambda: any("gateway.stopped" in event["type"] for event in first.events))
            await until(lambda: len(first.events) == max(seq for _, seq in ids(first.events)))
            assert await first.end() == 0, first.err
        assert await committed(front.port, "mes") == len(first.events)
        async with receive(url, "--json", "--count", str(len(first.events))) as second:
            assert await second.end("wait") == 0, second.err
    assert sorted(ids(second.events)) == sorted(ids(first.events))


async def committed(port: int, group: str) -> int:
    """How many records a group has done with."""
    consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}", group_id=group, enable_auto_commit=False)
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.start()
    try:
        return sum([await consumer.committed(partition) or 0 for partition in partitions])
    finally:
        await consumer.stop()


async def test_what_kafka_refuses_is_said_with_its_remedy(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    ca, login = ("--ca", str(tmp_path / "ca.pem")), ("--user", USER, "--password-env", "P")
    async with kafka(tls=tmp_path / "server") as front:
        front.password = "right"
        url = f"kafkas://127.0.0.1:{front.port}/{TOPIC}"
        await told(
            (said(url, *ca, *login, "--for", "2s", environment={"P": "right"}), 0, "listening"),
            (said(url, *ca, *login, environment={"P": "wrong"}), 2, "check --user"),
            (said(url, *login, environment={"P": "right"}), 1, "set --ca"),
            (said(f"kafka://127.0.0.1:{free_port()}/{TOPIC}"), 1, "refuses the connection"),
            (said(url, *ca, "--for", "20s"), 1, "check whether it wants --user"),
        )
        front.topic_code = 29
        await told((said(url, *ca, *login, environment={"P": "right"}), 2, f"has no topic {TOPIC} for this client"))
