"""What an uplink to an MQTT broker may say in the configuration."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gateway.config.nearest import did_you_mean, nearest
from gateway.config.uplinks import ServerUplink
from protocols.settings import NOT_BOOL

_TOPIC_FIELDS = ("enterprise", "site", "area", "line", "subject", "type")


class MqttUplink(ServerUplink):
    """Events as MQTT 5 messages, acknowledged by PUBACK."""

    SCHEMES = ("mqtt", "mqtts")
    SERVER = "a broker"
    EXAMPLES = ("mqtt://host:1883", "mqtts://host:8883")

    type: Literal["mqtt"] = Field(examples=["mqtt"])
    """An MQTT broker."""
    url: str = Field(examples=["mqtt://broker.example:1883"])
    """`mqtt://host:1883`, or `mqtts://host:8883` for TLS."""
    qos: Annotated[Literal[1], NOT_BOOL] = 1
    """Quality of service; only 1 has an acknowledgement."""
    topic: str = "{enterprise}/{site}/{area}/{line}/{subject}/{type}"
    """Template; `{type}` is `machine.state`."""
    in_flight: int = Field(default=20, ge=1, le=1000)
    """Messages sent and not yet acknowledged."""
    client_id: str | None = Field(default=None, min_length=1)
    """By default made from the line's place and the uplink's name."""

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
