"""Connections to a cluster's brokers, by aiokafka: failures in words, who leads which partition, closing at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import BrokerResponseError, IncompatibleBrokerVersion, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from gateway.uplinks.kafka import codes
from gateway.uplinks.kafka.connection import Connection
from protocols.dial import DIAL_S, connect_failed
from protocols.driver import ConfigError, ConnectFailed, LinkError, NotConnected

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it logs of a lost connection the runner says, once

Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who connects, and how."""

    name: str
    answer_s: float
    """Longest silence of a broker that owes us an answer."""
    context: ssl.SSLContext | None = None
    mechanism: str = ""
    """Of SASL; empty for none."""
    user: str = ""
    password: str = field(default="", repr=False)

    def connection(self, place: Place) -> Connection:
        """One that is not open yet."""
        kinds = {(False, False): "PLAINTEXT", (True, False): "SSL", (False, True): "SASL_PLAINTEXT"}
        return Connection(
            *place, client_id=self.name, request_timeout_ms=self.answer_s * 1000, ssl_context=self.context,
            security_protocol=kinds.get((self.context is not None, bool(self.mechanism)), "SASL_SSL"),
            sasl_mechanism=self.mechanism or None, sasl_plain_username=self.user, sasl_plain_password=self.password,
        )  # fmt: skip


class Silent(NotConnected):
    """A broker owes an answer for too long: it may be stuck, or the link too slow."""


class Brokers:
    """The brokers that a topic needs. `leaders` and the connections follow the cluster."""

    def __init__(self, client: Client, servers: Sequence[Place], topic: str) -> None:
        self.leaders: dict[int, int] = {}
        """By partition the number of the broker that leads it, -1 for none."""
        self._client = client
        self._servers = servers
        self._topic = topic
        self._places: dict[int, Place] = {}
        self._open: dict[Place, Connection] = {}

    async def learn(self) -> None:
        """Ask the first broker that answers who leads what. Raises ConnectFailed, NotConnected or ConfigError."""
        failures: list[LinkError] = []
        for place in dict.fromkeys((*self._open, *self._places.values(), *self._servers)):
            try:
                metadata = await self.ask(place, MetadataRequest([self._topic]))
            except (ConnectFailed, NotConnected) as failure:
                failures.append(failure)
            else:
                return self._take(place, metadata)
        raise ConnectFailed("; ".join(failure.why for failure in failures), failures[0].remedy)

    def place_of(self, partition: int) -> Place:
        """Where its leader is. Raises NotConnected where it has none."""
        place = self._places.get(self.leaders.get(partition, -1))
        if place is None:
            raise NotConnected(f"partition {partition} of {self._topic} has no leader", codes.remedy(5))
        return place

    async def ask(self, place: Place, request: Any) -> Any:
        """A broker's answer; a connection that fails is given up. Raises ConnectFailed, NotConnected or ConfigError."""
        connection = self._open.get(place)
        is_new = connection is None or not connection.connected()
        if connection is None or is_new:
            self._drop(place)
            connection = self._open[place] = await self._connect(place)
        peer = f"{place[0]}:{place[1]}"
        try:
            return await connection.send(request)
        except TimeoutError:
            self._drop(place)
            remedy = "look at the broker's load and at the network"
            raise Silent(f"{peer} does not answer within {self._client.answer_s:g} s", remedy) from None
        except IncompatibleBrokerVersion as error:
            raise ConfigError(f"{peer} is too old: {error}", codes.remedy(35)) from None
        except (KafkaError, OSError) as error:
            self._drop(place)
            if is_new:
                raise self._connect_failed(place, error) from None
            why = "sends what is no answer of a broker" if connection.is_no_broker else "closed the connection"
            raise NotConnected(f"{peer} {why}", "check the brokers and the network") from None

    def close(self) -> None:
        """Give all connections up at once; idempotent."""
        for place in list(self._open):
            self._drop(place)

    async def _connect(self, place: Place) -> Connection:
        connection = self._client.connection(place)
        is_open = False
        try:
            async with asyncio.timeout(min(self._client.answer_s, DIAL_S)):
                await connection.connect()
            is_open = True
        except (OSError, KafkaError, ValueError, KeyError, AssertionError) as error:
            failure = TimeoutError() if connection.is_no_broker else error
            raise self._connect_failed(place, failure) from None
        finally:
            if not is_open:
                _abort(connection)
        return connection

    def _connect_failed(self, place: Place, error: Exception) -> ConnectFailed | ConfigError:
        host, port = place
        peer = f"{host}:{port}"
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            failed = connect_failed(peer, host, error)
            if place in self._servers:
                return failed
            remedy = f"{failed.remedy}; the cluster names this broker: see its `advertised.listeners`"
            return ConnectFailed(failed.why, remedy)
        if isinstance(error, BrokerResponseError):
            return ConfigError(f"{peer} refuses the client: {codes.words(error.errno)}", codes.remedy(error.errno))
        if isinstance(error, (ValueError, KeyError, AssertionError)):  # of aiokafka's SCRAM: the proof was not accepted
            return ConfigError(f"{peer} refuses the client: {codes.words(58)}", codes.remedy(58))
        if isinstance(error, TimeoutError):
            return ConnectFailed(f"{peer} does not speak Kafka with us", "check that the port is a Kafka broker's")
        remedy = "check whether the port wants TLS (kafkas://), `user` and `password`, or a client certificate"
        return ConnectFailed(f"{peer} closed the connection before the session began", remedy)

    def _take(self, place: Place, metadata: Any) -> None:
        """Remember who leads what. Raises NotConnected or ConfigError where the topic cannot be used."""
        for code, _, *_, partitions in metadata.topics or [(codes.UNKNOWN_TOPIC, "", ())]:
            if code or not partitions:
                code = code or codes.UNKNOWN_TOPIC
                kind = ConfigError if code in codes.ABOUT_THE_CLIENT else NotConnected
                why = f"{place[0]}:{place[1]}: topic {self._topic}: {codes.words(code)}"
                raise kind(why, codes.remedy(code))
            self.leaders = {partition: leader for _, partition, leader, *_ in partitions}
        self._places = {node: (host, port) for node, host, port, *_ in metadata.brokers}

    def _drop(self, place: Place) -> None:
        connection = self._open.pop(place, None)
        if connection is not None:
            _abort(connection)


def _abort(connection: Connection) -> None:
    """Close without waiting for a peer that may be gone: what was not acknowledged comes again anyway."""
    writer = connection._writer
    connection.close()
    if writer is not None:
        with contextlib.suppress(OSError):
            writer.transport.abort()
