"""One measured figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """`ratio` is ours to the other's, where there is another."""

    suite: str
    name: str
    value: float
    unit: str
    versus: str = ""
    ratio: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As in bench/results.json."""
        return asdict(self)
