"""The decision procedure of counters: each rule by example, and against a counter whose true parts are known."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.kpi.counter import Counted, Counter, CounterFault

RATE = 6 / 1000  # parts a millisecond: three times an ideal of 500 ms


def fed(
    *readings: tuple[int, int], modulus: int = 2**16, rate: float | None = RATE
) -> tuple[Counter, list[Counted | CounterFault]]:
    counter, found = Counter(modulus, rate), []
    for at, value in readings:
        found += counter.read(value, at)
    return counter, found


def parts(found: list[Counted | CounterFault]) -> int:
    return sum(one.parts for one in found if isinstance(one, Counted))


def test_first_reading_is_the_base() -> None:
    assert fed((0, 4711))[1] == []


def test_forward() -> None:
    assert fed((0, 100), (1000, 104))[1] == [Counted(4, 4, 4)]


def test_rollover_between_two_scans() -> None:
    assert fed((0, 65534), (1000, 3))[1] == [Counted(5, 5, 5)]


def test_own_rollover() -> None:
    assert parts(fed((0, 999_998), (1000, 2), modulus=1_000_000)[1]) == 4


def test_reset_waits_for_the_next_reading_and_is_ambiguous() -> None:
    counter, found = fed((0, 4999), (1000, 5000), (2000, 2))
    assert found == [Counted(1, 1, 1)]
    assert counter.waits
    assert counter.read(3, 3000) == [Counted(2, 2, 7), Counted(1, 1, 1)]


def test_a_doubtful_reading_is_confirmed_by_the_same_value_again() -> None:
    counter, _ = fed((0, 4999), (1000, 5000), (2000, 2))
    assert counter.read(2, 2250) == [Counted(2, 2, 7)]


def test_torn_reading_is_thrown_away() -> None:
    for torn in (65_535, 131_071, 65_536 * 3):
        _, found = fed((0, 65_530), (1000, torn * 2), (2000, 65_537), modulus=2**32)
        assert found == [Counted(7, 7, 7)]


def test_correction_by_hand() -> None:
    counter = Counter(2**16, RATE, correction=20)
    for at, value in ((0, 5000), (1000, 4990)):
        assert counter.read(value, at) == []
    assert counter.read(4990, 2000) == [Counted(-10, -10, -10)]


def test_jump_counts_nothing_and_is_said() -> None:
    _, found = fed((0, 100), (1000, 50_000), (2000, 50_002))
    assert isinstance(found[0], CounterFault)
    assert (found[0].before, found[0].after) == (100, 50_000)
    assert found[1:] == [Counted(2, 2, 2)]


def test_counter_that_the_plc_copies_every_five_seconds() -> None:
    _, found = fed((0, 100), (5000, 110), (10_000, 120))
    assert parts(found) == 20


def test_a_counter_that_is_copied_now_and_then_may_be_copied_right_after_it_was_first_read() -> None:
    """At the start, and when its PLC is back: when it last changed is not known."""
    counter, found = fed((4900, 100), (5000, 110))
    assert parts(found) == 10
    counter.lost(5000)
    assert parts(counter.read(130, 14_900)) == 20
    assert parts(counter.read(140, 15_000, 14_900)) == 10


def test_stall_between_reading_and_stamping_makes_no_jump() -> None:
    """Readings of 1 s apart that were stamped 1 ms apart, since something held the gateway between them."""
    counter = Counter(2**16, RATE)
    counter.read(5000, 0)
    counter.read(5006, 3000, 1000)
    assert counter.read(5012, 3001, 3000) == [Counted(6, 6, 6)]


def test_outage_of_ten_minutes_on_a_uint16() -> None:
    counter, _ = fed((0, 60_000))
    counter.lost(1000)
    found = counter.read((60_000 + 1200) % 2**16, 601_000)
    assert found == [Counted(1200, 1200, 1200, outage_from=1000)]


def test_outage_with_a_possible_rollover_is_ambiguous() -> None:
    counter, _ = fed((0, 60_000), modulus=100_000)
    counter.lost(1000)
    hours = 8 * 3_600_000  # up to 172,801 parts
    (found,) = counter.read(61_000, 1000 + hours)
    assert isinstance(found, Counted)
    assert (found.parts, found.low, found.high) == (1000, 1000, 172_801)


def test_signed_counter_below_zero() -> None:
    """An INT that has passed 32,767 and is read over an outage."""
    counter = Counter(2**16, RATE)
    counter.read(-19_998, 0)
    counter.lost(0)
    assert counter.read(-19_990, 10_000) == [Counted(8, 8, 8, outage_from=0)]
    assert counter.read(-19_985, 11_000) == [Counted(5, 5, 5)]


def test_reading_above_its_rollover_is_no_reading() -> None:
    counter = Counter(10_000, RATE)
    counter.read(9990, 0)
    assert counter.read(30_010, 1000) == []
    assert parts(counter.read(9992, 2000)) == 2


def test_readings_that_fit_nothing_are_said_once() -> None:
    counter = Counter(2**32, RATE)
    counter.read(1000, 0)
    found = [one for n in range(1, 8) for one in counter.read(n * 300_000_000, n * 1000)]
    assert [type(one) for one in found] == [CounterFault]


def test_scans_far_apart_are_judged_by_their_distance() -> None:
    """Five minutes at the ideal speed between two readings."""
    counter = Counter(2**32, RATE)
    counter.read(1_000_000, 0)
    for n in range(1, 4):
        assert parts(counter.read(1_000_000 + 600 * n, 300_000 * n, 300_000 * (n - 1))) == 600


def test_unchanged_over_an_outage_is_certainly_nothing() -> None:
    """A weekend: 65,536 parts, or a reset and the same five again, would fit into it."""
    counter, _ = fed((0, 5))
    counter.lost(0)
    assert counter.read(5, 60 * 3_600_000) == [Counted(0, 0, 0, outage_from=0)]
    assert counter.read(5, 60 * 3_600_000 + 250) == []


def test_torn_reading_between_two_outages_belongs_to_the_first() -> None:
    counter, _ = fed((0, 1_000_000), modulus=2**32)
    counter.lost(1000)
    assert counter.read(3_000_000_000, 11_000) == []
    counter.lost(11_000)
    assert counter.read(1_000_040, 20_000) == [Counted(40, 40, 40, outage_from=1000)]


def test_float_counter_that_stands_at_the_end_of_its_range_is_said() -> None:
    """2^24 + 1 is 2^24 again: the PLC counts no further, and the reading does not change any more."""
    counter = Counter(2**24, RATE)
    counter.read(2**24 - 1, 0)
    found = counter.read(2**24, 1000)
    for at in range(2000, 9000, 1000):
        if counter.waits:
            found += counter.read(2**24, at)
    assert [type(one) for one in found] == [CounterFault]
    assert not counter.waits


def test_correction_is_measured_by_the_shift() -> None:
    """1 % of 5,000 parts; a new shift has none to correct."""
    for shift_parts, expected in ((5000, -50), (0, 0)):
        counter = Counter(2**16, RATE)
        counter.read(40_000, 0)
        counter.shift_parts = shift_parts
        counter.read(39_950, 1000)
        assert parts(counter.read(39_950, 2000)) == expected


def test_torn_reading_right_after_an_outage_leaves_the_outage_open() -> None:
    counter, _ = fed((0, 1_000_000), modulus=2**32)
    counter.lost(1000)
    assert counter.read(3_000_000_000, 11_000) == []
    assert counter.read(1_000_020, 12_000) == [Counted(20, 20, 20, outage_from=1000)]


def test_without_an_ideal_half_the_range_is_forward() -> None:
    assert parts(fed((0, 0), (1, 32_768), rate=None)[1]) == 32_768
    assert parts(fed((0, 0), (1, 32_769), (2, 32_769), rate=None)[1]) == 0


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """(milliseconds since the reading before, parts made meanwhile at no more than the ideal, what happens)."""
    steps = []
    for _ in range(draw(st.integers(1, 40))):
        span = draw(st.sampled_from([250, 1000, 5000, 30_000]))
        made = draw(st.integers(0, int(span * RATE / 3) + 1))
        steps.append((span, made, draw(st.sampled_from(["read"] * 8 + ["outage", "torn", "restore"]))))
    return steps


@given(histories(), st.sampled_from([2**16, 2**32, 1_000_000]), st.integers(0, 2**16 - 1))
@settings(max_examples=300, deadline=None)
def test_true_parts_lie_within_what_is_said(steps: list[tuple[int, int, str]], modulus: int, start: int) -> None:
    """Rollovers, outages, torn readings and restarts; the counter is never reset, so nothing may be lost."""
    counter, truth, at, low, high = Counter(modulus, RATE), start, 0, 0, 0
    counter.read(start % modulus, 0)
    last_good, torn = 0, False
    for span, made, what in steps:
        at, truth = at + span, truth + made
        if what == "outage":
            counter.lost(last_good)
            continue
        if what == "restore":
            saved, counter = counter.checkpoint(), Counter(modulus, RATE)
            counter.restore(saved)
        value = truth % modulus
        torn = what == "torn" and modulus == 2**32 and not torn  # twice the same mixture would be a real jump
        if torn:
            value = (value + 2**31) % modulus
        for found in counter.read(value, at):
            assert isinstance(found, Counted)
            low, high = low + found.low, high + found.high
        last_good = at
    for _ in range(2):  # two quiet readings settle what was doubtful
        at += 1000
        for found in counter.read(truth % modulus, at):
            assert isinstance(found, Counted)
            low, high = low + found.low, high + found.high
    assert low <= truth - start <= high


@given(st.lists(st.tuples(st.integers(1, 100_000), st.integers(0, 2**16 - 1) | st.none()), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_readings_are_judged_and_survive_a_checkpoint(readings: list[tuple[int, int | None]]) -> None:
    counter, at = Counter(2**16, RATE), 0
    for span, value in readings:
        at += span
        copy = Counter(2**16, RATE)
        copy.restore(counter.checkpoint())
        if value is None:
            counter.lost(at)
            continue
        found = counter.read(value, at)
        assert copy.read(value, at) == found
        for one in found:
            if isinstance(one, Counted) and one.parts >= 0:
                assert one.low <= one.parts <= one.high
