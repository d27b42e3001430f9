"""The list of what people said: the newest first, bounded, of the hours that are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.events import Envelope
from gateway.history.history import HOURS, History
from gateway.history.telling import said

NOW_MS = 1_764_000_000_000
HOUR_MS = 3_600_000


def note(name: str, at: int) -> bytes:
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat()
    return orjson.dumps({"entry": name, "what": "note", "target": None, "note": name, "who": "anna", "when": when})


def listed(history: History, limit: int) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(said(history, limit))
    return answer


def test_the_newest_come_first_and_what_is_too_old_is_not_told() -> None:
    envelope = Envelope("/acme/berlin/filling/demo", "0192f0c4-0000-7000-8000-000000000000")
    history = History(envelope, 4, lambda: NOW_MS)
    moments = {"old": NOW_MS - (HOURS + 1) * HOUR_MS, "second": NOW_MS - 2, "first": NOW_MS - 3, "last": NOW_MS - 2}
    for seq, (name, at) in enumerate(moments.items(), 1):
        history.take(seq, "operator.entry", "filler", at, note(name, at))
    assert [entry["entry"] for entry in listed(history, 10)["entries"]] == ["last", "second", "first"]
    newest = listed(history, 1)
    assert (newest["total"], newest["last_seq"], len(newest["entries"])) == (3, 4, 1)
    (entry,) = newest["entries"]
    assert (entry["entry"], entry["subject"], entry["at_ms"], entry["who"]) == ("last", "filler", NOW_MS - 2, "anna")
