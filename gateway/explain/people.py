"""What people said of a stop, in words: `operator.entry` events that name it."""

from __future__ import annotations

from typing import Any

from gateway.explain.events import Found
from gateway.explain.explanation import Clock, Section
from gateway.explain.places import Places


def said_of_stop(found: Found, places: Places, clock: Clock) -> Section:
    """What was said of the stop that is explained, and what of that was taken back."""
    section = Section("What people said of it")
    entries = found.told_of(found.data["stop"])
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
        case what:
            return f"{what}{part}"
