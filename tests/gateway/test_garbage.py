"""What is there once the line runs costs no later collection anything, and goes when another takes its place."""

from __future__ import annotations

import gc
import weakref

from gateway.garbage import spare


class Part:
    """One that knows itself, as an engine's parts know one another."""

    def __init__(self) -> None:
        self.me = self


def test_what_lives_is_spared_until_it_is_replaced() -> None:
    part = Part()
    seen = weakref.ref(part)
    try:
        spare()
        assert gc.get_freeze_count() > 0
        assert not any(one is part for one in gc.get_objects()), "no later collection looks at it"
        del part
        gc.collect()
        assert seen() is not None
        spare()
        assert seen() is None
    finally:
        gc.unfreeze()
