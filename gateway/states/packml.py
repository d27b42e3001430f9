"""PackML's states (ISA-TR88.00.02) and the category of time that each is accounted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

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

CategoryName = Literal[
    "production",
    "setup",
    "unplanned_stop",
    "starved",
    "blocked",
    "suspended",
    "idle",
    "no_demand",
    "planned_stop",
]
"""What a machine's time can be accounted to by its configuration; beside it there is only `unknown`."""

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


Numbering = Literal["packml", "opc30060", "weihenstephan"]
Numbered: TypeAlias = tuple[str, str | None]
"""A state and its cause."""

_OPC_30060 = (
    "stopped", "resetting", "idle", "starting", "execute", "completing", "complete", "aborting", "aborted", "stopping",
    "clearing", "suspending", "suspended", "unsuspending", "holding", "held", "unholding",
)  # fmt: skip
"""OPC 30060 (Tobacco Machinery), in the order of its numbers from 0."""

_WEIHENSTEPHAN: tuple[tuple[int, Numbered], ...] = (
    (4096, ("aborted", None)),  # emergency stop
    (512, ("aborting", None)),
    (1024, ("held", None)),  # equipment failure
    (2048, ("held", None)),  # external failure
    (8 | 32, ("suspended", "starved")),  # lack, in the main flow or a branch
    (16 | 64, ("suspended", "blocked")),  # tailback, likewise
    (128, ("execute", None)),  # operating
    (256, ("stopping", None)),
    (2, ("starting", None)),
    (4, ("idle", None)),  # prepared
    (32768, ("idle", None)),
    (1, ("stopped", None)),
)
"""Bits of `WS_Cur_State` (Weihenstephan Standards); where several are set, the first here shows."""


def state_of(value: object, numbering: Numbering | Mapping[int, str]) -> Numbered:
    """The state that a number means; `undefined` for one that the numbering does not have, or what is no number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return "undefined", None
    if numbering == "weihenstephan":
        return next((state for bits, state in _WEIHENSTEPHAN if value & bits), ("undefined", None))
    if isinstance(numbering, str):
        names = STATES if numbering == "packml" else _OPC_30060
        return (names[value] if 0 <= value < len(names) else "undefined"), None
    return numbering.get(value, "undefined"), None
