"""What people say of the line and its machines: who is meant, what is told, and which crew works."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.config.model import Config
from gateway.entries.book import Book
from gateway.entries.check import Refused, check
from gateway.entries.overlay import SaidStop
from gateway.entries.reasons import ReasonList
from gateway.entries.word import Word
from gateway.events import Event, rfc3339
from gateway.inputs import Entry
from gateway.kpi.line import LINE
from gateway.kpi.window import Open
from gateway.machine import Machine
from gateway.tell import Teller
from gateway.work.jobs import Jobs
from protocols.model import Value

ENTRY_ROW, STOP_ROW = "entry/", "stop/"
NOTHING = Open((), {})


class LineEntries:
    """Works on engine time."""

    is_line = True

    def __init__(self, config: Config, machines: Sequence[Machine], jobs: Jobs, teller: Teller) -> None:
        """`teller` is the line's."""
        self._jobs = jobs
        self._machines = {machine.name: machine for machine in machines}
        self._teller = teller
        for machine in machines:
            machine.windows.crew_of = self._crew_of
        self._book = Book(0)
        self.reasons = ReasonList(None, config.reasons)
        self.why_not = {"scrap": "it is of one machine", **why_not(config)}

    @property
    def words(self) -> Mapping[str, Word]:
        """Entries about the line that are kept, by id."""
        return self._book.words

    def stops(self, _names: Sequence[str]) -> Sequence[SaidStop]:
        """The line has none of its own."""
        return ()

    def has_interval(self, _name: str) -> bool:
        """The line has none of its own."""
        return False

    def scrapped_at(self, _amount: int) -> int:
        """The line has no counters of its own."""
        return 0

    def good_at(self, _moment: int) -> int | None:
        """The line has no counters of its own."""
        return None

    def check(self, entry: Entry) -> None:
        """Whether it can be, now. Raises Refused."""
        if entry.machine == LINE:
            check(entry, self)
            is_of_now = entry.what == "job" and entry.job is None and not entry.product
            if is_of_now and not self._jobs.has_one:
                raise Refused("conflict", "the line has no job that a target could be of", "name the job with it")
            return
        machine = self._machines.get(entry.machine)
        if machine is None:
            names = ", ".join((*self._machines, LINE))
            raise Refused("unknown", f"{entry.machine} is no machine of this line", f"machines are: {names}")
        check(entry, machine.asked(entry.at))

    def find(self, name: str) -> Word | None:
        """An entry that is kept, by its id."""
        books = (self._book, *(machine.entries.book for machine in self._machines.values()))
        return next((book.words[name] for book in books if name in book.words), None)

    def ending(self, machine: str, end: str) -> Word | None:
        """An entry about a machine, or the line, that is kept, by the end of its id."""
        known = self._machines.get(machine)
        book = self._book if known is None else known.entries.book
        return next((word for name, word in book.words.items() if name.endswith(end)), None)

    def reasons_of(self, machine: str) -> list[Mapping[str, Any]]:
        """What an operator may choose from for a machine, or for the line."""
        return (self if machine == LINE else self._machines[machine].entries).reasons.listed()

    def take(self, entry: Entry, values: Mapping[str, Value]) -> list[Event]:
        """What there is to tell; nothing of what the line does not have. `values` are the signals'."""
        machine = self._machines.get(entry.machine)
        if machine is not None:
            return self._of_machine(machine, entry, values)
        return self._of_line(word_of(entry, self.reasons), values) if entry.machine == LINE else []

    def _of_machine(self, machine: Machine, entry: Entry, values: Mapping[str, Value]) -> list[Event]:
        word = word_of(entry, machine.entries.reasons, machine.task.product)
        if word.what == "scrap" and word.moment is None:
            moment = machine.asked(word.at).scrapped_at(word.amount or 0)
            word = word if moment == word.at else replace(word, moment=moment)
        undone = machine.entries.book.undone_by(word)
        said, sign = (word, 1) if undone is None else (undone, -1)
        if said.what == "scrap" and (undone is None or undone in machine.entries.book.said):
            self._jobs.reject(machine.name, sign * (said.amount or 0), said.at if said.moment is None else said.moment)
        events = [said_event(word, machine.name, machine.teller)]
        if self._is_work(word, machine.entries.book):
            events += machine.work(word, values, of_line=False)
        return events + machine.hear(word)

    def _of_line(self, word: Word, values: Mapping[str, Value]) -> list[Event]:
        events = [said_event(word, LINE, self._teller)]
        if self._is_work(word, self._book):
            for one in self._machines.values():
                events += one.work(word, values, of_line=True)
        oldest = [began for one in self._machines.values() if (began := one.windows.oldest) is not None]
        self._book.forget(min(oldest, default=word.at), NOTHING)
        self._book.add(word)
        said = self._book.undone_by(word) or word
        if said.what == "job":
            self._jobs.want([one for one in self._book.said if one.what == "job"])
        for one in self._machines.values() if said.what == "crew" else ():
            one.windows.touch(said.at, said.at + 1)
            one.dirty = True
            events += one.publish(word.at)
        return events

    def _is_work(self, word: Word, book: Book) -> bool:
        """Whether it says what is worked on, or takes that back, and may, since no signal says it."""
        undone = book.words.get(word.target or "") if word.what == "undo" else None
        said = word if undone is None else undone
        given = [name for name in ("job", "product") if getattr(said, name) is not None]
        return said.what == "job" and bool(given) and not any(self.why_not[name] for name in given)

    def crew(self, now: int) -> str | None:
        """The crew that works now, as far as somebody said it in this shift."""
        time = self._teller.time
        word = self._crew(0, now + 1)
        is_now = word is not None and time.periods(word.at).shift == time.periods(now).shift
        return word.crew if word is not None and is_now else None

    def _crew(self, began: int, ended: int) -> Word | None:
        """What was said last of the crew in a time."""
        said = (word for word in reversed(self._book.said) if word.what == "crew")
        return next((word for word in said if began <= word.at < ended), None)

    def _crew_of(self, began: int, ended: int) -> str | None:
        word = self._crew(began, ended)
        return None if word is None else word.crew

    def rows(self, machines: Collection[str], *, whole: bool = False) -> dict[str, bytes]:
        """Rows of the checkpoint, of the line and of some machines: those that changed, or all."""
        rows = _rows(ENTRY_ROW, LINE, self._book.rows(whole=whole))
        for name in machines:
            book = self._machines[name].entries.book
            rows |= _rows(ENTRY_ROW, name, book.rows(whole=whole)) | _rows(STOP_ROW, name, book.stops.rows(whole=whole))
        return rows

    def restore(self, saved: Mapping[str, dict[str, Any]]) -> None:
        """Go on from a checkpoint; before the machines do."""
        self._book.restore(_of(ENTRY_ROW, LINE, saved))
        for name, machine in self._machines.items():
            machine.entries.book.restore(_of(ENTRY_ROW, name, saved))
            machine.entries.book.stops.restore(_of(STOP_ROW, name, saved))


