"""What a machine's rules say at one instant, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Decision:
    """A state with its proof."""

    state: str
    cause: str | None = None
    reason: dict[str, Any] | None = None
    """code, text and source, and what the configuration says of it: group, category, failure, owner."""
    rule: dict[str, Any] | None = None
    """index and text."""
    because: dict[str, Any] = field(default_factory=dict)
    """The deciding signals: value, quality, why, time."""
    category: str | None = None
    """What a rule accounts the time to, whatever the state."""
    order: int = -1
    """Position of the deciding rule; what was decided by a later one gives way when an earlier one has held for long
    enough."""
    category_order: int = -1
    """Likewise of the rule that gave the category, or that let the state give it."""

    gave: str | None = None
    """The signal that gave the reason."""

    def same_as(self, other: Decision) -> bool:
        """Whether both are one interval: a reason may come late or go early, another one is another interval."""
        if (self.state, self.cause, self.category) != (other.state, other.cause, other.category):
            return False
        if self.reason is None or other.reason is None:
            return True
        return bool(self.reason["code"] == other.reason["code"])
