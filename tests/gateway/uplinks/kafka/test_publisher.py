"""Events into a real topic: what is stored once, what is refused alone, what follows what, and in which words."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.events import StoredEvent
from gateway.uplinks.kafka import codes
from gateway.uplinks.kafka.publisher import KafkaPublisher
from gateway.uplinks.uplink import Rejected
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from tests.peers.kafka import MESSAGE_TOO_LARGE, NOT_THE_LEADER, PRODUCE, Front, Reader

if TYPE_CHECKING:
    from tests.gateway.uplinks.kafka.conftest import Make

STREAM = "0192f0c4-0000-4000-8000-000000000000"
SOURCE = "/acme/berlin/filling/line-3"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uplinks.kafka.session.RETRY_S", 0.01)


def events(count: int, *, machines: int = 5, size: int = 0, start: int = 1) -> list[StoredEvent]:
    data = b'{"text":"' + b"x" * size + b'"}'
    return [
        StoredEvent(seq, seq - 1, "machine.state", f"filler_{seq % machines}", 1_795_327_200_000 + seq, data)
        for seq in range(start, start + count)
    ]


async def deliver(uplink: KafkaPublisher, waiting: list[StoredEvent]) -> None:
    """Until all are stored; what was is taken off the list."""
    while waiting:
        del waiting[: await uplink.write(waiting)]


async def test_each_machines_events_are_in_order_in_one_partition(front: Front, reader: Reader, make: Make) -> None:
    await front.start()
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(700, machines=9))
    await reader.finish()
    order: dict[bytes, list[int]] = defaultdict(list)
    for record, event in zip(reader.records, reader.events, strict=True):
        assert record.key.decode() == f"{event['source']}/{event['subject']}"
        assert record.timestamp == 1_795_327_200_000 + int(event["seq"])
        assert record.headers == [("content-type", b"application/cloudevents+json")]
        order[record.key].append(int(event["seq"]))
    assert sorted(seq for seqs in order.values() for seq in seqs) == list(range(1, 701))
    assert all(seqs == sorted(seqs) for seqs in order.values())
    assert front.requests.count(PRODUCE) < 10, "batches grow"


async def test_a_lines_events_are_in_order_in_one_partition(front: Front, reader: Reader, make: Make) -> None:
    await front.start()
    uplink = make(front.port, key="line")
    await uplink.connect()
    await deliver(uplink, events(300))
    await reader.finish()
    assert {record.key.decode() for record in reader.records} == {SOURCE}
    assert [int(event["seq"]) for event in reader.events] == list(range(1, 301))


async def test_binary_content(front: Front, reader: Reader, make: Make) -> None:
    await front.start()
    uplink = make(front.port, content="binary")
    await uplink.connect()
    await deliver(uplink, events(1))
    await reader.finish()
    (record,) = reader.records
    assert record.value == b'{"text":""}'
    assert dict(record.headers) == {
        "content-type": b"application/json", "ce_specversion": b"1.0", "ce_id": f"{STREAM}-1".encode(),
        "ce_source": SOURCE.encode(), "ce_type": b"linegate.machine.state.v1", "ce_subject": b"filler_1",
        "ce_time": b"2026-11-22T06:00:00.001Z", "ce_dataschema": b"urn:linegate:machine.state.v1",
        "ce_stream": STREAM.encode(), "ce_seq": b"1", "ce_prevseq": b"0",
    }  # fmt: skip


@pytest.mark.parametrize("idempotence", [True, False])
async def test_lost_answers(front: Front, reader: Reader, make: Make, idempotence: bool) -> None:
    """The same batch goes again under its numbers, and the broker drops it; without numbers it has it twice."""
    await front.start()
    uplink = make(front.port, idempotence=idempotence)
    await uplink.connect()
    for start in range(1, 60, 20):
        front.loses = 2
        await deliver(uplink, events(20, start=start, machines=1))
    await reader.finish()
    seqs = [int(event["seq"]) for event in reader.events]
    assert list(dict.fromkeys(seqs)) == list(range(1, 61))
    assert (len(seqs) == 60) == idempotence


async def test_a_leader_that_moves(front: Front, reader: Reader, make: Make) -> None:
    """Part of a wave is taken, the rest follows when the cluster has found together: nothing is lost or twice."""
    await front.start()
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(100))
    refusals = iter([NOT_THE_LEADER, 0, NOT_THE_LEADER, NOT_THE_LEADER])
    front.verdict = lambda _partition, _batch: next(refusals, 0)
    await deliver(uplink, events(100, start=101))
    await reader.finish()
    assert sorted(int(event["seq"]) for event in reader.events) == list(range(1, 201))


@pytest.mark.parametrize("seed", range(3))
async def test_a_rough_day(front: Front, reader: Reader, make: Make, seed: int) -> None:
    """Answers lost, leaders moving, replicas lagging, batches too large, at random: all of it once, in order."""
    chance = random.Random(seed)
    await front.start()

    def verdict(_partition: int, batch: bytes) -> int:
        front.loses = int(chance.random() < 0.2)
        if len(batch) > 20_000:
            return MESSAGE_TOO_LARGE
        return chance.choice([0, 0, 0, NOT_THE_LEADER, 7, 19])

    front.verdict = verdict
    uplink = make(front.port, compression=chance.choice(["none", "zstd"]))
    await uplink.connect()
    for start in range(1, 1000, 100):
        await deliver(uplink, events(100, start=start, size=chance.choice([0, 0, 500])))
    await reader.finish()
    order: dict[str, list[int]] = defaultdict(list)
    for event in reader.events:
        order[event["subject"]].append(int(event["seq"]))
    assert sorted(seq for seqs in order.values() for seq in seqs) == list(range(1, 1001))
    assert all(seqs == sorted(seqs) for seqs in order.values())


async def test_a_batch_that_is_too_large_is_divided(front: Front, reader: Reader, make: Make) -> None:
    await front.start()
    front.verdict = lambda _partition, batch: MESSAGE_TOO_LARGE if len(batch) > 3000 else 0
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(200, machines=1))
    asked = front.requests.count(PRODUCE)
    await deliver(uplink, events(200, machines=1, start=201))
    await reader.finish()
    assert [int(event["seq"]) for event in reader.events] == list(range(1, 401))
    assert front.requests.count(PRODUCE) - asked < asked, "it remembers what the topic takes"


async def test_nothing_follows_what_a_topic_may_find_too_large(front: Front, reader: Reader, make: Make) -> None:
    """Other machines' events, which are in other partitions, wait too."""
    await front.start()
    front.verdict = lambda _partition, batch: MESSAGE_TOO_LARGE if len(batch) > 60_000 else 0
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(100))
    waiting = [*events(20, start=101), *events(1, start=121, size=70_000), *events(20, start=122)]
    assert await uplink.write(waiting) == 20
    with pytest.raises(Rejected, match=r"message too large \(10\)") as refused:
        await uplink.write(waiting[20:])
    assert refused.value.which == 0
    await reader.finish()
    assert sorted(int(event["seq"]) for event in reader.events) == list(range(1, 121))


