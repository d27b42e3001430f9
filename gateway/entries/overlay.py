"""Stops as people put them: with their reasons and notes, split where they were two, merged where they were one.

Pure, and the same for the engine's figures and for what is shown: entries are laid over the stops that the machine
told, in the order in which they were given, and those that were taken back are left out. A part has the id of its stop
with `/1` or `/2` behind it, and can be split again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.entries.word import Word, standing

Stretch = tuple[int, int | None]
"""From when until when, in milliseconds; None while it goes on."""


@dataclass(frozen=True, slots=True)
class SaidStop:
    """A stop, a part of one, or several as one."""

    stop: str
    kind: str
    category: str
    stretches: tuple[Stretch, ...]
    """When it was: one, or several of a merged stop, in order."""
    reason: Mapping[str, Any] | None = None
    note: str | None = None
    entries: tuple[str, ...] = ()
    """Ids of what was said of it, in the order in which it was said."""
    of: tuple[str, ...] = ()
    """The machine's own stops whose time it has."""

    @property
    def began(self) -> int:
        """When it began."""
        return self.stretches[0][0]

    @property
    def ended(self) -> int | None:
        """When it ended, None while it goes on."""
        return self.stretches[-1][1]

    def length(self, now: int) -> int:
        """Milliseconds; of a merged stop without what lies between, which was no stop."""
        return sum((now if ended is None else ended) - began for began, ended in self.stretches)

    def is_minor(self, short_stop: int, now: int) -> bool | None:
        """Whether it is a minor stop: own, and shorter than `short_stop`; None while it can still be one."""
        if self.kind != "own" or self.length(now) >= short_stop:
            return False
        return None if self.ended is None else True

    def is_failure(self, minor: bool | None) -> bool | None:
        """Whether it counts as one for MTBF and MTTR; None while that is not known."""
        if self.kind != "own" or minor is None:
            return None if self.kind == "own" else False
        return not minor and (self.reason is None or bool(self.reason.get("failure", True)))


def overlay(stops: Iterable[SaidStop], words: Iterable[Word]) -> list[SaidStop]:
    """The stops in order of time, with all that was said of them. What was said of others changes nothing."""
    laid = {one.stop: one for one in stops}
    for word in standing(words):
        if word.target is None or (stop := laid.get(word.target)) is None:
            continue
        entries = (*stop.entries, word.entry)
        if word.what == "reason":
            laid[stop.stop] = replace(stop, reason=word.reason, note=word.note or stop.note, entries=entries)
        elif word.what == "note":
            laid[stop.stop] = replace(stop, note=word.note, entries=entries)
        elif word.what == "split" and word.moment is not None:
            if (parts := divided(replace(stop, entries=entries), word.moment)) is not None:
                del laid[stop.stop]
                laid |= {one.stop: one for one in parts}
        elif word.what == "merge" and (other := laid.get(word.other or "")) is not None and other.began > stop.began:
            del laid[other.stop]
            laid[stop.stop] = _merged(replace(stop, entries=entries), other)
    return sorted(laid.values(), key=lambda one: (one.began, one.stop))


def divided(stop: SaidStop, moment: int) -> tuple[SaidStop, SaidStop] | None:
    """A stop as two, of which the second begins at `moment`; None where that is not within it."""
    before = [(began, _earlier(ended, moment)) for began, ended in stop.stretches if began < moment]
    behind = [(max(began, moment), ended) for began, ended in stop.stretches if ended is None or ended > moment]
    if not before or not behind:
        return None
    first = replace(stop, stop=f"{stop.stop}/1", stretches=tuple(before))
    return first, replace(stop, stop=f"{stop.stop}/2", stretches=tuple(behind))


def _earlier(ended: int | None, moment: int) -> int:
    return moment if ended is None else min(ended, moment)


def _merged(stop: SaidStop, other: SaidStop) -> SaidStop:
    """Two as one, of the first one's kind and, where it has any, with its reason."""
    stretches = list[Stretch]()
    for began, ended in (*stop.stretches, *other.stretches):
        if stretches and stretches[-1][1] == began:
            stretches[-1] = (stretches[-1][0], ended)
        else:
            stretches.append((began, ended))
    return replace(
        stop,
        stretches=tuple(stretches),
        reason=other.reason if stop.reason is None else stop.reason,
        note=other.note if stop.note is None else stop.note,
        entries=(*stop.entries, *other.entries),
        of=tuple(dict.fromkeys((*stop.of, *other.of))),
    )


def root(name: str) -> str:
    """The machine's own stop that a stop or a part of one is of."""
    return name.partition("/")[0]


def follows(stops: Sequence[SaidStop], name: str) -> SaidStop | None:
    """The stop behind another, where they are in order of time."""
    names = [one.stop for one in stops]
    index = names.index(name) + 1
    return stops[index] if index < len(stops) else None
