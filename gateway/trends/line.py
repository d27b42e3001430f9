"""A line's trends: feeds each with its signal's changes, and makes events of what it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from gateway.config.model import Config
from gateway.deadlines import Deadlines
from gateway.events import Event, rfc3339
from gateway.linetime import LineTime
from gateway.trends.ways import OnChange, Point, Seen, Span, SwingingDoor, Trend, Windows
from protocols.model import Quality

TREND_ROW = "trend/"
"""Rows of the checkpoint: one a trended signal."""


class Trends:
    """All trends of a line, by `device.signal`. Times are engine time; events come in order of input."""

    def __init__(
        self, config: Config, time: LineTime, deadlines: Deadlines, first_owner: int, seen: Callable[[str], Seen]
    ) -> None:
        """Its deadlines' owners are numbered from `first_owner` on; `seen` tells of a signal's samples."""
        self._time, self._deadlines, self._first_owner, self._seen = time, deadlines, first_owner, seen
        self._trends: dict[str, Trend] = {}
        self._units: dict[str, str | None] = {}
        exact = set()
        for name, trend in config.trends.items():
            device, _, signal = name.partition(".")
            settings = config.devices[device].signal_settings[signal]
            at_least_every = trend.at_least_every or settings.at_least_every
            if trend.every is not None:
                self._trends[name] = Windows(trend.every, trend.figures, time)
            elif trend.swinging_door is not None:
                self._trends[name] = SwingingDoor(trend.swinging_door, at_least_every)
            else:
                self._trends[name] = OnChange(settings.deadband, at_least_every)
            self._units[name] = settings.unit
            if trend.on_change is None:
                exact.add(name)
        self._owners = {name: first_owner + index for index, name in enumerate(self._trends)}
        self._names = list(self._trends)
        self._dirty: set[str] = set()
        self.signals = frozenset(self._trends)
        """Every signal that has a trend."""
        self.exact = frozenset(exact)
        """Those of whose changes the trend needs every single one."""

    def sample(self, signal: str, point: Point) -> list[Event]:
        """A signal changed, or its device was lost."""
        return self._said(signal, self._trends[signal].sample(point, self._seen(signal)))

    def fire(self, owner: int, at: int) -> list[Event]:
        """The deadline of one is there."""
        signal = self._names[owner - self._first_owner]
        return self._said(signal, self._trends[signal].fire(at, self._seen(signal)))

    def close(self, at: int) -> list[Event]:
        """UTC moves under them, or nobody will be there at their deadlines."""
        return [
            event
            for signal, trend in self._trends.items()
            for event in self._said(signal, trend.close(at, self._seen(signal)))
        ]

    def follow_clock(self) -> None:
        """UTC has moved: windows end elsewhere."""
        for signal, trend in self._trends.items():
            self._deadlines.set(self._owners[signal], trend.deadline)

    def interrupt(self, since: int) -> list[Event]:
        """The gateway was off: from `since` on nothing is known."""
        known = {signal: trend.latest.at for signal, trend in self._trends.items() if trend.latest is not None}
        return [
            event
            for signal, at in known.items()  # a crash leaves rows that are newer than the engine's own time
            for event in self.sample(signal, Point(max(since, at), None, Quality.BAD))
        ]

    def _said(self, signal: str, said: Iterable[Point | Span]) -> list[Event]:
        self._dirty.add(signal)
        self._deadlines.set(self._owners[signal], self._trends[signal].deadline)
        return [self._event(signal, one) for one in said]

    def _event(self, signal: str, said: Point | Span) -> Event:
        data: dict[str, Any] = {"signal": signal, "unit": self._units[signal]}
        if isinstance(said, Span):
            data |= {"began": self._time.text(said.began), "ended": self._time.text(said.ended), **said.figures}
            return Event("signal.trend", signal, self._time.utc(said.ended), data)
        source_time = None if said.source_time is None else rfc3339(said.source_time)
        data |= {"value": said.value, "quality": Quality(said.quality).label, "source_time": source_time}
        return Event("signal.trend", signal, self._time.utc(said.at), data)

    def checkpoint(self, subjects: Collection[str] | None) -> dict[str, dict[str, Any]]:
        """Rows of what changed: of the events' subjects, or of all."""
        due = sorted(self._dirty if subjects is None else self._dirty.intersection(subjects))
        self._dirty.difference_update(due)
        return self.rows(due)

    def rows(self, signals: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Rows of some signals, as they are now."""
        trends = {name: self._trends[name] for name in signals}
        return {TREND_ROW + name: {"way": _way(trend), **trend.checkpoint()} for name, trend in trends.items()}

    def restore(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Go on from a checkpoint; a signal that is condensed in another way now begins anew."""
        for signal, trend in self._trends.items():
            row = rows.get(TREND_ROW + signal)
            if row is not None and row["way"] == _way(trend):
                trend.restore(row)
                self._deadlines.set(self._owners[signal], trend.deadline)


def _way(trend: Trend) -> str:
    return type(trend).__name__
