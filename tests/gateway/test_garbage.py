"""What is there before the line runs costs no later collection anything."""

from __future__ import annotations

import gc
import weakref

from gateway.garbage import spare


class Part:
    """One that knows itself, as an engine's parts know one another."""

    def __init__(self) -> None:
        self.me = self


def test_what_lives_is_spared_and_what_comes_is_not() -> None:
    part = Part()
    gc.disable()  # as a daemon that begins
    left = weakref.ref(Part())
    try:
        assert left() is not None
        spare()
        assert left() is None
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert not any(one is part for one in gc.get_objects()), "no later collection looks at it"
        later = weakref.ref(Part())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
        gc.enable()
