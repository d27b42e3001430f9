"""What must not leave the machine: found in the configuration by its place, and everywhere else by what it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote

import orjson
from pydantic import ValidationError

from gateway.config.compose import Path
from gateway.config.problems import path_text
from protocols.driver import ConfigError
from protocols.secrets import Secret

REDACTED = "[redacted]"
SECRET_KEYS = frozenset({"password", "private_key_password", "token", "nkey", "creds", "pin"})
"""Keys whose value is a secret's place, or by mistake the secret."""
_NAMED = frozenset(
    {"devices", "signals", "machines", "uplinks", "products", "trends", "reasons", "templates", "shifts"}
)
"""Mappings whose keys are names that the user chose."""
_PEOPLE = frozenset({"who", "note"})
"""Fields of events that name a person, or hold what one wrote, and may name others in it."""
_REFERENCE = frozenset({"credential", "env", "file"})
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:(.*)@)?([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_LEAST_SECRET, _LEAST_NAME = 4, 6
"""Characters: shorter ones are in ordinary words, and are only taken out where they stand in the configuration."""
_TELLING = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^\s/@\"']*:[^\s\"']*@"  # the user's part of a URL
    r"|(?<![^\s\"'])[^\s/@:\"'{}\[\],]+:[^\s\"'/@:]+@(?=[\w.-])"  # and without its scheme
    r'|(?:(?<="who": ")|(?<="note": "))(?:[^"\\]|\\.)+'  # a person in a line of the log
    r"|(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9._~+/-]{8,}=*"
    r"|\bS[UAONCX][A-Z2-7]{40,}\b"  # seeds of NKeys
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # JSON web tokens
    re.DOTALL,
)


class Redaction:
    """Takes secrets, and names of users and people, out of all that it is given; knows more with each it has seen."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._names: set[str] = set()

    def learn(self, secret: str) -> None:
        """Take a secret out of all texts, as it is and as URLs and JSON write it."""
        for line in (secret, *secret.splitlines()):
            if len(line) >= _LEAST_SECRET:
                self._secrets |= {line, quote(line, safe=""), unquote(line), orjson.dumps(line).decode()[1:-1]}

    def configuration(self, value: Any, unknown: Collection[str], at: Path = ()) -> Any:
        """A configuration's values without secrets; at the paths `unknown` stand keys that mean nothing."""
        above, key = map(str, ("", "", *at)[-2:])
        if above not in _NAMED and (key in SECRET_KEYS or (key == "user" and _is_reference(value))):
            if value is None or not _is_reference(value):
                return value and self._taken(value)
            if key != "pin":  # nothing that the daemon writes has one, and so few digits are in much that it does
                self._learn_what_is_at(value)
            return value
        if at and path_text(at) in unknown:
            return self._taken(value)
        if isinstance(value, Mapping):
            return {each: self.configuration(inner, unknown, (*at, each)) for each, inner in value.items()}
        if isinstance(value, list):
            return [self.configuration(inner, unknown, (*at, number)) for number, inner in enumerate(value)]
        if value is not None and _names_somebody(at):
            return self._name(str(value))
        return self._plain(value) if isinstance(value, str) else value

    def keep_words_of(self, *texts: str) -> None:
        """Forget the names that are ordinary words here: a user `line-3` is no reason to take the line's name out."""
        self._names = {name for name in self._names if not any(map(_word(name).search, texts))}

    def event(self, value: Any) -> Any:
        """An event's, or an answer's, values without people."""
        if isinstance(value, Mapping):
            return {key: REDACTED if key in _PEOPLE and inner else self.event(inner) for key, inner in value.items()}
        return [self.event(inner) for inner in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """A text without what was learned, and without what looks like a secret."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        for name in sorted(self._names, key=len, reverse=True):
            text = _word(name).sub(REDACTED, text)
        return _TELLING.sub(REDACTED, text)

    def _learn_what_is_at(self, reference: Mapping[str, str]) -> None:
        with suppress(ValidationError, ConfigError):  # what this process cannot read is in nothing that it writes
            self.learn(Secret.model_validate(reference).resolve())

    def _taken(self, value: Any) -> str:
        """In place of a value of which everything may be secret."""
        for one in _scalars(value):
            self.learn(one)
        return REDACTED

    def _name(self, name: str) -> str:
        """In place of what may be an ordinary word, and is taken out where it stands alone.

        That is a user's name, which may be a password that went into the wrong line, or part of a URL.
        """
        if len(name) >= _LEAST_NAME:
            self._names |= {name, quote(name, safe=""), orjson.dumps(name).decode()[1:-1]}
        return REDACTED

    def _plain(self, text: str) -> str:
        """A text; a URL without its user, its query, and the path by which web hooks know their callers."""
        found = _URL.fullmatch(text)
        if found is None:
            return _TELLING.sub(REDACTED, text)
        scheme, user, host, path, behind = found.groups()
        for part in (user, *user.split(":")) if user else ():
            self.learn(part)
        if scheme in ("http://", "https://") and path not in ("", "/"):
            self._name(path.strip("/"))
            path = f"/{REDACTED}"
        for part in re.split(r"[?&=#]", behind):
            self._name(part)
        return f"{scheme}{f'{REDACTED}@' if user else ''}{host}{path}{f'?{REDACTED}' if behind else ''}"


def _names_somebody(at: Path) -> bool:
    """Whether a user's or an operator's name stands there."""
    beyond, above, key = map(str, ("", "", "", *at)[-3:])
    if above in _NAMED:
        return False
    return key == "user" or (key == "name" and (above == "user" or beyond == "operators"))


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) == 1
        and value.keys() <= _REFERENCE
        and all(isinstance(place, str) for place in value.values())
    )


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    elif value is not None:
        yield str(value)
