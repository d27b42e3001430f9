"""Changing over: from the last good part of one product to the first good one that begins a sustained run of the next.

When the signal says the next product, the machine has long been stopped: what was since the last good part becomes
setup in hindsight, and stays so until production of the next product has lasted `resume`. A machine without counters
makes good parts for as long as it produces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from gateway.kpi.tallies import NOT_PLANNED
from gateway.states.account import Context
from gateway.states.decision import Decision
from gateway.states.interval import Interval, Timeline

Moment: TypeAlias = tuple[int, int | None]
"""Engine time, and how much earlier it may have been."""
Span: TypeAlias = tuple[int, int]


class Changeover:
    """One machine's. Times are engine milliseconds."""

    def __init__(self, timeline: Timeline, standards: Mapping[str, int | None] | None) -> None:
        """`standards`: how long changing over to each product may take; without any there are no products."""
        self._timeline = timeline
        self._is_used, self._standards = standards is not None, standards or {}
        self.resume = 0
        """How long production must last."""
        self.deadline: int | None = None
        """When it may have lasted."""
        self._last: Moment | None = None
        """The last good part."""
        self._product: str | None = None
        """What that was; None where parts of another were made since."""
        self._began: Moment | None = None
        """Where the changeover that is under way began."""
        self._first: Moment | None = None
        """The good part of the next product since which production has not been interrupted."""
        self._good = 0
        self._seen: Moment | None = None
        """A good part that this very input showed."""
        self._early: Moment | None = None
        """The first good part since the state began that is about to count."""
        self._since: Moment = (0, None)
        """When production began, or the product changed in it."""
        self._produces = False
        self._counts = False
        self._waits = False
        """Whether nothing good was made since the machine last stood still."""

    @property
    def is_under_way(self) -> bool:
        """Whether the machine is being changed over."""
        return self._began is not None

    @property
    def horizon(self) -> int | None:
        """Since when time can yet turn out to have been setup or none, or None where it cannot."""
        moment = self._began if self._began is not None else self._last if self._waits else None
        return None if moment is None else moment[0]

    def counted(self, good: int, at: int, uncertainty: int | None, product: str | None) -> None:
        """So many good parts were made until `at`, the last of them while the machine worked on a product."""
        is_more, self._good = good > self._good, good
        if not self._is_used or not is_more:
            return
        self._seen = (at, uncertainty)
        if self._began is None:
            self._last, self._product = self._seen, product

    def change(self, before: str | None, product: str | None, at: int, uncertainty: int | None) -> None:
        """What is made from `at` on may be another product."""
        if not self._is_used or product == before or before is None:
            return
        here = self._since = (at, uncertainty)
        self._seen = self._first = self.deadline = None
        if self._produces and not self._counts and self._began is None:
            self._last, self._product = here, before
        if self._began is None:
            self._began = here if self._last is None or self._product != before else self._last
            self._product = before
            self._rewrite(self._began, is_setup=True)
            self._keep_stop(self._began[0])
        elif product == self._product:  # back to what was made before: it was none after all
            self._rewrite(self._began, is_setup=False)
            self._began, self._waits = None, True
            self.deadline = at + self.resume if self._produces else None

    def _keep_stop(self, began: int) -> None:
        """The stop that was told is known by its id though it begins earlier now."""
        told = [one for one in self._timeline.unsettled if one.began >= began]
        if told and told[0].stop is None:
            told[0].stop = next((one.stop for one in told if one.stop is not None), None)

    def follow(self, produces: bool, counts: bool, product: str | None, at: int) -> None:
        """Whether the machine produces, and whether its counters can be read; called after each input."""
        current = self._timeline.current
        if not self._is_used or current is None:
            return
        turned, self._produces = produces != self._produces, produces
        counted, self._counts = self._counts, counts
        seen, self._seen = self._seen, None
        if turned:
            self._since = (current.began, current.uncertainty)
        if not produces:
            if turned:
                self._stand(counted, product)
            elif seen is not None and self._began is not None:
                self._see_early(seen)
        elif self._began is not None:
            early = self._early if turned and self._early is not None and self._early[0] >= self._since[0] else None
            self._resume_with((early or seen) if counts else self._since, at)
        elif self._waits and (seen is not None or not counts):
            self._waits, self.deadline = False, None
        elif self._waits and turned:
            self.deadline = max(at, self._since[0] + self.resume)

    def _stand(self, counted: bool, product: str | None) -> None:
        """The machine produces no more."""
        if not counted and self._began is None:
            self._last, self._product = self._since, product
        self._first = self.deadline = None
        self._waits = True

    def _see_early(self, seen: Moment) -> None:
        """A good part in a state that has yet to settle: if it counts, it does from when it was first seen."""
        pending = self._timeline.pending
        if pending is not None and (self._early is None or self._early[0] < pending.since):
            self._early = seen
            self._timeline.mark(seen[0])

    def _resume_with(self, proof: Moment | None, at: int) -> None:
        """It produces while it is being changed over; the proof that it does so well, if there is one."""
        if self._first is None and proof is not None:
            self._first, self._product = proof, None
            self.deadline = max(at, proof[0] + self.resume)
            if proof is not self._early:
                self._timeline.mark(proof[0])

    def fire(self, product: str | None) -> list[Span]:
        """Production has lasted at the deadline; what a changeover that ends with it took beyond its standard."""
        self.deadline, self._waits = None, False
        if self._began is None or self._first is None:
            return []
        excess = self._excess(self._began[0], self._first[0], self._standards.get(product or ""))
        self._rewrite(self._first, is_setup=False)
        self._last, self._product = self._first, product
        self._began = self._first = None
        return excess

    def _rewrite(self, since: Moment, *, is_setup: bool) -> None:
        def change(one: Interval) -> tuple[Decision, Context] | None:
            if one.context.changeover == is_setup:
                return None
            return one.decision, replace(one.context, changeover=is_setup)

        self._timeline.rewrite(since[0], change, since[1])

    def _excess(self, began: int, ended: int, standard: int | None) -> list[Span]:
        """Planned busy time of a changeover beyond what it may take; time that is final already is taken to be busy."""
        if standard is None:
            return []
        known = self._timeline.unsettled
        left = standard - max(0, min(known[0].began, ended) - began)
        spans = []
        for interval in known:
            since = max(began, interval.began)
            until = ended if interval.ended is None else min(ended, interval.ended)
            if since >= until or interval.account.category in NOT_PLANNED:
                continue
            if until - since > left:
                spans.append((since + max(0, left), until))
            left -= until - since
        return spans

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            "deadline": self.deadline,
            "good": self._good,
            "last": self._last,
            "product": self._product,
            "began": self._began,
            "first": self._first,
            "early": self._early,
            "since": self._since,
            "produces": self._produces,
            "counts": self._counts,
            "waits": self._waits,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; without products nothing is changed over any more."""
        self._good = saved["good"]
        if not self._is_used:
            self._rewrite((0, None), is_setup=False)
            return
        self.deadline, self._product = saved["deadline"], saved["product"]
        self._last, self._began, self._first = (_moment(saved[name]) for name in ("last", "began", "first"))
        self._since, self._early = _moment(saved["since"]) or (0, None), _moment(saved.get("early"))
        self._produces, self._counts, self._waits = saved["produces"], saved["counts"], saved["waits"]


def _moment(saved: list[Any] | None) -> Moment | None:
    return None if saved is None else (saved[0], saved[1])
