"""The sections of a configuration, typed and frozen; what each key means stands beside it.

Descriptions become the generated reference and the JSON Schema. Names of the place are ISA-95's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gateway.config.secrets import Secret
from gateway.states.packml import StateName
from protocols.registry import DeviceConfig
from protocols.settings import Cycle, Duration, Name, Settings, Size, misplaced

SignalRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")]
"""`device.signal`"""


def _place(text: str) -> str:
    if any(character in "/+#" or ord(character) < 32 for character in text):
        raise ValueError(f"{text!r} must not contain / + # or control characters: it becomes part of topics and paths")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is not a time zone; write an IANA name like Europe/Berlin or UTC") from None
    return text


Place = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_place)]


class LineConfig(Settings):
    """Where the line is, in ISA-95's words."""

    enterprise: Place
    """The company."""
    site: Place
    """The plant."""
    area: Place
    """The department or hall."""
    name: Place
    """The line."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """IANA name; production dates are in it."""
    unit: str = "part"
    """What the line makes: part, bottle, case."""


class SignalReason(Settings):
    """A reason that a signal gives: a fault number or a text."""

    signal: SignalRef
    """`device.signal`; 0, empty and false mean no reason."""


class StateRule(Settings):
    """One rule; the first that holds gives the machine's state."""

    state: StateName
    """A PackML state (ISA-TR88.00.02)."""
    when: str | None = None
    """Condition over `device.signal` names; always true where it is left out."""
    reason: str | SignalReason | None = None
    """A text, or {signal: device.signal}."""
    cause: Literal["starved", "blocked"] | None = None
    """Of suspended: starved (upstream) or blocked (downstream)."""


class CounterConfig(Settings):
    """An absolute counter of a PLC."""

    signal: SignalRef
    """`device.signal`, an unscaled number."""
    rollover: int | None = Field(default=None, ge=1)
    """Highest value before 0; by default the range of the signal's type."""
    max_rate: Cycle | None = None
    """Fastest that the machine can count (`45000/h`); by default three times the ideal."""
    correction: int | None = Field(default=None, ge=0)
    """Largest step back taken as a correction by hand; by default 1 % of the production day's count."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"signal": data} if isinstance(data, str) else data


class PartsConfig(Settings):
    """Which counters say how many parts a machine made; any two of the three give the third."""

    total: CounterConfig | None = None
    """All parts."""
    good: CounterConfig | None = None
    """Good parts."""
    scrap: CounterConfig | None = None
    """Rejected parts."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.total is None and self.good is None:
            raise misplaced("parts need a total or a good counter")
        return self


class MachineConfig(Settings):
    """One machine: how its state is known and its parts are counted."""

    states: Annotated[list[StateRule], Field(min_length=1)]
    """Rules, evaluated top-down; the first that holds wins."""
    parts: PartsConfig | None = None
    """Its counters."""
    ideal: Cycle | None = None
    """Ideal cycle time (`500ms`) or rate (`120/min`) of one part."""
    settle: Duration = 0
    """A state must hold this long to count; it then counts from when it was first seen."""
    short_stop: Duration = Field(default=120_000, json_schema_extra={"x-no-effect-yet": True})
    """A stop shorter than this is a minor stop."""
    reasons: dict[int | str, str] = Field(default_factory=dict)
    """Texts of this machine's reasons, by number or name."""


class BufferConfig(Settings):
    """Store-and-forward."""

    path: str = Field(min_length=1)
    """The SQLite file, relative to the state directory."""
    max_size: Size = Field(default=2_000_000_000, json_schema_extra={"x-no-effect-yet": True})
    """Most that the file may take."""
    min_free_disk: Size = Field(default=500_000_000, json_schema_extra={"x-no-effect-yet": True})
    """Disk space left to others."""
    retain: Duration = 7 * 86_400_000
    """How long acknowledged events are kept."""
    commit_interval: Annotated[Duration, Field(ge=10, le=10_000)] = 100
    """How long an event may wait for the group commit."""


class UplinkSettings(Settings):
    """What every uplink may say."""

    from_: Literal["now", "oldest"] = Field(default="now", alias="from")
    """Where an uplink that is new to an existing buffer begins."""
    max_attempts: int = Field(default=5, ge=1)
    """Refusals of one event before it goes to this uplink's quarantine."""


class FileUplink(UplinkSettings):
    """Events as newline-delimited JSON in a file."""

    type: Literal["file"]
    """An append-only file."""
    path: str = Field(min_length=1)
    """Relative to the state directory."""
    rotate: Size = 64_000_000
    """Size at which a new file begins."""
    keep: int = Field(default=10, ge=1)
    """Closed files that are kept."""


