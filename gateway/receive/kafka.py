"""Events from a Kafka topic: its offsets are committed when the events were taken."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from gateway.config.uplinks import resolved
from gateway.receive.decode import decode_message
from gateway.receive.follower import NotAnEvent
from gateway.receive.source import MOST_MESSAGES, Receiver, Settings
from protocols.dial import connect_failed, tls_context
from protocols.driver import ConfigError, ConnectFailed, LinkError, NotConnected
from protocols.worker import in_daemon_thread

ANSWER_MS = 10_000
FETCH_MS = 1000
CLOSE_S = 3.0
PREFIX = "ce_"
"""Of attributes as headers (CloudEvents' Kafka binding, binary content mode)."""

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class KafkaSource:
    """`kafka://host:9092/topic`, `kafkas://` for TLS: any of the cluster's brokers, and all partitions.

    With a name it is a consumer group, and goes on where that was. Events of several partitions come as they come:
    what is ahead of the others leaves holes that close by themselves.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.path
        if not settings.host or not self._topic:
            raise ConfigError(f"{settings.url} names no topic", "write kafka://host:9092/topic, or kafkas:// for TLS")
        self._host, self._port = settings.host, settings.port(9093 if settings.is_secure else 9092)

    async def run(self, receiver: Receiver) -> None:
        """See `Source`."""
        settings = self._settings
        user, password = await in_daemon_thread("secrets", lambda: resolved(settings.user, settings.password))
        context = None
        if settings.is_secure:
            context = await in_daemon_thread("certificates", lambda: tls_context(settings.tls))
        security = _security(context, settings.sasl, user, password)
        await self._try(security)
        consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=f"{self._host}:{self._port}",
            client_id="linegate-receive",
            group_id=settings.name,
            auto_offset_reset="earliest" if settings.begin == "oldest" else "latest",
            enable_auto_commit=False,
            request_timeout_ms=ANSWER_MS,
            **security,
        )
        try:
            await self._start(consumer)
            receiver.ready(f"the topic {self._topic} at {self._host}:{self._port}")
            while True:
                found = await consumer.getmany(timeout_ms=FETCH_MS, max_records=MOST_MESSAGES)
                if found:
                    self._take([record for records in found.values() for record in records], receiver)
                    if settings.name is not None:
                        await consumer.commit()
        except KafkaError as error:
            raise NotConnected(f"{self._host}:{self._port}: {error}", "check the brokers and the network") from None
        finally:
            async with asyncio.timeout(CLOSE_S):
                await consumer.stop()

    async def _start(self, consumer: AIOKafkaConsumer) -> None:
        peer = f"{self._host}:{self._port}"
        try:
            await consumer.start()
        except (UnknownTopicOrPartitionError, TopicAuthorizationFailedError) as error:
            words = f"{peer} has no topic {self._topic} for this client: {error}"
            raise ConfigError(words, "check its name, and that this user may read it") from None
        except KafkaError as error:
            remedy = "check whether it wants --user or kafkas://, and that its `advertised.listeners` can be reached"
            raise ConnectFailed(f"{peer} does not let this client read: {error}", remedy) from None

    def _take(self, records: list[Any], receiver: Receiver) -> None:
        events = []
        for record in records:
            headers = {key: value.decode(errors="replace") for key, value in record.headers}
            try:
                events += decode_message(headers, PREFIX, record.value or b"")
            except NotAnEvent as error:
                receiver.strange(f"partition {record.partition} of {record.topic}", str(error))
        receiver.take(events)

    async def _try(self, security: dict[str, Any]) -> None:
        """One connection, since the consumer hides why it has none."""
        try:
            connection = await create_conn(self._host, self._port, request_timeout_ms=ANSWER_MS, **security)
        except (OSError, KafkaError, ValueError, KeyError, AssertionError) as error:
            raise self._refused(error) from None
        connection.close()

    def _refused(self, error: Exception) -> LinkError:
        peer, cause = f"{self._host}:{self._port}", error.__cause__ or error
        words = str(error) or type(error).__name__
        if "auth" in f"{type(error).__name__} {words}".lower():
            remedy = "check --user, what --password-env or --password-file names, and --sasl"
            return ConfigError(f"{peer} refuses this client: {words}", remedy)
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            return connect_failed(peer, self._host, cause)
        remedy = "check that this is a Kafka broker's port, and whether it wants kafkas:// or --user"
        return ConnectFailed(f"{peer} does not speak Kafka with us: {words}", remedy)


def _security(context: ssl.SSLContext | None, sasl: str, user: str | None, password: str | None) -> dict[str, Any]:
    """As aiokafka has it."""
    protocol = f"{'SASL_' if user is not None else ''}{'PLAINTEXT' if context is None else 'SSL'}"
    given: dict[str, Any] = {"security_protocol": protocol, "ssl_context": context}
    if user is not None:
        given |= {"sasl_mechanism": sasl.upper(), "sasl_plain_username": user, "sasl_plain_password": password or ""}
    return given
