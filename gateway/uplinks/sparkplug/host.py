"""The primary host as its STATE topic tells of it (Sparkplug 3.0.0, 5.4)."""

from __future__ import annotations

import enum

import orjson

from gateway.uplinks.sparkplug.config import NAMESPACE


class HostState(enum.StrEnum):
    """unheard -> online or offline, and between these two."""

    UNHEARD = "unheard"
    ONLINE = "online"
    OFFLINE = "offline"


class PrimaryHost:
    """One host on one connection: what a broker keeps of it is the newest that this broker has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.topic = f"{NAMESPACE}/STATE/{name}"
        self.state = HostState.UNHEARD
        self._timestamp: int | None = None

    def hear(self, topic: str, body: bytes) -> bool:
        """Take a message that came; whether it is a STATE of this host that is not older than the one before."""
        if topic != self.topic:
            return False
        try:
            said = orjson.loads(body)
        except ValueError:
            return False
        if not isinstance(said, dict):
            return False
        online, timestamp = said.get("online"), said.get("timestamp")
        if not isinstance(online, bool) or not isinstance(timestamp, int) or isinstance(timestamp, bool):
            return False
        if self._timestamp is not None and timestamp < self._timestamp:
            return False  # of a session that the host has left: its will came late
        self._timestamp = timestamp
        self.state = HostState.ONLINE if online else HostState.OFFLINE
        return True
