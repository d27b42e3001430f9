"""Why there was a stop, of which kind and how long: `machine.stop` in words."""

from __future__ import annotations

from typing import Any

from gateway.config.model import MachineConfig
from gateway.explain.events import Found
from gateway.explain.explanation import Clock, Explanation, Section, seconds, value_text
from gateway.explain.people import said_of_stop
from gateway.explain.places import Places
from gateway.explain.states import WHAT, revisions
from protocols.settings import duration_text

KINDS = {
    "own": "the machine itself stood",
    "external": "it waited for others",
    "setup": "it was set up",
    "unknown": "nobody knows what it did",
    "idle": "it could have produced, and was not asked to",
}


def explain_stop(found: Found, places: Places, clock: Clock) -> Explanation:
    """A stop."""
    data, machine = found.data, str(found.event["subject"])
    config = places.machine(machine)
    end = "still open" if data["ended"] is None else f"to {clock.moment(data['ended'])}, {seconds(data['duration_s'])}"
    headline = (
        f"{machine} had a stop of kind {data['kind']} from {clock.moment(data['began'])}, {end} "
        f"(revision {data['rev']}, {'final' if data['final'] else 'not final'})"
    )
    sections = [
        _span(found, config, places.ideal_ms(machine, data["product"]), clock),
        _kind(data, machine, config, places),
        _cause(data, machine, places, clock),
        said_of_stop(found, places, clock),
        _intervals(data, found, clock),
        _lost(data, machine, places),
        revisions(found.of(found.kind, "stop", data["stop"]), clock, WHAT),
    ]
    return Explanation(headline, sections, [])


def _span(found: Found, config: MachineConfig | None, ideal_ms: float | None, clock: Clock) -> Section:
    section, data = Section("Why from then to then"), found.data
    section.say(f"it began where the machine left production, at {clock.moment(data['began'])}")
    resume = "its time" if config is None else duration_text(config.resume_ms(ideal_ms))
    if data["ended"] is None:
        return section.say(f"it ends where production begins that lasts for {resume} (`resume`)")
    if data["ended"] == data["began"]:
        return section.say("it turned out to have been none: what began there was something else all along")
    after = [one["data"]["category"] for one in found.of("machine.state", "began", data["ended"])]
    lasted = f"production began there that lasted {resume} (`resume`); shorter production stays inside"
    why = {
        "production": lasted,
        "no_demand": "there was no demand from then on",
        None: f"{lasted}; or the kind of stop changed, or there was no demand from then on",
    }.get(after[-1] if after else None, f"what followed is of another kind: {after[-1] if after else ''}")
    return section.say(f"it ended at {clock.moment(data['ended'])}: {why}")


def _kind(data: dict[str, Any], machine: str, config: MachineConfig | None, places: Places) -> Section:
    section = Section(f"Why {data['kind']}")
    section.say(f"its time is accounted to {data['category']}: {KINDS[data['kind']]}")
    if data["kind"] != "own":
        return section.say("only own stops are minor stops, downtimes or failures")
    place = places.at("machines", machine, "short_stop")
    limit = "`short_stop`" if config is None else f"`short_stop` of {duration_text(config.short_stop)}{place}"
    section.say(
        {
            True: f"it was shorter than {limit}: a minor stop, by its whole length",
            False: f"it was not shorter than {limit}: a downtime, by its whole length",
            None: f"whether it is a minor stop is not known before it ends, or is longer than {limit}",
        }[data["minor"]]
    )
    if data["failure"] is not None and data["minor"] is False:
        section.say("it counts as a failure" if data["failure"] else "its reason says that it is no failure")
    return section


def _cause(data: dict[str, Any], machine: str, places: Places, clock: Clock) -> Section:
    section, reason, first = Section("Its cause"), data["reason"], data["first_out"]
    if reason is None:
        section.say("no reason was given by any rule, signal or person while it lasted")
    else:
        text = reason["text"] or "without a text"
        group = f", group {reason['group']}" if reason.get("group") else ""
        place = places.reason(machine, reason["code"])
        who = "a person gave the reason" if reason["source"] == "operator" else "the first reason that was known in it"
        section.say(f"{who}: {reason['code']}, {text}{group}{place}")
    if first is not None:
        since = f", since {clock.moment(first['time'])}" if first["time"] else ""
        section.say(f"first out: {first['signal']} was {value_text(first['value'])}{since}")
    return section


def _intervals(data: dict[str, Any], found: Found, clock: Clock) -> Section:
    section = Section("What it is made of")
    for name in (*data["intervals"], *_since(data, found)):
        told = found.of("machine.state", "interval", name)
        if told:
            one = told[-1]["data"]
            length = "still open" if one["duration_s"] is None else seconds(one["duration_s"])
            section.say(f"{one['state']} ({one['category']}) from {clock.moment(one['began'])}, {length}")
        else:
            section.say(f"interval {name}")
    if data["planned_overlap_s"]:
        section.say(f"{seconds(data['planned_overlap_s'])} of it lay in time that was not planned for production")
    return section


def _since(data: dict[str, Any], found: Found) -> list[str]:
    """Intervals of an open stop that began after it was told: it is not told anew where it only goes on."""
    if data["final"]:
        return []
    names = dict.fromkeys(one["data"]["interval"] for one in found.of("machine.state", "stop", data["stop"]))
    told = {name: found.of("machine.state", "interval", name)[-1]["data"] for name in names.keys() - data["intervals"]}
    mine = [one for one in told.values() if one["stop"] == data["stop"]]
    return [one["interval"] for one in sorted(mine, key=lambda one: str(one["began"]))]


def _lost(data: dict[str, Any], machine: str, places: Places) -> Section:
    section = Section("Parts lost")
    if data["lost_parts"] is None:
        return section
    ideal_ms = places.ideal_ms(machine, data["product"])
    ideal = "" if ideal_ms is None else f" of {ideal_ms / 1000:g} s"
    return section.say(
        f"{data['lost_parts']:,}: its {seconds(data['duration_s'])} less {seconds(data['planned_overlap_s'])} that "
        f"were not planned, over the ideal cycle{ideal}{places.at('machines', machine, 'ideal')},"
        " less what was made in it"
    )
