"""Notices that two gateways of one line deliver to one place: both count the same parts.

It happens when a line was restored elsewhere and the old machine comes back, or when a machine was cloned. Another
gateway is known by its stream; how an uplink hears of it, and tells a clone with our own, is in its folder.
"""

from __future__ import annotations

import re
import time

import structlog

from gateway.events import rfc3339
from gateway.uplinks.uplink import UplinkContext

SILENT_S = 200.0
"""Who has said nothing for so long is gone: `gateway.alive` comes each minute."""
MOST = 16
"""Other gateways that are told apart: whoever may write where they are heard can invent any number."""
CONTESTED = "contested"
"""In `context.kept`: two gateways may take turns at ending each other's connection."""
UNHEARD = "second_gateway_is_not_heard"
STREAM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

log = structlog.get_logger("uplink")


class Twins:
    """Keeps `context.others`: other gateways that are there, by stream, and since when. Of one connection."""

    def __init__(self, context: UplinkContext) -> None:
        self._context = context
        self._heard_at: dict[str, float] = {}
        context.others.clear()
        context.kept.pop(CONTESTED, None)

    def is_ours(self, stream: str) -> bool:
        """Whether this gateway's events had this stream, now or before its buffer was restored."""
        envelope = self._context.envelope
        return stream == envelope.stream or stream in {former.stream for former in envelope.former}

    def heard(self, stream: str, since: str = "", *, says_farewell: bool = False) -> None:
        """Another gateway is there; `since` when, if it says so. What is no stream is nobody.

        One that `says_farewell` is there until it does, others until they have been silent for long.
        """
        if not STREAM.fullmatch(stream) or (stream not in self._context.others and len(self._context.others) >= MOST):
            return
        if says_farewell:
            self._heard_at.pop(stream, None)
        else:
            self._heard_at[stream] = time.monotonic()
        if stream not in self._context.others:
            since = self._context.others[stream] = since or rfc3339(time.time_ns() // 1_000_000)
            self._say(stream, since)

    def met(self, stream: str) -> None:
        """Another gateway was there while we were not: maybe it ended our connection, by the same client id."""
        self.heard(stream)
        if stream in self._context.others:
            self._context.kept[CONTESTED] = 1

    def gone(self, stream: str) -> None:
        """It says that it goes."""
        if self._context.others.pop(stream, None) is not None:
            self._heard_at.pop(stream, None)
            self._context.said.discard(f"twin {stream}")
            log.info("second_gateway_gone", uplink=self._context.name, stream=stream)

    def _say(self, stream: str, since: str) -> None:
        """Once, whatever the number of connections."""
        if f"twin {stream}" not in self._context.said and len(self._context.said) < 2 * MOST:
            self._context.said.add(f"twin {stream}")
            remedy = "stop one of the two: both count the same parts"
            log.error("second_gateway", uplink=self._context.name, stream=stream, since=since, remedy=remedy)

    def look(self) -> None:
        """Who says no farewell and is silent has gone."""
        for stream, heard_at in list(self._heard_at.items()):
            if time.monotonic() - heard_at > SILENT_S:
                self.gone(stream)


def unheard(context: UplinkContext, why: str, remedy: str) -> None:
    """The other side does not tell us of others; said once, whatever the number of connections."""
    if UNHEARD not in context.said:
        context.said.add(UNHEARD)
        log.warning(UNHEARD, uplink=context.name, why=why, remedy=f"{remedy}, to hear of a second gateway of this line")
