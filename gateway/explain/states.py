"""Why a machine was in a state, and what that time was accounted to: `machine.state` in words."""

from __future__ import annotations

from typing import Any

from gateway.config.model import MachineConfig, StateRule
from gateway.explain.events import Event, Found
from gateway.explain.explanation import Clock, Explanation, Section, seconds, value_text
from gateway.explain.places import Places
from gateway.states.account import MAINTENANCE
from gateway.states.packml import UNKNOWN, category_of, state_of
from protocols.settings import duration_text

PRECEDENCE = (
    "production that was observed outside the calendar",
    "what the calendar does not plan",
    "what is not known",
    "setup",
    "the category of the state",
)
"""Of categories, the first that applies (`gateway/states/account.py`)."""


def explain_state(found: Found, places: Places, clock: Clock) -> Explanation:
    """An interval."""
    data, machine = found.data, str(found.event["subject"])
    config = places.machine(machine)
    end = "and goes on" if data["ended"] is None else f"to {clock.moment(data['ended'])}"
    length = "" if data["duration_s"] is None else f", {seconds(data['duration_s'])}"
    headline = (
        f"{machine} was {data['state']}, accounted to {data['category']}, from {clock.moment(data['began'])} "
        f"{end}{length} (revision {data['rev']}, {'final' if data['final'] else 'not final'})"
    )
    sections = [
        _state(data, machine, places, clock),
        _reason(data, machine, places),
        _category(data, machine, config, places),
        _when(data, config, clock),
        _stop(data, found, clock),
        _parts(data),
        revisions(found.of(found.kind, "interval", data["interval"]), clock, WHAT),
    ]
    return Explanation(headline, sections, [])


def _state(data: dict[str, Any], machine: str, places: Places, clock: Clock) -> Section:
    section = Section(f"Why {data['state']}")
    told, reason, rule = data["rule"], data["reason"] or {}, places.rule(machine, data["rule"])
    code = reason.get("code")
    if told is None and code == "gateway_off":
        section.say("the gateway was not running, so that nobody saw the machine")
    elif told is None:
        section.say("none of the machine's rules holds, and nothing else says its state")
    elif told["text"].startswith("packml_state: "):
        _by_plc(section, data, machine, places, told["text"].removeprefix("packml_state: "))
    else:
        _by_rule(section, data, machine, places, rule)
    for signal, proof in data["because"].items():
        since = f", since {clock.moment(proof['time'])}" if proof["time"] else ""
        why = f": {proof['why']}" if proof.get("why") else ""
        section.say(f"{signal} was {value_text(proof['value'])}, {proof['quality']}{why}{since}")
    return section


def _by_plc(section: Section, data: dict[str, Any], machine: str, places: Places, signal: str) -> None:
    place = places.at("machines", machine, "packml_state")
    if data["state"] == UNKNOWN:
        section.say(f"the PLC says the state in {signal}{place}, and that could not be used")
        return
    config = places.machine(machine)
    value = data["because"].get(signal, {}).get("value")
    section.say(f"no rule before it holds, and the PLC says the state in {signal}{place}")
    if config is not None and config.packml_state is not None and value is not None:
        numbering = config.packml_state.numbering
        name = numbering if isinstance(numbering, str) else "the configuration's"
        section.say(f"{value_text(value)} is {state_of(value, numbering)[0]} in the numbering {name}")


def _by_rule(
    section: Section, data: dict[str, Any], machine: str, places: Places, rule: tuple[int, StateRule] | None
) -> None:
    told, code = data["rule"], (data["reason"] or {}).get("code")
    place = "" if rule is None else places.at("machines", machine, "states", rule[0])
    named = f"rule {told['index']} of {machine}, counted from 0, `{told['text']}`{place}"
    if code == "rule_error":
        section.say(f"{named} raised an error, which makes the state unknown: {data['reason']['text']}")
    elif data["state"] == UNKNOWN:
        section.say(f"{named} cannot be decided, for a signal of it is bad, and no rule before it holds")
    elif told["text"] == "always":
        section.say(f"no rule before it holds, and rule {told['index']} of {machine}{place} has no condition")
    else:
        section.say(f"{named} holds, and no rule before it does")
    if rule is not None and rule[1].for_:
        section.say(f"it wants to hold for {duration_text(rule[1].for_)}, and then counts from when it began to")


