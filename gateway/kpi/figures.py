"""From tallies to KPIs, after ISO 22400-2: a pure function; where a formula differs from the standard's it is said.

Names in capitals are the standard's: APT production time, AUST setup time, ADET delay (unplanned stops), AUPT = APT +
AUST, PBT planned busy time, PRI ideal cycle time, PQ, GQ, SQ, RQ quantities produced, good, scrap, rework. K is
unknown time in PBT, U the part of it over which no counter says what was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gateway.kpi.tallies import REST, Output, StopTime, Tallies

TOLD_STOPS = 10
"""Reasons that are told one by one, those with the most time; the rest is summed."""
DIGITS = 6
"""Decimals of ratios."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is a choice."""

    minor_stops: Literal["performance", "availability"] = "performance"
    """Whose loss the time of minor stops is."""
    max_plausible: float = 1.1
    """Effectiveness beyond this makes the ideal suspect."""


def run_time(tallies: Tallies, rules: Rules) -> int:
    """R in milliseconds: production, and the time of minor stops where they are a loss of performance."""
    return tallies.time.get("production", 0) + (tallies.minor_ms if rules.minor_stops == "performance" else 0)


def figures(tallies: Tallies, rules: Rules = Rules(), run: int | None = None) -> dict[str, Any]:
    """Every figure of a window, by the names of `machine.kpi`; `run` is R where it is not that of these rules.

    A ratio whose denominator is 0 is null; so is all that needs an ideal where parts were made without one.
    """
    parts = tallies.parts
    time = _Time.of(tallies, run_time(tallies, rules) if run is None else run)
    priced = tallies.counts and not parts.unpriced and (tallies.has_ideal or parts.pq > 0)
    ideal = _ideal(tallies, parts, time) if priced else dict.fromkeys(_IDEAL)
    effectiveness = ideal["effectiveness"]
    suspect = effectiveness is not None and effectiveness > rules.max_plausible
    flags = {
        "suspect_ideal": suspect,
        "recovered": tallies.recovered > 0,
        "ambiguous": parts.spread > 0 or parts.less_ns > 0,
        "unlisted_product": tallies.unlisted,
    }
    return {
        "flags": [name for name, is_so in flags.items() if is_so],
        "apt_s": _seconds(time.apt),
        "pbt_s": _seconds(time.pbt),
        "unknown_s": _seconds(time.k),
        "unrecovered_s": _seconds(time.u),
        "run_s": _seconds(time.run),
        "categories": {name: _seconds(ms) for name, ms in sorted(tallies.time.items()) if ms},
        **_counts(tallies, parts),
        "availability": _ratio(time.run, time.pbt - time.k),
        **ideal,
        "coverage": None if time.pbt == 0 else round(1 - time.k / time.pbt, DIGITS),
        "downtime_rate": _ratio(tallies.down_ms, time.pbt - time.k),
        "setup_rate": _ratio(time.aust, time.apt + time.aust),
        "technical_efficiency": _ratio(time.apt, time.apt + time.adet),
        **_reliability(tallies, time),
        "changeover_excess_s": _seconds(tallies.excess_ms),
        "minor_stops": {"n": tallies.minor_n, "seconds": _seconds(tallies.minor_ms)},
        "losses": _losses(tallies, parts, time, priced),
        "stops": _stops(tallies.stops.values()),
        "by_product": _by_product(tallies),
    }


@dataclass(frozen=True, slots=True)
class _Time:
    """Milliseconds."""

    length: int
    apt: int
    aust: int
    adet: int
    pbt: int
    k: int
    u: int
    run: int

    @staticmethod
    def of(tallies: Tallies, run: int) -> _Time:
        time = tallies.time
        apt, k = time.get("production", 0), time.get("unknown", 0)
        # without a counter nothing says what was made in unknown time
        u = tallies.unrecovered if tallies.counts else k
        adet = time.get("unplanned_stop", 0)
        return _Time(tallies.length, apt, time.get("setup", 0), adet, tallies.pbt, k, u, run)


_IDEAL = ("ideal_s", "ideal_good_s", "effectiveness", "oee", "oee_low", "oee_high", "teep", "nee")


