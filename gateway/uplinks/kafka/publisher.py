"""Events into a Kafka topic: batches a partition, acknowledged by all in-sync replicas, the refused one found alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Never

from gateway.config.uplinks import resolved
from gateway.events import StoredEvent
from gateway.uplinks.content import Content
from gateway.uplinks.encoding import Unencodable
from gateway.uplinks.kafka import codes
from gateway.uplinks.kafka.brokers import Brokers, Client, Silent
from gateway.uplinks.kafka.config import CHARACTER, KafkaUplink
from gateway.uplinks.kafka.session import BATCH_BYTES, Batch, Session
from gateway.uplinks.pace import Pace
from gateway.uplinks.template import place
from gateway.uplinks.uplink import Rejected, UplinkContext
from protocols.dial import tls_context
from protocols.driver import ConfigError, ConnectFailed, NotConnected
from protocols.worker import DaemonWorker

ANSWER_S = 10.0
"""Longest silence of a broker that owes us an answer."""
STEP = 4
"""A wave grows by this factor with each that is taken, and shrinks by it with each that is refused."""
PREFIX = "ce_"
"""Of attributes as headers (CloudEvents' Kafka binding, binary content mode)."""
THERE = -1
"""In place of a partition: the event is stored already."""
RECORD_BYTES = 21
"""Most that a record adds to its key, value and headers."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event as it goes out."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    time_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Going:
    """One event of a wave."""

    seq: int
    prevseq: int
    partition: int
    """Or THERE."""
    size: int


class KafkaPublisher:
    """One session with a cluster.

    It begins with one event and sends more with each that is taken. An event larger than every batch that was taken
    goes alone: no other has then gone out, numbered as its successor, before the brokers find it too large.
    """

    def __init__(self, config: KafkaUplink, context: UplinkContext) -> None:
        self._config = config
        self._context = context
        self._content = Content(context.envelope, config, PREFIX)
        self._topic = config.topic.format(**place(context.line, CHARACTER))
        self._worker = DaemonWorker(f"uplink {context.name}")
        self._brokers: Brokers | None = None
        self._session: Session | None = None
        self._most = 1
        self._most_bytes = BATCH_BYTES
        self._largest = 0
        self._pace = Pace(context.kept, ANSWER_S)
        self._ahead: dict[int, int] = {}
        """Events that are stored while one before them is not: their seq, and the prevseq that they went out with."""
        self._trouble: ConnectFailed | NotConnected | None = None

    async def connect(self) -> None:
        """Raises ConnectFailed, NotConnected, or ConfigError for a secret or a file, and where the cluster refuses."""
        config = self._config
        user, password = await self._worker.call(lambda: resolved(config.user, config.password))
        context = None
        if config.is_secure:
            context = await self._worker.call(lambda: tls_context(config.tls))
        name = f"linegate-{self._context.line.name}-{self._context.name}"
        client = Client(name, ANSWER_S, context)
        if user is not None:
            client = Client(name, ANSWER_S, context, config.sasl.upper(), user, password or "")
        self._brokers = Brokers(client, config.servers, self._topic)
        session = Session(self._brokers, self._topic, config.compression, is_idempotent=config.idempotence)
        await session.connect()
        self._session = session

    async def serve(self) -> Never:
        """Nothing to listen to: a broker that went away is noticed with the next request."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("unreachable")

    async def write(self, events: Sequence[StoredEvent]) -> int:
        """Send the first events; how many of the prefix the cluster has.

        Raises Rejected for an event that is refused alone, ConfigError where the cluster wants something else of this
        client, ConnectFailed or NotConnected where nothing of the prefix is known to be stored.
        """
        session = self._session
        if session is None or self._trouble is not None:
            raise self._trouble or NotConnected("it is not connected")
        while True:
            wave, batches = self._wave(session, events)
            bodies = {number: (batch, await self._built(batch)) for number, batch in batches.items()}
            begun, size = time.monotonic(), sum(going.size for going in wave)
            verdicts, self._trouble = await session.produce(bodies)
            done = self._stored(wave, {**verdicts, THERE: 0})
            if done == len(wave):
                self._grow(wave)
                self._pace.taken(size, time.monotonic() - begun)
            elif isinstance(self._trouble, Silent) and len(wave) > 1:
                self._pace.too_slow(size)
            if done:
                return done
            first = wave[0].partition
            if first not in verdicts:
                raise self._trouble or NotConnected("it is not connected")
            self._refused(verdicts[first], [going.size for going in wave if going.partition == first])

    async def close(self) -> None:
        """Idempotent."""
        self._session = None
        if self._brokers is not None:
            self._brokers.close()
        self._worker.stop()

    def _wave(self, session: Session, events: Sequence[StoredEvent]) -> tuple[list[Going], dict[int, Batch]]:
        """The next events, and the batches of those that are not there. Raises Rejected for the first alone."""
        wave: list[Going] = []
        batches: dict[int, Batch] = {}
        size = 0
        for event in events[: self._most]:
            if self._ahead.get(event.seq) == event.prevseq:
                wave.append(Going(event.seq, event.prevseq, THERE, 0))
                continue
            try:
                record = self._record(event)
            except Unencodable as error:
                if wave:
                    break
                raise Rejected(0, str(error)) from None
            size += record.size
            if wave and (record.size > self._largest or not self._pace.fits(size)):
                break
            number = session.partition(record.key)
            batch = batches.get(number) or session.batch(number, self._most_bytes)
            if not batch.append(record.time_ms, record.key, record.value, record.headers):
                break
            batches[number] = batch
            wave.append(Going(event.seq, event.prevseq, number, record.size))
            if record.size > self._largest:
                break
        return wave, batches

    def _record(self, event: StoredEvent) -> Record:
        headers, value = self._content.of(event)
        source = self._context.envelope.source
        key = (source if self._config.key == "line" else f"{source}/{event.subject}").encode()
        encoded = [(name, text.encode()) for name, text in headers.items()]
        size = RECORD_BYTES + len(key) + len(value) + sum(len(name) + len(text) + 4 for name, text in encoded)
        return Record(key, value, encoded, event.time, size)

    async def _built(self, batch: Batch) -> bytes:
        if self._config.compression == "none":
            return batch.build()
        return await self._worker.call(batch.build)

    def _stored(self, wave: Sequence[Going], verdicts: Mapping[int, int]) -> int:
        """How many of the prefix are stored; what is behind it is remembered."""
        is_stored = [verdicts.get(going.partition) in codes.STORED for going in wave]
        done = is_stored.index(False) if False in is_stored else len(wave)
        for going in wave[:done]:
            self._ahead.pop(going.seq, None)
        behind = zip(wave[done:], is_stored[done:], strict=True)
        self._ahead |= {going.seq: going.prevseq for going, stored in behind if stored}
        return done

    def _grow(self, wave: Sequence[Going]) -> None:
        self._most = min(STEP * max(self._most, len(wave)), self._config.batch)
        sizes: dict[int, int] = {}
        for going in wave:
            sizes[going.partition] = sizes.get(going.partition, 0) + going.size
        self._largest = max(self._largest, *sizes.values())

    def _refused(self, code: int, sizes: Sequence[int]) -> None:
        """Go on with less; or raise what the verdict on the first event, or on the client, is."""
        why = f"topic {self._topic}: {codes.words(code)}"
        if code in codes.ABOUT_THE_CLIENT:
            raise ConfigError(why, codes.remedy(code))
        if code not in codes.ABOUT_THE_EVENT:
            raise NotConnected(why, codes.remedy(code))
        if len(sizes) == 1:
            raise Rejected(0, f"the cluster refuses the record: {codes.words(code)}")
        if code in codes.ABOUT_ITS_SIZE:
            self._most_bytes = sum(sizes) // 2
        self._most = max(1, len(sizes) // STEP)