def _reason(data: dict[str, Any], machine: str, places: Places) -> Section:
    reason = data["reason"]
    section = Section("Why this reason")
    if reason is None or reason["code"] in ("gateway_off", "rule_error", "signal_bad"):
        return section
    place = places.reason(machine, reason["code"])
    source = {
        "rule": "the rule itself gives it",
        "signal": "a signal gives its code",
        "alarm": "an alarm of the device is its text",
        "operator": "a person gave it",
    }[reason["source"]]
    text = "which has no text" if reason["text"] is None else f'"{reason["text"]}"'
    section.say(f"code {reason['code']}, {text}{place}: {source}")
    if reason.get("group"):
        section.say(f"it belongs to the group {reason['group']}")
    if reason.get("failure") is False:
        section.say("it is no failure, for MTBF and MTTR")
    return section


def _category(data: dict[str, Any], machine: str, config: MachineConfig | None, places: Places) -> Section:
    rank, words = _decided(data, machine, config, places)
    section = Section(f"Why {data['category']}")
    section.say(f"the first of these that applies: {'; '.join(PRECEDENCE)}")
    return section.say(f"here: {PRECEDENCE[rank]}: {words}")


def _decided(data: dict[str, Any], machine: str, config: MachineConfig | None, places: Places) -> tuple[int, str]:
    """Which step of the precedence gave the category, and how."""
    category, state, shift = data["category"], data["state"], data["shift"]
    is_planned = places.is_planned(machine, data["began"])
    when = "outside all shifts" if shift is None else f"in the shift {shift}, in a break or planned maintenance"
    if category == "production" and data["unscheduled"]:
        seen = "execute held" if state in ("execute", "completing") else "parts were coming"
        return 0, f"the calendar planned nothing then ({when}), but {seen}"
    if category == "planned_stop" and not is_planned:
        assumed = ", and nobody saw the machine: it is assumed to have stood" if data["assumed"] else ""
        return 1, f"the calendar does not plan production then ({when}){assumed}"
    if category == UNKNOWN and data["unscheduled"]:
        return 2, "the calendar planned nothing then, but parts that were made meanwhile came to light later"
    if category == UNKNOWN:
        what = "the mode signal was bad" if state not in (UNKNOWN, "undefined") else f"the state is {state}"
        return 2, what
    if category == "setup" and data["mode"] == MAINTENANCE:
        return 3, "the machine was in maintenance mode"
    if state == "execute" and category == "unplanned_stop":
        limit = None if config is None else config.no_output_ms(places.ideal_ms(machine, data["product"]))
        after = "" if limit is None else f" for {duration_text(limit)}"
        return 4, f"execute without product: no part came{after}, so that it was no production since the last part"
    rank = 3 if category == "setup" else 4
    return rank, _natural(data, machine, config, places)


def _natural(data: dict[str, Any], machine: str, config: MachineConfig | None, places: Places) -> str:
    """Who says what time in this state is accounted to."""
    category, state, reason = data["category"], data["state"], data["reason"] or {}
    if category == "no_demand":
        return f"the machine was {state}, and its job signal said that there was no job"
    for index, rule in enumerate(() if config is None else config.states):
        if rule.category == category and (rule.state is None or rule.state == state):
            where = places.at("machines", machine, "states", index, "category")
            if category_of(state, data["cause"]) != category or rule.state == state:
                return f"rule {index} says so: `{rule.when or 'always'}` gives {category}{where}"
    if reason.get("category") == category:
        return f"the reason {reason['code']} says so{places.reason(machine, reason['code'])}"
    if config is not None and config.categories.get(state) == category:
        return f"`categories` says so of {state}{places.at('machines', machine, 'categories', state)}"
    if category_of(state, data["cause"]) != category:
        if category == "setup":
            return "a changeover: from the last good part of one product to the first of a lasting run of the next"
        return "this file does not say why; it may have been another one then"
    demand = f", with demand {data['demand']}" if data["demand"] else ""
    return f"time in {state} is {category}, as the state's name says{demand}"


