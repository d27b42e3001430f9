"""Loads a configuration file: into a `Config`, or into every problem that it has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from gateway.config.assemble import assemble
from gateway.config.compose import Misread, Path, Place
from gateway.config.crosscheck import crosscheck
from gateway.config.explain import explain
from gateway.config.model import Config
from gateway.config.places import Document
from gateway.config.problems import ConfigProblems, Problem, path_text
from gateway.config.salvage import salvage

MAX_BYTES = 10_000_000
"""Largest file; a line of 5,000 signals takes half a megabyte."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and what is worth saying about it (each note with its place)."""

    config: Config
    notes: list[str]


def load_config(path: FilePath | str) -> Loaded:
    """Load a configuration. Raises ConfigProblems with everything that is wrong, sorted by place."""
    file = str(path)
    text = _read(file)
    if isinstance(text, Misread):
        raise ConfigProblems([_problem(text.place, (), text.message)])
    assembled = assemble(file, text, _read)
    document = Document(assembled.root, assembled.texts)
    problems = [_problem(*misread) for misread in (*assembled.misread, *document.misread)]
    if not isinstance(document.data, dict):
        if not problems:
            what = "is empty" if document.data is None else "is not a mapping of sections"
            words = f"the file {what}; it needs at least `line:` and `devices:`"
            problems.append(_problem(Place(1, 1, file), (), words))
        raise ConfigProblems(problems)
    config = None
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        problems += [_problem(*explained) for explained in explain(error, document)]
    notes: list[Problem] = []
    for finding in crosscheck(salvage(document.data)):
        if finding.offset is not None:
            place = document.within(finding.path, finding.offset)
        else:
            place = document.of_key(finding.path) if finding.key else document.of_value(finding.path)
        problem = _problem(place, finding.path, finding.message)
        (notes if finding.note else problems).append(problem)
    if config is None or problems:
        raise ConfigProblems(_sorted(problems, file))
    return Loaded(config, [str(note) for note in _sorted(notes, file)])


def document_of(path: FilePath | str) -> Document:
    """The values of a configuration that loads, with the place of each."""
    file = str(path)
    text = _read(file)
    assembled = assemble(file, "" if isinstance(text, Misread) else text, _read)
    return Document(assembled.root, assembled.texts)


def files_of(path: FilePath) -> list[FilePath]:
    """The file itself and those that it includes."""
    text = _read(str(path))
    return [FilePath(name) for name in assemble(str(path), "" if isinstance(text, Misread) else text, _read).texts]


def _problem(place: Place, path: Path, message: str) -> Problem:
    return Problem(place.file, place.line, place.column, path_text(path), message)


def _sorted(problems: list[Problem], first: str) -> list[Problem]:
    """By file, the including one first, and by place."""
    return sorted(problems, key=lambda problem: (problem.file != first, problem.file, problem.line, problem.column))


def _read(file: str) -> str | Misread:
    """A file's text, or why there is none."""
    try:
        with open(file, "rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        words = f"the file cannot be read: {reason}; check its name and its mode"
        return Misread(Place(1, 1, file), (), words)
    if len(content) > MAX_BYTES:
        words = f"the file is larger than {MAX_BYTES // 1_000_000} MB; is it a configuration?"
        return Misread(Place(1, 1, file), (), words)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].removeprefix(b"\xef\xbb\xbf")
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode()) + 1
        words = f"the byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        return Misread(Place(line, column, file), (), words)
