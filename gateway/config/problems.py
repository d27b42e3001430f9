"""What is wrong with a configuration, as a person reads it: one problem a line, each with its place.

ConfigProblems      every problem of one file
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocols.settings import shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `str` is the line that a person sees."""

    file: str
    """As the user named it."""
    line: int
    column: int
    """Both counted from 1."""
    path: str
    """`devices.filler_plc.port`; empty where the whole file is meant."""
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class ConfigProblems(Exception):
    """The configuration cannot be used; `problems` are all that were found, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def path_text(path: tuple[str | int, ...]) -> str:
    """A path as messages show it: keys and (zero-based) positions in lists, joined by dots."""
    return ".".join(f"{part}" if re.fullmatch(r"[\w<-]+", str(part)) else shown(str(part)) for part in path)
