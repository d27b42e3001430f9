"""Which class serves which uplink; a module, and its library, is imported when a configuration uses it."""

from __future__ import annotations

from gateway.config.model import FileUplink, UplinkConfig
from gateway.uplinks.uplink import Uplink


def uplink_class(config: UplinkConfig) -> type[Uplink]:
    """The uplink of this section."""
    if isinstance(config, FileUplink):
        from gateway.uplinks.file import FileSink

        return FileSink
    from gateway.uplinks.mqtt import MqttPublisher

    return MqttPublisher