def _when(data: dict[str, Any], config: MachineConfig | None, clock: Clock) -> Section:
    section = Section("When")
    uncertainty = data["uncertainty_s"]
    if uncertainty is None:
        section.say(f"it began at {clock.moment(data['began'])}; how much earlier that may have been is not known")
    elif uncertainty and data["began"] not in {proof["time"] for proof in data["because"].values()}:
        section.say(
            f"it began at {clock.moment(data['began'])}, as what showed it is dated, to within {seconds(uncertainty)}: "
            "what was seen that long before did not show it, nor did it come later than that behind it"
        )
    elif uncertainty:
        section.say(
            f"it began between the sample at {clock.moment(data['began'])}, which showed it, and the one "
            f"{seconds(uncertainty)} before, which did not"
        )
    else:
        section.say(f"it began at {clock.moment(data['began'])}, exactly: by the clock, or where another was divided")
    if config is not None and config.settle:
        section.say(f"a state must hold for {duration_text(config.settle)} to count, and then counts from its begin")
    return section.say(f"production day {data['production_date']}, {_shift(data)}")


def _shift(data: dict[str, Any]) -> str:
    return "no shift" if data["shift"] is None else f"shift {data['shift']}"


def _stop(data: dict[str, Any], found: Found, clock: Clock) -> Section:
    section = Section("Its stop")
    if data["stop"] is None:
        return section
    told = found.of("machine.stop", "stop", data["stop"])
    if not told:
        return section.say(f"it belongs to the stop {data['stop']}")
    stop = told[-1]["data"]
    length = "still open" if stop["duration_s"] is None else seconds(stop["duration_s"])
    reason = (
        "without a reason" if stop["reason"] is None else f"reason {stop['reason']['text'] or stop['reason']['code']}"
    )
    return section.say(
        f"it belongs to the stop {data['stop']} of kind {stop['kind']}, since {clock.moment(stop['began'])}, "
        f"{length}, {reason}, with {len(stop['intervals'])} intervals"
    )


def _parts(data: dict[str, Any]) -> Section:
    section, parts = Section("Parts made in it"), data["parts"]
    if parts is None:
        return section
    scrap = "nothing counts scrap" if parts["scrap"] is None else f"{parts['scrap']:,} scrap"
    return section.say(f"{parts['total']:,} in total, {parts['good']:,} good, {scrap}")


WHAT = {
    "state": "the state", "category": "the category", "cause": "the cause", "stop": "its stop", "began": "its begin",
    "unscheduled": "whether it was unscheduled", "assumed": "whether it is assumed", "kind": "the kind",
    "minor": "whether it is a minor stop", "failure": "whether it is a failure", "oee": "OEE",
    "availability": "availability", "effectiveness": "effectiveness", "quality": "the quality ratio",
    "gq": "good parts", "pq": "parts", "unknown_s": "unknown seconds", "mode": "the mode",
}  # fmt: skip
"""Fields whose change a revision is told for, in words."""


def revisions(told: list[Event], clock: Clock, what: dict[str, str]) -> Section:
    """What each revision changed."""
    section = Section("Revisions")
    before: dict[str, Any] | None = None
    for event in told:
        data = event["data"]
        section.say(f"{data['rev']} (event {event['seq']}): {'; '.join(_changes(before, data, clock, what))}")
        before = data
    return section


def _changes(before: dict[str, Any] | None, data: dict[str, Any], clock: Clock, what: dict[str, str]) -> list[str]:
    if before is None:
        first = "told at once" if data["rev"] == 0 else "earlier revisions are not there any more"
        return [first + (", final" if data["final"] else "")]
    changes = [
        f"{words} became {value_text(data.get(key))} (was {value_text(before.get(key))})"
        for key, words in what.items()
        if key in data and data.get(key) != before.get(key)
    ]
    if data.get("reason") != before.get("reason"):
        reason = data["reason"]
        changes.append("the reason went" if reason is None else f"the reason is {reason['text'] or reason['code']}")
    if data["ended"] != before["ended"]:
        changes.append("it goes on" if data["ended"] is None else f"it ended at {clock.moment(data['ended'])}")
    if data["final"] and not before["final"]:
        changes.append("final: nothing can change it any more")
    return changes or ["what it stands beside was revised"]
