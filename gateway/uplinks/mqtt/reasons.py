"""What an MQTT 5 reason code means to us: words, what to do, and whether the event or the link is to blame.

Codes and names: MQTT 5.0 (OASIS), 2.4, 3.2.2.2, 3.4.2.1 and 3.14.2.1.
"""

from __future__ import annotations

SUCCESS = frozenset({0x00, 0x10})
"""Taken by the server; 0x10: nobody has subscribed at present."""

ABOUT_THE_EVENT = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: the same event will be refused again."""

ABOUT_THE_CLIENT = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x9A, 0x9B})
"""What the configuration asks for, here or at the server, cannot be: only a person can mend it."""

REFUSAL = 0x80
"""From here on a reason code is a refusal."""
WITH_WILL = 0x04
"""Of a DISCONNECT after which the broker publishes the will."""
NOT_AUTHORIZED = 0x87
TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95

_NAMES = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "MQTT 5 is not supported",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
}

_REMEDIES = {
    0x80: "see the broker's log",
    0x83: "see the broker's log",
    0x84: "use a broker that speaks MQTT 5; or write `version: 3.1.1`, by which a broker acknowledges what it denies",
    0x85: "set `client_id` to one that the broker accepts",
    0x86: "check `user` and `password`, and the broker's list of users",
    0x87: "let the broker's access list allow this user and client to publish to the topic",
    0x8A: "ask the broker's operator why this client is banned",
    0x8E: "another client has the same `client_id`: see that no second gateway of this line runs",
    0x93: "set `in_flight` to what the broker takes at once",
    0x96: "raise the broker's message rate limit for this client",
    0x97: "raise the broker's quota for this client",
    0x9A: "write `state_topic: off` and leave `retain_state` out",
    0x9C: "set `url` to the server that the broker names",
    0x9D: "set `url` to the server's new address",
}


def words(code: int) -> str:
    """`not authorized (0x87)`."""
    return f"{_NAMES.get(code, 'reason')} (0x{code:02X})"


def remedy(code: int) -> str:
    """What a person can do about it."""
    return _REMEDIES.get(code, "see the broker's log")
