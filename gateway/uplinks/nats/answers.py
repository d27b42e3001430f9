"""What JetStream's answer to a message means to us: stored, refused, or tried again; and in which words.

Error codes: nats-server, `server/errors.json` (ADR-7).
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from gateway.uplinks.said import said

ABOUT_THE_EVENT = frozenset({10054, 10097})
"""Message or header larger than the stream takes: the same event will be refused again."""

WRONG_STREAM = 10060
"""The stream that takes the subject is not the one that the message expects."""

_REMEDIES = {
    10002: "raise the account's JetStream limits",
    10023: "raise the server's JetStream limits, or free memory and disk there",
    10028: "raise the account's JetStream memory limit",
    10039: "enable JetStream for this user's account",
    10047: "raise the server's JetStream limits, or free its disk",
    10076: "start the server with JetStream (`-js`)",
    10077: "the stream is full and refuses what is new: raise its limits, or let it discard what is old",
    10109: "the stream is sealed: make another one for this subject",
}
_OTHERS = "see the server's log"


@dataclass(frozen=True, slots=True)
class Answer:
    """A PubAck, or what came in its place."""

    is_stored: bool
    code: int = 0
    words: str = ""

    @classmethod
    def parsed(cls, body: bytes) -> Answer:
        """Of the JSON that the server sent."""
        try:
            answer = orjson.loads(body)
            if (error := answer.get("error")) is not None:
                return cls(False, int(error.get("err_code", 0)), said(str(error.get("description", "error"))))
            return cls(True) if isinstance(answer.get("seq"), int) else _STRANGE
        except (ValueError, AttributeError, TypeError):
            return _STRANGE

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        if self is NO_STREAM:
            return "make a stream whose subjects cover it, or set `subject`; see that JetStream is enabled (`-js`)"
        return _REMEDIES.get(self.code, _OTHERS)


NO_STREAM = Answer(False, 503, "no stream takes the subject")
_STRANGE = Answer(False, 0, "what answers is no JetStream: something else listens to the subject")
