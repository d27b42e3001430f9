"""Intervals and stops as the data of `machine.state` and `machine.stop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.kpi.task import Task
from gateway.states.account import Account
from gateway.states.decision import Decision
from gateway.states.interval import Interval
from gateway.states.jumps import Jumps
from gateway.states.packml import UNKNOWN
from gateway.states.stops import ToldStop


def cause_of(account: Account) -> str | None:
    """`cause`: who is to blame where a machine waits for another."""
    if account.category in ("starved", "blocked"):
        return account.category
    return UNKNOWN if account.category == "suspended" else None


def shown(
    current: Interval | None,
    decision: Decision,
    account: Account,
    task: Task,
    jumps: Jumps | None,
    given: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a machine does now, for people; `given`: the reason that a person gave for its stop."""
    mode = None if current is None else current.context.mode
    return {
        "state": decision.state,
        "category": account.category,
        "mode": None if mode == UNKNOWN else mode,
        "cause": cause_of(account),
        "since": None if current is None else current.began_text,
        "reason": given or decision.reason,
        "rule": decision.rule,
        "interval": None if current is None else current.id,
        "stop": None if current is None else current.stop,
        "illegal_transitions": None if jumps is None else jumps.illegal,
        "job": task.job,
        "product": task.product,
        "listed": task.listed,
        "ideal_s": None if task.ideal_ms is None else task.ideal_ms / 1000,
    }


def state_data(
    interval: Interval, parts: dict[str, int | None] | None, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The fields of an interval as it is now; `given`: the reason that a person gave for it."""
    decision, account, ended = interval.decision, interval.account, interval.ended
    return {
        "job": interval.context.job,
        "product": interval.context.product,
        "interval": interval.id,
        "stop": interval.stop,
        "rev": interval.rev,
        "final": interval.final,
        "state": decision.state,
        "category": account.category,
        "mode": None if interval.context.mode == UNKNOWN else interval.context.mode,
        "reason": given or decision.reason,
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


def stop_data(machine: str, told: ToldStop, total: int | None, ideal_ms: float | None) -> dict[str, Any]:
    """The fields of a stop as it is now; `total` parts were made in it."""
    stop = told.stop
    duration = None if stop.ended is None else stop.ended - stop.began
    lost = None
    if duration is not None and ideal_ms is not None and stop.kind != "unknown":  # nobody saw that it lost any
        lost = max(0, int((duration - stop.planned_ms) / ideal_ms) - (total or 0))
    return {
        "job": stop.job,
        "product": stop.product,
        "stop": stop.id,
        "kind": stop.kind,
        "rev": told.rev,
        "final": told.final,
        "began": stop.began_text,
        "ended": stop.ended_text,
        "duration_s": None if duration is None else duration / 1000,
        "planned_overlap_s": stop.planned_ms / 1000,
        "category": stop.category,
        "minor": told.minor,
        "failure": told.failure,
        "reason": None if told.reason is None else {"group": None, **told.reason},
        "first_out": stop.first_out,
        "intervals": [f"{machine}-{began}" for began in stop.intervals],
        "lost_parts": lost,
    }
