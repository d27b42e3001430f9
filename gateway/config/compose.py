"""YAML text to nodes, and what is wrong with the text in the words of someone who writes YAML once a year."""

from __future__ import annotations

import io
import re
import warnings
from typing import NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError

Path: TypeAlias = tuple[str | int, ...]


class Place(NamedTuple):
    """A position in a file, line and column counted from 1."""

    line: int
    column: int
    file: str
    """As the user named it."""


class Misread(NamedTuple):
    """What a file's text does wrong as YAML, and where."""

    place: Place
    path: Path
    message: str


class _Named(io.StringIO):
    """A text whose file's name is in every mark."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def place_of(node: Node) -> Place:
    """Where a node begins."""
    return Place(node.start_mark.line + 1, node.start_mark.column + 1, node.start_mark.name)


def compose(text: str, file: str) -> Node | Misread | None:
    """The root node of a text that is YAML 1.2; None where it is empty."""

    def wrong(line: int, column: int, message: str) -> Misread:
        return Misread(Place(line, column, file), (), message)

    if directive := re.search(r"^%YAML[ \t]+(?!1\.2\b)", text, re.MULTILINE):
        line = text.count("\n", 0, directive.start()) + 1
        return wrong(line, 1, "this file is read as YAML 1.2; leave this line out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an anchor used twice is legal: the later one holds
            root: Node | None = YAML(typ="safe", pure=True).compose(_Named(text, file))
    except MarkedYAMLError as error:
        return wrong(*_syntax(error))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        return wrong(line, column, f"the character {code:#04x} is not allowed in YAML; remove it")
    except RecursionError:
        return wrong(1, 1, "brackets or lists are nested too deeply; is one of them never closed?")
    except (YAMLError, ValueError) as error:
        return wrong(1, 1, f"this is not YAML: {str(error).splitlines()[0] if str(error) else error!r}")
    return root


_REMEDIES = (
    (r"character '\\t'", "a tab is not allowed here; indent with spaces"),
    (r"that cannot start any token", "a value cannot begin with this character; put it in quotes"),
    (
        r"mapping values are not allowed|but got ':'",
        "a second `: ` on one line; put the value in quotes, or begin a new line",
    ),
    (r"could not find expected ':'", "this line needs `key: value`; a `: ` is missing, or a quote was never closed"),
    (r"undefined alias", "this alias (*name) has no anchor (&name) before it"),
    (r"another document", "a second document begins here (---); one file is one configuration"),
    (r"unexpected end of stream", "a quote that was opened here is never closed"),
    (r"expected ',' or '[\]}]'", "a bracket is not closed, or a comma is missing"),
    (r"expected <block end>", "the indentation does not fit the lines above, or a `-` or a `key:` is missing"),
    (r"unknown escape", "an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes"),
)


def _syntax(error: MarkedYAMLError) -> tuple[int, int, str]:
    """Line, column and words for what the parser says."""
    problem = str(error.problem or error.context or "it cannot be read")
    mark = error.problem_mark or error.context_mark
    fitting = (words for pattern, words in _REMEDIES if re.search(pattern, problem))
    message = next(fitting, f"this is not YAML: {problem}")
    if error.context_mark is not None and re.search("end of stream|expected ',' or", problem):
        begun = error.context_mark.line + 1
        if "end of stream" in problem:
            mark = error.context_mark
        else:
            message += f" (the bracket was opened in line {begun})"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return line, column, message
