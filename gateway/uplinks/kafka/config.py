"""What an uplink to a Kafka cluster may say in the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.uplinks import ClusterUplink
from gateway.uplinks.content import MessageUplink
from gateway.uplinks.template import template
from protocols.secrets import Secret
from protocols.settings import Switch

CHARACTER = "[A-Za-z0-9._-]"
"""A character of a topic's name."""


class KafkaUplink(ClusterUplink, MessageUplink):
    """Events as records of a topic, acknowledged by all in-sync replicas (`acks=all`)."""

    SCHEMES = ("kafka", "kafkas")
    SERVER = "a Kafka broker"
    EXAMPLES = ("kafka://host:9092", "kafkas://host:9093")
    PORTS = (9092, 9093)

    type: Literal["kafka"] = Field(examples=["kafka"])
    """A Kafka cluster."""
    url: str = Field(examples=["kafka://kafka.example:9092"])
    """One of its brokers: `kafka://host:9092`, or `kafkas://host:9093` for TLS."""
    topic: Annotated[
        str,
        template(
            what="a topic", forbidden=rf"(?!{CHARACTER}).|^\.{{0,2}}$|.{{250}}",
            words="be empty nor contain more than letters, digits, ., _ and -",
        ),
    ] = "linegate"  # fmt: skip
    """Template; other characters in names of the place become `_`."""
    key: Literal["machine", "line"] = "machine"
    """Of a record, and so its partition: each machine's (device's, signal's) events in order, or all of the line's."""
    idempotence: Switch = True
    """Batches are numbered, so that the broker drops one that is sent again; off for a cluster that cannot."""
    sasl: Literal["scram-sha-512", "scram-sha-256", "plain"] = "scram-sha-512"
    """How `user` and `password` are shown to the brokers."""
    batch: int = Field(default=500, ge=1, le=500)
    """Most events in one request."""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """Of batches of records."""

    @property
    def secrets(self) -> Iterable[tuple[str, Secret | None]]:
        """Keys and places of what travels as it is; with SCRAM only a proof does."""
        return super().secrets if self.sasl == "plain" else ()
