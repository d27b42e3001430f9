"""How what a replay says differs from what was sent: time by category, stops, parts, KPIs, and where states differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.replay.sent import Standing, names, utc_ms

NOTHING = "not told"
FIGURES = (
    "oee", "availability", "effectiveness", "quality", "oee_low", "oee_high", "coverage", "apt_s", "pbt_s", "run_s",
    "unknown_s", "pq", "gq", "sq", "failures", "downtime_rate",
)  # fmt: skip
"""Of each KPI window."""
STOP_KINDS = ("minor stops", "downtimes", "external", "setup", "unknown", "idle")


class Pair(NamedTuple):
    """One figure as it was sent and as it is replayed; None where a side does not have it."""

    sent: float | None
    replayed: float | None

    @property
    def differs(self) -> bool:
        """Whether it is another."""
        return self.sent != self.replayed

    @property
    def difference(self) -> float | None:
        """Replayed less sent."""
        return None if self.sent is None or self.replayed is None else self.replayed - self.sent


class Told(NamedTuple):
    """What is said of an instant."""

    state: str
    category: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.state} ({self.category}{f', {self.reason}' if self.reason else ''})"


SILENT = Told(NOTHING, NOTHING, None)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch, in UTC milliseconds, of which both sides say different things."""

    began: int
    ended: int
    sent: Told
    replayed: Told


@dataclass(frozen=True, slots=True)
class Window:
    """One KPI window."""

    kind: str
    began: str
    ended: str
    figures: dict[str, Pair]


@dataclass(frozen=True, slots=True)
class Difference:
    """One machine, or the line. Durations are seconds."""

    name: str
    categories: dict[str, Pair]
    stops: dict[str, Pair]
    """How many, by kind."""
    stopped: dict[str, Pair]
    """How long, likewise."""
    counts: dict[str, Pair]
    windows: list[Window]
    states: list[Span]
    """Longest first."""

    @property
    def is_none(self) -> bool:
        """Whether both sides say the same."""
        pairs = [*self.categories.values(), *self.stops.values(), *self.stopped.values(), *self.counts.values()]
        pairs += [pair for window in self.windows for pair in window.figures.values()]
        return not self.states and not any(pair.differs for pair in pairs)


def compare(sent: Standing, replayed: Standing, machines: Sequence[str]) -> list[Difference]:
    """Both sides over the same time, machine by machine, `machines` first."""
    return [_compare(name, sent, replayed) for name in names((sent, replayed), machines)]


def _compare(name: str, sent: Standing, replayed: Standing) -> Difference:
    sides = sent, replayed
    timelines = [_timeline(side, name) for side in sides]
    stops = [_stops(side, name) for side in sides]
    return Difference(
        name,
        _pairs(*(_categories(timeline) for timeline in timelines)),
        _pairs(*({kind: float(len(lengths)) for kind, lengths in found.items()} for found in stops)),
        _pairs(*({kind: sum(lengths) / 1000 for kind, lengths in found.items()} for found in stops)),
        _pairs(*({key: float(n) for key, n in side.made(name).items()} for side in sides)),
        _windows(name, sent, replayed),
        _differing(*timelines),
    )


def _pairs(sent: dict[str, float], replayed: dict[str, float]) -> dict[str, Pair]:
    keys = dict.fromkeys([*sent, *replayed])
    return {key: Pair(sent.get(key, 0.0), replayed.get(key, 0.0)) for key in keys}


def _timeline(side: Standing, name: str) -> list[tuple[int, int, Told]]:
    """What a machine is said to have been, as stretches that tile the time."""
    at, until = side.began, side.ended or side.began
    tiles: list[tuple[int, int, Told]] = []
    for data in side.of("machine.state", name):
        began = max(at, utc_ms(data["began"]))
        ended = until if data["ended"] is None else min(until, utc_ms(data["ended"]))
        if ended <= began:
            continue
        if began > at:
            tiles.append((at, began, SILENT))
        reason = data["reason"]
        words = None if reason is None else str(reason["text"] or reason["code"])
        tiles.append((began, ended, Told(data["state"], data["category"], words)))
        at = ended
    return tiles if at >= until else [*tiles, (at, until, SILENT)]


