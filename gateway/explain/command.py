"""`linegate explain`: finds the event, and writes why it says what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import orjson

from gateway.check import load_or_exit
from gateway.explain.apart import places_of
from gateway.explain.events import EventError, find
from gateway.explain.explaining import explain
from gateway.explain.places import Places

GOOD, WRONG = 0, 2


def explain_event(file: Path, wanted: str, state_dir: Path, *, as_json: bool, out: TextIO | None = None) -> int:
    """Explain one event to standard output. Returns the exit code: 0, or 2 where there is no such event."""
    out = sys.stdout if out is None else out
    config = load_or_exit(file)
    try:
        found = find(config, state_dir, wanted)
        explanation = explain(found, Places(config, places_of(file)))
    except EventError as error:
        sys.stderr.write(f"{error.why}; {error.remedy}\n")
        return WRONG
    if as_json:
        out.write(orjson.dumps(explanation.plain(found.event), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        explanation.show(out)
    return GOOD
