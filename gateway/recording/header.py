"""What a recording's file opens with: all that a replay needs to begin there, and to know what the numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgpack

from gateway.config.model import Config
from gateway.recording.messages import UNREADABLE, unpacker
from protocols.model import Change

FORMAT = "linegate.recording"
VERSION = 1
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By version: a header's body of that version to the body of the next. The first that can be read is the first key, or
VERSION where there is none."""
Opening = Literal["start", "roll", "gap"]


class RecordingError(Exception):
    """A file that cannot be replayed; says why and what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class RecordedDevice:
    """How one device was read."""

    name: str
    signals: tuple[str, ...]
    """Their names; a signal's number is its position."""
    scans: tuple[tuple[int, tuple[int, ...]], ...]
    """Interval in milliseconds and signal numbers of each scan class; its number is its position."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first message of a file. Times are engine milliseconds."""

    line: str
    """The CloudEvents source of its events."""
    configuration: str
    """Digest of the configuration under which it was recorded."""
    linegate: str
    """The version that wrote it."""
    run: str
    """Names the daemon's run: files of one run whose `first` continues the one before are one recording."""
    first: int
    """How many inputs of the run came before this file."""
    opens: Opening
    """Whether the daemon had just started, the file before was full, or inputs before it are missing."""
    at: int
    utc_offset: int
    devices: tuple[RecordedDevice, ...]
    checkpoint: Mapping[str, bytes]
    """The engine as it was before the first input, as the buffer stores it."""
    texts: Mapping[str, Mapping[int | str, str]]
    """Texts that devices gave for the numbers of their signals."""
    values: tuple[tuple[Change, ...], ...]
    """Every signal as it was read last, device by device: for a configuration that uses others."""

    def pack(self) -> bytes:
        """The message."""
        body = {one.name: getattr(self, one.name) for one in fields(self)}  # `asdict` would copy every single value
        body["devices"] = [(device.name, device.signals, device.scans) for device in self.devices]
        packed: bytes = msgpack.packb({"format": FORMAT, "version": VERSION, **body}, unicode_errors="surrogatepass")
        return packed


def devices_of(config: Config) -> tuple[RecordedDevice, ...]:
    """How a configuration has its devices read."""
    return tuple(
        RecordedDevice(name, tuple(device.signal_settings), device.scan_classes)
        for name, device in config.devices.items()
    )


def unpack(data: bytes) -> Header:
    """A header from its message. Raises RecordingError."""
    foreign = "it does not begin like a recording", "give files that `linegate run --record` wrote, or plain JSON lines"
    try:
        (body,) = _messages(data)
        if not isinstance(body, dict) or body.pop("format") != FORMAT:
            raise RecordingError(*foreign)
        version = body.pop("version")
        while version in MIGRATIONS:
            body = MIGRATIONS[version](body)
            version += 1
        if version != VERSION:
            why = f"it is of version {version}, this version of linegate reads {VERSION}"
            raise RecordingError(why, "replay it with the version that wrote it, or with a newer one")
        return Header(**{**body, "devices": tuple(RecordedDevice(*device) for device in body["devices"])})
    except UNREADABLE:
        raise RecordingError(*foreign) from None


def _messages(data: bytes) -> list[Any]:
    reader = unpacker()
    reader.feed(data)
    return list(reader)
