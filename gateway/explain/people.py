"""What people said, in words: `operator.entry` events, and those that a stop or a window of KPIs rests on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.explain.events import Event, Found
from gateway.explain.explanation import Clock, Explanation, Section
from gateway.explain.places import Places

DOES = {
    "reason": "revisions of the stop carry it until that is final; of a final one the figures do: time by reason, and "
    "whether it is a failure. The category of its time stays",
    "note": "nothing but that it is kept: no figure changes",
    "split": "in figures each part is a stop of its own length: a minor stop or a downtime, with a reason of its own",
    "merge": "in figures they are one stop, as long as both together, with the first one's kind",
    "scrap": "good parts of the windows around that time become scrap: quality, OEE and what they lose",
    "job": "the machine works on it as if a signal said so, but no time is setup for it; parts are worth the ideal of "
    "the product",
    "crew": "it holds until the shift ends, and stands in the shift's KPIs",
    "undo": "figures are as if what it takes back had not been said",
}
_ABOUT = dict.fromkeys(DOES, "the stop or interval") | {"undo": "the entry"}


def said_of_stop(found: Found, places: Places, clock: Clock) -> Section:
    """What was said of the stop that is explained, and what of that was taken back."""
    return _said("What people said of it", found.told_of(found.data["stop"]), places, clock)


def said_of_window(found: Found, places: Places, clock: Clock) -> Section:
    """What was said, before the window was told as it is explained, of stops and scrap in it."""
    data = found.data
    began, ended = datetime.fromisoformat(data["began"]), datetime.fromisoformat(data["ended"])
    stops = {one["data"]["stop"]: one["data"] for one in found.beside("machine.stop")}

    def is_in(one: Event) -> bool:
        said = one["data"]
        if (stop := stops.get((said["target"] or "").partition("/")[0])) is not None:
            is_over = stop["ended"] is not None and datetime.fromisoformat(stop["ended"]) <= began
            return datetime.fromisoformat(stop["began"]) < ended and not is_over
        return (
            said["what"] in ("scrap", "job") and began <= datetime.fromisoformat(said.get("at") or said["when"]) < ended
        )

    entries = found.earlier("operator.entry")
    ours = [one for one in entries if is_in(one)]
    names = {one["data"]["entry"] for one in ours}
    ours += [one for one in entries if one["data"]["what"] == "undo" and one["data"]["target"] in names]
    return _said("What people said that is in it", ours, places, clock)


def explain_entry(found: Found, places: Places, clock: Clock) -> Explanation:
    """A person's word."""
    data, subject = found.data, str(found.event["subject"])
    headline = (
        f"{data['who']} said of {subject} at {clock.moment(data['when'])}: {_words(data, subject, places, clock)}"
    )
    about = Section("What it is about")
    about.say(f"{_ABOUT[data['what']]} {data['target']}" if data["target"] else f"all of {subject}, from then on")
    about.say(f'with the note "{data["note"]}"' if data["note"] and data["what"] != "note" else "")
    back = [one["data"] for one in found.beside("operator.entry") if one["data"]["target"] == data["entry"]]
    became = Section("What became of it").say(
        *(f"{one['who']} took it back at {clock.moment(one['when'])}" for one in back if one["what"] == "undo")
    )
    return Explanation(headline, [about, Section("What it does", [DOES[data["what"]]]), became], [])


def _said(title: str, entries: list[Event], places: Places, clock: Clock) -> Section:
    section = Section(title)
    undone = {one["data"]["target"] for one in entries if one["data"]["what"] == "undo"}
    for one in entries:
        data = one["data"]
        words = f"{data['who']}, at {clock.moment(data['when'])}: {_words(data, str(one['subject']), places, clock)}"
        back = "; it was taken back" if data["entry"] in undone else ""
        note = f'; "{data["note"]}"' if data["note"] and data["what"] != "note" else ""
        section.say(f"{words}{note}{back}")
    return section


def _words(data: dict[str, Any], machine: str, places: Places, clock: Clock) -> str:
    part = f" (of its part {data['target'].partition('/')[2]})" if "/" in (data["target"] or "") else ""
    reason = data["reason"]
    match data["what"]:
        case "reason" if reason is not None:
            group = f", group {reason['group']}" if reason.get("group") else ""
            text = reason["text"] or "without a text"
            return f"the reason is {reason['code']}, {text}{group}{places.reason(machine, reason['code'])}{part}"
        case "note":
            return f'"{data["note"]}"{part}'
        case "split":
            return f"it was two, and the second began at {clock.moment(data.get('at'))}{part}"
        case "merge":
            return f"{data['target']} and {data.get('other')} were one"
        case "undo":
            return "what was said before is taken back"
        case "scrap":
            why = "" if reason is None else f", {reason['code']}{places.reason(machine, reason['code'])}"
            return f"{data['amount']:,} parts were scrap at {clock.moment(data.get('at') or data['when'])}{why}"
        case "job":
            given = {"job": data.get("given_job"), "product": data.get("given_product")}
            said = (
                f"the {name} is {value}" if value else f"there is no {name}"
                for name, value in given.items()
                if value is not None
            )
            target, due = data.get("given_target"), data.get("given_due")
            more = [] if target is None else [f"{target:,} parts are to be made"]
            more += [] if due is None else [f"it is due at {clock.moment(due)}"]
            return " and ".join([*said, *more])
        case "crew":
            return f"the crew is {data.get('crew')}"
        case what:
            return f"{what}{part}"
