"""What every device and every signal may say in the configuration, whatever its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator

from protocols.settings import (
    SECTION,
    TEXT,
    Duration,
    Keyed,
    Name,
    Settings,
    ValueType,
    between,
    misplaced,
    text_or_section,
)
from protocols.units import duration_text

SignalTexts = Annotated[
    Annotated[Literal["reasons"], Tag(TEXT)] | Annotated[Keyed[int, str], Tag(SECTION)], text_or_section
]
"""Texts of a signal's numbers, or the word that names the top-level reasons."""


class SignalSettings(Settings):
    """What a signal of any protocol may say."""

    unit: str | None = None
    """Engineering unit, for people and uplinks (`mm`, `1/min`)."""
    deadband: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Smallest change that is forwarded, in the value's unit after scaling; thins trends and uplinks only."""
    at_least_every: Annotated[Duration, between("1s", "7d")] | None = None
    """Longest time without forwarding it, changed or not; thins trends and uplinks only."""
    scan_interval: Annotated[Duration, between("1ms", "1d")] | None = None
    """Time between two scans of this signal; the device's where it is left out."""
    texts: SignalTexts | None = Field(default=None, examples=["{0: off, 1: on}"])
    """What its numbers mean, for people and as reasons: a mapping of number to text, or `reasons` for the file's."""

    @model_validator(mode="after")
    def _check_texts(self) -> Self:
        if self.texts is not None and self.value_type == "text":
            raise misplaced("a text says what it means itself; only numbers have texts", "texts")
        return self

    @property
    def place(self) -> str:
        """Where it lies in its device, as the configuration writes it."""
        raise NotImplementedError

    @property
    def value_type(self) -> ValueType | None:
        """The type of the value after decoding and scaling; None where only the device knows it."""
        return None

    @property
    def highest(self) -> int | None:
        """The largest value of an unscaled whole number's type, at which a counter rolls over; else None."""
        return None

    @property
    def is_alarm(self) -> bool:
        """Whether it is the text of what is wrong, and no variable."""
        return False

    @property
    def modulus(self) -> int | None:
        """How many values its type has, were it a counter; None where only the device knows it, or it is no number."""
        return None

    @property
    def exact_to(self) -> int | None:
        """The largest whole number that a floating-point type counts to without a gap; else None."""
        return None


class HeartbeatConfig(Settings):
    """Proof that the PLC's program runs: one that answers and has stopped is not alive."""

    signal: Name = Field(examples=["tick"])
    """A signal of this device that the PLC keeps changing."""
    within: Annotated[Duration, between("10ms", "1h")] = Field(examples=["3s"])
    """Longest time without a change; after it all signals of the device are bad, until it changes again."""


class DeviceSettings(Settings):
    """What a device of any protocol must offer; each protocol's own section extends it."""

    scan_interval: Annotated[Duration, between("1ms", "1d")] = 1000
    """Time between two scans; scans keep their phase."""
    timeout: Annotated[Duration, between("1ms", "10min")] = 1000
    """How long one request may take."""
    heartbeat: HeartbeatConfig | None = None
    """How a PLC that answers but has stopped is told from a living one."""

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.heartbeat is None:
            return self
        signal = self.signal_settings.get(self.heartbeat.signal)
        if signal is None:
            known = ", ".join(list(self.signal_settings)[:5])
            raise misplaced(
                f"{self.heartbeat.signal} is not a signal of this device; it has {known}", "heartbeat", "signal"
            )
        interval = signal.scan_interval or self.scan_interval
        if self.heartbeat.within < 2 * interval:
            words = f"{duration_text(self.heartbeat.within)} is less than two scans of {duration_text(interval)}"
            raise misplaced(words, "heartbeat", "within")
        return self

    @property
    def endpoint(self) -> str:
        """What identifies the connection: devices with the same endpoint share one."""
        raise NotImplementedError

    @property
    def transport(self) -> Mapping[str, object]:
        """What all devices of one endpoint must agree on, by the key's path: `protocol`, `serial.baud`."""
        raise NotImplementedError

    @property
    def scan_classes(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Interval in milliseconds and signal numbers of what is scanned together, sorted by both.

        A class's number is its position here.
        """
        classes: dict[int, list[int]] = {}
        for number, signal in enumerate(self.signal_settings.values()):
            classes.setdefault(signal.scan_interval or self.scan_interval, []).append(number)
        return tuple((interval, tuple(numbers)) for interval, numbers in sorted(classes.items()))

    def asks(self, interval_ms: int, signals: int) -> str:
        """What a scan of so many signals asks, in words; for devices whose requests only they can tell."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """What identifies the device itself: two sections with the same identity read the same device."""
        return self.endpoint

    @property
    def notes(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """What is right but worth a note: the path of keys below the device, and words."""
        return ()

    @property
    def signal_settings(self) -> Mapping[str, SignalSettings]:
        """The device's signals by name, in the order of the file: their numbers are their positions."""
        raise NotImplementedError