def why_not(config: Config) -> dict[str, str]:
    """Why jobs and products cannot be entered; "" where they can, since no signal gives them."""
    job, product = config.jobs, config.products
    target, due = (None, None) if job is None else (job.target, job.due)
    return {
        "target": "" if target is None else f"{target} gives it",
        "due": "" if due is None else f"{due} gives it",
        "job": "" if job is None else f"{job.signal} gives it",
        "product": "" if product is None or product.signal is None else f"{product.signal} gives it",
    }


def word_of(entry: Entry, reasons: ReasonList, product: str | None = None) -> Word:
    """An entry as it is kept; scrap is of the `product` that is made now, unless it says another."""
    same = ("entry", "what", "at", "who", "target", "note", "amount", "moment", "other", "job", "product", "crew")
    work = ("job_target", "job_due")
    reason = None if entry.reason is None else reasons.of(entry.reason)
    word = Word(reason=reason, **{name: getattr(entry, name) for name in (*same, *work)})
    return replace(word, product=entry.product or product) if entry.what == "scrap" else word


def said_event(word: Word, subject: str, teller: Teller) -> Event:
    """`operator.entry`."""
    data = {
        "entry": word.entry,
        "what": word.what,
        "target": word.target,
        "reason": None if word.reason is None else {"group": None, **word.reason},
        "note": word.note,
        "amount": word.amount,
        "who": word.who,
        "when": teller.time.text(word.at),
        "at": None if word.moment is None else teller.time.text(word.moment),
        "other": word.other,
        "given_job": word.job,
        "given_product": word.product,
        "given_target": word.job_target,
        "given_due": None if word.job_due is None else rfc3339(word.job_due),
        "crew": word.crew,
    }
    return teller.event("operator.entry", subject, word.at, data)


def _rows(kind: str, owner: str, rows: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{kind}{owner}/{name}": row for name, row in rows.items()}


def _of(kind: str, owner: str, saved: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    prefix = f"{kind}{owner}/"
    return {name.removeprefix(prefix): row for name, row in saved.items() if name.startswith(prefix)}
