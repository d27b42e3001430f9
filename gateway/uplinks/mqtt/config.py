"""What an uplink to an MQTT broker may say in the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.config.uplinks import ServerUplink, ShapedUplink
from gateway.uplinks.template import template
from protocols.settings import NOT_BOOL, Duration, Size, Switch, at_least, between, misplaced

topic_template = partial(
    template, what="a topic", forbidden=r"[{}+#\x00-\x1f]|^/*$", words="be empty nor contain + or #"
)


class BrokerUplink(ServerUplink):
    """What every uplink to an MQTT broker may say."""

    SCHEMES = ("mqtt", "mqtts")
    SERVER = "a broker"
    EXAMPLES = ("mqtt://host:1883", "mqtts://host:8883")
    PORTS: ClassVar[tuple[int, int]] = (1883, 8883)

    url: str = Field(examples=["mqtt://broker.example:1883"])
    """`mqtt://host:1883`, or `mqtts://host:8883` for TLS."""
    version: Annotated[Literal[5, "3.1.1"], NOT_BOOL] = 5
    """Of MQTT. A broker that speaks 3.1.1 only acknowledges what it denies, and throws it away."""
    max_packet: Annotated[Size, at_least("1kB")] | None = None
    """Largest message that the broker takes, where it does not say so itself."""
    client_id: str | None = Field(default=None, min_length=1)
    """By default made from the line's place and the uplink's name."""

    @property
    def notes(self) -> Iterable[tuple[str, str]]:
        """Secrets in plain text over a network, and a version that hides refusals."""
        yield from super().notes
        if self.version != 5:
            yield "version", f"{HIDES}; use 5 where the broker speaks it"

    @property
    def server(self) -> tuple[str, int]:
        """Host and port of the URL."""
        return self.host, urlsplit(self.url).port or self.PORTS[self.is_secure]

    @property
    def broker(self) -> str:
        """Where it is, for claims."""
        return urlsplit(self.url).netloc

    @property
    def claims(self) -> Iterable[tuple[str, str]]:
        """At one broker a client id has one session."""
        if self.client_id is not None:
            yield "client_id", f"{self.client_id} at {self.broker}"


class MqttUplink(BrokerUplink, ShapedUplink):
    """Events as MQTT messages, acknowledged by PUBACK."""

    type: Literal["mqtt"] = Field(examples=["mqtt"])
    """An MQTT broker."""
    qos: Annotated[Literal[1], NOT_BOOL] = 1
    """Quality of service; only 1 has an acknowledgement."""
    topic: Annotated[str, topic_template("subject", "type")] = "{enterprise}/{site}/{area}/{line}/{subject}/{type}"
    """Template; `{type}` is `machine.state`."""
    batch: int = Field(default=1, ge=1, le=500)
    """Most events in one message; more than 1 go to `batch_topic`, each message a list."""
    batch_topic: Annotated[str, topic_template()] = "{enterprise}/{site}/{area}/{line}/batch"
    """Template."""
    state_topic: Annotated[str, topic_template()] = "{enterprise}/{site}/{area}/{line}/gateway/state"
    """Template of a retained message that says whether this gateway is there (birth and will); `off` for none."""
    retain_state: Switch = False
    """Also keep the newest `machine.state` of each machine at the broker, retained on its own topic."""
    retain_topic: Annotated[str, topic_template("subject")] = "{enterprise}/{site}/{area}/{line}/{subject}/state"
    """Template of that topic; `{subject}` is the machine."""
    user_properties: Switch = False
    """Also give the CloudEvents attributes as user properties, for brokers that route by them."""
    expiry: Annotated[Duration, between("1s", "30d")] | None = None
    """How long the broker keeps a `signal.trend` for a subscriber that is away."""
    in_flight: int = Field(default=20, ge=1, le=1000)
    """Messages sent and not yet acknowledged."""

    @field_validator("retain_topic")
    @classmethod
    def _check_retain_topic(cls, topic: str) -> str:
        if "{subject}" not in topic:
            raise ValueError("each machine needs a topic of its own: write {subject} into it")
        return topic

    @model_validator(mode="after")
    def _check(self) -> MqttUplink:
        for key in ("user_properties", "expiry"):
            if getattr(self, key) and self.version != 5:
                raise misplaced(f"MQTT {self.version} has no place for it; leave it out", key)
            if getattr(self, key) and self.batch > 1:
                raise misplaced("is about one event, and a batch has several; leave it out, or `batch`", key)
        return self

    @property
    def claims(self) -> Iterable[tuple[str, str]]:
        """At one broker one will speaks on a topic."""
        yield from super().claims
        if self.state_topic != "off":
            yield "state_topic", f"{self.state_topic} at {self.broker}"


HIDES = "by MQTT 3.1.1 a broker acknowledges what it denies: events that it may not take are lost without a word"
