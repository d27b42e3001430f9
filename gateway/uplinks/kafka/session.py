"""One producer's session: numbered batches, one under way for each partition, sent again until it is known what became.

aiokafka's own producer does this in tasks that retry for ever and wait, on closing, for what cannot be delivered; and
its verdict on a batch is that on each of its records. This one makes no tasks, and gives up when it is told to.
Idempotence: KIP-98; a batch that is sent again keeps its producer id and its sequence numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from gateway.uplinks.kafka import codes
from gateway.uplinks.kafka.brokers import Brokers, Place
from protocols.driver import ConfigError, ConnectFailed, NotConnected

BATCH_BYTES = 500_000
"""Of one batch before compression; brokers take 1 MB unless told otherwise."""
RETRY_S = 0.1
PATIENCE_S = 10.0
"""How long the same batch is sent again, while leaders change, before the session is given up."""
REPLICAS_MS = 5_000
"""How long a broker waits for its replicas before it says that they are late; less than we wait for the broker."""
NO_TIMEOUT_MS = 2**31 - 1
NOBODY = -1
_SEE_LOGS = "see the brokers' logs"
_MAGIC = 2
_SEQUENCES = 2**31

COMPRESSIONS = {
    "none": 0,
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


class Batch:
    """Records of one partition in order."""

    def __init__(self, partition: int, builder: Any) -> None:
        self.partition = partition
        self.count = 0
        self._builder = builder

    def append(self, time_ms: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> bool:
        """Whether the record had room; the first always has."""
        if self._builder.append(self.count, time_ms, key, value, headers) is None:
            return False
        self.count += 1
        return True

    def build(self) -> bytes:
        """The bytes; blocking where they are compressed."""
        return bytes(self._builder.build())


class Session:
    """Of one topic. `connect` first; after an error that `produce` returned it is used up."""

    def __init__(self, brokers: Brokers, topic: str, compression: str, *, is_idempotent: bool) -> None:
        self._brokers = brokers
        self._topic = topic
        self._compression = COMPRESSIONS[compression]
        self._is_idempotent = is_idempotent
        self._producer = (NOBODY, NOBODY)
        self._sequences: dict[int, int] = {}
        self._partitioner = DefaultPartitioner()
        self._partitions: dict[bytes, int] = {}

    async def connect(self) -> None:
        """Find the leaders, and get a producer id. Raises ConnectFailed, NotConnected or ConfigError."""
        await self._learn()
        if not self._is_idempotent:
            return
        place = self._brokers.place_of(min(self._brokers.leaders))
        answer = await self._brokers.ask(place, InitProducerIdRequest(None, NO_TIMEOUT_MS))
        if answer.error_code:
            why = f"{place[0]}:{place[1]} gives no producer id: {codes.words(answer.error_code)}"
            if codes.is_passing(answer.error_code):
                raise ConnectFailed(why, codes.remedy(answer.error_code))
            raise ConfigError(why, codes.remedy(31))
        self._producer = (answer.producer_id, answer.producer_epoch)

    def partition(self, key: bytes) -> int:
        """As the Java client chooses it."""
        partition = self._partitions.get(key)
        if partition is None:
            every = sorted(self._brokers.leaders)
            partition = self._partitions[key] = self._partitioner(key, every, every)
        return partition

    def batch(self, partition: int, most_bytes: int) -> Batch:
        """An empty one, numbered to follow what was stored."""
        builder = DefaultRecordBatchBuilder(
            _MAGIC, self._compression, 0, *self._producer,
            self._sequences.get(partition, 0) if self._is_idempotent else NOBODY, most_bytes,
        )  # fmt: skip
        return Batch(partition, builder)

    async def produce(
        self, batches: Mapping[int, tuple[Batch, bytes]]
    ) -> tuple[dict[int, int], ConnectFailed | NotConnected | None]:
        """By partition the brokers' verdict, an error code; and what was in the way where some have none.

        Raises ConfigError.
        """
        left, verdicts = dict(batches), dict[int, int]()
        give_up_at = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            trouble = await self._round(left, verdicts)
            if not left:
                return verdicts, None
            if asyncio.get_running_loop().time() >= give_up_at:
                return verdicts, trouble or NotConnected("a broker leaves out what became of a batch", _SEE_LOGS)
            await asyncio.sleep(RETRY_S)
            try:
                await self._learn()
            except (ConnectFailed, NotConnected) as error:
                if asyncio.get_running_loop().time() >= give_up_at:
                    return verdicts, error

    async def _round(
        self, left: dict[int, tuple[Batch, bytes]], verdicts: dict[int, int]
    ) -> ConnectFailed | NotConnected | None:
        """Send what is left to its leaders, one after another; what is settled moves to `verdicts`."""
        trouble: ConnectFailed | NotConnected | None = None
        by_leader: dict[Place, list[tuple[int, bytes]]] = {}
        for partition, (_, body) in left.items():
            try:
                by_leader.setdefault(self._brokers.place_of(partition), []).append((partition, body))
            except NotConnected as error:
                trouble = error
        for place, bodies in by_leader.items():
            request = ProduceRequest(None, -1, REPLICAS_MS, [(self._topic, bodies)])
            try:
                answer = await self._brokers.ask(place, request)
            except (ConnectFailed, NotConnected) as error:
                trouble = error
            else:
                trouble = self._settle(place, answer, left, verdicts) or trouble
        return trouble

    def _settle(
        self, place: Place, answer: Any, left: dict[int, tuple[Batch, bytes]], verdicts: dict[int, int]
    ) -> NotConnected | None:
        """Note one broker's verdicts; why a batch has to go again, where one has."""
        trouble = None
        for partition, code, *_ in (part for _, parts in answer.topics for part in parts):
            if partition not in left:
                continue  # nobody asked
            if code not in codes.STORED and codes.is_passing(code):
                why = f"{place[0]}:{place[1]}: partition {partition} of {self._topic}: {codes.words(code)}"
                trouble = NotConnected(why, codes.remedy(code))
                continue
            batch, _ = left.pop(partition)
            verdicts[partition] = code
            if code in codes.STORED:
                self._sequences[partition] = (self._sequences.get(partition, 0) + batch.count) % _SEQUENCES
        return trouble

    async def _learn(self) -> None:
        before = len(self._brokers.leaders)
        await self._brokers.learn()
        if len(self._brokers.leaders) != before:
            self._partitions.clear()
