"""`gateway.gap` of events that are gone, and the accounts of those of which none has told yet."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.events import Event, rfc3339
from gateway.outbox.witness import Witness

Key: TypeAlias = tuple[str, str]
"""Class and why."""


def gap(
    what: Literal["dropped", "damaged"],
    why: str,
    *,
    number: int | None = None,
    first: int | None = None,
    last: int | None = None,
    class_: str | None = None,
    began: int | None = None,
    ended: int | None = None,
    stream: str | None = None,
) -> Event:
    """The event; numbers are of this buffer or of `stream`, times UTC in milliseconds, now where they are not known."""
    now = time.time_ns() // 1_000_000
    data = {
        "what": what,
        "began": rfc3339(now if began is None else began),
        "ended": rfc3339(now if ended is None else ended),
        "from": None if first is None else str(first),
        "to": None if last is None else str(last),
        "class": class_,
        "count": number,
        "why": why,
    }
    if stream is not None:
        data["of_stream"] = stream
    return Event("gateway.gap", "gateway", now, data)


def gone_with(replaced: Witness | None, uplinks: Collection[str]) -> list[Event]:
    """What some uplink had not been given of a buffer in whose place another one was put."""
    places = {} if replaced is None else {name: seq for name, (seq, _) in replaced.cursors.items() if name in uplinks}
    if replaced is None or not places or (first := max(0, min(places.values())) + 1) > replaced.last_seq:
        return []
    number, last = replaced.last_seq - first + 1, replaced.last_seq
    why = "another buffer was put in the place of theirs"
    return [gap("damaged", why, number=number, first=first, last=last, stream=replaced.stream)]


@dataclass(slots=True)
class Episode:
    """Events of one class that were dropped for one reason: how many, from and to which, of which time.

    Numbers are None for events that never had one. Times are the events' own, UTC in milliseconds.
    """

    class_: str
    why: str
    count: int
    first: int | None
    last: int | None
    began: int
    ended: int

    @property
    def key(self) -> Key:
        """What it is the account of."""
        return self.class_, self.why

    def with_(self, other: Episode) -> Episode:
        """Both as one."""
        seqs = [seq for seq in (self.first, self.last, other.first, other.last) if seq is not None]
        return Episode(
            self.class_,
            self.why,
            self.count + other.count,
            min(seqs, default=None),
            max(seqs, default=None),
            min(self.began, other.began),
            max(self.ended, other.ended),
        )

    def gap(self) -> Event:
        """What tells it."""
        return gap(
            "dropped",
            self.why,
            number=self.count,
            first=self.first,
            last=self.last,
            class_=self.class_,
            began=self.began,
            ended=self.ended,
        )


def add(accounts: dict[Key, Episode], episode: Episode) -> Episode:
    """Go on with the account that it belongs to; the whole account."""
    before = accounts.get(episode.key)
    found = accounts[episode.key] = episode if before is None else before.with_(episode)
    return found


def write(db: sqlite3.Connection, episode: Episode) -> None:
    """Keep a running account over restarts; part of the transaction that drops."""
    db.execute(
        "INSERT OR REPLACE INTO episode (class, why, what, from_seq, to_seq, count, began, ended)"
        " VALUES (?, ?, 'dropped', ?, ?, ?, ?, ?)",
        (
            episode.class_,
            episode.why,
            episode.first,
            episode.last,
            episode.count,
            episode.began,
            episode.ended,
        ),
    )


def read(db: sqlite3.Connection) -> list[Episode]:
    """The running accounts that are stored."""
    rows = db.execute("SELECT class, why, count, from_seq, to_seq, began, ended FROM episode WHERE what = 'dropped'")
    return [Episode(*row) for row in rows]
