"""Intervals as the data of `machine.state`."""

from __future__ import annotations

from typing import Any

from gateway.states.account import Account
from gateway.states.interval import Interval
from gateway.states.packml import UNKNOWN


def cause_of(account: Account) -> str | None:
    """`cause`: who is to blame where a machine waits for another."""
    if account.category in ("starved", "blocked"):
        return account.category
    return UNKNOWN if account.category == "suspended" else None


def state_data(interval: Interval, parts: dict[str, int | None] | None) -> dict[str, Any]:
    """The fields of an interval as it is now."""
    decision, account, ended = interval.decision, interval.account, interval.ended
    return {
        "interval": interval.id,
        "stop": interval.stop,
        "rev": interval.rev,
        "final": interval.final,
        "state": decision.state,
        "category": account.category,
        "mode": None if interval.context.mode == UNKNOWN else interval.context.mode,
        "reason": decision.reason,
        "cause": cause_of(account),
        "inferred": False,
        "began": interval.began_text,
        "ended": interval.ended_text,
        "duration_s": None if ended is None else (ended - interval.began) / 1000,
        "uncertainty_s": None if interval.uncertainty is None else interval.uncertainty / 1000,
        "unscheduled": account.unscheduled,
        "assumed": account.assumed,
        "demand": account.demand,
        "rule": decision.rule,
        "because": decision.because,
        "parts": parts,
        "previous": interval.previous,
    }
