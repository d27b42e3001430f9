"""The window: what may be under way, against a server that refuses by size."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from gateway.uplinks.window import Window


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 50), st.integers(1, 8))
def test_nothing_is_under_way_behind_what_a_limit_of_size_refuses(sizes: list[int], limit: int, most: int) -> None:
    window, under_way, longest = Window(most), deque[int](), 0
    waiting = deque(sizes)
    while waiting or under_way:
        while waiting and window.takes(waiting[0], len(under_way), under_way[0] if under_way else 0):
            under_way.append(waiting.popleft())
        longest = max(longest, len(under_way))
        size = under_way.popleft()
        if size > limit:
            assert not under_way
        else:
            window.taken(size)
    assert longest <= most


def test_it_opens_by_one_with_each_that_is_taken() -> None:
    window = Window(3)
    for expected in (1, 2, 3, 3):
        count = 0
        while window.takes(10, count, 10):
            count += 1
        assert count == expected
        window.taken(10)


def test_what_is_larger_than_all_before_goes_alone() -> None:
    window = Window(5)
    for _ in range(5):
        window.taken(10)
    assert window.takes(10, 4, 10)
    assert not window.takes(11, 1, 10)
    assert window.takes(11, 0, 0)
    assert not window.takes(5, 1, 11)
