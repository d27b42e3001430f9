"""What sections of uplinks have in common; each uplink's own is in its folder in `gateway/uplinks`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, Tag, ValidationInfo, field_validator

from protocols.secrets import Secret
from protocols.settings import SECTION, TEXT, Cycle, Name, Settings, TlsConfig, shown, text_or_section

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _glob(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?]{1,200}", text):
        raise ValueError(f"{shown(text)} is not a pattern; write letters, digits, _ and ., * for any text, ? for one")
    return text


Glob = Annotated[str, AfterValidator(_glob)]


class UplinkSettings(Settings):
    """What every uplink may say."""

    CASELESS: ClassVar[str] = ""
    """Who on the other side may not tell upper from lower case in names."""

    from_: Literal["now", "oldest"] = Field(default="now", alias="from")
    """Where an uplink that is new to an existing buffer begins."""
    was: Name | None = None
    """The name that this uplink had before: it goes on where that one was, quarantine and all."""
    events: Annotated[tuple[Glob, ...], Field(min_length=1, strict=False)] = Field(
        default=(), examples=['["machine.*", "line.*"]']
    )
    """Types that it gets, without `linegate.` and version; `*` is any text, `?` one character; by default all."""
    subjects: Annotated[tuple[Glob, ...], Field(min_length=1, strict=False)] = Field(
        default=(), examples=['[filler, "capper*"]']
    )
    """Machines, devices and signals (`device.signal`) whose events it gets; `line` and `gateway` for theirs."""
    rate: Cycle | None = Field(default=None, examples=["200/s"])
    """Most events in a time while it catches up; by default as fast as they are acknowledged."""
    max_attempts: int = Field(default=5, ge=1)
    """Refusals of one event before it goes to this uplink's quarantine."""

    @property
    def notes(self) -> Iterable[tuple[str, str]]:
        """What is right but worth a note: the key, and words."""
        return ()

    @property
    def claims(self) -> Iterable[tuple[str, str]]:
        """What no other uplink should have too: the key, and whose it is."""
        return ()


class ShapedUplink(UplinkSettings):
    """What uplinks may say that carry whole events."""

    format: Literal["json", "msgpack"] = "json"
    """JSON, or MessagePack with the same names."""
    shape: Literal["cloudevents", "flat"] = "cloudevents"
    """CloudEvents with the data inside; or flat: type, subject, time, stream, seq, prevseq and source beside the data's
    fields."""


class ServerUplink(UplinkSettings):
    """What uplinks may say whose other side is a server with a URL."""

    SCHEMES: ClassVar[tuple[str, str]]
    """Without and with TLS."""
    SERVER: ClassVar[str]
    """Whose address it is, in words."""
    EXAMPLES: ClassVar[tuple[str, str]]

    url: str
    """Where the server is."""
    user: Annotated[Annotated[str, Tag(TEXT)] | Annotated[Secret, Tag(SECTION)], text_or_section] | None = None
    """User name."""
    password: Secret | None = None
    """{credential: NAME}, {env: NAME} or {file: PATH}."""
    tls: TlsConfig | None = None
    """Certificates, where the URL is one for TLS."""

    # a URL is never shown: a password may stand in it, by mistake

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the host or the port of this URL cannot be read; a port is 1 to 65535") from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("secrets are never in the file; give `user` and `password: {credential: NAME}`")
        if parts.scheme not in cls.SCHEMES or not host or not cls._is_complete(parts):
            raise ValueError(f"this is not {cls.SERVER}'s address; write {' or '.join(cls.EXAMPLES)}")
        if port == 0 or re.search(r"[\s#]", url):
            raise ValueError("the host or the port of this URL cannot be read; a port is 1 to 65535")
        return url

    @classmethod
    def _is_complete(cls, parts: SplitResult) -> bool:
        """Whether the URL has what it needs behind the host, and no more."""
        return parts.path in ("", "/") and not parts.query

    @field_validator("password")
    @classmethod
    def _check_password(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        if password is not None and "user" in info.data and info.data["user"] is None:
            raise ValueError("a password needs a user, for example `user: gateway`")
        return password

    @field_validator("tls")
    @classmethod
    def _check_tls(cls, tls: TlsConfig | None, info: ValidationInfo) -> TlsConfig | None:
        secure = cls.SCHEMES[1]
        if tls is not None and not info.data.get("url", f"{secure}:").startswith(f"{secure}:"):
            raise ValueError(f"tls needs a url that begins with {secure}://")
        return tls

    @property
    def is_secure(self) -> bool:
        """Whether the connection is TLS."""
        return urlsplit(self.url).scheme == self.SCHEMES[1]

    @property
    def host(self) -> str:
        """Name or address of the server, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def hosts(self) -> Iterable[str]:
        """All that it may connect to."""
        return (self.host,)

    @property
    def secrets(self) -> Iterable[tuple[str, Secret | None]]:
        """Keys and places of what nobody else may read."""
        return (("password", self.password),)

    @property
    def notes(self) -> Iterable[tuple[str, str]]:
        """Secrets in plain text over a network."""
        if not self.is_secure and not set(self.hosts) <= set(LOOPBACK):
            for key, secret in self.secrets:
                if secret is not None:
                    yield key, f"travels in plain text, for everybody on the way to read; use {self.SCHEMES[1]}://"


def _server(text: str) -> str:
    try:
        parts = urlsplit(f"//{text}")
        is_one = parts.netloc == text and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or re.search(r"\s", text):
        raise ValueError(f"{shown(text)} is not a server; write host or host:port")
    return text


Server = Annotated[str, AfterValidator(_server)]
"""`host` or `host:port`"""


class ClusterUplink(ServerUplink):
    """What uplinks may say whose other side is a cluster of servers."""

    PORTS: ClassVar[tuple[int, int]]
    """Without and with TLS, where none is written."""

    others: Annotated[tuple[Server, ...], Field(strict=False)] = Field(
        default=(), examples=['["server-2.example", "server-3.example:9092"]']
    )
    """More servers of the same cluster, `host` or `host:port`, to begin with where the first is away."""

    @property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports in the order in which they are tried."""
        port = self.PORTS[self.is_secure]
        parts = (urlsplit(self.url), *(urlsplit(f"//{other}") for other in self.others))
        return tuple((each.hostname or "", each.port or port) for each in parts)

    @property
    def hosts(self) -> Iterable[str]:
        """All that it may connect to."""
        return (host for host, _ in self.servers)


def resolved(user: str | Secret | None, secret: Secret | None) -> tuple[str | None, str | None]:
    """A user's name and a secret themselves; blocking. Raises ConfigError naming the place, never the content."""
    return (
        user.resolve() if isinstance(user, Secret) else user,
        secret.resolve() if secret is not None else None,
    )
