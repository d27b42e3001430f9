"""One entry as it is kept and laid over what the machine said, in the engine and by whoever shows the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

What = Literal["reason", "note", "split", "merge", "scrap", "job", "crew", "undo"]
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Times are milliseconds of one clock: engine time in the engine, UTC elsewhere."""

    entry: str
    what: What
    at: int
    """When it was said."""
    who: str = ""
    target: str | None = None
    """Id of a stop (or of its part), of an interval, or of the entry that is taken back."""
    reason: Mapping[str, Any] | None = None
    note: str | None = None
    amount: int | None = None
    moment: int | None = None
    """Where a stop is split; when scrap was made."""
    other: str | None = None
    """Of a merge: the stop that follows."""
    job: str | None = None
    product: str | None = None
    crew: str | None = None
    job_target: int | None = None
    job_due: int | None = None
    """UTC milliseconds."""

    @staticmethod
    def told(data: Mapping[str, Any], at: int, moment: int | None) -> Word:
        """From the data of an `operator.entry`; `at` and `moment` are its `when` and its `at` in milliseconds."""
        same = {name: data.get(name) for name in ("target", "reason", "note", "amount", "other", "crew")}
        work = {"job": data.get("given_job"), "product": data.get("given_product")}
        return Word(entry=data["entry"], what=data["what"], who=data["who"], at=at, moment=moment, **same, **work)

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restored` makes it again."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @staticmethod
    def restored(saved: Mapping[str, Any]) -> Word:
        """From a checkpoint."""
        return Word(**{one.name: saved[one.name] for one in fields(Word) if one.name in saved})


def standing(words: Iterable[Word]) -> list[Word]:
    """Those that were not taken back, in their order; what takes back is none of them."""
    words = list(words)
    undone = {word.target for word in words if word.what == "undo"}
    return [word for word in words if word.what != "undo" and word.entry not in undone]
