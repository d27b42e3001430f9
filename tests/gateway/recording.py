"""A plain recording as the engine's inputs: one JSON object a line, in order of time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.config.model import Config
from gateway.inputs import DeviceState, Input, Reload, Tick
from protocols.model import Batch, Change, Quality

LOST = ("127.0.0.1:502", "no answer", "check the cable")


def recorded(path: Path, config: Config) -> Iterator[Input]:
    """A start at the first line's time, what the lines say, and an end at the last one's."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    yield Reload(_ms(lines[0]["time"]), 0)
    connected: set[str] = set()
    for line in lines:
        at, device = _ms(line["time"]), line["device"]
        if line.get("lost"):
            connected.discard(device)
            yield DeviceState(device, False, at, *LOST)
            continue
        if device not in connected:
            connected.add(device)
            yield DeviceState(device, True, at)
        settings = config.devices[device]
        numbers = {name: number for number, name in enumerate(settings.signal_settings)}
        for scan, (_, scanned) in enumerate(settings.scan_classes):
            given = [(numbers[name], value) for name, value in line["values"].items() if numbers[name] in scanned]
            if given or scan == 0:
                yield Batch(device, scan, [_change(*one) for one in given], at)
    yield Tick(at)
    yield Reload(at, 0, "stop")


def _change(number: int, value: Any) -> Change:
    quality = "good"
    if isinstance(value, dict):
        value, quality = value["value"], value["quality"]
    why = "said so by the recording" if quality == "bad" else None
    return (number, value, Quality[quality.upper()], why, None)


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
