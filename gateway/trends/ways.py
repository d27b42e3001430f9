"""The three ways to condense a signal: on change, swinging door, windows.

Each way is fed with every change of its signal, says what to send, and when it wants to be asked again. It sees no
clock, so that a recording replays to the same trends. A value holds from its sample to the next, but no longer than
a few scans or a minute beyond the last one: what nobody looked at is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ext.trends import Doors, Sums
from gateway.linetime import LineTime
from protocols.model import Quality, Value


class Point(NamedTuple):
    """A signal at one instant of engine time."""

    at: int
    value: Value
    quality: int
    source_time: int | None = None


class Seen(NamedTuple):
    """The samples of a signal before what is being processed."""

    last: int | None
    """Engine time of the last one; None before the first."""
    hold: int
    """Milliseconds for which a value holds beyond it."""
    scans: int
    """How many there were."""

    @property
    def until(self) -> int:
        """Up to when what was sampled last is known."""
        return 0 if self.last is None else self.last + self.hold


class Span(NamedTuple):
    """A window of engine time, condensed; the figures are None where nothing was known in it."""

    began: int
    ended: int
    figures: dict[str, Any]


class Trend(Protocol):
    """One way to condense a signal."""

    latest: Point | None
    """What is known of it; None before its first sample."""

    @property
    def deadline(self) -> int | None:
        """Engine time at which it has something to say without any input."""

    def sample(self, point: Point, seen: Seen) -> list[Point | Span]:
        """The signal changed; `seen` is without the sample that shows it."""

    def fire(self, at: int, seen: Seen) -> list[Point | Span]:
        """The deadline is there."""

    def close(self, at: int, seen: Seen) -> list[Point | Span]:
        """UTC moves under it, or nobody will be there at its deadline: what it has is said now."""

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""


def _end_of_silence(said: Point | None, at_least_every: int | None) -> int | None:
    """When a value that was said is said again; that nothing is known is said once."""
    return None if said is None or said.value is None or at_least_every is None else said.at + at_least_every


def _now(latest: Point | None, at: int, seen: Seen) -> Point:
    """What is known at a deadline: the latest value, or since when there is none any more."""
    if latest is None or at > seen.until:
        return Point(min(at, seen.until), None, Quality.BAD)
    return latest._replace(at=at)


def _number(point: Point) -> float | None:
    """The point's value where one can calculate with it."""
    return point.value if isinstance(point.value, (int, float)) and not isinstance(point.value, bool) else None


@dataclass(slots=True)
class OnChange:
    """Says every change of at least the deadband, and of quality; and now and then what has not changed."""

    deadband: float
    at_least_every: int | None
    said: Point | None = None
    latest: Point | None = None

    @property
    def deadline(self) -> int | None:
        """When it has been silent for `at_least_every`."""
        return _end_of_silence(self.said, self.at_least_every)

    def sample(self, point: Point, seen: Seen) -> list[Point | Span]:
        """The signal changed."""
        self.latest = point
        if self.said is not None and point.quality == self.said.quality and self._is_near(point, self.said):
            return []
        self.said = point
        return [point]

    def _is_near(self, point: Point, said: Point) -> bool:
        if point.value == said.value:
            return True
        new, old = _number(point), _number(said)
        return new is not None and old is not None and abs(new - old) < self.deadband

    def fire(self, at: int, seen: Seen) -> list[Point | Span]:
        """It is said again as it is."""
        self.latest = self.said = _now(self.latest, at, seen)
        return [self.said]

    def close(self, at: int, seen: Seen) -> list[Point | Span]:
        """Nothing is kept back."""
        return []

    def checkpoint(self) -> dict[str, Any]:
        """What was said last, and what is known."""
        return {"said": self.said, "latest": self.latest}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.said, self.latest = _point(saved["said"]), _point(saved["latest"])


