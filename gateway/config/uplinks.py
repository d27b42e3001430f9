"""The sections of uplinks: where events go."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from gateway.config.kinds import alternatives
from gateway.config.nearest import did_you_mean, nearest
from protocols.secrets import Secret
from protocols.settings import NOT_BOOL, SECTION, TEXT, Settings, Size, TlsConfig, at_least, text_or_section


class UplinkSettings(Settings):
    """What every uplink may say."""

    from_: Literal["now", "oldest"] = Field(default="now", alias="from")
    """Where an uplink that is new to an existing buffer begins."""
    max_attempts: int = Field(default=5, ge=1)
    """Refusals of one event before it goes to this uplink's quarantine."""


class FileUplink(UplinkSettings):
    """Events as newline-delimited JSON in a file."""

    type: Literal["file"] = Field(examples=["file"])
    """An append-only file."""
    path: str = Field(min_length=1, examples=["events.ndjson"])
    """Relative to the state directory."""
    rotate: Annotated[Size, at_least("1kB")] = 64_000_000
    """Size at which a new file begins."""
    keep: int = Field(default=10, ge=1)
    """Closed files that are kept."""


_TOPIC_FIELDS = ("enterprise", "site", "area", "line", "subject", "type")


class MqttUplink(UplinkSettings):
    """Events as MQTT 5 messages, acknowledged by PUBACK."""

    type: Literal["mqtt"] = Field(examples=["mqtt"])
    """An MQTT broker."""
    url: str = Field(examples=["mqtt://broker.example:1883"])
    """`mqtt://host:1883`, or `mqtts://host:8883` for TLS."""
    format: Literal["json", "msgpack"] = "json"
    """CloudEvents as JSON or as MessagePack with the same names."""
    qos: Annotated[Literal[1], NOT_BOOL] = 1
    """Quality of service; only 1 has an acknowledgement."""
    topic: str = "{enterprise}/{site}/{area}/{line}/{subject}/{type}"
    """Template; `{type}` is `machine.state`."""
    in_flight: int = Field(default=20, ge=1, le=1000)
    """Messages sent and not yet acknowledged."""
    client_id: str | None = Field(default=None, min_length=1)
    """By default made from the line's place and the uplink's name."""
    user: Annotated[Annotated[str, Tag(TEXT)] | Annotated[Secret, Tag(SECTION)], text_or_section] | None = None
    """User name."""
    password: Secret | None = None
    """{credential: NAME}, {env: NAME} or {file: PATH}."""
    tls: TlsConfig | None = None
    """Certificates for `mqtts`."""

    # a URL is never shown: a password may stand in it, by mistake

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the host or the port of this URL cannot be read; a port is 1 to 65535") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("secrets are never in the file; give `user` and `password: {credential: NAME}`")
        if parts.scheme not in ("mqtt", "mqtts") or not host or parts.path not in ("", "/") or parts.query:
            raise ValueError("this is not a broker's address; write mqtt://host:1883 or mqtts://host:8883")
        if port == 0 or re.search(r"[\s#]", url):
            raise ValueError("the host or the port of this URL cannot be read; a port is 1 to 65535")
        return url

    @field_validator("topic")
    @classmethod
    def _check_topic(cls, topic: str) -> str:
        for field in re.findall(r"\{([^{}]*)\}", topic):
            if field not in _TOPIC_FIELDS:
                hint = did_you_mean(nearest(field, _TOPIC_FIELDS))
                raise ValueError(f"{{{field}}} is not one of {', '.join(_TOPIC_FIELDS)}{hint}")
        plain = re.sub(r"\{[a-z]+\}", "", topic)
        if re.search(r"[{}+#\x00-\x1f]", plain) or not topic.strip("/"):
            raise ValueError("a topic must not be empty nor contain + or #, and each { needs its }")
        return topic

    @field_validator("password")
    @classmethod
    def _check_password(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        if password is not None and "user" in info.data and info.data["user"] is None:
            raise ValueError("a password needs a user, for example `user: gateway`")
        return password

    @field_validator("tls")
    @classmethod
    def _check_tls(cls, tls: TlsConfig | None, info: ValidationInfo) -> TlsConfig | None:
        if tls is not None and not info.data.get("url", "mqtts:").startswith("mqtts:"):
            raise ValueError("tls needs a url that begins with mqtts://")
        return tls


UplinkConfig = Annotated[
    Annotated[FileUplink, Tag("\0file")] | Annotated[MqttUplink, Tag("\0mqtt")],
    Discriminator(lambda value: f"\0{value['type'] if isinstance(value, dict) else getattr(value, 'type', 'file')}"),
    alternatives("an uplink", "type", (FileUplink, MqttUplink)),
]
