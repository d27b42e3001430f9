"""Recordings that anyone can write: newline-delimited JSON, one object a line in order of time.

    {"time": "2026-11-22T06:00:00.250Z", "device": "filler_plc", "values": {"running": true, "bottles": 4711}}
    {"time": "2026-11-22T06:00:00.500Z", "device": "filler_plc", "values": {"speed": {"value": null, "quality": "bad"}}}
    {"time": "2026-11-22T06:00:00.750Z", "device": "filler_plc", "values": {"running":
     {"value": false, "source_time": "2026-11-22T06:00:00.620Z"}}}
    {"time": "2026-11-22T06:00:09.000Z", "device": "filler_plc", "lost": true}
    {"time": "2026-11-22T06:02:00.000Z", "entry": {"what": "reason", "machine": "filler",
     "target": "filler-stop-1795327209000", "reason": "17", "who": "anna"}}

A line is one scan of the whole device: what it does not name is as it was, and stays so until the device's next line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.config.model import Config
from gateway.config.nearest import did_you_mean, nearest
from gateway.entries.word import WHATS
from gateway.inputs import DeviceState, Entry, Input, Reload
from gateway.replay.translation import with_intervals
from protocols.model import Batch, Change, Quality, Value
from protocols.settings import shown

SCAN_MS = 86_400_000
"""Scan interval of all signals: a value that no line changes holds."""
MAX_LINE = 10_000_000
SAID = {
    *("entry", "what", "machine", "target", "reason", "note", "amount", "who", "at", "other", "job", "product", "crew")
} | {"job_target", "job_due"}
"""What an entry has."""
TIME_REMEDY = 'write it like "2026-11-22T06:00:00.250Z", with Z or an offset'
QUALITIES = {quality.label: quality for quality in Quality}
KINDS = {None: "a value", "bool": "true or false", "int": "a whole number", "float": "a number", "text": "a text"}


class _Wrong(Exception):
    """What is wrong with a line, or with one value of it."""


def read_plain(config: Config) -> Config:
    """The configuration as plain recordings are read: each line is a scan of all signals of its device."""
    every = {(name, key): SCAN_MS for name, device in config.devices.items() for key in device.signal_settings}
    return with_intervals(config, every)


class PlainLines:
    """Makes inputs of lines; what is wrong with one is said and left out, and never loses the rest."""

    def __init__(self, config: Config, complain: Any) -> None:
        """`complain` is called with each problem in words: what, where and what to do."""
        self._complain = complain
        self._devices = {
            name: (device.endpoint, {key: number for number, key in enumerate(device.signal_settings)})
            for name, device in config.devices.items()
        }
        self._types = config.signal_types
        self._connected: dict[str, bool] = {}
        self._at: int | None = None
        self._said: set[str] = set()
        """Mistakes that every line may make are said once."""

    def inputs(self, name: str, lines: Iterable[bytes]) -> Iterator[Input]:
        """The inputs of one file, which goes on from those before it."""
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield from self._line(line, f"{name}:{number}")
            except _Wrong as wrong:
                self._wrong(f"{name}:{number}", str(wrong))

    def _wrong(self, place: str, words: str, key: str = "") -> None:
        if not key or key not in self._said:
            self._said.add(key)
            self._complain(f"{place}: {words}")

    def _line(self, line: bytes, place: str) -> Iterator[Input]:
        if len(line) > MAX_LINE:
            raise _Wrong(f"a line of {len(line):,} bytes; write one object a line")
        try:
            given = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise _Wrong(f"no JSON: {error}; the line is left out") from None
        if not isinstance(given, dict):
            raise _Wrong(
                f'expected an object, found {shown(given)}; write {{"time": ..., "device": ..., "values": ...}}'
            )
        at = self._time(given.get("time"))
        if self._at is not None and at < self._at:
            raise _Wrong(f"time {given['time']} is before that of the lines above; sort the lines by time")
        if "entry" in given:
            entry = self._entry(given["entry"], at)
            yield from () if self._at is not None else (Reload(at, 0),)
            self._at = at
            yield entry
            return
        if "specversion" in given:
            raise _Wrong("this is an event; replay decides events from what devices said: a recording; it is left out")
        device = given.get("device")
        if not isinstance(device, str) or device not in self._devices:
            hint = did_you_mean(nearest(str(device), self._devices))
            raise _Wrong(f"device {shown(device)} is not in the configuration{hint}; the line is left out")
        if "lost" not in given and "values" not in given:
            raise _Wrong('has neither `values` nor `lost`; write "values": {} for a scan that changed nothing')
        if unknown := given.keys() - {"time", "device", "values", "lost", "why"}:
            self._wrong(place, f"{shown(min(unknown))} has no meaning here", f"key {min(unknown)}")
        if self._at is None:
            yield Reload(at, 0)
        self._at = at
        endpoint, numbers = self._devices[device]
        if given.get("lost"):
            if self._connected.get(device) is not False:
                yield DeviceState(device, False, at, endpoint, str(given.get("why", "lost")), "")
            self._connected[device] = False
            return
        changes = self._changes(device, numbers, given.get("values", {}), place)
        if not self._connected.get(device):
            self._connected[device] = True
            yield DeviceState(device, True, at, endpoint)
        yield Batch(device, 0, changes, at)

    def _entry(self, said: Any, at: int) -> Entry:
        """What somebody says; `at` is a time, as in POST /api/entries."""
        if not isinstance(said, dict) or said.get("what") not in WHATS or not isinstance(said.get("machine"), str):
            raise _Wrong(f"an entry needs `what` (one of {', '.join(WHATS)}) and `machine`; the line is left out")
        if unknown := said.keys() - SAID:
            raise _Wrong(f"{shown(min(unknown))} is nothing that an entry has; the line is left out")
        whole = {name: said[name] for name in ("amount", "job_target") if type(said.get(name)) is int}
        texts = {
            name: f"{said[name]}"
            for name in SAID - {"what", "amount", "at", "job_target", "job_due"}
            if said.get(name) is not None
        }
        moment = None if said.get("at") is None else self._time(said["at"])
        due = None if said.get("job_due") is None else self._time(said["job_due"])
        named = {"entry": f"{said['machine']}-{said['what']}-{at}", "who": ""}
        given = {**named, **texts, **whole, "moment": moment, "job_due": due}
        return Entry(what=said["what"], at=at, **given)

    def _time(self, text: Any) -> int:
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise _Wrong(f"time {shown(text)} is no time; {TIME_REMEDY}") from None
        if moment.tzinfo is None:
            raise _Wrong(f"time {shown(text)} says no zone; {TIME_REMEDY}")
        since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        at = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
        if at < 0:
            raise _Wrong(f"time {shown(text)} is before 1970; {TIME_REMEDY}")
        return at

    def _changes(self, device: str, numbers: dict[str, int], values: Any, place: str) -> list[Change]:
        if not isinstance(values, dict):
            raise _Wrong(f"values {shown(values)}: expected an object of signals and values")
        changes = []
        for name, given in values.items():
            signal = f"{device}.{name}"
            if name not in numbers:
                hint = did_you_mean(nearest(name, numbers))
                self._wrong(place, f"{signal} is not in the configuration{hint}; it is left out", signal)
                continue
            try:
                changes.append((numbers[name], *self._value(signal, given)))
            except _Wrong as wrong:
                self._wrong(place, f"{signal}: {wrong}; it is bad from here on")
                changes.append((numbers[name], None, Quality.BAD, "no value in the recording", None))
        return changes

    def _value(self, signal: str, given: Any) -> tuple[Value, int, str | None, int | None]:
        quality, why, source = Quality.GOOD, None, None
        if isinstance(given, dict):
            if given.keys() - {"value", "quality", "why", "source_time"} or "value" not in given:
                raise _Wrong('expected {"value": ..., "quality": "good|uncertain|bad", "source_time": ...}')
            source = None if given.get("source_time") is None else self._time(given["source_time"])
            label, why, given = given.get("quality", "good"), given.get("why"), given["value"]
            if label not in QUALITIES:
                raise _Wrong(f"quality {shown(label)} is none of {', '.join(QUALITIES)}")
            quality = QUALITIES[label]
        if given is None or quality is Quality.BAD:
            return None, Quality.BAD, "bad in the recording" if why is None else str(why), source
        value = _typed(given, self._types[signal])
        return value, quality, None if why is None else str(why), source


def _typed(given: Any, type_: str | None) -> Value:
    """The value as the signal's type has it."""
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if type_ == "float" and is_number:
        return float(given)
    if type_ == "int" and isinstance(given, float) and given.is_integer():
        return int(given)
    fits = {
        "bool": isinstance(given, bool),
        "int": isinstance(given, int) and is_number,
        "text": isinstance(given, str),
        None: isinstance(given, (bool, int, float, str)),  # only the device knows it
    }
    if not fits.get(type_, False):
        raise _Wrong(f"{shown(given)} is not {KINDS[type_]}")
    value: Value = given
    return value
