"""The follower against a gateway, its link and its plant whose truth is known: every loss is found, none is made up."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.receive import follower as module
from gateway.receive.follower import Follower, Hole, NotAnEvent, Seqs

A, B = "stream-a", "stream-b"


def event(seq: int, prevseq: int, of: str = A, kind: str = "machine.state", **data: Any) -> dict[str, Any]:
    return {
        "type": f"linegate.{kind}.v1", "source": "/acme/line-3", "stream": of, "seq": str(seq),
        "prevseq": str(prevseq), "subject": "filler", "time": "2026-11-22T06:00:00.250Z", "data": data,
    }  # fmt: skip


def followed(*pairs: tuple[int, int], of: str = A) -> Follower:
    one = Follower()
    for seq, prevseq in pairs:
        one.take(event(seq, prevseq, of))
    return one


def chain(*seqs: int, after: int = 0) -> list[tuple[int, int]]:
    return [(seq, before) for before, seq in pairwise((after, *seqs))]


class World:
    """A gateway that delivers to one uplink, and a link that repeats, and loses what was acknowledged."""

    def __init__(self, choose: random.Random, *, filtered: bool) -> None:
        self.choose = choose
        self.filtered = filtered
        self.last = 0
        self.waiting: list[int] = []
        self.aside: list[int] = []
        self.cursor = 0
        """What the store knows as delivered."""
        self.uncommitted: list[int] = []
        """Delivered since: a crash delivers them again."""
        self.delivered: list[int] = []
        """In the order of first delivery."""
        self.arrived: list[tuple[int, int]] = []

    def make(self) -> None:
        for _ in range(self.choose.randint(1, 6)):
            self.last += 1
            if not self.filtered or self.choose.random() < 0.5:
                self.waiting.append(self.last)

    def drop(self) -> None:
        """Space runs out: some of what waits is gone, and a `gateway.gap` would say so."""
        self.waiting = [seq for seq in self.waiting if self.choose.random() < 0.7]

    def refuse(self) -> None:
        if self.waiting:
            self.aside.append(self.waiting.pop(0))

    def retry(self) -> None:
        if self.aside:
            self._deliver([self.aside.pop(self.choose.randrange(len(self.aside)))])

    def deliver(self) -> None:
        count = self.choose.randint(1, 5)
        some, self.waiting = self.waiting[:count], self.waiting[count:]
        self._deliver(some)

    def commit(self) -> None:
        self.cursor, self.uncommitted = ([self.cursor, *self.uncommitted])[-1], []

    def crash(self) -> None:
        again, self.uncommitted = self.uncommitted, []
        self._deliver(again)

    def _deliver(self, seqs: list[int]) -> None:
        before = ([self.cursor, *self.uncommitted])[-1]
        for seq, prevseq in chain(*seqs, after=before):
            if seq not in self.delivered:
                self.delivered.append(seq)
            self.arrived.append((seq, prevseq))
        self.uncommitted += seqs


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([0.0, 0.0, 0.1, 0.3]), st.booleans())
def test_every_loss_is_found_and_none_is_made_up(seed: int, filtered: bool, loss: float, restarts: bool) -> None:
    choose = random.Random(seed)
    world, steps = (
        World(choose, filtered=filtered),
        ("make", "deliver", "deliver", "drop", "refuse", "retry", "commit", "crash"),
    )
    for _ in range(60):
        getattr(world, choose.choice(steps))()
    lost = {seq for seq in world.delivered if choose.random() < loss}
    came = [pair for pair in world.arrived if pair[0] not in lost][choose.randint(0, 5) :]
    one, seen = Follower(), []
    for seq, prevseq in came:
        taken = one.take(event(seq, prevseq))
        assert taken.is_new == (seq not in seen)
        seen.append(seq)
        if restarts and choose.random() < 0.1:
            one = Follower.restored(json.loads(json.dumps(one.state())))
    check(one, world, set(seen), came)


def check(one: Follower, world: World, seen: set[int], came: list[tuple[int, int]]) -> None:
    holes = one.holes()
    assert one.is_complete == (not holes)
    for hole in holes:
        assert hole.upto in world.delivered
        assert hole.upto not in seen
    if not came:
        return
    stream, latest = one.streams[A], dict(came)
    for before, after in pairwise(world.delivered[world.delivered.index(came[0][0]) :]):
        if before < stream.first and after <= stream.first:
            continue  # it may have been delivered before this receiver began
        if before not in seen and after in seen and latest[after] == before:
            assert any(hole.after < before <= hole.upto for hole in holes), (before, holes)
    assert (stream.received, stream.duplicates) == (len(seen), len(came) - len(seen))


@given(st.lists(st.integers(1, 60)), st.integers(2, 8))
def test_numbers_are_kept_as_ranges(numbers: list[int], most: int) -> None:
    before, module.MOST_RANGES = module.MOST_RANGES, most
    try:
        seqs = Seqs()
        model: set[int] = set()
        for number in numbers:
            if number not in seqs:
                seqs.add(number)
            model.add(number)
            assert all((n in seqs) == (n in model) for n in range(seqs.forgotten + 1, 62))
            assert seqs.firsts == sorted(seqs.firsts)
            assert len(seqs.firsts) <= most
            assert all(low <= high for low, high in zip(seqs.firsts, seqs.lasts, strict=True))
            assert all(n in seqs for n in model)
    finally:
        module.MOST_RANGES = before


def test_a_loss_is_told_at_the_next_event_and_taken_back_when_it_comes() -> None:
    one = followed(*chain(1, 2, 3))
    assert one.take(event(7, 6)).missing == 6
    assert one.holes() == [Hole(A, 3, 6)]
    assert one.holes()[0].most == 3
    for seq in (4, 5, 6):
        assert one.take(event(seq, seq - 1)).order == "late"
    assert one.is_complete
    assert one.take(event(6, 5)).is_new is False


def test_who_comes_late_misses_nothing() -> None:
    one = followed((9, 8))
    assert one.take(event(7, 6)).is_new, "sent again from before"
    assert one.take(event(8, 7)).is_new
    assert one.is_complete
    assert one.take(event(11, 10)).missing == 10


def test_what_comes_from_before_much_later_was_in_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOINING", 3)
    one = followed(*chain(9, 10, 11, after=8))
    assert one.take(event(6, 5)).missing == 5
    assert one.holes() == [Hole(A, 4, 5)]


def test_what_was_refused_among_others_is_passed_over() -> None:
    """A receiver took 12 while 11 was refused; when 11 is set aside, 12 comes again and names 10."""
    one = followed(*chain(10, after=9), (12, 11))
    assert not one.is_complete
    assert not one.take(event(12, 10)).is_new
    assert one.is_complete


def test_an_event_out_of_quarantine_is_new_however_late_and_missed_if_it_is_lost() -> None:
    one = followed(*chain(1, 2, 4, 5))
    assert one.take(event(3, 5)).order == "retried"
    assert not one.take(event(3, 5)).is_new
    assert one.take(event(6, 3)).missing is None
    assert one.is_complete
    other = followed(*chain(1, 2, 4, 5))
    assert other.take(event(6, 3)).missing == 3
    assert other.holes() == [Hole(A, 2, 3)]


def test_several_out_of_quarantine_are_new_though_they_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RANGES", 4)
    one = followed(*chain(*range(20, 60, 2), after=18))
    assert [one.take(event(*pair)).is_new for pair in [(5, 58), (6, 5), (7, 6), (25, 7), (27, 25)]] == [True] * 5
    assert not one.take(event(7, 6)).is_new
    assert one.take(event(60, 27)).missing is None
    assert one.is_complete


def test_memory_is_bounded_and_what_is_old_stays_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RANGES", 4)
    monkeypatch.setattr(module, "MOST_CLAIMS", 4)
    monkeypatch.setattr(module, "MOST_STREAMS", 2)
    monkeypatch.setattr(module, "MOST_REVISED", 3)
    one = followed(*chain(*range(2, 60, 2)))
    assert len(one.streams[A].seqs.firsts) <= 4
    assert not one.take(event(10, 8)).is_new
    assert one.take(event(11, 58)).is_new, "out of quarantine"
    assert one.take(event(60, 11)).missing is None
    assert one.is_complete
    assert one.take(event(64, 63)).missing == 63
    one.take(event(63, 60))
    for seq in range(66, 90, 2):
        one.take(event(seq, seq - 2))
    assert one.streams[A].seqs.forgotten > 64
    assert one.is_complete, "what was found stays found"
    for seq in range(100, 130, 2):
        one.take(event(seq, seq - 1))
    stream = one.streams[A]
    assert len(stream.claims) <= 5
    assert stream.lost + len(one.holes()) == 15
    for name in ("b", "c"):
        one.take(event(1, 0, name))
    assert (list(one.streams), one.lost) == (["b", "c"], 15)
    assert not one.is_complete


def test_the_newest_revision_stands() -> None:
    one = Follower()
    told = [
        one.take(event(seq, seq - 1, interval=interval, rev=rev)).is_superseded
        for seq, interval, rev in [(1, "x", 0), (2, "y", 0), (3, "x", 2), (4, "x", 1), (5, "y", 1)]
    ]
    assert told == [False, False, False, True, False]
    assert (one.revised, one.superseded) == (2, 1)
    flat = {**event(6, 5), "stop": "s", "rev": 4, "type": "linegate.machine.stop.v1"}
    del flat["data"]
    assert not one.take(flat).is_superseded
    assert one.take({**flat, "seq": "7", "prevseq": "6", "rev": 3}).is_superseded


def test_a_new_stream_is_whole_from_its_first_event_on() -> None:
    one = followed(*chain(1, 2, 3))
    began = event(1, 0, B, "gateway.started", previous={"stream": A, "last_seq": "3", "ended": "damaged"})
    assert one.take(began).missing is None
    assert one.is_complete
    other = followed(*chain(1, 2, 3))
    assert other.take(event(2, 1, B)).missing == 1
    assert other.take(began).order == "late"
    assert other.is_complete
    third = Follower()
    third.take(began)
    assert third.take(event(9, 8, A)).missing is None, "the stream before, sent again"
    assert third.is_complete


def test_the_end_of_a_stream_that_another_one_replaces() -> None:
    """What the old buffer had and nobody got is missing, unless the gateway says that it is gone."""
    one = followed(*chain(1, 2, 3))
    one.take(event(1, 0, B, "gateway.started", previous={"stream": A, "last_seq": "9", "ended": "damaged"}))
    assert one.holes() == [Hole(A, 3, 9)]
    told = {"what": "damaged", "of_stream": A, "from": "5", "to": "9", "count": 5}
    one.take(event(2, 1, B, "gateway.gap", **told))
    assert one.holes() == [Hole(A, 3, 9)]
    one.take(event(4, 3))
    assert one.holes() == []
    assert (one.gaps["damaged"], one.gone) == (1, 5)


def test_a_filtered_end_is_proven_by_nothing() -> None:
    one = followed(*chain(1, 5, 9))
    one.take(event(1, 0, B, "gateway.started", previous={"stream": A, "last_seq": "20", "ended": "missing"}))
    assert one.holes() == [Hole(A, 9, 20, is_proven=False)]
    assert one.is_complete


def test_a_chain_that_begins_anew_is_counted() -> None:
    one = followed(*chain(1, 2, 3), (9, 0), (10, 9))
    assert one.is_complete
    assert one.streams[A].begun_anew == 1


@pytest.mark.parametrize(
    "wrong",
    [{}, {"type": 3}, {**event(1, 0), "seq": "0"}, {**event(1, 0), "prevseq": "x"}, {**event(1, 0), "data": []}, []],
)
def test_what_is_no_event_changes_nothing(wrong: Any) -> None:
    one = Follower()
    with pytest.raises(NotAnEvent):
        one.take(wrong)
    assert not one.streams


def test_what_a_stranger_writes_into_data_breaks_nothing() -> None:
    one = Follower()
    told: list[tuple[str, dict[str, Any]]] = [
        ("gateway.gap", {"from": "x", "to": [], "count": "many", "of_stream": 7}),
        ("gateway.started", {"previous": [1]}),
        ("gateway.started", {"previous": {"stream": None}}),
        ("machine.state", {"rev": "new", "interval": {}}),
    ]
    for seq, (kind, data) in enumerate(told, 1):
        one.take(event(seq, seq - 1, kind=kind, **data))
    assert one.is_complete


def test_two_gateways_that_are_alive_by_turns() -> None:
    """A new stream that follows another one is none, nor what comes of the old one late, or from another line."""
    alive = "gateway.alive"
    one = Follower()
    for seq, of in ((5, A), (6, A), (1, B), (2, B)):
        one.take(event(seq, seq - 1, of, alive))
    one.take(event(6, 5, A, alive))  # again
    one.take(event(4, 3, A, alive))  # late
    one.take({**event(9, 8, "stream-c", alive), "source": "/acme/line-4"})
    assert not one.twins
    one.take(event(7, 6, A))
    assert not one.twins, "of the time before, perhaps"
    one.take(event(8, 7, A, alive))
    assert one.twins == {"/acme/line-3": (B, A)}


def test_many_lines_are_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STREAMS", 3)
    one = Follower()
    for before in range(2):
        for line in range(5):
            for of in (A, B):
                one.take({**event(before + 1, before, f"{of}{line}", "gateway.alive"), "source": f"/acme/line-{line}"})
    assert len(one._alive) == 3
    assert len(one.twins) <= 3