class TlsConfig(Settings):
    """TLS with verification; without `ca` the system's authorities are trusted."""

    ca: str | None = None
    """PEM file of the authority that signed the server's certificate."""
    certificate: str | None = None
    """PEM file of the client's certificate."""
    private_key: str | None = None
    """PEM file of the client's key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise misplaced("certificate and private_key belong together")
        return self


_TOPIC_FIELDS = ("enterprise", "site", "area", "line", "subject", "type")


class MqttUplink(UplinkSettings):
    """Events as MQTT 5 messages, acknowledged by PUBACK."""

    type: Literal["mqtt"]
    """An MQTT broker."""
    url: str
    """`mqtt://host:1883`, or `mqtts://host:8883` for TLS."""
    format: Literal["json", "msgpack"] = "json"
    """CloudEvents as JSON or as MessagePack with the same names."""
    qos: Literal[1] = 1
    """Quality of service; only 1 has an acknowledgement."""
    topic: str = "{enterprise}/{site}/{area}/{line}/{subject}/{type}"
    """Template; `{type}` is `machine.state`."""
    in_flight: int = Field(default=20, ge=1, le=1000)
    """Messages sent and not yet acknowledged."""
    client_id: str | None = Field(default=None, min_length=1)
    """By default made from the line's place and the uplink's name."""
    user: str | Secret | None = None
    """User name."""
    password: Secret | None = None
    """{credential: NAME}, {env: NAME} or {file: PATH}."""
    tls: TlsConfig | None = None
    """Certificates for `mqtts`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/"):
            raise misplaced(f"{self.url!r} is not a broker's address; write mqtt://host:1883 or mqtts://host:8883", "url")
        try:
            _ = parts.port
        except ValueError:
            raise misplaced(f"{self.url!r}: the port must be 1 to 65535", "url") from None
        if parts.username is not None or parts.password is not None:
            raise misplaced("secrets are never in the file; give `user` and `password: {credential: NAME}`", "url")
        if self.tls is not None and parts.scheme != "mqtts":
            raise misplaced("tls needs a URL that begins with mqtts://", "url")
        if self.password is not None and self.user is None:
            raise misplaced("a password needs a user", "password")
        for field in re.findall(r"\{([^}]*)\}", self.topic):
            if field not in _TOPIC_FIELDS:
                raise misplaced(f"{{{field}}} is not one of {', '.join(_TOPIC_FIELDS)}", "topic")
        if re.search(r"[{}+#]", re.sub(r"\{[a-z]+\}", "", self.topic)) or not self.topic.strip("/"):
            raise misplaced("a topic must not be empty nor contain + or #, and each { needs its }", "topic")
        return self


UplinkConfig = Annotated[FileUplink | MqttUplink, Field(discriminator="type")]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class HealthConfig(Settings):
    """The local endpoint."""

    listen: str = "127.0.0.1:8480"
    """Address and port; port 0 picks a free one, `off` opens none."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.listen == "off":
            return self
        host, _, port = self.listen.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise misplaced(f"{self.listen!r} is not an address with a port; write 127.0.0.1:8480", "listen")
        if host.strip("[]") not in _LOOPBACK:
            words = "beyond loopback the endpoint needs TLS and a token, which this version does not have"
            raise misplaced(f"{self.listen!r}: {words}; listen on 127.0.0.1", "listen")
        return self

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None where the endpoint is off."""
        if self.listen == "off":
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Config(Settings):
    """One line: its devices, its machines, and where its events go."""

    line: LineConfig
    """Where we are."""
    devices: Annotated[dict[Name, DeviceConfig], Field(min_length=1)]
    """One PLC or other server of signals each."""
    machines: dict[Name, MachineConfig] = Field(default_factory=dict)
    """In the order in which product flows."""
    reasons: dict[int | str, str] = Field(default_factory=dict)
    """Texts of reasons, by number or name, for all machines."""
    buffer: BufferConfig
    """Store-and-forward."""
    uplinks: dict[Name, UplinkConfig] = Field(default_factory=dict)
    """Each gets every event, at its own pace."""
    health: HealthConfig = HealthConfig()
    """The local endpoint."""

    @property
    def digest(self) -> str:
        """Names what is configured, whatever its spelling and order of keys in the file: 16 hex digits of SHA-256."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def source(self) -> str:
        """The CloudEvents source: `/enterprise/site/area/line`, percent-encoded."""
        from urllib.parse import quote

        place = (self.line.enterprise, self.line.site, self.line.area, self.line.name)
        return "".join("/" + quote(part, safe="") for part in place)


Reasons = Mapping[int | str, str]
