"""Jumps of a PackML state that the state model does not have: accepted as they come, and counted.

A poll can miss states that pass by themselves, and those that a machine's numbering does not have. A jump is illegal
where even so no way leads from one state to the other: it skips one in which the machine must have waited (stopped,
idle, held, suspended, complete, aborted).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.states.packml import STATES, Numbering

UNDEFINED = "undefined"
WAITING = frozenset({"stopped", "idle", "held", "suspended", "complete", "aborted"})
"""States that last until a command or a condition ends them; all others are acting, execute too."""

_NEXT: dict[str, frozenset[str]] = {
    state: frozenset(then)
    for state, then in {
        "clearing": ("stopped",),
        "stopped": ("resetting",),
        "starting": ("execute", "holding"),
        "idle": ("starting",),
        "suspended": ("unsuspending", "holding"),
        "execute": ("completing", "holding", "suspending"),
        "stopping": ("stopped",),
        "aborting": ("aborted",),
        "aborted": ("clearing",),
        "holding": ("held",),
        "held": ("unholding",),
        "unholding": ("execute", "holding"),
        "suspending": ("suspended", "holding"),
        "unsuspending": ("execute", "holding"),
        "resetting": ("idle",),
        "completing": ("complete",),
        "complete": ("resetting",),
    }.items()
}
"""ISA-TR88.00.02, and to holding those that OPC 30050 (6.3.8) adds; without stop and abort."""
_NOT_STOPPED_FROM = frozenset({"stopping", "stopped", "aborting", "aborted", "clearing"})
_NOT_ABORTED_FROM = frozenset({"aborting", "aborted"})


def _follows(state: str) -> frozenset[str]:
    stop = frozenset() if state in _NOT_STOPPED_FROM else frozenset({"stopping"})
    abort = frozenset() if state in _NOT_ABORTED_FROM else frozenset({"aborting"})
    return _NEXT[state] | stop | abort


def legal(shown: Collection[str] = STATES) -> dict[str, frozenset[str]]:
    """Where each state can be seen to lead to, by polls of a machine that shows only some states."""
    missed = {state for state in _NEXT if state not in WAITING or state not in shown}
    return {state: _reachable(state, missed) for state in _NEXT}


def _reachable(state: str, missed: Collection[str]) -> frozenset[str]:
    reached: set[str] = set()
    ahead = set(_follows(state))
    while ahead:
        one = ahead.pop()
        reached.add(one)
        if one in missed:
            ahead |= _follows(one) - reached
    return frozenset(reached)


class Jumps:
    """One machine's, in its own numbering."""

    def __init__(self, numbering: Numbering | Mapping[int, str]) -> None:
        shown = STATES if isinstance(numbering, str) else frozenset(numbering.values())
        # Weihenstephan's word has no such model: its bits are conditions, and any may follow any
        self._legal = None if numbering == "weihenstephan" else legal(shown)
        self._state: str | None = None
        self.illegal = 0
        """How many illegal ones there were, over restarts too."""

    def follow(self, state: str | None) -> None:
        """The PLC says a state, or None where that is bad: nothing follows from what was before that."""
        state = None if state == UNDEFINED else state
        if self._legal is not None and state is not None and self._state is not None and state != self._state:
            self.illegal += state not in self._legal[self._state]
        self._state = state

    def checkpoint(self) -> list[Any]:
        """Plain values from which `restore` goes on."""
        return [self._state, self.illegal]

    def restore(self, saved: list[Any]) -> None:
        """Go on from a checkpoint."""
        self._state, self.illegal = saved
