"""A real broker behind its front for each test that asks for them, and uplinks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.uplinks.kafka.config import KafkaUplink
from gateway.uplinks.kafka.publisher import KafkaPublisher
from gateway.uplinks.uplink import UplinkContext
from tests.peers.kafka import Front, Kafka, Reader

Make = Callable[..., KafkaPublisher]


@pytest.fixture
async def kafka() -> AsyncIterator[Kafka]:
    """A broker without clients, not started."""
    kafka = Kafka()
    yield kafka
    await kafka.end()


@pytest.fixture
async def front(kafka: Kafka) -> AsyncIterator[Front]:
    """What clients reach; the broker runs and has its topic."""
    front = Front(kafka)
    await kafka.start(front.port)
    yield front
    front.stop()


@pytest.fixture
async def reader(kafka: Kafka, front: Front) -> AsyncIterator[Reader]:
    """Reads the topic; `finish` first."""
    reader = Reader()
    await reader.follow(kafka)
    yield reader
    await reader.finish()


@pytest.fixture
async def make(context: UplinkContext) -> AsyncIterator[Make]:
    """Makes uplinks to a port, with settings."""
    made: list[KafkaPublisher] = []

    def uplink(port: int, **settings: Any) -> KafkaPublisher:
        section = {"type": "kafka", "url": f"kafka://127.0.0.1:{port}", **settings}
        made.append(KafkaPublisher(KafkaUplink.model_validate(section), context))
        return made[-1]

    yield uplink
    for one in made:
        await one.close()