def _categories(timeline: list[tuple[int, int, Told]]) -> dict[str, float]:
    sums: dict[str, int] = {}
    for began, ended, told in timeline:
        sums[told.category] = sums.get(told.category, 0) + ended - began
    return {category: ms / 1000 for category, ms in sorted(sums.items())}


def _stops(side: Standing, name: str) -> dict[str, list[int]]:
    """Milliseconds within the time of each stop, by kind; own ones as minor stops and downtimes."""
    found: dict[str, list[int]] = {}
    for data in side.of("machine.stop", name):
        began, ended = utc_ms(data["began"]), side.ended if data["ended"] is None else utc_ms(data["ended"])
        if ended is None or ended == began:
            continue  # it turned out to have been none
        kind = data["kind"]
        if kind == "own":
            kind = "minor stops" if data["minor"] else "downtimes"
        inside = min(ended, side.ended or ended) - max(began, side.began)
        found.setdefault(kind, []).append(max(0, inside))
    return {kind: found[kind] for kind in (*STOP_KINDS, *sorted(found.keys() - set(STOP_KINDS))) if kind in found}


def _windows(name: str, sent: Standing, replayed: Standing) -> list[Window]:
    sides = [
        {(data["window"], data["began"]): data for kind in ("machine.kpi", "line.kpi") for data in side.of(kind, name)}
        for side in (sent, replayed)
    ]
    windows = []
    for key in sorted({*sides[0], *sides[1]}, key=lambda key: (key[1], key[0])):
        before, after = (side.get(key, {}) for side in sides)
        figures = {figure: Pair(before.get(figure), after.get(figure)) for figure in FIGURES}
        ended = (after or before)["ended"]
        windows.append(Window(key[0], key[1], ended, figures))
    return windows


def _differing(sent: list[tuple[int, int, Told]], replayed: list[tuple[int, int, Told]]) -> list[Span]:
    """Both timelines tile the same time."""
    spans: list[Span] = []
    left, right = iter(sent), iter(replayed)
    one, other = next(left, None), next(right, None)
    while one is not None and other is not None:
        began, ended = max(one[0], other[0]), min(one[1], other[1])
        if one[2] != other[2]:
            before = spans[-1] if spans else None
            if before is not None and (before.ended, before.sent, before.replayed) == (began, one[2], other[2]):
                spans[-1] = Span(before.began, ended, one[2], other[2])
            else:
                spans.append(Span(began, ended, one[2], other[2]))
        if one[1] == ended:
            one = next(left, None)
        if other[1] == ended:
            other = next(right, None)
    return sorted(spans, key=lambda span: span.began - span.ended)


def plain(differences: Sequence[Difference], began: str, ended: str) -> dict[str, Any]:
    """Plain values, for `--json`."""

    def pairs(of: dict[str, Pair]) -> dict[str, dict[str, float | None]]:
        return {key: {"sent": pair.sent, "replayed": pair.replayed} for key, pair in of.items()}

    return {
        "began": began,
        "ended": ended,
        "same": all(one.is_none for one in differences),
        "machines": {
            one.name: {
                "same": one.is_none,
                "categories": pairs(one.categories),
                "stops": pairs(one.stops),
                "stopped_s": pairs(one.stopped),
                "counts": pairs(one.counts),
                "kpi": [
                    {"window": window.kind, "began": window.began, "ended": window.ended, **pairs(window.figures)}
                    for window in one.windows
                ],
                "states": [
                    {
                        "began_ms": span.began,
                        "ended_ms": span.ended,
                        "sent": span.sent._asdict(),
                        "replayed": span.replayed._asdict(),
                    }
                    for span in one.states
                ],
            }
            for one in differences
        },
    }
