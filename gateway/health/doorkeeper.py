"""Who asks: known by the token, or by a name and its PIN, which is locked after some wrong ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import structlog

from gateway.health.answers import Refusal

Listed: TypeAlias = Literal["operator", "supervisor", "viewer"]
Role: TypeAlias = Literal["local", "token"] | Listed
FREE = 5
"""So many wrong PINs of a name, and it is locked."""
LOCK_S, LONGEST_LOCK_S = 30.0, 3600.0
"""The first lock; each further wrong PIN doubles it, up to the longest."""
FORGOTTEN_S = 86_400.0
"""After so long without a wrong PIN they are forgotten: 5 guesses a day are 3 years for 4 digits."""
MOST_ADDRESSES = 64
"""Of one name, that are known apart."""
BASIC, BEARER = 'Basic realm="linegate", charset="UTF-8"', 'Bearer realm="linegate"'

log = structlog.get_logger("health")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks."""

    name: str | None
    """Of whoever came by a PIN."""
    role: Role
    """local: whoever is on this computer; token: whoever has the token."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What is compared with what visitors bring."""

    token: str | None
    pins: Mapping[str, tuple[str | None, Listed]]
    """By operator: the PIN, None where it could not be read, and the role."""


@dataclass(slots=True)
class _Lock:
    """Of one name, at one address or at all that nobody has entered from by it."""

    wrong: dict[str, int] = field(default_factory=dict)
    """By address."""
    until: float = 0.0
    last: float = 0.0

    def count(self, remote: str, now: float) -> float:
        """One more wrong PIN; for how long the name is locked now."""
        if now - self.last > FORGOTTEN_S:
            self.wrong.clear()
        self.last = now
        place = remote if remote in self.wrong or len(self.wrong) < MOST_ADDRESSES else ""
        self.wrong[place] = self.wrong.get(place, 0) + 1
        beyond = sum(self.wrong.values()) - FREE
        seconds = min(LONGEST_LOCK_S, LOCK_S * 2.0 ** min(beyond, 20)) if beyond >= 0 else 0.0
        self.until = now + seconds
        return seconds


class _Locks:
    """Of one name. Where its owner entered before, what others guess elsewhere locks nobody out; all other addresses
    share one lock, or who has many of them had ever new tries. A right PIN forgives the wrong ones of its own address.
    """

    def __init__(self) -> None:
        self._own: dict[str, _Lock] = {}
        self._shared = _Lock()

    def at(self, remote: str) -> _Lock:
        """The one that counts for an address."""
        return self._own.get(remote, self._shared)

    def entered(self, remote: str) -> None:
        """A right PIN came from there."""
        self._shared.wrong.pop(remote, None)
        self._own.pop(remote, None)
        self._own[remote] = _Lock()
        if len(self._own) > MOST_ADDRESSES:
            del self._own[next(iter(self._own))]  # where nobody entered for the longest


class Doorkeeper:
    """Keeps digests of the keys, made with a secret of its own: comparing them tells nothing of length or content."""

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._salt = secrets.token_bytes(32)
        self._locks = {name: _Locks() for name in keys.pins}
        self.renew(keys)

    def renew(self, keys: Keys) -> None:
        """Other keys of the same people."""
        nothing = secrets.token_hex(32)
        self._token = None if keys.token is None else self._digest(keys.token)
        self._pins = {name: self._digest(nothing if pin is None else pin) for name, (pin, _) in keys.pins.items()}
        self._roles = {name: role for name, (_, role) in keys.pins.items()}
        self._nothing = self._digest(nothing)

    def admit(self, authorization: str, remote: str) -> Visitor:
        """Whoever brings this. Raises Refusal, which is said in the log with the address it came from."""
        scheme, _, given = authorization.partition(" ")
        if self._token is None and (not self._pins or not scheme):
            return Visitor(None, "local")
        if not scheme:
            raise unknown("this endpoint wants its token, or an operator's PIN")
        name, key = ("", given.strip()) if scheme.lower() == "bearer" else _basic(scheme, given)
        if self._is(key, self._token):
            return Visitor(None, "token")
        if name not in self._pins:
            self._is(key, self._nothing)  # takes as long as a name that there is
            raise self._refused(None, remote, "this is not the token" if not name else "name or PIN is wrong")
        return self._by_pin(name, key, remote)

    def _by_pin(self, name: str, pin: str, remote: str) -> Visitor:
        lock, now = self._locks[name].at(remote), self._clock()
        is_right = self._is(pin, self._pins[name])
        if now < lock.until:
            left = f"{lock.until - now:.0f}"
            why = f"{name} is locked here for {left} s, after wrong PINs"
            log.warning("sign_in_refused", who=name, remote=remote, why=why)
            raise Refusal(429, why, "wait; or come with the token", {"Retry-After": left})
        if is_right:
            self._locks[name].entered(remote)
            return Visitor(name, self._roles[name])
        if seconds := lock.count(remote, now):
            log.warning("operator_locked", who=name, remote=remote, seconds=seconds, remedy="somebody guesses PINs?")
        raise self._refused(name, remote, "name or PIN is wrong")

    def _refused(self, name: str | None, remote: str, why: str) -> Refusal:
        """A name that nobody has is not logged: it may be a PIN in the wrong field."""
        log.warning("sign_in_refused", who=name, remote=remote, why=why)
        return unknown(why)

    def _is(self, given: str, digest: bytes | None) -> bool:
        return digest is not None and hmac.compare_digest(self._digest(given), digest)

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), key=self._salt).digest()


def unknown(why: str) -> Refusal:
    """Nobody knows who asks."""
    remedy = "send `Authorization: Bearer TOKEN`, or Basic with a name and its PIN"
    return Refusal(401, why, remedy, {"WWW-Authenticate": BEARER})


def _basic(scheme: str, given: str) -> tuple[str, str]:
    """Name and key of what a browser asked a person for (RFC 7617); both empty where it is nothing of that kind."""
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, key = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, key
