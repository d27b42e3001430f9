"""What is kept of one event for people to look at: a row, with its JSON made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.events import Envelope
from gateway.outbox.encode import dumped

INTERVAL = (
    "interval", "stop", "began_ms", "ended_ms", "state", "category", "cause", "reason", "text", "mode", "unscheduled",
    "final", "event",
)  # fmt: skip
"""What is where in an interval's JSON array."""
STOP = (
    "stop", "kind", "category", "minor", "failure", "reason", "first_out", "duration_s", "planned_overlap_s",
    "lost_parts", "job", "product", "shift", "rev", "final",
)  # fmt: skip
"""Fields of `machine.stop` that a stop's JSON object has as they are."""
WINDOW = (
    "kpi", "rev", "final", "shift", "production_date", "job", "product", "unit", "flags", "oee", "oee_low", "oee_high",
    "availability", "effectiveness", "quality", "coverage", "teep", "pq", "gq", "sq", "rq", "apt_s", "pbt_s",
    "unknown_s", "run_s", "ideal_s", "ideal_good_s", "categories", "losses", "minor_stops", "failures", "mtbf_s",
    "mttr_s", "stops",
)  # fmt: skip
"""Fields of `machine.kpi` and `line.kpi` that a window's JSON object has as they are."""
ASKED = ("own", "unknown", "external")
"""Kinds of stops of which people are asked for the reason."""
KEPT = ("states", "production", "kpis")
"""Classes of events, as a `gateway.gap` calls them, without which something of the history is missing."""
INTERVALS, STOPS, ENTRIES, OTHERS, GAPS = "intervals", "stops", "entries", "others", "gaps"
WINDOWS = ("hour", "shift", "day", "job")
OVERHEAD = 400
"""Bytes of memory that a row needs beside its JSON and its key, about."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Row:
    """One interval, stop, window or other event, as its highest revision says it. Times are UTC milliseconds."""

    kind: str
    """INTERVALS, STOPS, ENTRIES, GAPS for events that are lost, OTHERS, or one of WINDOWS."""
    key: str
    """Its id; where it has none, its event's."""
    began: int
    ended: int | None
    """None while it lasts."""
    rev: int
    seq: int
    """Stored number of the event that says so; below 1 of a buffer before this one."""
    body: bytes
    waits: bool = False
    """Whether it is a stop for which a person is to give the reason."""

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return OVERHEAD + len(self.key) + len(self.body)


def milliseconds(text: str) -> int:
    """UTC milliseconds of a time of an event. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    since = at - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def event_name(envelope: Envelope, seq: int) -> int | str:
    """How a stored event is asked for: by its seq, or by its id where it is of a buffer before this one."""
    base, stream = envelope.numbered(seq)
    return seq if base == 0 else f"{stream}-{seq - base}"


class Told(NamedTuple):
    """A stored event, read."""

    event: int | str
    """As `event_name` has it."""
    seq: int
    kind: str
    """Its short type."""
    subject: str
    at: int
    """When it happened, UTC milliseconds."""
    data: Mapping[str, Any]


def row_of(told: Told) -> Row:
    """The row of an event of one of `KINDS`.

    Raises KeyError, TypeError, ValueError or AttributeError for data that is not of its type.
    """
    return _MAKERS[told.kind](told)


def _row(told: Told, kind: str, key: object, body: Any) -> Row:
    """A row of something that lasts and is revised."""
    began, ended = span(told.data)
    rev = told.data["rev"]
    if not isinstance(key, str) or not isinstance(rev, int):
        raise TypeError(f"{key!r} is no id, or {rev!r} no revision")
    return Row(kind, key, began, ended, rev, told.seq, dumped(body))


def span(data: Mapping[str, Any]) -> tuple[int, int | None]:
    """When what an event tells began and ended, UTC milliseconds."""
    ended = data["ended"]
    return milliseconds(data["began"]), None if ended is None else milliseconds(ended)


def _interval(told: Told) -> Row:
    data = told.data
    reason = data["reason"] or {"code": None, "text": None}
    body = [
        data["interval"], data["stop"], *span(data), data["state"], data["category"], data["cause"], reason["code"],
        reason["text"], data["mode"], data["unscheduled"], data["final"], told.event,
    ]  # fmt: skip
    return _row(told, INTERVALS, data["interval"], body)


def _stop(told: Told) -> Row:
    data = told.data
    row = _row(told, STOPS, data["stop"], {**_lasting(told), **{name: data[name] for name in STOP}, "entries": []})
    row.waits = data["kind"] in ASKED and data["reason"] is None and row.ended != row.began
    return row


def _window(told: Told) -> Row:
    data = told.data
    if (kind := data["window"]) not in WINDOWS:
        raise ValueError(f"{kind!r} is no window")
    return _row(told, kind, data["kpi"], {**_lasting(told), **{name: data.get(name) for name in WINDOW}})


def _lasting(told: Told) -> dict[str, Any]:
    began, ended = span(told.data)
    return {"began_ms": began, "ended_ms": ended, "event": told.event}


def _entry(told: Told) -> Row:
    data, moment = told.data, told.data.get("at")
    texts = data["entry"], data["what"], data["who"]
    if not all(isinstance(one, str) for one in texts) or not isinstance(data.get("reason"), dict | None):
        raise TypeError("it is no entry")
    moment_ms = None if moment is None else milliseconds(moment)
    body = {**data, "subject": told.subject, "at_ms": told.at, "moment_ms": moment_ms, "event": told.event}
    return Row(ENTRIES, data["entry"], told.at, told.at, 0, told.seq, dumped(body))


def _other(told: Told) -> Row:
    body = {"type": told.kind, "subject": told.subject, "at_ms": told.at, "event": told.event, "data": told.data}
    return Row(OTHERS, f"{told.event}", told.at, told.at, 0, told.seq, dumped(body))


def _gap(told: Told) -> Row:
    row = _other(told)
    row.began, row.ended = span(told.data)
    if told.data["what"] != "off" and told.data["class"] in (None, *KEPT):
        row.kind = GAPS
    return row


_MAKERS: dict[str, Callable[[Told], Row]] = {
    "machine.state": _interval,
    "machine.stop": _stop,
    "machine.kpi": _window,
    "line.kpi": _window,
    "operator.entry": _entry,
    "gateway.gap": _gap,
    "device.lost": _other,
    "device.restored": _other,
    "machine.verified": _other,
    "machine.muted": _other,
    "gateway.started": _other,
    "gateway.stopped": _other,
}
KINDS = frozenset(_MAKERS)
"""Short types of the events that become rows."""
