"""Events of a line as the engine makes them, each as its schema says."""

from __future__ import annotations

from typing import Any

from gateway.events import Event, rfc3339
from tests.schemas import hold

HOUR = 3_600_000
NOW = 1_795_327_200_000
STREAM = "0192f0c4-6b7e-4d0e-9a52-6c1a8d2f4f10"
COMMON = {
    "job": None, "product": None, "shift": None, "production_date": "2026-11-22", "unit": "bottle",
    "config_digest": "0123456789abcdef",
}  # fmt: skip
JAM = {"code": "17", "text": "cap jam", "source": "signal", "group": "mechanical"}


def told(kind: str, machine: str, at: int, data: dict[str, Any]) -> Event:
    """An event that its schema knows."""
    hold(kind, data)
    return Event(kind, machine, at, data)


def _span(began: int, ended: int | None) -> dict[str, Any]:
    return {"began": rfc3339(began), "ended": None if ended is None else rfc3339(ended)}


def interval(machine: str, began: int, ended: int | None = None, rev: int = 0, **changed: Any) -> Event:
    """An interval of a machine that is held."""
    data = {
        **COMMON, "interval": f"{machine}-{began}", "stop": f"{machine}-stop-{began}", "rev": rev,
        "final": ended is not None, "state": "held", "category": "unplanned_stop", "mode": None,
        "reason": {key: JAM[key] for key in ("code", "text", "source")}, "cause": None, "inferred": False,
        **_span(began, ended), "duration_s": None if ended is None else (ended - began) / 1000, "uncertainty_s": 0.1,
        "unscheduled": False, "assumed": False, "demand": None, "rule": None, "because": {}, "parts": None,
        "previous": None, **changed,
    }  # fmt: skip
    return told("machine.state", machine, ended or began, data)


def stop(machine: str, began: int, ended: int | None = None, rev: int = 0, **changed: Any) -> Event:
    """A stop of its own, whose reason nobody knows."""
    data = {
        **COMMON, "stop": f"{machine}-stop-{began}", "kind": "own", "rev": rev, "final": ended is not None,
        **_span(began, ended), "duration_s": None if ended is None else (ended - began) / 1000,
        "planned_overlap_s": 0.0, "category": "unplanned_stop", "minor": None if ended is None else False,
        "failure": None if ended is None else True, "reason": None, "first_out": None,
        "intervals": [f"{machine}-{began}"], "lost_parts": None, **changed,
    }  # fmt: skip
    return told("machine.stop", machine, ended or began, data)


def minute(machine: str, began: int, total: int, product: str | None = None, *, cycles: bool = True) -> Event:
    """A minute with production."""
    times = {"mean_s": 0.512, "min_s": 0.4, "max_s": 0.9, "p50_s": 0.501, "p95_s": None, "ideal_s": 0.5}
    data = {
        **COMMON, "product": product, **_span(began, began + 60_000), "total": total, "good": total, "scrap": None,
        "rework": None, "recovered": 0, "ambiguous": None, "ambiguous_scrap": None, "scrap_by_reason": {},
        "scrap_texts": {}, "counter": {},
        "cycle": {"n": total, "n_single": total, **times, "uncertainty_s": 0.1} if cycles else None,
    }  # fmt: skip
    return told("machine.production", machine, began + 60_000, data)


def entry(machine: str, number: int, when: int, what: str, target: str | None, **said: Any) -> Event:
    """What anna said."""
    nothing = ("reason", "note", "amount", "at", "other", "given_job", "given_product", "crew")
    data = {
        **COMMON, "entry": f"{machine}-{what}-{number}", "what": what, "target": target, **dict.fromkeys(nothing),
        "who": "anna", "when": rfc3339(when), **said,
    }  # fmt: skip
    return told("operator.entry", machine, when, data)


def window(machine: str, kind: str, began: int, ended: int, rev: int = 0) -> Event:
    """A KPI window, told with a grace of 5 s."""
    numbers = (
        "apt_s", "pbt_s", "unknown_s", "unrecovered_s", "run_s", "changeover_excess_s",
    )  # fmt: skip
    ratios = (
        "pq", "gq", "sq", "rq", "recovered", "ambiguous", "ideal_s", "ideal_good_s", "availability", "effectiveness",
        "quality", "oee", "oee_low", "oee_high", "coverage", "teep", "nee", "downtime_rate", "setup_rate",
        "technical_efficiency", "scrap_ratio", "rework_ratio", "first_pass_yield", "mtbf_s", "mttr_s",
        "inherent_availability",
    )  # fmt: skip
    losses = {"breakdowns": 0.0, "setup": 0.0, "minor_stops_and_speed": None, "process_defects": None, "start_up": None}
    data = {
        **COMMON, "kpi": f"{machine}-{kind}-{began}", "window": kind, **_span(began, ended), "rev": rev,
        "final": False, "policy": "0123", "flags": [], "categories": {}, **dict.fromkeys(numbers, 0.0),
        **dict.fromkeys(ratios), "failures": 0, "minor_stops": {"n": 0, "seconds": 0.0}, "losses": losses,
        "stops": [], "by_product": [],
    }  # fmt: skip
    return told("machine.kpi", machine, ended + 5000, data)