@dataclass(slots=True)
class SwingingDoor:
    """Says the fewest points between which straight lines stay within `deviation` of every sample.

    After Bristol's swinging door, made strict: a sample is passed over only while the line from the last point said
    to that very sample stays within the deviation of all between, so that what is said proves what is left out.
    """

    deviation: float
    at_least_every: int | None
    hinge: Point | None = None
    """The last point said."""
    latest: Point | None = None
    doors: Doors = field(default_factory=Doors)

    @property
    def deadline(self) -> int | None:
        """When it has been silent for `at_least_every`."""
        return _end_of_silence(self.hinge, self.at_least_every)

    def sample(self, point: Point, seen: Seen) -> list[Point | Span]:
        """The signal changed: it was as before until its last sample, and is otherwise from this one on."""
        said: list[Point | Span] = []
        before = self.latest
        if before is not None and seen.last is not None and before.at < seen.last < point.at:
            said += self._pass(before._replace(at=seen.last))
        return said + self._pass(point)

    def _pass(self, point: Point) -> list[Point | Span]:
        """What is said because of a sample; the sample itself only where nothing leads to it."""
        hinge, before = self.hinge, self.latest
        if hinge is None or before is None or point.quality != hinge.quality or _number(point) is None:
            unsaid = [before] if before is not None and before != hinge else []
            return [*unsaid, self._say(point)]
        if point.at <= hinge.at:
            return [self._say(point)]
        if self._is_straight(hinge, point):
            return []
        said = self._say(before)
        return [said, *self._pass(point)]

    def _is_straight(self, hinge: Point, point: Point) -> bool:
        """Whether the line to a point stays near all since the hinge; narrows the doors if so."""
        start, value = _number(hinge), _number(point)
        if start is None or value is None:
            return False
        if not self.doors.passes(value - start, self.deviation, point.at - hinge.at):
            return False
        self.latest = point
        return True

    def _say(self, point: Point) -> Point:
        self.hinge = self.latest = point
        self.doors = Doors()
        return point

    def fire(self, at: int, seen: Seen) -> list[Point | Span]:
        """It has been silent for long: what it is now is said."""
        now = _now(self.latest, at, seen)
        said = self._pass(now)
        return said if said and said[-1] == now else [*said, self._say(now)]

    def close(self, at: int, seen: Seen) -> list[Point | Span]:
        """The sample that is not said yet."""
        return [] if self.latest is None or self.latest == self.hinge else [self._say(self.latest)]

    def checkpoint(self) -> dict[str, Any]:
        """The hinge, the doors, and what is known."""
        doors = {"steepest": self.doors.steepest, "flattest": self.doors.flattest}
        return {"hinge": self.hinge, "latest": self.latest, **doors}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.hinge, self.latest = _point(saved["hinge"]), _point(saved["latest"])
        self.doors = Doors(saved["steepest"], saved["flattest"])


@dataclass(slots=True)
class Windows:
    """Figures of every window of `every` milliseconds, which begin at multiples of it in UTC."""

    every: int
    figures: tuple[str, ...]
    time: LineTime
    latest: Point | None = None
    """What is known; `at` is up to when it is summed already."""
    scans: int = 0
    """How many scans of its class are in the sums already."""
    sums: Sums | None = None

    @property
    def deadline(self) -> int | None:
        """The end of the window, where anything is known in it."""
        return None if self.sums is None else self.time.window(self.sums.began, self.every)[1]

    def sample(self, point: Point, seen: Seen) -> list[Point | Span]:
        """The signal changed."""
        self._sum_up(point.at, seen)
        self.latest, self.scans = point, seen.scans
        if self.sums is not None and self.sums.began == point.at:  # what was before held for no moment of this window
            self.sums = None
        if point.value is not None:
            if self.sums is None:
                self.sums = Sums(self.time.window(point.at, self.every)[0])
            self.sums.take(point.value)
        return []

    def _sum_up(self, at: int, seen: Seen) -> None:
        """What is known held until `at`, or as long as it is known."""
        latest, sums = self.latest, self.sums
        if latest is None or sums is None or latest.value is None:
            return
        until = max(latest.at, min(at, seen.until))
        sums.hold(latest.value, until - latest.at, seen.scans - self.scans)
        self.scans = seen.scans
        self.latest = latest._replace(at=at) if until == at else Point(until, None, Quality.BAD)

    def fire(self, at: int, seen: Seen) -> list[Point | Span]:
        """The window ends; the next one begins with what is known, if that is a value."""
        return self._end(at, seen)

    def close(self, at: int, seen: Seen) -> list[Point | Span]:
        """The window ends before its time."""
        return self._end(at, seen) if self.sums is not None and self.sums.began < at else []

    def _end(self, at: int, seen: Seen) -> list[Point | Span]:
        self._sum_up(at, seen)
        sums, self.sums = self.sums, None
        if self.latest is not None and self.latest.value is not None:
            self.sums = Sums(at)
            self.sums.take(self.latest.value)
        if sums is None or not (sums.n or sums.known_ms):
            return []
        mean = None if sums.low is None or not sums.known_ms else sums.weighted / sums.known_ms
        all_figures = {"mean": mean, "min": sums.low, "max": sums.high, "first": sums.first, "last": sums.last}
        chosen = {name: figure for name, figure in all_figures.items() if name in self.figures}
        bad_s = (at - sums.began - sums.known_ms) / 1000
        return [Span(sums.began, at, {"n": sums.n, **chosen, "bad_s": bad_s})]

    def checkpoint(self) -> dict[str, Any]:
        """The window that runs, and what is known."""
        sums = None if self.sums is None else self.sums.saved()
        return {"every": self.every, "scans": self.scans, "latest": self.latest, "sums": sums}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; windows of another length begin anew."""
        self.latest, self.scans = _point(saved["latest"]), saved["scans"]
        if saved["every"] == self.every and saved["sums"] is not None:
            self.sums = Sums(*saved["sums"])


def _point(saved: Any) -> Point | None:
    return None if saved is None else Point(*saved)
