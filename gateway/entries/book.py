"""One machine's entries, kept as long as a KPI window can change that they touch, and laid over its figures.

What a window sums up to stays what the machine said: entries are laid over a copy when the window is told, so that to
undo one leaves nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._laid: _Laid | None = None
        """Where none of them is open."""
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
        self._standing, self._laid = standing(self.words.values()), None

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
        if not self._standing:
            return None
        merged = {word.other: word.target for word in self._standing if word.what == "merge"}
        chain: list[str | None] = [stop]
        while (before := merged.get(chain[-1])) is not None and before not in chain:
            chain.append(before)
        found = [word.reason for one in chain for word in self._standing if one is not None and _is_of(word, one)]
        return found[-1] if found else None

    def given_interval(self, interval: str) -> Mapping[str, Any] | None:
        """The reason that a person gave for an interval."""
        found = [word.reason for word in self._standing if word.what == "reason" and word.target == interval]
        return found[-1] if found else None

    def adjust(self, window: Window, tallies: Tallies, unsettled: Open, now: int) -> None:
        """Lay what was said over a window's sums as the machine said them."""
        if not self._standing:
            return
        laid = self._lay(unsettled, now)
        until = now if window.ended is None else window.ended
        for told in laid.told.values():
            if window.overlap(told.stop.began, told.stop.ended or now):
                _count(window, tallies, told.judged(now), told.stop, laid, until, -1)
        for stop in laid.said:
            if window.overlap(stop.began, stop.ended or now):
                _count(window, tallies, self._judged(stop, laid, now), stop, laid, until, 1)
        for word in self._standing:
            if word.what == "scrap" and word.amount and window.begins(_moment(word)):
                _scrap(tallies, word.amount, word.product)

    def _lay(self, unsettled: Open, now: int) -> _Laid:
        if self._laid is not None:
            return self._laid
        words = [word for word in self._standing if word.what in OF_STOPS]
        names = dict.fromkeys(root(name) for word in words for name in (word.target, word.other) if name)
        found = [self.stops.find(name, unsettled, now) for name in names]
        told = {one.stop.stop: one for one in found if one is not None and one.is_whole}
        laid = _Laid(told, overlay((one.stop for one in told.values()), words))
        if all(one.stop.ended is not None for one in told.values()):
            self._laid = laid
        return laid

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


def _is_of(word: Word, stop: str) -> bool:
    """Whether it is a reason of a stop, or of its first part."""
    target = word.target or ""
    while target.endswith("/1"):
        target = target.removesuffix("/1")
    return word.what == "reason" and target == stop


def _times(stop: SaidStop, laid: _Laid, began: int, ended: int) -> list[tuple[int, int]]:
    """Planned and lost milliseconds of a stop within a time, stretch by stretch."""
    return [
        laid.told[name].within(max(since, began), ended if until is None else min(until, ended))
        for since, until in stop.stretches
        for name in stop.of
    ]


def _count(
    window: Window, tallies: Tallies, judged: Judged, stop: SaidStop, laid: _Laid, until: int, sign: int
) -> None:
    times = _times(stop, laid, window.began, until)
    planned, lost = sum(one for one, _ in times), sum(one for _, one in times)
    tallies.judge(judged, window.begins(stop.began), planned, lost, sign)


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
