"""Keeps full garbage collections short: what is there before the line runs is looked through once, and never again."""

from __future__ import annotations

import gc


def spare() -> None:
    """Collect now, and leave what is alive out of all later collections, which may begin.

    A configuration of thousands of signals, the engine and the libraries are half a million objects: looking through
    them holds all scans up for 50 to 100 ms each time, so a reload does not: what it replaces is freed as far as it
    is in no circle, and of the rest only what the daemon began with stays.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
