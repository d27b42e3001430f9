"""Whether what a person says can be so: refused in words before anything of it is decided or stored.

Errors:

    Refused     an entry that cannot be; `kind` says in which way
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol
from unicodedata import category

from gateway.config.nearest import did_you_mean, nearest
from gateway.entries.overlay import SaidStop, divided, follows, root
from gateway.entries.reasons import ReasonList
from gateway.entries.word import WHATS, Word
from gateway.inputs import Entry

MOST_WORDS = 2_000
"""Entries of one machine that are kept at a time."""
LONGEST_NOTE = 1_000
LONGEST = {
    "who": 100,
    "crew": 100,
    "job": 100,
    "product": 100,
    "reason": 100,
    "entry": 300,
    "target": 300,
    "other": 300,
}
"""Characters."""
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What turns the direction of text behind it: it can make a text look like another."""
MOST_SCRAP = 10_000_000
MOST_TARGET = 1_000_000_000
LATEST_MS = 253_402_300_799_000
"""The end of the year 9999, as late as a text can say."""
KINDS = ("own", "external", "setup", "unknown", "idle")


class Refused(Exception):
    """It cannot be; says why and what to do."""

    def __init__(self, kind: Literal["unknown", "conflict", "wrong"], why: str, remedy: str) -> None:
        """`kind`: what it is about is not there, stands against what is known, or the entry itself is none."""
        super().__init__(why)
        self.kind, self.why, self.remedy = kind, why, remedy


class About(Protocol):
    """What a machine, or the line, knows of what an entry can be about."""

    @property
    def words(self) -> Mapping[str, Word]:
        """Entries that are kept, by id."""

    @property
    def reasons(self) -> ReasonList:
        """Those that can be given."""

    @property
    def is_line(self) -> bool:
        """Whether it is the line."""

    @property
    def why_not(self) -> Mapping[str, str]:
        """Why a person may not enter scrap, job or product; "" where he may, since no signal gives it."""

    def stops(self, names: Sequence[str]) -> Sequence[SaidStop]:
        """Of some stops, of those that something was said of, and of the one behind each, as people put them."""

    def has_interval(self, name: str) -> bool:
        """Whether an interval is one of them, or of such a stop."""

    def scrapped_at(self, amount: int) -> int:
        """When scrap was made of which nobody says when."""

    def good_at(self, moment: int) -> int | None:
        """Good parts of the smallest KPI window around a moment that can still change; None where there is none."""


def check(entry: Entry, about: About) -> None:
    """Raises Refused."""
    _texts(entry)
    if entry.entry in about.words:
        raise Refused("conflict", f"the entry {entry.entry} was made already", "give each entry an id of its own")
    if len(about.words) >= MOST_WORDS and entry.what != "undo":
        words = f"{MOST_WORDS:,} entries of {entry.machine} are kept already"
        raise Refused("conflict", words, "wait until the KPI windows of the oldest are frozen (`kpi: freeze`)")
    if about.is_line and entry.what not in ("crew", "job", "note", "undo"):
        raise Refused("wrong", f"a {entry.what} is of one machine, not of the line", "name the machine")
    if entry.what in ("reason", "scrap"):
        _reason(entry, about)
    _CHECKS[entry.what](entry, about)


def _texts(entry: Entry) -> None:
    if entry.what not in WHATS:
        raise Refused("wrong", f"{entry.what} is nothing that can be entered", f"one of: {', '.join(WHATS)}")
    if not entry.who.strip():
        raise Refused("wrong", "nobody says it", "give `who`, a name")
    for name, most in {**LONGEST, "note": LONGEST_NOTE}.items():
        text = getattr(entry, name)
        if text is None:
            continue
        if len(text) > most:
            raise Refused("wrong", f"{name} has {len(text):,} characters", f"write at most {most:,}")
        if any((category(one) in ("Cc", "Cs") and one not in "\n\t") or one in TURNING for one in text):
            raise Refused("wrong", f"{name} has control characters", "write plain text")
        if "\n" in text and name != "note":
            raise Refused("wrong", f"{name} has more than one line", "write it on one line")


def _reason(entry: Entry, about: About) -> None:
    if entry.reason is None:
        if entry.what == "reason":
            raise Refused("wrong", "no reason is given", "choose one of the machine's reasons")
        return
    if entry.reason not in about.reasons:
        codes = about.reasons.codes
        hint = did_you_mean(nearest(entry.reason, codes))
        remedy = f"choose one of {len(codes)} that are configured" if codes else "list some under `reasons`"
        raise Refused("wrong", f"{entry.reason} is no reason of {entry.machine}{hint}", remedy)


def _target(entry: Entry, about: About, name: str | None) -> SaidStop:
    """The stop, or part of one, that a name means as people put stops so far."""
    if not name:
        raise Refused("wrong", f"a {entry.what} is of a stop, and none is named", "give the stop's id")
    stops = about.stops([root(name)])
    found = next((one for one in stops if one.stop == name), None)
    if found is not None:
        return found
    own = next((one for one in stops if root(name) in one.of), None)
    if own is not None:
        words = f"the stop {name} was split or merged: there is {own.stop} now"
        raise Refused("conflict", words, "name that, or undo what was said before")
    words = f"{entry.machine} has no stop {name} that can still change"
    raise Refused("unknown", words, "name a stop whose KPI windows are not frozen; see /api/stops")


