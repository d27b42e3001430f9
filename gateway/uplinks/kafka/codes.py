"""What a Kafka error code means to us: stored, refused, a matter for a person, or tried again; and in which words.

Codes and names: Kafka protocol guide, "Error Codes".
"""

from __future__ import annotations

from aiokafka.errors import for_code

STORED = frozenset({0, 46})
"""None; and a sequence number that the broker has had already."""

ABOUT_ITS_SIZE = frozenset({10, 18})
"""Message or batch too large."""

ABOUT_THE_EVENT = ABOUT_ITS_SIZE | {32, 87}
"""Also a timestamp out of the topic's bounds, and an invalid record: it will be refused again."""

ABOUT_THE_CLIENT = frozenset({17, 29, 31, 33, 34, 35, 43, 44, 58, 76})
"""Topic, permission, SASL, version or compression: only a person can mend it, here or at the cluster."""

UNKNOWN_TOPIC = 3

_PASSING = frozenset({2, 74, 75, 89})
"""What aiokafka does not know as such: a batch that was damaged on its way, leaders that change, a quota."""

_NAMES = {
    2: "damaged on its way",
    3: "unknown topic or partition",
    5: "leader not available",
    6: "not the leader of the partition",
    7: "timed out waiting for the replicas",
    10: "message too large",
    17: "invalid topic",
    18: "batch too large",
    19: "not enough in-sync replicas",
    20: "not enough in-sync replicas after the append",
    29: "not authorized for the topic",
    31: "not authorized for the cluster",
    32: "timestamp out of bounds",
    33: "SASL mechanism not supported",
    34: "SASL not possible in this state",
    35: "version not supported",
    43: "message format too old",
    45: "out-of-order sequence number",
    47: "producer epoch out of date",
    56: "disk error at the broker",
    44: "policy violation",
    58: "authentication failed",
    59: "unknown producer",
    74: "leader epoch out of date",
    75: "unknown leader epoch",
    76: "compression type not supported",
    87: "invalid record",
    89: "throttling quota exceeded",
    90: "producer fenced",
}
_ANEW = "none is needed: the next session has numbers of its own; if it comes again and again, see the brokers' logs"
_REMEDIES = {
    2: "look at the network: what arrives is not what was sent",
    3: "create the topic, or set `topic`",
    5: "see the cluster's health: the partition has no leader",
    7: "see the cluster's health: replicas lag behind",
    17: "set `topic` to a name that the cluster takes",
    19: "see the cluster's health: fewer replicas are in sync than `min.insync.replicas`",
    20: "see the cluster's health: fewer replicas are in sync than `min.insync.replicas`",
    29: "let the cluster permit this user to write to and describe the topic",
    31: "let the cluster permit this user the idempotent write, or write `idempotence: off`",
    33: "set `sasl` to a mechanism of the brokers",
    34: "give `user` and `password`, or leave them out",
    35: "use Kafka 1.0 or newer",
    43: "use Kafka 1.0 or newer, and a topic of message format 2",
    44: "see which policy of the cluster refuses it",
    45: _ANEW,
    47: _ANEW,
    56: "see that broker's log and its disk",
    58: "check `user`, `password` and `sasl`, and that the cluster knows this user",
    59: _ANEW,
    76: "set `compression` to what the topic takes",
    89: "raise the cluster's quota for this client",
    90: _ANEW,
}


def words(code: int) -> str:
    """`message too large (10)`."""
    return f"{_NAMES.get(code) or for_code(code).__name__} ({code})"


def remedy(code: int) -> str:
    """What a person can do about it."""
    return _REMEDIES.get(code, "see the brokers' logs")


def is_passing(code: int) -> bool:
    """Whether the same batch may be taken a moment later."""
    return code in _PASSING or bool(for_code(code).retriable)
