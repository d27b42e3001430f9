"""Notices that two gateways of one line are at a broker: their births meet on the topic of the gateway's state.

Both would count the same parts. It happens when a line was restored elsewhere and the old machine comes back, or when a
machine was cloned. Each is told by its stream; a clone has ours, and is told by a birth that we have not sent.
"""

from __future__ import annotations

import re

import orjson
import structlog

from gateway.uplinks.uplink import UplinkContext

MOST_BYTES = 4096
_STREAM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9TZ:.-]{20,24}")

log = structlog.get_logger("uplink")


class Twins:
    """Keeps `context.others`: other gateways that are there, by stream, and since when."""

    def __init__(self, context: UplinkContext) -> None:
        self.born = ""
        """When this connection said that we are there, as it said it."""
        self._context = context
        context.others.clear()

    def told(self, payload: bytes, *, is_retained: bool) -> None:
        """What somebody says of a gateway of this line; anybody may have written it."""
        stream, time = _read(payload, self._context.envelope.source)
        envelope = self._context.envelope
        if not stream or stream in {former.stream for former in envelope.former}:
            return
        if stream == envelope.stream and (is_retained or not time or time == self.born):
            return  # our own, of this connection or of the one before
        if not time:
            if self._context.others.pop(stream, None) is not None:
                log.info("second_gateway_gone", uplink=self._context.name, stream=stream)
        elif stream not in self._context.others:
            self._context.others[stream] = time
            remedy = "stop one of the two: both count the same parts"
            log.error("second_gateway", uplink=self._context.name, stream=stream, since=time, remedy=remedy)


def _read(payload: bytes, source: str) -> tuple[str, str]:
    """A gateway's stream, and since when it is there, "" where it is not; two "" for what is no such thing."""
    try:
        said = orjson.loads(payload[:MOST_BYTES])
        stream, time = said["stream"], said.get("time", "") if said["state"] == "online" else ""
        if said["source"] == source and _STREAM.fullmatch(stream) and (not time or _TIME.fullmatch(time)):
            return stream, time
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        pass
    return "", ""