def _given(entry: Entry, about: About) -> None:
    """A reason or a note, of a stop or an interval; a note may be of the machine alone."""
    if entry.what == "note" and not (entry.note or "").strip():
        raise Refused("wrong", "the note is empty", "write something, or undo the note before")
    if (entry.target is None and entry.what == "note") or (entry.target and about.has_interval(entry.target)):
        return
    _target(entry, about, entry.target)


def _split(entry: Entry, about: About) -> None:
    stop = _target(entry, about, entry.target)
    if entry.moment is None:
        raise Refused("wrong", "no moment is given at which it is split", "give `at`, a time within the stop")
    if entry.moment >= entry.at or divided(stop, entry.moment) is None:
        raise Refused(
            "wrong", f"that moment is not within the stop {stop.stop}", "give a time between its begin and end"
        )


def _merge(entry: Entry, about: About) -> None:
    stop, other = _target(entry, about, entry.target), _target(entry, about, entry.other)
    behind = follows(about.stops([*stop.of, *other.of]), stop.stop)
    if behind is None or behind.stop != other.stop:
        after = "nothing" if behind is None else behind.stop
        words = f"{other.stop} does not follow {stop.stop}: that is followed by {after}"
        raise Refused("wrong", words, "merge a stop with the next one of the same machine")


def _scrap(entry: Entry, about: About) -> None:
    _enters("scrap", entry, about)
    if type(entry.amount) is not int or not 1 <= entry.amount <= MOST_SCRAP:
        raise Refused("wrong", "the amount is no number of parts", f"give a whole number from 1 to {MOST_SCRAP:,}")
    moment = about.scrapped_at(entry.amount) if entry.moment is None else entry.moment
    if moment > entry.at:
        raise Refused("wrong", "the scrap was made in the future", "give a time that has been, or none for now")
    good = about.good_at(moment)
    if good is None:
        raise Refused(
            "unknown", "no KPI window around that time can still change", "give a later time, or none for now"
        )
    if entry.amount > good:
        words = f"only {good:,} good parts were counted in the hour (or shift, or job) around that time"
        raise Refused("wrong", words, "give `at`, the time when the scrap was made, and for each hour its own")


def _job(entry: Entry, about: About) -> None:
    more = {"target": entry.job_target, "due": entry.job_due}
    wanted = [name for name, value in more.items() if value is not None]
    if entry.job is None and not entry.product and not wanted:
        words = "give one of them, an empty job where there is none any more, or undo the entry before"
        raise Refused("wrong", "neither a job nor a product is given", words)
    if wanted and not about.is_line:
        raise Refused("wrong", f"a {wanted[0]} is of the line's job", "name `line` as the machine")
    if wanted and entry.job == "":
        raise Refused("wrong", f"there is no job that a {wanted[0]} could be of", "name the job, or leave that out")
    if entry.job_target is not None and not 1 <= entry.job_target <= MOST_TARGET:
        raise Refused("wrong", "the target is no number of parts", f"give a whole number from 1 to {MOST_TARGET:,}")
    if entry.job_due is not None and not entry.at < entry.job_due <= LATEST_MS:
        raise Refused("wrong", "the job is due at a time that has been, or never comes", "give one that is to come")
    for name in ("job", "product"):
        if getattr(entry, name) is not None:
            _enters(name, entry, about)
    for name in wanted:
        _enters(name, entry, about)


def _enters(name: str, entry: Entry, about: About) -> None:
    if why := about.why_not[name]:
        words = "leave it to the signal; what no signal gives can be entered"
        raise Refused("conflict", f"the {name} of {entry.machine} cannot be entered: {why}", words)


def _crew(entry: Entry, about: About) -> None:
    if not about.is_line:
        raise Refused("wrong", "a crew is of the line", "name `line` as the machine")
    if entry.crew is None or not entry.crew.strip():
        raise Refused("wrong", "no crew is named", "give `crew`, or undo the entry before")


def _undo(entry: Entry, about: About) -> None:
    word = about.words.get(entry.target or "")
    if word is None:
        words = f"there is no entry {entry.target} of {entry.machine} that can still be taken back"
        raise Refused("unknown", words, "name an entry whose KPI windows are not frozen")
    if word.what == "undo":
        raise Refused("conflict", "what takes an entry back is not taken back", "enter again what was undone")
    if any(one.what == "undo" and one.target == word.entry for one in about.words.values()):
        raise Refused("conflict", f"the entry {word.entry} was taken back already", "nothing is left to do")


_CHECKS = {
    "reason": _given,
    "note": _given,
    "split": _split,
    "merge": _merge,
    "scrap": _scrap,
    "job": _job,
    "crew": _crew,
    "undo": _undo,
}
