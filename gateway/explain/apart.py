"""Finds out where a configuration's values stand: the YAML with all its places takes memory that no daemon needs.

As a module it is a process of its own, which writes what it found to its standard output.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from gateway.config.loader import document_of, files_of, load_config
from gateway.config.problems import ConfigProblems
from gateway.explain.located import stamp_of


def places_of(file: Path) -> dict[tuple[str | int, ...], str]:
    """Where the values of a configuration that loads stand, as far as an explanation can name them.

    Of a device and of an uplink only where it begins, of a signal too: lines have thousands of them.
    """
    document = document_of(file)
    found: dict[tuple[str | int, ...], str] = {}

    def note(value: Any, path: tuple[str | int, ...]) -> None:
        place = document.of_value(path)
        found[path] = f"{place.file}:{place.line}:{place.column}"
        if not _is_deep_enough(path):
            entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
            for key, inner in entries:
                note(inner, (*path, key))

    note(document.data, ())
    return found


def _is_deep_enough(path: tuple[str | int, ...]) -> bool:
    if path[:1] == ("devices",):
        return len(path) > 3 or (len(path) == 3 and path[2] != "signals")
    return path[:1] == ("uplinks",) and len(path) > 1


def main(file: Path) -> bytes:
    """The arguments of `Located`. Raises ConfigProblems."""
    stamps = tuple((one, stamp_of(one)) for one in files_of(file))
    return pickle.dumps((load_config(file).config.digest, places_of(file), stamps))


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(main(Path(sys.argv[1])))
    except ConfigProblems as problems:
        sys.exit(str(problems))
