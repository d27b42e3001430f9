"""What must be known of a signal besides its value: its range as a counter, its texts."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config.model import Config
from protocols.model import Value


def moduli(config: Config) -> dict[str, int]:
    """Modulus of every `device.signal` that is known to be a number, were it a counter."""
    return {
        f"{name}.{signal}": settings.modulus
        for name, device in config.devices.items()
        for signal, settings in device.signal_settings.items()
        if settings.modulus is not None
    }


def text_of(value: Value, texts: Mapping[int | str, str]) -> str | None:
    """The text of a signal's number; None for one that has none, and of what is no whole number."""
    if value is None or isinstance(value, str) or (isinstance(value, float) and not value.is_integer()):
        return None
    return texts.get(int(value))
