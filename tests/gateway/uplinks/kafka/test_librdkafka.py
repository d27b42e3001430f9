"""Against another implementation: librdkafka reads what we write, chooses the same partitions, and mocks a cluster."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Consumer, Producer, TopicPartition

from gateway.events import StoredEvent
from tests.peers.kafka import PARTITIONS, TOPIC, Front

if TYPE_CHECKING:
    from tests.gateway.uplinks.kafka.conftest import Make

COUNT = 300


def events() -> list[StoredEvent]:
    return [
        StoredEvent(seq, seq - 1, "machine.state", f"filler_{seq % 20}", 1_795_327_200_000 + seq, b'{"n":%d}' % seq)
        for seq in range(1, COUNT + 1)
    ]


def consumed(servers: str, count: int) -> list[Any]:
    """The next messages of the topic, in the order of each partition; blocking."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "check.crcs": True, "log_level": 0})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    messages: list[Any] = []
    while len(messages) < count:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        messages.append(message)
    consumer.close()
    return messages


async def written(make: Make, port: int, **settings: Any) -> None:
    uplink = make(port, **settings)
    await uplink.connect()
    waiting = events()
    while waiting:
        waiting = waiting[await uplink.write(waiting) :]


def check(messages: list[Any]) -> None:
    """All of them, each machine's in order, each with its key, header and time."""
    order: dict[bytes, list[int]] = {}
    for message in messages:
        event = json.loads(message.value())
        order.setdefault(message.key(), []).append(event["data"]["n"])
        assert message.headers() == [("content-type", b"application/cloudevents+json")]
    assert sorted(n for seqs in order.values() for n in seqs) == list(range(1, COUNT + 1))
    assert len(order) == 20
    assert all(seqs == sorted(seqs) for seqs in order.values())
    assert len({message.partition() for message in messages}) == PARTITIONS


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_it_reads_what_we_write(front: Front, make: Make, compression: str) -> None:
    await front.start()
    await written(make, front.port, compression=compression)
    check(await asyncio.to_thread(consumed, f"127.0.0.1:{front.port}", COUNT))


@pytest.fixture
def cluster() -> Iterator[list[str]]:
    """Three brokers of librdkafka's, which know the whole of idempotence; their addresses."""
    producer = Producer({"bootstrap.servers": "mocked", "test.mock.num.brokers": 3, "log_level": 0})
    metadata = producer.list_topics(TOPIC, timeout=10)
    assert len(metadata.topics[TOPIC].partitions) == PARTITIONS
    yield [f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()]
    producer.flush(1)  # the brokers live as long as it does


async def test_a_cluster_of_several_brokers(cluster: list[str], make: Make) -> None:
    """Producer ids, and a request for each leader of a wave."""
    await written(make, int(cluster[0].partition(":")[2]))
    messages = await asyncio.to_thread(consumed, ",".join(cluster), COUNT)
    check(messages)


async def test_keys_lead_to_the_partitions_of_other_clients(cluster: list[str]) -> None:
    """So that a consumer may join our topic with one that Java or librdkafka (`murmur2`) fill."""
    keys = [f"/acme/berlin/filling/line-{n}/filler".encode() for n in range(50)]
    found: dict[bytes | None, int | None] = {}
    producer = Producer({"bootstrap.servers": ",".join(cluster), "partitioner": "murmur2", "log_level": 0})
    for key in keys:
        producer.produce(
            TOPIC, b"x", key, on_delivery=lambda _error, told: found.update({told.key(): told.partition()})
        )
    await asyncio.to_thread(producer.flush, 10)
    every = list(range(PARTITIONS))
    assert found == {key: DefaultPartitioner()(key, every, every) for key in keys}
