"""A secret that is written where its place belongs is in no message, whatever takes it and however it is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load_config
from gateway.config.problems import ConfigProblems
from gateway.config.schema import json_schema
from gateway.support.redaction import SECRET_KEYS
from tests.gateway import confidential

PASTED = confidential.PASTED
WRITTEN = [
    PASTED, [PASTED], {PASTED: None}, {"env": f"a={PASTED}"}, {"credential": f"../{PASTED}"}, {"file": [PASTED]},
    {"env": PASTED, "file": PASTED},
]  # fmt: skip


def places(section: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Of each reference to a secret."""
    if isinstance(section, dict) and section.keys() <= {"env", "file", "credential"}:
        yield at
    if isinstance(section, dict | list):
        for key, inner in section.items() if isinstance(section, dict) else enumerate(section):
            yield from places(inner, (*at, key))


DOCUMENT = confidential.document(Path("/nowhere"), 1)
PLACES = sorted(places(DOCUMENT))


def test_every_key_that_takes_a_secret_is_tried() -> None:
    """And every one is a key whose value an archive for help never shows."""

    def keys(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for name, described in node.get("properties", {}).items():
                if "#/$defs/Secret" in json.dumps(described) and name != "user":
                    yield name
            for inner in node.values():
                yield from keys(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from keys(inner)

    known = set(keys(json_schema()))
    assert known == SECRET_KEYS
    assert known - {"private_key_password"} <= {place[-1] for place in PLACES}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_no_message_says_it(place: tuple[str | int, ...], tmp_path: Path) -> None:
    for written in WRITTEN:
        document = copy.deepcopy(DOCUMENT)
        section: Any = document
        for key in place[:-1]:
            section = section[key]
        section[place[-1]] = written
        section[f"{place[-1]}d"] = PASTED
        file = tmp_path / "line.yaml"
        file.write_text(json.dumps(document))
        with pytest.raises(ConfigProblems) as found:
            load_config(file)
        assert confidential.MARK not in str(found.value)
