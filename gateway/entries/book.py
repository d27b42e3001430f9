"""One machine's entries, kept as long as a KPI window can change that they touch, and laid over its figures.

What a window sums up to stays what the machine said: entries are laid over a copy when the window is told, so that to
undo one leaves nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.checkpoint import pack
from gateway.entries.overlay import SaidStop, overlay, root
from gateway.entries.recent import RecentStop, RecentStops
from gateway.entries.word import Word, standing
from gateway.kpi.tallies import Judged, Output, Tallies
from gateway.kpi.window import Open, Window

OF_STOPS = ("reason", "split", "merge")
"""What changes figures of stops."""


class _Laid(NamedTuple):
    """Stops that something was said of, as the machine told them and as people put them."""

    told: Mapping[str, RecentStop]
    said: Sequence[SaidStop]


NOTHING = _Laid({}, ())
Counted = tuple[Judged, int, int, int, int]
"""What `Tallies.judge` takes."""


class Book:
    """Times are engine milliseconds."""

    def __init__(self, short_stop: int) -> None:
        """`short_stop`: an own stop that is shorter is minor."""
        self._short = short_stop
        self.words: dict[str, Word] = {}
        """By id, in the order in which they were given."""
        self.stops = RecentStops()
        self._numbers: dict[str, int] = {}
        """In which order they were given."""
        self._number = 0
        self._standing: list[Word] = []
        self._merged: dict[str, str] = {}
        self._reasons: dict[str, Mapping[str, Any] | None] = {}
        """By stop or interval."""
        self._settled: _Laid | None = None
        """Stops that something was said of and that are final."""
        self._live: list[str] = []
        """Those that are not, or are one with such a stop."""
        self._counted: dict[tuple[str, int | None], list[Counted]] = {}
        """What the settled ones come to, by window."""
        self._dirty: dict[str, bytes] = {}

    def add(self, word: Word) -> None:
        """Somebody said something."""
        self._number += 1
        self.words[word.entry], self._numbers[word.entry] = word, self._number
        self._dirty[word.entry] = self._row(word)
        self._follow()

    def _row(self, word: Word) -> bytes:
        return pack({**word.checkpoint(), "number": self._numbers[word.entry]})

    def _follow(self) -> None:
        self._standing, self._settled = standing(self.words.values()), None
        self._merged = {word.other: word.target or "" for word in self._standing if word.what == "merge" and word.other}
        self._reasons = {_first(word.target or ""): word.reason for word in self._standing if word.what == "reason"}

    @property
    def said(self) -> Sequence[Word]:
        """What stands."""
        return self._standing

    def undone_by(self, word: Word) -> Word | None:
        """What an undo takes back."""
        return self.words.get(word.target or "") if word.what == "undo" else None

    def span(self, word: Word, unsettled: Open, now: int) -> tuple[int, int]:
        """From when until when figures are others by what was said; of an undo, by what it takes back."""
        if word.what == "undo":
            undone = self.undone_by(word)
            return (now, now) if undone is None or undone.what == "undo" else self.span(undone, unsettled, now)
        if word.what in OF_STOPS:
            found = [self.stops.find(root(name), unsettled, now) for name in (word.target, word.other) if name]
            spans = [(one.stop.began, one.stop.ended or now) for one in found if one is not None]
            if spans:
                return min(began for began, _ in spans), max(ended for _, ended in spans)
        moment = word.at if word.moment is None else word.moment
        return moment, moment + 1

    def given(self, stop: str) -> Mapping[str, Any] | None:
        """The reason that a person gave for a stop of the machine's; of one that was split, for its first part."""
        found, seen = self._reasons.get(stop), {stop}
        while (before := self._merged.get(stop)) is not None and before not in seen:
            seen.add(before)
            stop = before
            found = self._reasons.get(_first(stop)) or found
        return found

    def given_interval(self, interval: str) -> Mapping[str, Any] | None:
        """The reason that a person gave for an interval."""
        return self._reasons.get(interval)

    def put(self, names: Collection[str], unsettled: Open, now: int) -> list[SaidStop]:
        """Of some stops, of those that something was said of, and of the one behind each, as people put them."""
        near = self.stops.near({*names, *self._roots()}, unsettled, now)
        return overlay((one.stop for one in near if one.is_whole), self._standing)

    def _roots(self) -> dict[str, None]:
        """Stops whose figures are others by what was said."""
        words = [word for word in self._standing if word.what in OF_STOPS]
        return dict.fromkeys(root(name) for word in words for name in (word.target, word.other) if name)

    def adjust(self, window: Window, tallies: Tallies, unsettled: Open, now: int) -> None:
        """Lay what was said over a window's sums as the machine said them."""
        if not self._standing:
            return
        if self._settled is None:
            self._settle(unsettled, now)
        assert self._settled is not None
        key = (window.id, window.ended)
        if key not in self._counted:
            self._counted[key] = self._count(window, self._settled, now)
        live = self._lay(self._live, unsettled, now) if self._live else NOTHING
        for counted in (*self._counted[key], *(self._count(window, live, now) if live.told else ())):
            tallies.judge(*counted)
        for word in self._standing:
            if word.what == "scrap" and word.amount and window.begins(_moment(word)):
                _scrap(tallies, word.amount, word.product)

    def _settle(self, unsettled: Open, now: int) -> None:
        """Stops that only what is said can change are laid once; those that are one with an open one are not."""
        roots = [*self._roots()]
        live = {name for name in roots if name not in self.stops}
        merged = [{root(one.target or ""), root(one.other or "")} for one in self._standing if one.what == "merge"]
        while joined := [pair for pair in merged if pair & live and pair - live]:
            live = live.union(*joined)
        self._live = [name for name in roots if name in live]
        self._settled, self._counted = self._lay([name for name in roots if name not in live], unsettled, now), {}

    def _lay(self, names: Iterable[str], unsettled: Open, now: int) -> _Laid:
        found = (self.stops.find(name, unsettled, now) for name in names)
        told = {one.stop.stop: one for one in found if one is not None and one.is_whole}
        return _Laid(told, overlay((one.stop for one in told.values()), self._standing))

    def _count(self, window: Window, laid: _Laid, now: int) -> list[Counted]:
        """What of the stops is in a window: taken out as the machine told them, put back as people put them."""
        stops = [(told.stop, told.judged(now), -1) for told in laid.told.values() if _is_in(told.stop, window, now)]
        stops += [(stop, self._judged(stop, laid, now), 1) for stop in laid.said if _is_in(stop, window, now)]
        found, until = list[Counted](), now if window.ended is None else window.ended
        for stop, judged, sign in stops:
            times = _times(stop, laid, window.began, until)
            planned, lost = sum(one for one, _ in times), sum(one for _, one in times)
            found.append((judged, window.begins(stop.began), planned, lost, sign))
        return found

    def _judged(self, stop: SaidStop, laid: _Laid, now: int) -> Judged:
        """What a stop counts as: by its own length where people said that it was another."""
        told = laid.told[stop.of[0]]
        if stop.stretches == told.stop.stretches:
            return told.judged(now, stop.reason)
        minor = stop.is_minor(self._short, now)
        repair = sum(planned for planned, _ in _times(stop, laid, stop.began, stop.ended or now))
        return Judged.of(stop.kind, stop.reason, minor, repair)

    def forget(self, before: int, unsettled: Open) -> None:
        """No window that can change has time before a moment."""
        said = {root(name) for word in self._standing for name in (word.target, word.other) if name}
        self.stops.forget(before, said)
        for word in [*self.words.values()]:
            target = root(word.target or "")
            is_kept = target in self.words or target in self.stops or target in unsettled.stops
            if not is_kept and max(word.at, _moment(word)) < before:
                del self.words[word.entry], self._numbers[word.entry]
                self._dirty[word.entry] = b""
        self._follow()

    def rows(self, *, whole: bool) -> dict[str, bytes]:
        """Of entries by id: those that changed since this was last asked, empty where one is gone; or all."""
        if whole:
            return {name: self._row(word) for name, word in self.words.items()}
        dirty, self._dirty = self._dirty, {}
        return dirty

    def restore(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Go on from a checkpoint."""
        ordered = sorted(rows.values(), key=lambda row: int(row["number"]))
        self.words = {row["entry"]: Word.restored(row) for row in ordered}
        self._numbers = {row["entry"]: row["number"] for row in ordered}
        self._number = ordered[-1]["number"] if ordered else 0
        self._follow()


def _moment(word: Word) -> int:
    return word.at if word.moment is None else word.moment


def _first(target: str) -> str:
    """The stop of a first part, which what is said of that is said of."""
    while target.endswith("/1"):
        target = target.removesuffix("/1")
    return target


def _times(stop: SaidStop, laid: _Laid, began: int, ended: int) -> list[tuple[int, int]]:
    """Planned and lost milliseconds of a stop within a time, stretch by stretch."""
    return [
        laid.told[name].within(max(since, began), ended if until is None else min(until, ended))
        for since, until in stop.stretches
        for name in stop.of
    ]


def _is_in(stop: SaidStop, window: Window, now: int) -> bool:
    return window.overlap(stop.began, stop.ended or now) > 0


def _scrap(tallies: Tallies, amount: int, product: str | None) -> None:
    """Good parts that were none, of one product first; never more than were counted."""
    tallies.counts_scrap = True
    first = tallies.products.get(product or "")
    rest = sorted(tallies.products.values(), key=lambda one: -one.gq)
    for output in [*([] if first is None else [first]), *rest]:
        amount -= _reject(output, min(amount, output.gq))


def _reject(output: Output, parts: int) -> int:
    if parts <= 0:
        return 0
    ns = output.good_ns * parts // output.gq
    output.gq -= parts
    output.sq += parts
    output.good_ns -= ns
    output.scrap_ns += ns
    return parts
