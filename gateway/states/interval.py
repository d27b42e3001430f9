"""A machine's state over time: intervals that tile it, each with its proof, open to revision until they are final."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from gateway.checkpoint import plain
from gateway.kpi.tally import Tally
from gateway.states.account import Account, Accounts, Context, Output
from gateway.states.decision import Decision
from gateway.states.packml import UNKNOWN

MOST_CLOSED = 64
"""Intervals that wait for something to be known; beyond, the oldest are final as they are."""

Change: TypeAlias = Callable[["Interval"], tuple[Decision, Context] | None]
"""What an interval was instead; None where it was what it is."""


@dataclass(slots=True)
class Interval:
    """One span in one state. Times are engine milliseconds."""

    id: str
    decision: Decision
    context: Context
    account: Account
    began: int
    began_text: str
    """UTC of its begin, as the wall clock was then: a later step of it moves no boundary that was told."""
    uncertainty: int | None
    """Milliseconds to the last sample that did not show the state."""
    ended: int | None = None
    ended_text: str | None = None
    rev: int = -1
    """Of the last publication."""
    final: bool = False
    stop: str | None = None
    """Id of the stop that it belongs to."""
    told_stop: str | None = None
    """The same as it was published."""
    parts: Tally = field(default_factory=Tally)
    marks: list[tuple[int, Tally]] = field(default_factory=list)
    """What had been made at moments at which it may yet turn out to have ended."""
    previous: dict[str, str] | None = None


@dataclass(slots=True)
class Pending:
    """A state that has been seen and must still hold until it counts."""

    decision: Decision
    since: int
    uncertainty: int | None


class Timeline:
    """The current interval of one machine, those before it that are not final, and the state that is about to follow.

    Intervals are never merged or taken back: what turns out otherwise is cut, and each part revised under its id.
    """

    def __init__(self, machine: str, settle: int, accounts: Accounts, text: Callable[[int], str]) -> None:
        """`settle` in milliseconds; `text` gives UTC of an engine time, as the wall clock was then."""
        self._machine, self._settle, self._accounts, self._text = machine, settle, accounts, text
        self.current: Interval | None = None
        self.pending: Pending | None = None
        self.closed: list[Interval] = []
        """Those that have ended and are not final, oldest first."""
        self._before: dict[str, str] | None = None
        """State and id of the last final interval."""
        self._touched: set[str] = set()

    @property
    def deadline(self) -> int | None:
        """When the pending state counts."""
        return None if self.pending is None else self.pending.since + self._settle

    @property
    def executes_since(self) -> int | None:
        """When the interval of execute that runs began; None where none does, or another state is about to count."""
        current = self.current if self.pending is None else None
        return current.began if current is not None and current.decision.state == "execute" else None

    @property
    def stretch(self) -> tuple[int, ...]:
        """The time since the last moment at which the current interval may yet turn out to have ended, as a name."""
        current = self.current
        return () if current is None else (current.began, *(moment for moment, _ in current.marks[-1:]))

    @property
    def unsettled(self) -> list[Interval]:
        """Those that are not final, the current one last."""
        return [*self.closed, *([] if self.current is None else [self.current])]

    @property
    def is_told(self) -> bool:
        """Whether nothing waits for publication, or for being final."""
        return not self._touched and not self.closed

    def decide(
        self, decision: Decision, context: Context, at: int, uncertainty: int | None, *, divides: bool = False
    ) -> None:
        """What the rules say from `at` on; `divides`: one that waits may yet count, from before `at`."""
        current = self.current
        if current is not None and decision.same_as(current.decision):
            current = self._decide_again(current, decision, at, uncertainty, divides)
        if current is None or decision.state == UNKNOWN or self._settle == 0:
            self.pending = None
            self._become(decision, context, at, uncertainty)
        elif decision.same_as(current.decision):
            self.pending = None
            self._become(decision, current.context, at, uncertainty)
        elif self.pending is None or not decision.same_as(self.pending.decision):
            self.pending = Pending(decision, at, uncertainty)
            self.mark(at)
        elif self.pending.decision.reason is None and decision.reason is not None:
            self.pending.decision = decision

    def _decide_again(
        self, current: Interval, decision: Decision, at: int, uncertainty: int | None, divides: bool
    ) -> Interval:
        """The same, perhaps by another rule: what waits gives way to one before it, and replaces one behind it."""
        before = current.decision
        if (decision.order, decision.category_order) == (before.order, before.category_order):
            return current
        if divides and current.began < at:
            current = self._cut(current, at)
            current.decision, current.uncertainty = replace(decision, reason=before.reason), uncertainty
        else:
            current.decision = replace(before, order=decision.order, category_order=decision.category_order)
        return current

    def place(self, context: Context, at: int, uncertainty: int | None = 0) -> None:
        """What beside the state decides the category, from `at` on, or that much earlier."""
        if self.current is not None and context != self.current.context:
            self._become(self.current.decision, context, at, uncertainty)

    def settle(self) -> None:
        """The pending state has held: it counts from when it was first seen."""
        pending, self.pending = self.pending, None
        assert pending is not None
        decision = pending.decision
        self.rewrite(pending.since, lambda one: (decision, one.context), pending.uncertainty)

    def _become(self, decision: Decision, context: Context, at: int, uncertainty: int | None) -> None:
        current = self.current
        if current is None:
            self._open(decision, context, at, uncertainty)
            return
        account = self._accounts.of(decision, context)
        fills_in = current.decision.reason is None and decision.reason is not None
        if decision.same_as(current.decision) and context.same_as(current.context):
            if fills_in:  # a reason that came after its state revises the interval, and what it is accounted to
                because = {**current.decision.because, **decision.because}
                self._revise(current, replace(decision, because=because), context)
                return
            if self._accounts.of(current.decision, context) == current.account:
                current.context = context
                return
            account = self._accounts.of(current.decision, context)
            decision = current.decision
        if current.began == at:  # nothing lasted no time: the interval was something else all along
            current.uncertainty = uncertainty if current.rev < 0 or uncertainty != 0 else current.uncertainty
            self._revise(current, decision, context)
            return
        self._close(current, at)
        self._open(decision, context, at, uncertainty, account)

    def _open(
        self, decision: Decision, context: Context, at: int, uncertainty: int | None, account: Account | None = None
    ) -> None:
        account = self._accounts.of(decision, context) if account is None else account
        name = f"{self._machine}-{at}"
        self.current = Interval(name, decision, context, account, at, self._text(at), uncertainty)
        self._touched.add(name)

    def _close(self, interval: Interval, at: int) -> None:
        interval.ended, interval.ended_text = at, self._text(at)
        self._touched.add(interval.id)
        if interval is self.current:
            self.closed.append(interval)

    def _revise(self, interval: Interval, decision: Decision, context: Context) -> None:
        interval.decision, interval.context = decision, context
        interval.account = self._accounts.of(decision, context)
        self._touched.add(interval.id)

    def rewrite(self, since: int, change: Change, uncertainty: int | None = 0) -> None:
        """What was from `since` on was something else, as far as it is not final; `uncertainty` is of that moment."""
        for interval in self.unsettled:
            if interval.ended is not None and interval.ended <= since:
                continue
            changed = change(interval)
            if changed is None:
                continue
            if interval.began < since:
                interval = self._cut(interval, since)
            if interval.began == since and uncertainty != 0:
                interval.uncertainty = uncertainty
            self._revise(interval, *changed)

    def _cut(self, interval: Interval, at: int) -> Interval:
        """Divide an interval; its later part."""
        made = next((tally for moment, tally in interval.marks if moment == at), interval.parts)
        later = replace(
            interval,
            id=f"{self._machine}-{at}",
            began=at,
            began_text=self._text(at),
            rev=-1,
            uncertainty=0,
            stop=None,
            told_stop=None,
            parts=interval.parts.minus(made),
            marks=[(moment, tally.minus(made)) for moment, tally in interval.marks if moment > at],
        )
        interval.parts, interval.marks = replace(made), [one for one in interval.marks if one[0] < at]
        self._close(interval, at)
        if interval is self.current:
            self.current = later
        else:
            self.closed.insert(self.closed.index(interval) + 1, later)
        self._touched.add(later.id)
        return later

    def mark(self, at: int) -> None:
        """The current interval may turn out to have ended here: what is made from now on may be another's."""
        if self.current is not None and self.current.began < at:
            self.current.marks = [one for one in self.current.marks if one[0] != at]
            self.current.marks.append((at, replace(self.current.parts)))

    def count(self, role: str, parts: int) -> None:
        """Parts made now."""
        if self.current is not None:
            self.current.parts.add(role, parts)

    def publish(self, final: int) -> list[Interval]:
        """Intervals to be told, in order of time; so many of the closed ones are final from now on."""
        before, told = self._before, []
        for index, interval in enumerate(self.unsettled):
            if (interval.previous, interval.told_stop) != (before, interval.stop):
                interval.previous, interval.told_stop = before, interval.stop
                self._touched.add(interval.id)
            before = {"state": interval.decision.state, "interval": interval.id}
            if index < final:
                interval.final = True
                self._touched.add(interval.id)
                self._before = before
            if interval.id in self._touched:
                interval.rev += 1
                told.append(interval)
        self.closed = self.closed[final:]
        self._touched = set()
        return told

    def touch(self, name: str) -> None:
        """More is known of an interval, if it can still be told."""
        if any(one.id == name for one in self.unsettled):
            self._touched.add(name)

    def forget_marks(self) -> None:
        """Nothing can turn out to have ended before now."""
        if self.current is not None:
            self.current.marks = []

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "current": None if self.current is None else plain(self.current),
            "pending": None if self.pending is None else plain(self.pending),
            "closed": [plain(interval) for interval in self.closed],
            "before": self._before,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.current = None if saved["current"] is None else _interval(saved["current"])
        self.closed = [_interval(interval) for interval in saved["closed"]]
        self._before = saved["before"]
        if saved["pending"] is not None:
            self.pending = Pending(**{**saved["pending"], "decision": Decision(**saved["pending"]["decision"])})


def decided_by(instead: Callable[[Decision], Decision]) -> Change:
    """The change of intervals whose decision was another."""

    def change(interval: Interval) -> tuple[Decision, Context] | None:
        decision = instead(interval.decision)
        return None if decision is interval.decision else (decision, interval.context)

    return change


def without_output(output: Output) -> Change:
    """The change of production that turned out to make nothing."""

    def change(interval: Interval) -> tuple[Decision, Context] | None:
        is_production = interval.account.category == "production"
        return (interval.decision, replace(interval.context, output=output)) if is_production else None

    return change


def recovered(interval: Interval) -> tuple[Decision, Context] | None:
    """Parts were made over an outage: what was taken for planned standstill was not."""
    assumed = interval.account.assumed
    return (interval.decision, replace(interval.context, output="recovered")) if assumed else None


def _interval(saved: dict[str, Any]) -> Interval:
    return Interval(
        **{
            **saved,
            "decision": Decision(**saved["decision"]),
            "context": Context(**saved["context"]),
            "account": Account(**saved["account"]),
            "parts": Tally(**saved["parts"]),
            "marks": [(moment, Tally(**tally)) for moment, tally in saved["marks"]],
        }
    )
