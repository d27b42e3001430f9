"""What any consumer of events needs: drops duplicates, proves completeness, knows the newest revisions. Copy it.

It uses nothing but the standard library, reads no clock, does no I/O, and its memory is bounded.

An event is known by `(stream, seq)`. `prevseq` names the one that was delivered before it to the same receiver,
whatever filters, drops and quarantine left out; so an event that is named and did not come is missing, and nothing else
is. This holds for all that one uplink delivers: whoever takes a part of its topics, or two uplinks with one follower,
breaks the chain himself. What the gateway itself had to give up it says in `gateway.gap`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

REVISED = {"machine.state": "interval", "machine.stop": "stop", "machine.kpi": "kpi", "line.kpi": "kpi"}
"""Types that are told again under one id, and the field that has the id: of one id the highest `rev` stands."""

MOST_SEQ = 2**63
MOST_STREAMS = 10_000
MOST_RANGES = 10_000
"""Stretches of received numbers that are remembered of a stream; one without filters has one."""
MOST_CLAIMS = 10_000
MOST_RETRIED = 10_000
MOST_REVISED = 10_000
MOST_TOLD = 100
JOINING = 1000
"""Among so many events of a stream some may be sent again that were delivered before this receiver began."""

Order = Literal["first", "next", "late", "retried"]
"""The first of its stream here; in order; after younger ones, since it was sent again; let out of quarantine."""


class NotAnEvent(ValueError):
    """What came has not the attributes of an event."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one event is to whoever received it."""

    is_new: bool
    """Else it came before: throw it away."""
    order: Order
    missing: int | None = None
    """The seq that it names as delivered before it, where that did not come. It still may: see `Follower.holes`."""
    is_superseded: bool = False
    """A newer revision of the same interval, stop or window came before: keep that one."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Events that were delivered, or stored to be delivered, and did not come."""

    stream: str
    after: int
    """The last that came before them."""
    upto: int
    """The last of them: this one is missing; those between may have been left out by a filter, drops or quarantine."""
    is_proven: bool = True
    """Else it is only known that the stream ended here, and not whether these were meant for this receiver."""

    @property
    def most(self) -> int:
        """How many they are at most."""
        return self.upto - self.after


