"""People who say anything about whatever has been told so far: entries made of a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gateway.events import Event
from gateway.inputs import Entry, Input
from gateway.pipeline import Pipeline

CODES = ["jam", "tools", "17"]


@dataclass(frozen=True)
class Say:
    """Something of the n-th stop, entry or moment; becomes an entry when it is known what there is."""

    what: Any
    one: int
    other: int
    at: int = 0

    def entry(self, number: int, events: Sequence[Event], said: Sequence[Entry], machine: str) -> Entry:
        """Of what has been told, and said, so far; about nothing where there is nothing of the kind."""
        names = ("e", "i") if self.what in ("reason", "note") and self.other % 5 == 0 else ("s",)
        told = [
            event.data["interval" if names[0] == "e" else "stop"]
            for event in events
            if event.subject == machine and event.type == ("machine.state" if names[0] == "e" else "machine.stop")
        ]
        stops = list(dict.fromkeys(told)) or ["nothing"]
        stops += [f"{stop}/{part}" for stop in stops[-2:] for part in (1, 2)]
        entries = [one.entry for one in said] or ["nothing"]
        target = entries[self.one % len(entries)] if self.what == "undo" else stops[-1 - self.one % len(stops)]
        began = int(target.partition("/")[0].rpartition("-")[2]) if target[-1].isdigit() else self.at
        all_more: dict[str, dict[str, Any]] = {
            "reason": {"reason": CODES[self.other % len(CODES)]},
            "note": {"note": "again"},
            "split": {"moment": min(self.at, began + self.other * 977)},
            "merge": {"other": stops[-1 - self.other % len(stops)]},
            "scrap": {"amount": 1 + self.other, "target": None, "moment": self.at - 1000 * self.one},
            "job": {"target": None, "job": "AB"[self.other % 2], "product": ["4711", "4712", None][self.one % 3]},
            "crew": {"target": None, "crew": f"crew {self.one}", "machine": "line"},
        }
        more = all_more.get(self.what, {})
        given: dict[str, Any] = {"machine": machine, "target": target, "who": "anna", **more}
        return Entry(entry=f"{machine}-{self.what}-{number}", what=self.what, at=self.at, **given)


def says(*whats: str) -> st.SearchStrategy[Say]:
    """Anything about anything."""
    return st.builds(Say, st.sampled_from(whats), st.integers(0, 6), st.integers(0, 400))


class Hearing:
    """An engine that is also spoken to; what people say is kept in the order in which they say it."""

    def __init__(self, pipeline: Pipeline, machine: str = "m", *, deaf: bool = False) -> None:
        """`deaf`: all that is said is about a machine that is not there, at the same moments."""
        self.pipeline, self._machine, self._deaf = pipeline, machine, deaf
        self.events = list[Event]()
        self.said = list[Entry]()

    def give(self, one: Input | Say) -> list[Event]:
        """An input, or what somebody says now."""
        if isinstance(one, Say):
            one = one.entry(len(self.said), self.events, self.said, self._machine)
            self.said.append(one)
        return self._process(one)

    def take_back(self, at: int) -> None:
        """All that stands is undone."""
        for number, one in enumerate([*self.said]):
            undo = Entry(entry=f"undo-{number}", what="undo", machine=one.machine, target=one.entry, who="bo", at=at)
            self._process(undo)

    def _process(self, one: Any) -> list[Event]:
        if self._deaf and isinstance(one, Entry):
            one = Entry(entry=one.entry, what="note", machine="gone", note="?", who="?", at=one.at)
        told = self.pipeline.process(one)[0]
        self.events += told
        return told
