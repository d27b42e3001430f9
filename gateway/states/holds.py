"""Rules with `for:`: since when each has held, and which have held for long enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.config.model import StateRule


class Holds:
    """Times are engine milliseconds; rules are named by their position, and in a checkpoint by their words."""

    def __init__(self, rules: Sequence[StateRule]) -> None:
        self._lengths = {index: rule.for_ for index, rule in enumerate(rules) if rule.for_}
        self._names = {f"{rule.for_} {rule.when}": index for index, rule in enumerate(rules) if rule.for_}
        self._since: dict[int, tuple[int, int | None]] = {}
        """When each began to hold, and how much earlier that may have been."""
        self._done: set[int] = set()

    def follow(self, index: int, holds: bool, at: int, uncertainty: int | None) -> bool:
        """A rule's condition holds or not; whether it begins to wait."""
        if index not in self._lengths:
            return False
        if not holds:
            self._since.pop(index, None)
            self._done.discard(index)
            return False
        begins = index not in self._since
        self._since.setdefault(index, (at, uncertainty))
        return begins

    def is_waiting(self, index: int) -> bool:
        """Whether a rule whose condition holds does not count yet."""
        return index in self._lengths and index not in self._done

    @property
    def since(self) -> int | None:
        """The earliest moment that may yet be revised."""
        if not self._since:
            return None
        return min((at for index, (at, _) in self._since.items() if index not in self._done), default=None)

    @property
    def deadline(self) -> int | None:
        """When the next rule has held for long enough."""
        if not self._since:
            return None
        waiting = (at + self._lengths[index] for index, (at, _) in self._since.items() if index not in self._done)
        return min(waiting, default=None)

    def complete(self, at: int) -> list[tuple[int, int, int | None]]:
        """The rules that have held for long enough at their deadline, since when, and how much earlier perhaps."""
        due = [
            (index, since, uncertainty)
            for index, (since, uncertainty) in sorted(self._since.items())
            if index not in self._done and since + self._lengths[index] <= at
        ]
        self._done.update(index for index, *_ in due)
        return due

    def forget(self) -> None:
        """Nobody was looking."""
        self._since.clear()
        self._done.clear()

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {
            name: [*self._since[index], index in self._done]
            for name, index in self._names.items()
            if index in self._since
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a checkpoint; a rule that has changed begins anew."""
        self.forget()
        for name, (since, uncertainty, done) in saved.items():
            if (index := self._names.get(name)) is not None:
                self._since[index] = (since, uncertainty)
                self._done |= {index} if done else set()
