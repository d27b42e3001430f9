"""Turns an event into the row that stores it, whatever its data holds."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from gateway.events import Event

MAX_DEPTH = 100
OBJECTS = 200
"""Bytes that Python needs for an event's row beside its data."""
LAST_TIME = 253_402_300_799_999
"""The last millisecond of the year 9999: RFC 3339 has no later time."""


class EventRow(NamedTuple):
    """An event as a commit stores it, but for its number."""

    type: str
    subject: str
    time: int
    data: bytes

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self.data) + OBJECTS


_made = tuple.__new__
"""Of a named tuple, in a third of the time of its constructor."""


def encode(event: Event) -> tuple[EventRow, str]:
    """The row of an event, and what had to be mended in it ("" as a rule).

    An event that JSON, UTF-8 or RFC 3339 cannot carry is stored as far as they can: an integer beyond 64 bits
    becomes its decimal text, a foreign object its `repr`. Losing an event would be worse, and so would be
    losing those that are committed with it.
    """
    why = ""
    try:
        data = dumped(event.data)
    except (orjson.JSONEncodeError, RecursionError) as error:
        why = str(error)
        data = dumped(_mended(event.data, 0))
    type_, subject, time = event.type, event.subject, event.time
    if not (type_.isascii() and subject.isascii()):
        type_, subject = _text(type_), _text(subject)
    if not 0 <= time <= LAST_TIME:
        why = f"time {time} is outside 1970 to 9999"
        time = min(max(time, 0), LAST_TIME)
    return _made(EventRow, (type_, subject, time, data)), why


def dumped(value: Any) -> bytes:
    """JSON to be kept: what orjson returns holds the 4 or 8 kB in which it was made for as long as it lives."""
    return b"".join((orjson.dumps(value), b""))  # of two parts, for one alone would be returned as it is


def _mended(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_text(str(key)): _mended(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(item, depth + 1) for item in value]
    if isinstance(value, str):
        return _text(value)
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return str(value) if isinstance(value, int) else _text(repr(value))
    return value


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
