"""When a machine's counters could not be read, and whether it is known all the same what was made meanwhile.

From it follows U: the unknown time over which no difference of a counter is certain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.kpi.window import Window


class Span(NamedTuple):
    """Engine milliseconds, from the last reading before to the first after."""

    began: int
    ended: int
    certain: bool
    """Whether the readings around it say what was made."""


class Blindness:
    """Times are engine milliseconds."""

    def __init__(self) -> None:
        self._since: int | None = None
        """Since when the counters can't be read."""
        self._doubt = False
        """Whether what some of them said since leaves it open what was made."""
        self._spans: list[Span] = []
        """Those that are over, of time that is not settled."""

    def see(self, since: int | None, at: int, *, certain: bool, windows: Iterable[Window]) -> list[Window]:
        """Since when the counters can't be read, None where they can; windows whose U is another now."""
        if since is not None:
            if self._since is None:  # counters of several scans: one was read when another is taken to have been lost
                self._since, self._doubt = max([since, *(span.ended for span in self._spans)]), False
            self._doubt |= not certain
            return []
        if self._since is None:
            return []
        span = Span(self._since, at, certain and not self._doubt)
        self._since = None
        self._spans.append(span)
        changed = [window for window in windows if window.blind]
        for window in changed:
            if _is_lost(span, window):
                window.tallies.unrecovered += window.blind
            window.blind, window.dirty = 0, True
        return changed

    def spend(self, window: Window, began: int, ended: int) -> None:
        """Unknown time of a window."""
        for span in self._spans:
            if _is_lost(span, window):
                window.tallies.unrecovered += max(0, min(ended, span.ended) - max(began, span.began))
        if self._since is not None:
            window.blind += max(0, ended - max(began, self._since))

    def settled(self, until: int) -> None:
        """All time until then is settled."""
        self._spans = [span for span in self._spans if span.ended > until]

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self._since, self._doubt, [list(span) for span in self._spans]]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self._since, self._doubt, spans = saved
        self._spans = [Span(*span) for span in spans]


def _is_lost(span: Span, window: Window) -> bool:
    """What is recovered belongs to windows that hold all of the span, and to no narrower one."""
    return not (span.certain and window.holds(span.began, span.ended))