@dataclass(slots=True)
class Seqs:
    """A set of numbers, as ranges. Above `MOST_RANGES` of them what lies between the lowest two is forgotten."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    forgotten: int = 0
    """Up to here nobody remembers which numbers came."""

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self.firsts, seq) - 1
        return at >= 0 and seq <= self.lasts[at]

    def add(self, seq: int) -> None:
        """Put one in that is not in."""
        at = bisect_right(self.firsts, seq)
        follows = at > 0 and self.lasts[at - 1] == seq - 1
        precedes = at < len(self.firsts) and self.firsts[at] == seq + 1
        if follows and precedes:
            del self.firsts[at], self.lasts[at - 1]
        elif follows:
            self.lasts[at - 1] = seq
        elif precedes:
            self.firsts[at] = seq
        else:
            self.firsts.insert(at, seq)
            self.lasts.insert(at, seq)
        if len(self.firsts) > MOST_RANGES:
            del self.firsts[1], self.lasts[0]
            self.forgotten = max(self.forgotten, self.lasts[0])

    def below(self, seq: int) -> int:
        """The highest that is lower than one that is not in; 0 where none is."""
        at = bisect_right(self.firsts, seq) - 1
        return self.lasts[at] if at >= 0 else 0


@dataclass(slots=True)
class Stream:
    """What came of one stream: of one buffer of one line's gateway."""

    source: str
    first: int = 0
    """What is older than this was delivered before this receiver began."""
    last: int = 0
    """The highest seq that came."""
    time: str = ""
    """When the newest event happened, as it says."""
    received: int = 0
    duplicates: int = 0
    late: int = 0
    retried: int = 0
    is_filtered: bool = False
    """Whether numbers were left out between one event and the next, by a filter or by drops."""
    begun_anew: int = 0
    """How often a new chain began in it (a new uplink): what lies before such a begin is proven by nothing."""
    ended_at: int | None = None
    """The last seq that the gateway gave, where a new stream named this one."""
    former: str = ""
    """The stream before it, where it named one."""
    lost: int = 0
    """Holes that are no longer listed."""
    seqs: Seqs = field(default_factory=Seqs)
    out_of_quarantine: dict[int, None] = field(default_factory=dict)
    claims: dict[int, int] = field(default_factory=dict)
    """Events that came, and the seq that each named and that has not come."""
    named: dict[int, set[int]] = field(default_factory=dict)
    """The same by the seq that is missing."""
    told: list[tuple[int, int]] = field(default_factory=list)
    """Ranges that the gateway says are gone."""

    def knows(self, seq: int) -> bool:
        """Whether this event, named by another one, came."""
        return seq in self.out_of_quarantine or (seq > self.seqs.forgotten and seq in self.seqs)

    def take(self, seq: int, prevseq: int) -> Taken:
        """One more event."""
        order = self._order(seq, prevseq)
        is_new = not self._came(seq, order)
        if is_new:
            self._add(seq, prevseq, order)
        else:
            self.duplicates += 1
        self._unclaim(seq)  # delivered again it may name another one: what was refused meanwhile is passed over
        if self._proves_nothing(seq, prevseq, is_new) or self.knows(prevseq):
            return Taken(is_new, order)
        self._claim(seq, prevseq)
        return Taken(is_new, order, prevseq)

    def holes(self, name: str) -> Iterator[Hole]:
        """What is missing now; what comes later is not listed any more."""
        before = 0
        for prevseq in sorted(self.named):
            after = max(before, self.seqs.below(prevseq), min(self.first, prevseq) - 1)
            yield Hole(name, after, prevseq)
            before = prevseq
        if self.ended_at is not None and not _is_covered(self.last, self.ended_at, self.told):
            yield Hole(name, self.last, self.ended_at, is_proven=not self.is_filtered)

    def _order(self, seq: int, prevseq: int) -> Order:
        if not self.first:
            return "first"
        if prevseq > seq or (prevseq in self.out_of_quarantine and seq < self.last):
            return "retried"
        return "next" if seq > self.last else "late"

    def _came(self, seq: int, order: Order) -> bool:
        if seq <= self.seqs.forgotten:
            return seq in self.out_of_quarantine if order == "retried" else True
        return seq in self.seqs

    def _add(self, seq: int, prevseq: int, order: Order) -> None:
        self.received += 1
        if order == "first":
            self.first = max(seq, prevseq + 1)
        elif order == "retried":
            self.retried += 1
        elif order == "late":
            self.late += 1
        elif prevseq == 0 and self.last:
            self.begun_anew += seq > self.last + 1
        elif prevseq != seq - 1 and prevseq not in self.out_of_quarantine:
            self.is_filtered = True
        if order == "retried":
            self.out_of_quarantine[seq] = None
            if len(self.out_of_quarantine) > MOST_RETRIED:
                del self.out_of_quarantine[next(iter(self.out_of_quarantine))]
        if seq not in self.seqs:
            self.seqs.add(seq)
        for claimant in self.named.pop(seq, ()):
            del self.claims[claimant]
        self.last = max(self.last, seq)

    def _proves_nothing(self, seq: int, prevseq: int, is_new: bool) -> bool:
        """Whether a chain begins with it, or it is of the time before this receiver, or of one long forgotten."""
        if prevseq == 0 or (seq <= self.first and prevseq < self.first and self.received <= JOINING):
            return True
        return not is_new and seq <= self.seqs.forgotten

    def _claim(self, seq: int, prevseq: int) -> None:
        self.claims[seq] = prevseq
        self.named.setdefault(prevseq, set()).add(seq)
        if len(self.claims) > MOST_CLAIMS:
            self._unclaim(next(iter(self.claims)))
            self.lost += 1

    def _unclaim(self, seq: int) -> None:
        prevseq = self.claims.pop(seq, None)
        if prevseq is not None:
            self.named[prevseq].discard(seq)
            if not self.named[prevseq]:
                del self.named[prevseq]


