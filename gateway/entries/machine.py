"""What people say of one machine: what they may, what it is about, and what of the machine it touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.config.model import MachineConfig, Reasons
from gateway.entries.book import Book
from gateway.entries.overlay import SaidStop
from gateway.entries.reasons import ReasonList
from gateway.entries.word import Word
from gateway.kpi.window import Open
from gateway.kpi.windows import Windows
from gateway.states.interval import Timeline

COUNTED = {"total", "good", "scrap"}


class MachineEntries:
    """Works on engine time."""

    def __init__(self, book: Book, config: MachineConfig, of_line: Reasons, works: Mapping[str, str]) -> None:
        """`works`: why its job, or its product, cannot be entered; "" where it can."""
        self.book = book
        self.reasons = ReasonList(config, of_line)
        roles = COUNTED & set(() if config.parts is None else config.parts.roles)
        scrap = "nothing counts its parts" if not roles else "" if len(roles) == 1 else "its counters give it"
        self.why_not = {**works, "scrap": scrap}
        """Why a person may not enter something; "" where he may, since no signal gives it."""

    @property
    def enters(self) -> dict[str, bool]:
        """What a person may enter."""
        may = {name: not why for name, why in self.why_not.items()}
        return {"scrap": may["scrap"], "job": may["job"] or may["product"]}

    def take(self, word: Word, timeline: Timeline, windows: Windows, unsettled: Open, now: int) -> None:
        """It stands from now on: what it is about is to be told anew."""
        self.book.add(word)
        windows.touch(*self.book.span(word, unsettled, now))
        for name in (word.target, undone.target if (undone := self.book.undone_by(word)) is not None else None):
            if name is not None:
                timeline.touch(name)


@dataclass(frozen=True, slots=True)
class OfMachine:
    """One machine as it is when an entry is checked."""

    entries: MachineEntries
    windows: Windows
    unsettled: Open
    now: int
    is_line: bool = False

    @property
    def words(self) -> Mapping[str, Word]:
        """Entries that are kept, by id."""
        return self.entries.book.words

    @property
    def reasons(self) -> ReasonList:
        """Those that can be given."""
        return self.entries.reasons

    @property
    def why_not(self) -> Mapping[str, str]:
        """Why a person may not enter something."""
        return self.entries.why_not

    def stops(self, names: Sequence[str]) -> Sequence[SaidStop]:
        """Of some stops, of those that something was said of, and of the one behind each, as people put them."""
        return self.entries.book.put(names, self.unsettled, self.now)

    def has_interval(self, name: str) -> bool:
        """Whether an interval is not final, or of a stop that something can be said about."""
        if any(one.id == name for one in self.unsettled.intervals):
            return True
        began = name.rpartition("-")[2]
        if not (began.isascii() and began.isdecimal()) or len(began) > 15:
            return False
        stop = self.entries.book.stops.around(int(began), self.unsettled, self.now)
        return stop is not None and name in stop.interval_names

    def scrapped_at(self, amount: int) -> int:
        """When scrap was made of which nobody says when: now, or in the hour before, where only that has as much."""
        before = max((one.ended or 0 for one in self.windows.closed if one.kind == "hour"), default=0) - 1
        good, earlier = self.good_at(self.now), self.good_at(before)
        return before if good is not None and good < amount <= (earlier or 0) else self.now

    def good_at(self, moment: int) -> int | None:
        """Good parts of the smallest KPI window around a moment that can still change; None where there is none."""
        sums = [self.windows.sum(window, self.unsettled, self.now) for window in self.windows.around(moment)]
        return min((one.parts.gq for one in sums), default=None)
