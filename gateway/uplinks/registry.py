"""The uplinks by the name that a configuration uses; a new one is a folder and a line here.

An uplink's configuration imports no library; what serves it is imported when a configuration uses it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

from pydantic import Discriminator, Tag

from gateway.config.kinds import alternatives
from gateway.config.uplinks import UplinkSettings
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.http.config import HttpUplink
from gateway.uplinks.kafka.config import KafkaUplink
from gateway.uplinks.mqtt.config import MqttUplink
from gateway.uplinks.nats.config import NatsUplink
from gateway.uplinks.sparkplug.config import SparkplugUplink

if TYPE_CHECKING:
    from gateway.uplinks.uplink import Uplink


def _kind(value: object) -> str:
    """The tag of what is written, or of a section."""
    return f"\0{value['type'] if isinstance(value, dict) else getattr(value, 'type', 'file')}"


_UPLINKS: dict[type[UplinkSettings], str] = {
    FileUplink: "gateway.uplinks.file.sink:FileSink",
    HttpUplink: "gateway.uplinks.http.poster:HttpPoster",
    KafkaUplink: "gateway.uplinks.kafka.publisher:KafkaPublisher",
    MqttUplink: "gateway.uplinks.mqtt.publisher:MqttPublisher",
    NatsUplink: "gateway.uplinks.nats.publisher:NatsPublisher",
    SparkplugUplink: "gateway.uplinks.sparkplug.node:SparkplugNode",
}
UplinkConfig: TypeAlias = Annotated[
    Annotated[FileUplink, Tag("\0file")]
    | Annotated[HttpUplink, Tag("\0http")]
    | Annotated[KafkaUplink, Tag("\0kafka")]
    | Annotated[MqttUplink, Tag("\0mqtt")]
    | Annotated[NatsUplink, Tag("\0nats")]
    | Annotated[SparkplugUplink, Tag("\0sparkplug")],
    Discriminator(_kind),
    alternatives("an uplink", "type", tuple(_UPLINKS)),
]
"""An uplink of any kind."""


def uplink_class(config: UplinkSettings) -> type[Uplink]:
    """What serves this section; importing it imports the uplink's library."""
    module, _, name = _UPLINKS[type(config)].partition(":")
    return cast("type[Uplink]", getattr(import_module(module), name))
