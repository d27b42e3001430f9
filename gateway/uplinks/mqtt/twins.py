"""Other gateways of the line as they tell of themselves on the topic of the gateway's state: births, farewells, wills.

A clone has our stream, and is told by a birth that we have not sent.
"""

from __future__ import annotations

import re

import orjson

from gateway.uplinks.twins import STREAM, Twins
from gateway.uplinks.uplink import UplinkContext

MOST_BYTES = 4096
BORN = "born"
"""In `context.kept`: what is kept on the topic was ours."""
_TIME = re.compile(r"[0-9TZ:.-]{20,24}")


class Births:
    """What comes on the topic, of one connection."""

    def __init__(self, context: UplinkContext) -> None:
        self.born = ""
        """When this connection said that we are there, as it said it."""
        self._context = context
        self._envelope = context.envelope
        self._twins = Twins(context)

    def told(self, payload: bytes, *, is_retained: bool) -> None:
        """What somebody says of a gateway of this line; anybody may have written it."""
        stream, time = _read(payload, self._envelope.source)
        if not stream or (stream != self._envelope.stream and self._twins.is_ours(stream)):
            return
        if stream == self._envelope.stream and (is_retained or not time or time == self.born):
            return  # our own, of this connection or of the one before
        if is_retained and not time and BORN in self._context.kept:
            self._twins.met(stream)  # else it replaces our own birth from before
        elif time:
            self._twins.heard(stream, time, says_farewell=True)
        else:
            self._twins.gone(stream)

    def look(self) -> None:
        """One that was there while we were not, and has not been heard since, has gone."""
        self._twins.look()


def _read(payload: bytes, source: str) -> tuple[str, str]:
    """A gateway's stream, and since when it is there, "" where it is not; two "" for what is no such thing."""
    try:
        said = orjson.loads(payload[:MOST_BYTES])
        stream, time = said["stream"], said.get("time", "") if said["state"] == "online" else ""
        if said["source"] == source and STREAM.fullmatch(stream) and (not time or _TIME.fullmatch(time)):
            return stream, time
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        pass
    return "", ""