async def test_a_record_with_a_time_that_the_topic_does_not_take(front: Front, reader: Reader, make: Make) -> None:
    """Found among the others by dividing."""
    await front.start()
    wrong = b'"seq":"77"'
    front.verdict = lambda _partition, batch: 32 if wrong in batch else 0
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(50, machines=1))
    waiting = events(60, start=51, machines=1)
    with pytest.raises(Rejected, match="timestamp") as refused:
        await deliver(uplink, waiting)
    assert (refused.value.which, waiting[0].seq) == (0, 77)
    await deliver(uplink, waiting[1:])
    await reader.finish()
    assert [int(event["seq"]) for event in reader.events] == [*range(1, 77), *range(78, 111)]


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (3, NotConnected, "create the topic"),
        (29, ConfigError, "permit"),
        (19, NotConnected, "min.insync.replicas"),
        (89, NotConnected, "quota"),
        (45, NotConnected, "numbers of its own"),
        (59, NotConnected, "numbers of its own"),
        (90, NotConnected, "numbers of its own"),
        (42, NotConnected, "logs"),
    ],
)
async def test_other_verdicts(
    front: Front, reader: Reader, make: Make, monkeypatch: pytest.MonkeyPatch, code: int, kind: Any, remedy: str
) -> None:
    """Whatever is known to be stored before counts; nothing goes to quarantine, and the next session delivers it."""
    monkeypatch.setattr("gateway.uplinks.kafka.session.PATIENCE_S", 0.1)
    await front.start()
    uplink = make(front.port)
    await uplink.connect()
    await deliver(uplink, events(100))
    first = events(1, start=101)[0]
    front.verdict = lambda _partition, batch: 0 if first.subject.encode() in batch else code
    rest = events(20, start=101)
    with pytest.raises(kind, match=codes.words(code).partition(" (")[0]) as told:
        await deliver(uplink, rest)
    assert remedy in told.value.remedy
    assert len(rest) == 19
    with pytest.raises(kind):
        await uplink.write(rest)
    front.verdict = lambda _partition, _batch: 0
    again = make(front.port)
    await again.connect()
    await deliver(again, rest)
    await reader.finish()
    assert {int(event["seq"]) for event in reader.events} == set(range(1, 121))


@pytest.mark.parametrize(("code", "kind"), [(3, NotConnected), (29, ConfigError), (17, ConfigError)])
async def test_a_topic_that_cannot_be_used(front: Front, make: Make, code: int, kind: Any) -> None:
    await front.start()
    front.topic_code = code
    with pytest.raises(kind, match="topic linegate") as told:
        await make(front.port).connect()
    assert told.value.remedy == codes.remedy(code)


async def test_a_cluster_that_gives_no_producer_ids(front: Front, make: Make) -> None:
    await front.start()
    front.translates = False
    with pytest.raises(ConfigError, match="no producer id") as told:
        await make(front.port).connect()
    assert "idempotence: off" in told.value.remedy
    await make(front.port, idempotence=False).connect()


async def test_brokers_that_are_gone(front: Front, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its patience the session is given up; one that is used up says so again."""
    monkeypatch.setattr("gateway.uplinks.kafka.session.PATIENCE_S", 0.1)
    await front.start()
    uplink = make(front.port)
    await uplink.connect()
    front.stop()
    for _ in range(2):
        with pytest.raises((NotConnected, ConnectFailed)) as told:
            async with asyncio.timeout(5):
                await uplink.write(events(1))
        assert told.value.remedy


async def test_what_a_slow_link_bore_is_remembered(
    front: Front, reader: Reader, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.ANSWER_S", 0.3)
    monkeypatch.setattr("gateway.uplinks.kafka.session.PATIENCE_S", 0.1)
    await front.start()
    front.deaf_above = 12_000
    waiting = events(200, machines=1)
    uplink = make(front.port)
    await uplink.connect()
    with pytest.raises(NotConnected, match="does not answer within"):
        await deliver(uplink, waiting)
    assert len(waiting) == 200 - 21, "1, 4 and 16; 64 are too many"
    monkeypatch.setattr("gateway.uplinks.kafka.publisher.time", SimpleNamespace(monotonic=count(0, 3600).__next__))
    again = make(front.port)
    await again.connect()
    await deliver(again, waiting)
    await reader.finish()
    assert sorted({int(event["seq"]) for event in reader.events}) == list(range(1, 201))
