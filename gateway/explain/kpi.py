"""How the figures of a window came about: `machine.kpi` and `line.kpi` in words, each formula with its numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.explain.events import Found
from gateway.explain.explanation import Clock, Explanation, Section, seconds
from gateway.explain.people import said_of_window
from gateway.explain.places import Places
from gateway.explain.states import WHAT, revisions

Data = dict[str, Any]


class Sum(NamedTuple):
    """Fields of the event, those with a minus subtracted; one that begins with a dot is a category's time."""

    fields: tuple[str, ...]

    def value(self, data: Data) -> float | None:
        """What it comes to; None where a field is not known."""
        total = 0.0
        for name in self.fields:
            value = _figure(data, name.lstrip("-"))
            if value is None:
                return None
            total += -value if name.startswith("-") else value
        return total

    def text(self, data: Data) -> str:
        """Its numbers."""
        terms = [("- " if name.startswith("-") else "+ ", _figure(data, name.lstrip("-"))) for name in self.fields]
        text = " ".join(f"{sign}{value:.10g}" for sign, value in terms).removeprefix("+ ")
        return f"({text})" if len(terms) > 1 else text


def _figure(data: Data, name: str) -> float | None:
    value = data["categories"].get(name[1:], 0.0) if name.startswith(".") else data.get(name)
    return None if value is None else float(value)


def _sum(*fields: str) -> Sum:
    return Sum(fields)


class Formula(NamedTuple):
    """One KPI after ISO 22400-2; where ours differs, the words say how."""

    name: str
    words: str
    over: Sum
    under: Sum


FORMULAS = (
    Formula(
        "availability",
        "run time over planned busy time without unknown time; run time is production and, where minor stops are a "
        "performance loss, their time",
        _sum("run_s"),
        _sum("pbt_s", "-unknown_s"),
    ),
    Formula(
        "effectiveness",
        "ideal time of the parts that were produced in known time over run time; may exceed 1, and then the ideal is "
        "suspect",
        _sum("ideal_s"),
        _sum("run_s"),
    ),
    Formula("quality", "good parts over parts produced", _sum("gq"), _sum("pq")),
    Formula(
        "oee",
        "ideal time of good parts over planned busy time, but for the unknown time over which no counter difference "
        "is certain; ambiguous parts at their low value",
        _sum("ideal_good_s"),
        _sum("pbt_s", "-unrecovered_s"),
    ),
    Formula("oee_low", "the same, as if nothing had been made in unknown time", _sum("ideal_good_s"), _sum("pbt_s")),
    Formula("coverage", "known time over planned busy time", _sum("pbt_s", "-unknown_s"), _sum("pbt_s")),
    Formula("setup_rate", "setup time over setup and production time", _sum(".setup"), _sum(".setup", ".production")),
    Formula(
        "technical_efficiency",
        "production time over production time and unplanned stops",
        _sum(".production"),
        _sum(".production", ".unplanned_stop"),
    ),
    Formula("scrap_ratio", "scrap over parts produced", _sum("sq"), _sum("pq")),
    Formula("rework_ratio", "rework over parts produced", _sum("rq"), _sum("pq")),
    Formula("mtbf_s", "production time over failures", _sum("apt_s"), _sum("failures")),
    Formula(
        "inherent_availability",
        "mean time between failures over itself and repair",
        _sum("mtbf_s"),
        _sum("mtbf_s", "mttr_s"),
    ),
)
LINE_EFFECTIVENESS = Formula(
    "effectiveness", "what OEE leaves to it, over availability and quality", _sum("oee"), _sum("availability")
)
OTHERS = {
    "oee_high": "OEE as if unknown time had been run at the better of the ideal rate and the OEE of known time, and "
    "ambiguous parts at their high value",
    "teep": "ideal time of good parts over all time of the window, but for what no counter covers",
    "nee": "OEE with setup time as production: production and setup over planned busy time, times ideal time of good "
    "parts over production time",
    "downtime_rate": "time of downtimes in planned busy time over planned busy time without unknown time",
    "mttr_s": "repair time of the failures that began in the window, over failures",
    "first_pass_yield": "good at first pass over inspected",
    "throughput_yield": "the product of the stages' yields",
    "wip_delta": "how many parts more than at its begin lie between the machines at its end",
}
FLAGS = {
    "suspect_ideal": "effectiveness is above `max_plausible`: the ideal is too slow, or the counter is wrong",
    "recovered": "over an outage that reaches beyond the window more parts were made, which are in no other figure",
    "ambiguous": "a counter was reset or rolled over unseen: parts lie between two numbers",
    "unlisted_product": "a product was made that has no ideal: what needs one is null",
}


