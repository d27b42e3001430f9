"""PackML's states (ISA-TR88.00.02) and the category of time that each is accounted to."""

from __future__ import annotations

from typing import Literal, get_args

StateName = Literal[
    "undefined",
    "clearing",
    "stopped",
    "starting",
    "idle",
    "suspended",
    "execute",
    "stopping",
    "aborting",
    "aborted",
    "holding",
    "held",
    "unholding",
    "suspending",
    "unsuspending",
    "resetting",
    "completing",
    "complete",
]
"""The names, in the order of `Status.StateCurrent` from 0."""

STATES: tuple[str, ...] = get_args(StateName)
UNKNOWN = "unknown"
"""Our word for a state that cannot be known: a lost PLC, a bad signal, a rule that raised."""

_CATEGORIES = {
    "production": ("execute", "completing"),
    "unplanned_stop": ("held", "holding", "unholding", "aborted", "aborting", "clearing", "stopped", "stopping"),
    "suspended": ("suspended", "suspending", "unsuspending"),
    "idle": ("idle", "complete", "resetting", "starting"),
    "unknown": ("undefined", UNKNOWN),
}
CATEGORY: dict[str, str] = {state: category for category, states in _CATEGORIES.items() for state in states}


def category_of(state: str, cause: str | None) -> str:
    """The category of a state; suspended time belongs to its cause where one is known."""
    category = CATEGORY[state]
    return cause if category == "suspended" and cause in ("starved", "blocked") else category
