"""One Sparkplug session: sequence numbers, aliases, and what hosts were told; it makes messages and sends none.

A value goes out as a current one where it is newer than what hosts have and differs from it; everything else that an
event says is history. Clauses are those of Sparkplug 3.0.0 (Eclipse).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.events import StoredEvent
from gateway.uplinks.mqtt.messages import Message
from gateway.uplinks.sparkplug.config import NAMESPACE
from gateway.uplinks.sparkplug.history import Past, pasts
from gateway.uplinks.sparkplug.metrics import NODE, Metrics, Reading
from gateway.uplinks.sparkplug.payload import DataType, Metric, Quality, payload
from protocols.model import Value

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
SEQS = 256
MOST_BYTES = 256_000
"""Of one data message, where the broker takes as much."""
METRIC_BYTES = 64
"""More than a metric has besides its text: alias, time, number, quality, and their tags."""
HEAD_BYTES = 64
"""More than a data message has besides its topic and its metrics: header, time, sequence number."""


class Unsendable(ValueError):
    """A message that the broker does not take, whatever is tried; `which` event is to blame, None for a birth."""

    def __init__(self, why: str, which: int | None) -> None:
        super().__init__(why)
        self.which = which


@dataclass(frozen=True, slots=True)
class Place:
    """Whose session it is."""

    group: str
    node: str

    def topic(self, kind: str, device: str = NODE) -> str:
        """`spBv1.0/group_id/message_type/edge_node_id[/device_id]` (4.1)."""
        return f"{NAMESPACE}/{self.group}/{kind}/{self.node}" + (f"/{device}" if device else "")

    def death(self, bd_seq: int) -> Message:
        """The edge node is gone: the will, and what is said before going (6.4.20)."""
        metric = Metric(DataType.INT64, bd_seq, None, name=BD_SEQ)
        return Message(self.topic("NDEATH"), payload([metric], timestamp=None, seq=None))


@dataclass(slots=True)
class _Told:
    """What hosts have of one metric."""

    alias: int
    datatype: DataType
    value: Value
    quality: Quality
    at: int
    past: Past | None = None
    """What was last told as history."""

    def is_new(self, past: Past) -> bool:
        """Whether it is newer than what hosts have, and differs from it."""
        return past.at > self.at and (past.value, past.quality) != (self.value, self.quality)

    def is_news(self, past: Past) -> bool:
        """Whether it can be said of this metric, and hosts would not take it to be so anyway."""
        if not self.datatype.takes(past.value):
            return False
        if past.at > self.at:
            return self.is_new(past)
        last = self.past
        if last is not None and past.at >= last.at and (past.value, past.quality) == (last.value, last.quality):
            return False
        return (past.at, past.value, past.quality) != (self.at, self.value, self.quality)


class Session:
    """Times are UTC milliseconds. What it returns is sent in order and whole, or the session is over."""

    def __init__(self, place: Place, metrics: Metrics, bd_seq: int) -> None:
        self.most_bytes: int | None = None
        """Largest message that the broker takes, where it is known."""
        self.metrics = metrics
        """Others need a birth."""
        self._place = place
        self._bd_seq = bd_seq
        self._seq = 0
        self._told: dict[str, dict[str, _Told]] = {}
        """By owner and metric."""
        self._rooms: dict[str, int] = {}
        """Bytes for the metrics of one data message, by owner."""
        self._alive: set[str] = set()
        self._leaving: set[str] = set()
        """Machines that were lost at the last look: what their last events say goes before their death."""
        self._kpis_at = 0
        """When figures of running windows were told last."""

    def birth(self, now: int) -> list[Message]:
        """The edge node and all its devices anew (6.4.14, 6.4.19). Raises Unsendable."""
        image = self.metrics.read()
        self._seq = 0
        self._told, self._leaving, self._kpis_at = {}, set(), now
        self._rooms = {owner: self._room(owner) for owner in image}
        self._alive = {NODE, *self.metrics.machines}
        alias = 1  # of bdSeq
        for owner, readings in image.items():
            told = self._told[owner] = {}
            for name, reading in readings.items():
                if (datatype := self.metrics.datatype(owner, name, reading.value)) is not None:
                    alias += 1
                    told[name] = _Told(alias, datatype, reading.value, reading.quality, now)
        messages = [self._born(owner, now) for owner in image]
        for message in messages:
            self._check(message)
        return messages

    def look(self, now: int, kpi_interval: int) -> list[Message]:
        """What has changed since it was told; a birth of everything where a metric is new or is of another type."""
        with_kpis = not self._kpis_at <= now < self._kpis_at + kpi_interval
        image = self.metrics.read(with_kpis=with_kpis)
        if self._is_other(image):
            return self.birth(now)
        self._kpis_at = now if with_kpis else self._kpis_at
        messages: list[Message] = []
        for owner, readings in image.items():
            if owner != NODE and self.metrics.is_lost(owner):
                messages += self._lost(owner, now)
            elif owner not in self._alive:
                messages.append(self._reborn(owner, readings, now))
            else:
                self._leaving.discard(owner)
                messages += self._changes(owner, readings, now)
        return messages

    def tell(self, events: Sequence[StoredEvent], now: int) -> list[Message]:
        """What events say. Raises Unsendable before anything is made, for the first that no message can carry."""
        said: dict[str, list[Past]] = {}
        for index, event in enumerate(events):
            for past in pasts(event, self.metrics):
                told = self._told.get(past.owner, {}).get(past.metric)
                if told is not None:
                    if (size := self._size(past.value)) > (room := self._rooms[past.owner]):
                        raise Unsendable(
                            f"its {past.metric} has {size} bytes, and a message has room for {room}", index
                        )
                    said.setdefault(past.owner, []).append(past)
        messages = []
        for owner, ones in said.items():
            told_of = self._told[owner]
            metrics = [self._said(told_of[one.metric], one) for one in ones if told_of[one.metric].is_news(one)]
            if metrics and owner not in self._alive:
                messages.append(self._reborn(owner, {}, now))
            messages += self._data(owner, metrics, now)
        return messages

    def _said(self, told: _Told, past: Past) -> Metric:
        """As the current value where it is, else as history."""
        is_new = told.is_new(past)
        quality = (
            None if past.quality is Quality.GOOD and not (is_new and told.quality is not Quality.GOOD) else past.quality
        )
        if is_new:
            told.value, told.quality, told.at = past.value, past.quality, past.at
        else:
            told.past = past
        return Metric(told.datatype, past.value, past.at, alias=told.alias, is_historical=not is_new, quality=quality)

    def _is_other(self, image: Mapping[str, Mapping[str, Reading]]) -> bool:
        """Whether a metric is new, or its value not of the type that it was born with."""
        for owner, readings in image.items():
            told = self._told[owner]
            for name, (value, _) in readings.items():
                if value is None:
                    continue
                known = told.get(name)
                if known is None or (value != known.value and not known.datatype.takes(value)):
                    return True
        return False

    def _lost(self, owner: str, now: int) -> list[Message]:
        """At the second look that shows it."""
        if owner not in self._alive:
            return []
        if owner not in self._leaving:
            self._leaving.add(owner)
            return []
        self._leaving.discard(owner)
        self._alive.discard(owner)
        return [self._message("DDEATH", owner, (), now)]

    def _reborn(self, owner: str, readings: Mapping[str, Reading], now: int) -> Message:
        """One device that was gone; without readings its metrics are as they were, and stale."""
        for name, told in self._told[owner].items():
            reading = readings.get(name, Reading(told.value, Quality.STALE))
            told.value, told.quality, told.at = *reading, now
        self._alive.add(owner)
        self._leaving.discard(owner)
        message = self._born(owner, now)
        self._check(message)
        return message

    def _born(self, owner: str, now: int) -> Message:
        metrics = [
            Metric(
                told.datatype, told.value, now, name=name, alias=told.alias,
                quality=None if told.quality is Quality.GOOD else told.quality, unit=self.metrics.unit(owner, name),
            )
            for name, told in self._told[owner].items()
        ]  # fmt: skip
        if owner != NODE:
            return self._message("DBIRTH", owner, metrics, now)
        control = Metric(DataType.BOOLEAN, False, now, name=REBIRTH)
        return self._message("NBIRTH", NODE, [self._bd(now), control, *metrics], now)

    def _bd(self, now: int) -> Metric:
        return Metric(DataType.INT64, self._bd_seq, now, name=BD_SEQ, alias=1)

    def _changes(self, owner: str, readings: Mapping[str, Reading], now: int) -> list[Message]:
        metrics, all_told = [], self._told[owner]
        for name, reading in readings.items():
            told = all_told.get(name)
            if told is None or (reading.value == told.value and reading.quality is told.quality):
                continue
            if reading.quality is told.quality and self._is_within_deadband(owner, name, told, reading):
                continue
            quality = reading.quality if (reading.quality, told.quality) != (Quality.GOOD, Quality.GOOD) else None
            told.value, told.quality, told.at = *reading, now
            metrics.append(Metric(told.datatype, reading.value, now, alias=told.alias, quality=quality))
        return self._data(owner, metrics, now)

    def _is_within_deadband(self, owner: str, name: str, told: _Told, reading: Reading) -> bool:
        deadband, numbers = self.metrics.deadband(owner, name), (DataType.INT64, DataType.UINT64, DataType.DOUBLE)
        if not deadband or told.datatype not in numbers or reading.value is None or told.value is None:
            return False
        return abs(float(reading.value) - float(told.value)) < deadband

    def _data(self, owner: str, metrics: Iterable[Metric], now: int) -> list[Message]:
        """In the order of time, in as few messages as fit (5.13: what is not history must be in that order)."""
        messages: list[Message] = []
        waiting: list[Metric] = []
        room = self._rooms[owner]
        for metric in sorted(metrics, key=lambda one: one.at or 0):
            size = self._size(metric.value)
            if waiting and size > room:
                messages.append(self._message(_data_kind(owner), owner, waiting, now))
                waiting, room = [], self._rooms[owner]
            waiting.append(metric)
            room -= size
        return [*messages, self._message(_data_kind(owner), owner, waiting, now)] if waiting else messages

    def _message(self, kind: str, owner: str, metrics: Iterable[Metric], now: int) -> Message:
        body = payload(metrics, timestamp=now, seq=self._seq)
        self._seq = (self._seq + 1) % SEQS
        return Message(self._place.topic(kind, owner), body, qos=0)

    def _room(self, owner: str) -> int:
        limit = MOST_BYTES if self.most_bytes is None else min(self.most_bytes, MOST_BYTES)
        return limit - HEAD_BYTES - len(self._place.topic(_data_kind(owner), owner).encode())

    @staticmethod
    def _size(value: Value) -> int:
        return METRIC_BYTES + (len(value.encode("utf-8", "replace")) if isinstance(value, str) else 0)

    def _check(self, birth: Message) -> None:
        if self.most_bytes is not None and birth.size > self.most_bytes:
            kind = birth.topic.split("/")[2]
            raise Unsendable(f"the {kind} has {birth.size} bytes, and the broker takes {self.most_bytes} at most", None)


def _data_kind(owner: str) -> str:
    return "DDATA" if owner else "NDATA"
