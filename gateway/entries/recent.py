"""One machine's recent stops as it told them, and in which milliseconds of them what of its time lies.

Each is kept as long as a KPI window can still change that has time of it, as a row of its own in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import msgpack

from gateway.checkpoint import pack
from gateway.entries.overlay import SaidStop
from gateway.kpi.tallies import NOT_PLANNED, Judged
from gateway.kpi.window import UNKNOWN, Open
from gateway.states.fold import Stop
from gateway.states.interval import Interval
from gateway.states.stops import ToldStop

MOST_SPANS = 64
"""Spans of one stop; beyond, those of which no window divides the time are summed."""
MOST_STOPS = 5_000
"""Stops that are kept; the oldest of which nothing was said go first."""


class Span(NamedTuple):
    """Time in a stop, in engine milliseconds, and how much of it was planned, and lost: no production, not unknown."""

    began: int
    ended: int
    planned: int
    lost: int

    def within(self, began: int, ended: int) -> tuple[int, int]:
        """Planned and lost milliseconds of what lies in a time."""
        length, shared = self.ended - self.began, max(0, min(ended, self.ended) - max(began, self.began))
        if shared == length:
            return self.planned, self.lost
        before = max(
            0, min(began, self.ended) - self.began
        )  # shares of what is next to each other must sum to the whole
        return _share(self.planned, before, shared, length), _share(self.lost, before, shared, length)


def _share(ms: int, before: int, shared: int, length: int) -> int:
    return ms * (before + shared) // length - ms * before // length


@dataclass(frozen=True, slots=True)
class RecentStop:
    """A stop as the machine told it last."""

    stop: SaidStop
    minor: bool | None
    planned_stop_ms: int
    """Planned stops in it."""
    job: str | None
    product: str | None
    intervals: tuple[int, ...]
    """When its intervals began, as far as the stop names them."""
    spans: tuple[Span, ...]

    def within(self, began: int, ended: int) -> tuple[int, int]:
        """Planned and lost milliseconds of what lies in a time."""
        shares = [span.within(began, ended) for span in self.spans if span.began < ended and span.ended > began]
        return sum(planned for planned, _ in shares), sum(lost for _, lost in shares)

    @property
    def interval_names(self) -> list[str]:
        """Ids of its intervals, as far as the stop names them."""
        machine = self.stop.stop.partition("-stop-")[0]
        return [f"{machine}-{began}" for began in self.intervals]

    def judged(self, now: int, reason: Mapping[str, Any] | None = None) -> Judged:
        """What it counts as: for its own reason, or for another."""
        ended = now if self.stop.ended is None else self.stop.ended
        repair = ended - self.stop.began - self.planned_stop_ms
        return Judged.of(self.stop.kind, reason or self.stop.reason, self.minor, repair)

    @property
    def is_whole(self) -> bool:
        """Whether all of its time is known: it began when this was kept already."""
        return bool(self.spans) and self.spans[0].began == self.stop.began


class RecentStops:
    """Times are engine milliseconds."""

    def __init__(self) -> None:
        self._final: dict[str, tuple[int, int, bytes]] = {}
        """When each began and ended, and its row; in order of time."""
        self._open: dict[str, list[Span]] = {}
        """What is settled of those that are not final."""
        self._dirty: set[str] = set()
        """Those whose rows are to be stored, or to go."""

    def spend(self, interval: Interval, latest: int) -> None:
        """An interval that is final; no window has begun or ended after `latest`."""
        if interval.stop is not None and interval.ended is not None:
            _append(self._open.setdefault(interval.stop, []), _span(interval, interval.ended), latest)
            self._dirty.add(interval.stop)

    def close(self, told: ToldStop) -> None:
        """A stop that is final; one that turned out to have been none is not kept."""
        spans, stop = self._open.pop(told.stop.id, []), told.stop
        if spans and stop.ended is not None and stop.ended > stop.began:
            self._final[stop.id] = stop.began, stop.ended, pack(_plain(_recent(told, spans)))
        if spans:
            self._dirty.add(stop.id)

    def find(self, name: str, unsettled: Open, now: int) -> RecentStop | None:
        """One by its id."""
        if name in self._final:
            return _restored(msgpack.unpackb(self._final[name][2]))
        told = unsettled.stops.get(name)
        if told is None:
            return None
        spans = [*self._open.get(name, [])]
        for interval in unsettled.intervals:
            ended = now if interval.ended is None else interval.ended
            if interval.stop == name and ended > interval.began:
                _append(spans, _span(interval, ended), now)
        return _recent(told, spans)

    def near(self, names: Collection[str], unsettled: Open, now: int) -> list[RecentStop]:
        """Some stops, and the one behind each, in order of time."""
        every, wanted = [*self._final, *unsettled.stops], {*names}
        behind = {name for before, name in pairwise(every) if before in wanted}
        found = (self.find(name, unsettled, now) for name in every if name in wanted or name in behind)
        return sorted((one for one in found if one is not None), key=lambda one: one.stop.began)

    def around(self, moment: int, unsettled: Open, now: int) -> RecentStop | None:
        """The final stop that a moment lies in."""
        found = (name for name, (began, ended, _) in self._final.items() if began <= moment < ended)
        return next((self.find(name, unsettled, now) for name in found), None)

    def __contains__(self, name: str) -> bool:
        return name in self._final

    def forget(self, before: int, said: Iterable[str]) -> None:
        """No window that can change has time before a moment; `said`: stops that something was said of."""
        gone = [name for name, (_, ended, _) in self._final.items() if ended <= before]
        if len(self._final) - len(gone) > MOST_STOPS:
            kept = {*said, *gone}
            gone += [name for name in self._final if name not in kept][: len(self._final) - len(gone) - MOST_STOPS]
        for name in gone:
            del self._final[name]
            self._dirty.add(name)

    def rows(self, *, whole: bool) -> dict[str, bytes]:
        """By id: of those that changed since this was last asked, empty where one is gone; or all."""
        if whole:
            return {name: self._row(name) for name in (*self._final, *self._open)}
        dirty, self._dirty = self._dirty, set()
        return {name: self._row(name) for name in sorted(dirty)}

    def _row(self, name: str) -> bytes:
        if name in self._final:
            return self._final[name][2]
        return pack({"spans": self._open[name]}) if name in self._open else b""

    def restore(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from a checkpoint."""
        self._open = {n: [Span(*span) for span in row["spans"]] for n, row in rows.items() if "stretch" not in row}
        final = [(name, row) for name, row in rows.items() if "stretch" in row]
        kept = sorted(final, key=lambda one: (one[1]["stretch"][0], one[0]))
        self._final = {name: (*row["stretch"], pack(row)) for name, row in kept}


