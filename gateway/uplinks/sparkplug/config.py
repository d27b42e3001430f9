"""What a Sparkplug uplink may say in the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from gateway.config.uplinks import ClusterUplink, Glob, Server
from gateway.uplinks.mqtt.config import BrokerUplink, topic_template
from protocols.settings import Duration, between, shown

NAMESPACE = "spBv1.0"


def _id(text: str) -> str:
    """A part of Sparkplug's topics (Sparkplug 3.0.0, 4.1)."""
    if not text or re.search(r"[+/#\x00-\x1f\x7f]", text) or len(text.encode("utf-8", "surrogatepass")) > 200:
        raise ValueError(f"{shown(text)} cannot be part of a topic; write a name without / + #")
    return text


Id = Annotated[str, AfterValidator(_id)]


class SparkplugUplink(BrokerUplink, ClusterUplink):
    """The line as a Sparkplug B 3.0 edge node, its machines as devices. Commands are refused, but for a rebirth."""

    CASELESS = "Sparkplug hosts"

    type: Literal["sparkplug"] = Field(examples=["sparkplug"])
    """A Sparkplug B edge node."""
    others: Annotated[tuple[Server, ...], Field(strict=False)] = Field(
        default=(), examples=['["other.example", "third.example:1883"]']
    )
    """Further brokers, `host` or `host:port`: each new connection goes to the next. There is one at a time."""
    group: Id | None = None
    """Group ID; the site where it is left out."""
    node: Id | None = None
    """Edge node ID; the line's name where it is left out. No other edge node of the plant has both."""
    primary_host: Id | None = None
    """Its ID: nothing is sent but while its STATE says that it is online. By default nobody is waited for."""
    signals: Annotated[tuple[Glob, ...], Field(strict=False)] = Field(
        default=("*",), examples=['["filler_plc.*", "*.speed"]']
    )
    """Signals (`device.signal`) that are metrics, sent when they change by their deadband; `[]` for trends alone."""
    interval: Annotated[Duration, between("100ms", "1h")] = 1000
    """How often current values are looked at; what an event says goes at once."""
    kpi_interval: Annotated[Duration, between("1s", "1d")] = 60_000
    """The same for the figures of the KPI windows that are under way."""
    proof_topic: Annotated[str, topic_template("uplink")] = "linegate/{enterprise}/{site}/{area}/{line}/{uplink}/proof"
    """Template of the topic of the QoS 1 messages whose acknowledgement proves that those before them arrived."""

    @field_validator("proof_topic")
    @classmethod
    def _check_proof_topic(cls, topic: str) -> str:
        if topic.split("/")[0] == NAMESPACE:
            raise ValueError(f"{NAMESPACE} is for Sparkplug's own messages; begin the topic otherwise")
        return topic

    @property
    def claims(self) -> Iterable[tuple[str, str]]:
        """At one broker an edge node is one client."""
        yield from super().claims
        yield "node", f"the edge node {self.group or '{site}'}/{self.node or '{line}'} at {self.broker}"