def _ideal(tallies: Tallies, parts: Output, time: _Time) -> dict[str, float | None]:
    """What follows from ideal cycle times: effectiveness, OEE and its bounds, TEEP and NEE (ISO 22400-2)."""
    known, good = (parts.ideal_ns - tallies.unknown_ns) / 1e6, parts.good_ns / 1e6
    certain = time.pbt - time.u
    figures: dict[str, float | None] = {
        "ideal_s": _seconds(parts.ideal_ns / 1e6),
        "ideal_good_s": _seconds(good),
        "effectiveness": _ratio(known, time.run),
        "oee": _ratio(good, certain),
        "oee_low": _ratio(max(0.0, good - parts.less_ns / 1e6), time.pbt),
        "oee_high": None,
        "teep": _ratio(good, time.length - time.u),
        "nee": None,
    }
    if time.pbt:
        rate = max(1.0, good / certain) if certain else 1.0
        figures["oee_high"] = _ratio(good + parts.spread_ns / 1e6 + time.u * rate, time.pbt)
    if time.apt and certain:
        figures["nee"] = round((time.apt + time.aust) / certain * good / time.apt, DIGITS)
    if tallies.unlisted:
        figures |= dict.fromkeys(("oee", "oee_low", "oee_high", "teep", "nee"))
    return figures


def _counts(tallies: Tallies, parts: Output) -> dict[str, Any]:
    """Quantities and the ratios between them: PQ, GQ, SQ, RQ, quality, scrap and rework ratio, first pass yield."""
    pq, gq = (parts.pq, parts.gq) if tallies.counts else (None, None)
    sq = parts.sq if tallies.counts and tallies.counts_scrap else None
    rq = parts.rq if tallies.counts and tallies.counts_rework else None
    first = None if sq is None or rq is None else max(0, parts.pq - sq - rq)
    ambiguous = {"low": parts.pq, "high": parts.pq + parts.spread} if parts.spread else None
    return {
        "pq": pq,
        "gq": gq,
        "sq": sq,
        "rq": rq,
        "recovered": tallies.recovered if tallies.counts else None,
        "ambiguous": ambiguous,
        "quality": None if sq is None else _ratio(gq, pq),
        "scrap_ratio": _ratio(sq, pq),
        "rework_ratio": _ratio(rq, pq),
        "first_pass_yield": _ratio(first, pq),
    }


def _reliability(tallies: Tallies, time: _Time) -> dict[str, Any]:
    """MTBF, MTTR and inherent availability MTBF / (MTBF + MTTR); all null where nothing failed."""
    n = tallies.failures
    return {
        "failures": n,
        "mtbf_s": None if not n else _seconds(time.apt / n),
        "mttr_s": None if not n else _seconds(tallies.repair_ms / n),
        "inherent_availability": _ratio(time.apt, time.apt + tallies.repair_ms) if n else None,
    }


def _losses(tallies: Tallies, parts: Output, time: _Time, priced: bool) -> dict[str, float | None]:
    """Five of the six big losses in seconds; minor stops and speed cannot be told apart by counts and times.

    What is made faster than its ideal makes minor stops and speed a gain, which is below 0.
    """
    scrap = parts.scrap_ns - tallies.start_up_ns if priced and tallies.counts_scrap else None
    produced = (parts.ideal_ns - tallies.unknown_ns) / 1e6
    return {
        "breakdowns": _seconds(tallies.down_lost_ms),
        "setup": _seconds(time.aust),
        "minor_stops_and_speed": _seconds(time.apt + tallies.minor_ms - produced) if priced else None,
        "process_defects": None if scrap is None else _seconds(scrap / 1e6),
        "start_up": None if scrap is None else _seconds(tallies.start_up_ns / 1e6),
    }


def _stops(stops: Iterable[StopTime]) -> list[dict[str, Any]]:
    """Those with the most time first; what is not told one by one is the last, of kind `*`."""
    ordered = sorted(stops, key=lambda one: (one.kind == REST, -one.ms, -one.n, one.kind, one.reason or ""))
    told, rest = ordered[:TOLD_STOPS], ordered[TOLD_STOPS:]
    if rest:
        told.append(StopTime(REST, None, sum(one.n for one in rest), sum(one.ms for one in rest)))
    return [{"kind": one.kind, "reason": one.reason, "n": one.n, "seconds": _seconds(one.ms)} for one in told]


def _by_product(tallies: Tallies) -> list[dict[str, Any]]:
    """Parts of each product; the last may be of all others, as `*`."""
    return [
        {
            "product": product or None,
            "pq": one.pq,
            "gq": one.gq,
            "sq": one.sq if tallies.counts_scrap else None,
            "rq": one.rq if tallies.counts_rework else None,
            "ideal_s": None if one.unpriced else _seconds(one.ideal_ns / 1e6),
            "ideal_good_s": None if one.unpriced else _seconds(one.good_ns / 1e6),
        }
        for product, one in sorted(tallies.products.items())
        if one.pq or one.gq or one.sq or one.rq
    ]


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else round(over / under, DIGITS)


def _seconds(ms: float) -> float:
    return round(ms) / 1000
