"""Where events come from: one class a transport, each acknowledging only what was taken, and what they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, cast
from urllib.parse import unquote, urlsplit

from gateway.config.nearest import did_you_mean, nearest
from protocols.driver import ConfigError
from protocols.secrets import Secret
from protocols.settings import TlsConfig

KEPT_S = 7 * 86_400
"""How long a server keeps what a consumer that has a name has not acknowledged."""
MOST_MESSAGES = 500
"""Taken at once, where so many wait: storing costs the same for one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    url: str
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    tls: TlsConfig | None = None
    name: str | None = None
    """By which the other side knows this consumer again, and keeps for it what it has not acknowledged."""
    begin: Literal["oldest", "now"] = "oldest"
    """Where the other side keeps events: with which to begin."""
    mqtt: Literal[5, "3.1.1"] = 5
    sasl: str = "scram-sha-512"
    """How Kafka's brokers are shown user and password."""

    @property
    def host(self) -> str:
        """Without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        """What stands behind the host; by hand, since to urlsplit the # of a topic would begin a fragment."""
        return unquote(self.url.partition("://")[2].partition("/")[2])

    def port(self, default: int) -> int:
        """The URL's, or the usual one."""
        return urlsplit(self.url).port or default

    @property
    def is_secure(self) -> bool:
        """Whether the URL is one for TLS."""
        return urlsplit(self.url).scheme in ("mqtts", "https", "tls", "kafkas")


class Enough(Exception):
    """The receiver takes no more."""


class Receiver(Protocol):
    """Who takes the events."""

    def ready(self, where: str) -> None:
        """The source listens, there."""

    def take(self, events: Sequence[dict[str, Any]]) -> None:
        """Show and store; on return they may be acknowledged.

        Raises Enough, NotAnEvent or OSError, and then nothing of this is acknowledged.
        """

    def note(self, words: str) -> None:
        """Something worth a line that is no event."""

    def strange(self, where: str, why: str) -> None:
        """What came there is no event."""


class Source(Protocol):
    """One way in. The constructor does no I/O, and one object is for one connection."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError."""

    async def run(self, receiver: Receiver) -> None:
        """Give it what comes until cancelled. Raises ConnectFailed, NotConnected or ConfigError."""


SOURCES = {
    "mqtt": "gateway.receive.mqtt:MqttSource",
    "mqtts": "gateway.receive.mqtt:MqttSource",
    "http": "gateway.receive.http:HttpSource",
    "https": "gateway.receive.http:HttpSource",
    "nats": "gateway.receive.nats:NatsSource",
    "tls": "gateway.receive.nats:NatsSource",
    "kafka": "gateway.receive.kafka:KafkaSource",
    "kafkas": "gateway.receive.kafka:KafkaSource",
    "file": "gateway.receive.file:FileSource",
}
"""What serves each scheme."""


def source_for(url: str) -> Callable[[Settings], Source]:
    """The class that serves this URL; importing it imports its library. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        scheme, _ = parts.scheme, parts.port
    except ValueError:
        raise ConfigError(f"{url} is no URL: its host or port cannot be read", "a port is 1 to 65535") from None
    if "@" in parts.netloc:
        remedy = "give --user, and --password-env or --password-file: what a command line holds everybody can read"
        raise ConfigError("the URL holds a user or a password", remedy)
    if scheme not in SOURCES:
        hint = did_you_mean(nearest(scheme, tuple(SOURCES)))
        remedy = f"write one of {', '.join(f'{one}://' for one in SOURCES)}{hint}"
        raise ConfigError(f"{url} is no address to receive from", remedy)
    module, _, name = SOURCES[scheme].partition(":")
    return cast("Callable[[Settings], Source]", getattr(import_module(module), name))