class Follower:
    """What came through one uplink, of any number of lines."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        """The one that was heard last comes last."""
        self.gaps: Counter[str] = Counter()
        """What gateways said in `gateway.gap`, by its `what`: off, dropped, damaged."""
        self.gone = 0
        """Events that gateways say they had to give up before they could deliver them."""
        self.revised = 0
        self.superseded = 0
        self.lost = 0
        """Holes in streams that are no longer listed."""
        self.twins: dict[str, tuple[str, str]] = {}
        """Lines of which two gateways are alive: by source both streams. Both count the same parts; stop one."""
        self._revisions: dict[tuple[str, str, str], int] = {}
        self._alive: dict[str, tuple[str, str]] = {}
        """By source the two streams that said last that they are alive, the last one last."""

    def take(self, event: Mapping[str, Any]) -> Taken:
        """Follow one event, in CloudEvents or flat shape. Raises NotAnEvent, and then it changed nothing."""
        kind, source, name, seq, prevseq, data = read(event)
        stream = self._stream(name, source)
        taken = stream.take(seq, prevseq)
        if not taken.is_new:
            return taken
        stream.time = max(stream.time, str(event.get("time", "")))
        if kind == "gateway.gap":
            self._note_gap(name, data)
        elif kind == "gateway.alive" and taken.order in ("first", "next"):
            self._note_alive(name, source)
        elif kind == "gateway.started":
            self._note_start(name, data)
        elif kind in REVISED and self._is_superseded(source, kind, data):
            return Taken(True, taken.order, taken.missing, is_superseded=True)
        return taken

    def holes(self) -> list[Hole]:
        """All that is missing and that no gateway explained, as it is known now."""
        return [hole for name, stream in self.streams.items() for hole in stream.holes(name)]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, as far as can be known now."""
        lost = self.lost + sum(stream.lost for stream in self.streams.values())
        return not lost and not any(hole.is_proven for hole in self.holes())

    def state(self) -> dict[str, Any]:
        """What a restart needs to go on following, as plain values for JSON. Revisions are not in it."""
        streams = {}
        for name, stream in self.streams.items():
            plain = {key: getattr(stream, key) for key in Stream.__slots__}
            plain["seqs"] = [stream.seqs.firsts, stream.seqs.lasts, stream.seqs.forgotten]
            plain["out_of_quarantine"] = list(stream.out_of_quarantine)
            plain["claims"] = list(stream.claims.items())
            del plain["named"]
            streams[name] = plain
        return {"streams": streams, "gaps": self.gaps, "gone": self.gone, "lost": self.lost}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Follower:
        """The one whose `state` it is. Raises KeyError, TypeError or ValueError for what is none."""
        one = cls()
        one.gaps, one.gone, one.lost = Counter(state["gaps"]), int(state["gone"]), int(state["lost"])
        for name, plain in state["streams"].items():
            firsts, lasts, forgotten = plain["seqs"]
            whole = {
                "seqs": Seqs(list(firsts), list(lasts), forgotten),
                "out_of_quarantine": dict.fromkeys(plain["out_of_quarantine"]),
                "claims": dict(plain["claims"]),
                "told": [(begin, end) for begin, end in plain["told"]],
            }
            stream = one.streams[name] = Stream(**{**plain, **whole})
            for seq, prevseq in stream.claims.items():
                stream.named.setdefault(prevseq, set()).add(seq)
        return one

    def _stream(self, name: str, source: str) -> Stream:
        stream = self.streams.pop(name, None) or self._new_stream(name, source)
        self.streams[name] = stream
        if len(self.streams) > MOST_STREAMS:
            oldest = next(iter(self.streams))
            gone = self.streams.pop(oldest)
            self.lost += gone.lost + sum(hole.is_proven for hole in gone.holes(oldest))
        return stream

    def _new_stream(self, name: str, source: str) -> Stream:
        """One of a line that is followed already is whole from its first event on, unless it is the one before."""
        siblings = [stream for stream in self.streams.values() if stream.source == source]
        is_whole = bool(siblings) and all(stream.former != name for stream in siblings)
        return Stream(source, first=1 if is_whole else 0)

    def _note_gap(self, name: str, data: Mapping[str, Any]) -> None:
        self.gaps[str(data.get("what"))] += 1
        self.gone += _number(data.get("count"))
        begin, end = _number(data.get("from")), _number(data.get("to"))
        stream = self.streams.get(str(data.get("of_stream", name)))
        if stream is not None and begin and end:
            stream.told = [*stream.told[1 - MOST_TOLD :], (begin, end)]

    def _note_start(self, name: str, data: Mapping[str, Any]) -> None:
        before = data.get("previous")
        if isinstance(before, Mapping) and (former := str(before.get("stream"))) != name:
            self.streams[name].former = former
            if former in self.streams:
                self.streams[former].ended_at = _number(before.get("last_seq"))

    def _note_alive(self, name: str, source: str) -> None:
        """One that was followed by another is over, where one gateway has a new stream; if it goes on there are two."""
        before, last = self._alive.pop(source, ("", ""))
        if name == before:
            self.twins[source] = (last, name)
        self._alive[source] = (before if name == last else last, name)
        if len(self._alive) > MOST_STREAMS:
            oldest = next(iter(self._alive))
            del self._alive[oldest]
            self.twins.pop(oldest, None)

    def _is_superseded(self, source: str, kind: str, data: Mapping[str, Any]) -> bool:
        if (one := data.get(REVISED[kind])) is None:
            return False
        key = (source, kind, str(one))
        rev, known = _number(data.get("rev")), self._revisions.pop(key, -1)
        self._revisions[key] = max(rev, known)
        if len(self._revisions) > MOST_REVISED:
            del self._revisions[next(iter(self._revisions))]
        self.revised += rev > known >= 0
        self.superseded += rev <= known
        return rev <= known


def read(event: Mapping[str, Any]) -> tuple[str, str, str, int, int, Mapping[str, Any]]:
    """Short type, source, stream, seq, prevseq, and the fields of `data`: inside, or beside in the flat shape.

    Raises NotAnEvent.
    """
    try:
        kind, source, stream = event["type"], event["source"], event["stream"]
        seq, prevseq = int(event["seq"]), int(event["prevseq"])
        data = event.get("data", event)
        if not (1 <= seq < MOST_SEQ and 0 <= prevseq < MOST_SEQ and isinstance(data, Mapping)):
            raise ValueError("numbers begin with 1, and data is an object")
        return str(kind).removeprefix("linegate.").removesuffix(".v1"), str(source), str(stream), seq, prevseq, data
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAnEvent(f"this is no event of linegate: {error!r}") from None


def _number(value: object) -> int:
    """A number as events have it, plain or as a decimal string; 0 for anything else."""
    try:
        number = int(value) if isinstance(value, int | str) else 0
        return number if 0 <= number < MOST_SEQ else 0
    except ValueError:
        return 0


def _is_covered(after: int, upto: int, ranges: Iterable[tuple[int, int]]) -> bool:
    """Whether all numbers behind `after`, up to `upto`, are in the ranges."""
    for begin, end in sorted(ranges):
        if begin <= after + 1:
            after = max(after, end)
    return after >= upto
