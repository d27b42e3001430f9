"""What a machine works on at one instant: its job, its product, and how fast that can be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """As far as it is known; each machine has its own, since product takes its time along the flow."""

    job: str | None = None
    product: str | None = None
    ideal_ms: float | None = None
    """Ideal cycle time of one part in the machine's own unit (PRI of ISO 22400-2), None where nothing says it."""
    listed: bool = True
    """False for a product that the configuration's list does not have: nothing says what it should take."""
    claim: str = ""
    """The entry that says the product, where a person does."""
    base_ms: float | None = None
    """The ideal as it would be without that."""

    def checkpoint(self) -> list[Any]:
        """Plain values of which a Task is made again."""
        plain = [self.job, self.product, self.ideal_ms, self.listed]
        return [*plain, self.claim, self.base_ms] if self.claim else plain
