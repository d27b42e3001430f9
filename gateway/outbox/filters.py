"""Which events one uplink wants: globs of types and of subjects, in Python and in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from gateway.outbox.classes import EVENT, TABLES, TYPES

_REMEMBERED = 10_000


class Filter:
    """An event passes if a glob of `events` matches its type and one of `subjects` its subject; none given: all do.

    A glob has `*` for any text and `?` for one character, as in SQLite, which does the filtering when it reads.
    """

    def __init__(self, events: Iterable[str] = (), subjects: Iterable[str] = ()) -> None:
        self.condition = "1"
        """For a WHERE, with `parameters`."""
        self.parameters: dict[str, str] = {}
        self._types = self._compiled("type", events)
        self._subjects = self._compiled("subject", subjects)
        self.takes_all = self._types is None and self._subjects is None
        self.tables = tuple(table for table in TABLES if self._wants(table))
        """Where events that pass may be."""
        self._known: dict[tuple[str, str], bool] = {}

    def is_like(self, other: Filter) -> bool:
        """Whether both let the same pass."""
        return (self.condition, self.parameters) == (other.condition, other.parameters)

    def _compiled(self, column: str, globs: Iterable[str]) -> re.Pattern[str] | None:
        globs = tuple(globs)
        if not globs:
            return None
        names = [f"{column}{number}" for number in range(len(globs))]
        self.parameters.update(zip(names, globs, strict=True))
        self.condition += " AND (" + " OR ".join(f"{column} GLOB :{name}" for name in names) + ")"
        return re.compile("|".join(map(translate, globs)))

    def _wants(self, table: str) -> bool:
        if self._types is None or table == EVENT:
            return True
        return any(self._types.match(type_) for type_, of in TYPES.items() if of == table)

    def passes(self, type_: str, subject: str) -> bool:
        """Whether the uplink wants this event."""
        if self.takes_all:
            return True
        found = self._known.get((type_, subject))
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = (self._types is None or self._types.match(type_) is not None) and (
                self._subjects is None or self._subjects.match(subject) is not None
            )
            self._known[type_, subject] = found
        return found