def explain_kpi(found: Found, places: Places, clock: Clock) -> Explanation:
    """A window of a machine or the line."""
    data, subject = found.data, str(found.event["subject"])
    oee = "unknown" if data["oee"] is None else f"{100 * data['oee']:.2f} %"
    headline = (
        f"{subject}: OEE {oee} in the {data['window']} from {clock.moment(data['began'])} to "
        f"{clock.moment(data['ended'])} (revision {data['rev']}, {'final' if data['final'] else 'not final'})"
    )
    sections = [
        _times(data),
        _counts(data),
        _rollup(data),
        _formulas(data),
        _bounds(data),
        Section("Flags", [f"{flag}: {FLAGS.get(flag, '')}".rstrip(": ") for flag in data["flags"]]),
        said_of_window(found, places, clock) if found.kind == "machine.kpi" else Section(""),
        _rules(data, places),
        revisions(found.of(found.kind, "kpi", data["kpi"]), clock, WHAT),
    ]
    return Explanation(headline, sections, [])


def _times(data: Data) -> Section:
    section = Section("Times, which sum to the window")
    section.say(*(f"{category}: {seconds(length)}" for category, length in data["categories"].items()))
    section.say(f"planned busy time (PBT): all but planned_stop and no_demand: {seconds(data['pbt_s'])}")
    minor = data.get("minor_stops")
    if minor and minor["n"] and data["run_s"] != data["apt_s"]:
        words = f"and {seconds(minor['seconds'])} of {minor['n']:,} minor stops, which are a performance loss"
        section.say(f"run time: {seconds(data['apt_s'])} of production (APT) {words}: {seconds(data['run_s'])}")
    else:
        section.say(f"run time: production (APT) alone: {seconds(data['run_s'])}")
    if data["unknown_s"]:
        covered = f"of which no counter covers {seconds(data['unrecovered_s'])} (U)"
        section.say(f"unknown time (K): {seconds(data['unknown_s'])}, {covered}")
    return section


def _counts(data: Data) -> Section:
    section = Section("Parts")
    names = {"pq": "produced (PQ)", "gq": "good (GQ)", "sq": "scrap (SQ)", "rq": "rework (RQ)"}
    counted = [f"{data[key]:,} {words}" for key, words in names.items() if data.get(key) is not None]
    section.say(", ".join(counted) or "nothing counts parts")
    if data["ideal_s"] is not None:
        section.say(f"at their ideal cycle times those produced take {seconds(data['ideal_s'])}")
    if data["ideal_good_s"] is not None:
        section.say(f"the good ones take {seconds(data['ideal_good_s'])}")
    if data.get("recovered"):
        words = "more were made over an outage that reaches beyond the window: they are in the one that holds all of it"
        section.say(f"{data['recovered']:,} {words}")
    if data.get("ambiguous"):
        section.say(f"produced are between {data['ambiguous']['low']:,} and {data['ambiguous']['high']:,}")
    return section


def _rollup(data: Data) -> Section:
    section, rollup = Section("How they were made of the machines'"), data.get("rollup")
    if not rollup:
        return section
    machines, out = " and ".join(rollup["machines"]), " and ".join(rollup["out"])
    if rollup["rule"] == "sum":
        return section.say(f"{machines} are independent: their times and counts are summed, and then divided")
    weighed = ", weighed by their ideal rates" if len(rollup["machines"]) > 1 else ""
    section.say(
        f"time is that of {machines}{weighed}", f"good parts are those that left by {out}, scrap is of all stages"
    )
    cycle = rollup["cycle_s"]
    return section if cycle is None else section.say(f"a part ideally takes {seconds(cycle)}, as on the slowest stage")


def _formulas(data: Data) -> Section:
    section = Section("Figures")
    for formula in FORMULAS:
        if formula.name not in data:
            continue
        if formula.name == "effectiveness" and data.get("rollup", {}).get("rule") == "constraint":
            formula = LINE_EFFECTIVENESS
        value, over, under = data[formula.name], formula.over.value(data), formula.under.value(data)
        if value is None:
            section.say(f"{formula.name} is null: {_why_null(data, over, under)}; it is {formula.words}")
            continue
        # what the event rounds, or has no field for, must not look like a formula that does not come out
        shown = over is not None and under and abs(over / under - value) <= 1e-4 * max(1.0, abs(value))
        numbers = f" = {formula.over.text(data)} / {formula.under.text(data)}" if shown else ""
        section.say(f"{formula.name}{numbers} = {value:g}: {formula.words}")
    return section


def _why_null(data: Data, over: float | None, under: float | None) -> str:
    if over is None or under is None:
        return "something that it needs is not counted, or has no ideal"
    return "an unlisted product was made" if "unlisted_product" in data["flags"] else "its denominator is 0"


def _bounds(data: Data) -> Section:
    section = Section("Other figures")
    for name, words in OTHERS.items():
        if data.get(name) is not None:
            section.say(f"{name} = {data[name]:g}: {words}")
    return section


def _rules(data: Data, places: Places) -> Section:
    section = Section("By which rules")
    section.say(f"policy {data['policy']}: the digest of the settings that these figures depend on")
    for key in ("minor_stops", "max_plausible", "constraint", "out"):
        if place := places.at(key):
            section.say(f"`{key}` is given{place}")
    return section