def _span(interval: Interval, ended: int) -> Span:
    category, length = interval.account.category, ended - interval.began
    planned = 0 if category in NOT_PLANNED else length
    return Span(interval.began, ended, planned, 0 if category in ("production", UNKNOWN) else planned)


def _append(spans: list[Span], span: Span, latest: int) -> None:
    """As part of the last one where both are alike, or where there are too many and no window divides their time."""
    last = spans[-1] if spans else None
    if last is not None and last.ended == span.began:
        is_alike = _kind(last) == _kind(span) is not None
        if is_alike or (len(spans) >= MOST_SPANS and last.began >= latest):
            spans[-1] = Span(last.began, span.ended, last.planned + span.planned, last.lost + span.lost)
            return
    spans.append(span)


def _kind(span: Span) -> tuple[bool, bool] | None:
    """Whether all of it is planned, and lost; None where some is."""
    length = span.ended - span.began
    is_pure = span.planned in (0, length) and span.lost in (0, length)
    return (bool(span.planned), bool(span.lost)) if is_pure else None


def said_stop(stop: Stop) -> SaidStop:
    """A stop of the machine's, of which nothing was said yet."""
    stretch = ((stop.began, stop.ended),)
    return SaidStop(stop.id, stop.kind, stop.category, stretch, stop.reason, of=(stop.id,))


def _recent(told: ToldStop, spans: Iterable[Span]) -> RecentStop:
    stop = told.stop
    work = stop.job, stop.product
    return RecentStop(said_stop(stop), told.minor, stop.planned_ms, *work, tuple(stop.intervals), tuple(spans))


def _plain(one: RecentStop) -> dict[str, Any]:
    stop = one.stop
    return {
        "id": stop.stop,
        "kind": stop.kind,
        "category": stop.category,
        "stretch": stop.stretches[0],
        "reason": stop.reason,
        "minor": one.minor,
        "planned_stop": one.planned_stop_ms,
        "work": [one.job, one.product],
        "intervals": one.intervals,
        "spans": one.spans,
    }


def _restored(row: Mapping[str, Any]) -> RecentStop:
    name, (began, ended) = row["id"], row["stretch"]
    stop = SaidStop(name, row["kind"], row["category"], ((began, ended),), row["reason"], of=(name,))
    spans = tuple(Span(*span) for span in row["spans"])
    job, product = row["work"]
    return RecentStop(stop, row["minor"], row["planned_stop"], job, product, tuple(row["intervals"]), spans)
