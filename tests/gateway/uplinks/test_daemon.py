"""`linegate run` with every uplink at once: each has the same book, and the broker knows who is there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt

from tests.conftest import line_document
from tests.peers.collector import Collector
from tests.peers.kafka import Front, Kafka
from tests.peers.kafka import Reader as Records
from tests.peers.nats import NatsServer, Reader
from tests.processes import Daemon, broker, daemon, free_port, simulator, until

PLACE = "acme/berlin/filling/line-3"


async def retained(port: int, topic: str) -> dict[str, Any]:
    """What the broker has kept on a topic."""
    async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.timeout(20):
        await client.subscribe(topic)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            found: dict[str, Any] = json.loads(message.payload)
            return found
    raise AssertionError("unreachable")


async def retained_is_current(one: Daemon, port: int) -> bool:
    """Whether the broker has the state that the daemon shows."""
    shown = (await one.line())["machines"]["filler"]["interval"]
    kept = (await retained(port, f"{PLACE}/filler/state"))["data"]
    return bool(kept["interval"] == shown and kept["ended"] is None)


async def test_every_uplink_has_the_same_book(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    await collector.start()
    kafka = Kafka()
    front, records = Front(kafka), Records()
    await kafka.start(front.port)
    await records.follow(kafka)
    await front.start()
    server, reader = NatsServer(tmp_path), Reader()
    await server.start()
    await reader.follow(server)
    mqtt = f"mqtt://127.0.0.1:{port}"
    uplinks = {
        "journal": {"type": "file", "path": "events.ndjson", "rotate": "10kB", "compression": "zstd", "keep": 1000},
        "plant": {"type": "mqtt", "url": mqtt, "retain_state": True},
        "mes": {
            "type": "http", "url": f"http://127.0.0.1:{collector.port}/events", "compression": "gzip", "shape": "flat",
            "token": {"env": "MES_TOKEN"},
        },
        "enterprise": {"type": "kafka", "url": f"kafka://127.0.0.1:{front.port}", "key": "line", "compression": "zstd"},
        "cluster": {"type": "nats", "url": f"nats://127.0.0.1:{server.port}", "in_flight": 100},
    }  # fmt: skip
    async with simulator("--seed", "7", "--speed", "5") as plc, broker(tmp_path / "broker", port):
        document = line_document(uplinks=uplinks, health={"listen": f"127.0.0.1:{free_port()}"})
        document["devices"]["filler_plc"] |= {"port": plc.port, "scan_interval": "50ms"}
        async with daemon(tmp_path, document, environment={"MES_TOKEN": "s3cret"}) as one:
            await until(lambda: any(event["type"] == "linegate.machine.state.v1" for event in collector.taken))
            assert (await retained(port, f"{PLACE}/gateway/state"))["state"] == "online"
            await until(lambda: retained_is_current(one, port))
            assert await one.stop() == 0
        farewell = await retained(port, f"{PLACE}/gateway/state")
        assert (farewell["state"], "time" in farewell) == ("offline", True)
    await collector.stop()
    await reader.finish()
    await server.end()
    await records.finish()
    front.stop()
    await kafka.end()
    book = one.events()
    assert {event["seq"] for event in collector.taken} >= {event["seq"] for event in book}
    assert [event["seq"] for event in reader.events] == [event["seq"] for event in collector.taken]
    assert [event["seq"] for event in records.events] == [event["seq"] for event in collector.taken]
    assert collector.posts[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in one.log.read_text()
    last = collector.taken[-1]
    assert (last["type"], last["source"]) == ("linegate.gateway.stopped.v1", f"/{PLACE}")
    assert [int(event["prevseq"]) for event in collector.taken] == list(range(len(collector.taken)))
