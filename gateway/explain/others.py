"""Events that say why themselves: devices, signals, trends, people, the gateway."""

from __future__ import annotations

from typing import Any

from gateway.explain.events import Found
from gateway.explain.explanation import Clock, Explanation, Section, seconds, value_text
from gateway.explain.places import Places
from gateway.schemas.catalogue import EVENT_DATA


def explain_other(found: Found, places: Places, clock: Clock) -> Explanation:
    """What the event's type means, and each of its fields."""
    event, data = found.event, found.data
    headline = f"{found.kind} of {event['subject']} at {clock.moment(event.get('time'))}"
    described = EVENT_DATA.get(found.kind)
    meaning = Section("What it means").say((described.__doc__ or "").strip().rstrip(".") if described else "")
    if not described:
        meaning.say("this version does not know events of this type")
    if place := _configured(str(event["subject"]), places):
        meaning.say(f"it is configured{place}")
    fields = Section("What it says").say(*(_field(key, value, clock) for key, value in data.items()))
    return Explanation(headline, [meaning, fields], [])


def _configured(subject: str, places: Places) -> str:
    device, _, signal = subject.partition(".")
    if signal:
        return places.at("trends", subject) or places.at("devices", device, "signals", signal)
    return places.at("devices", device) or places.at("machines", device)


def _field(key: str, value: Any, clock: Clock) -> str:
    if value is None:
        return f"{key}: not known, or not meant here"
    if key.endswith("_s") and isinstance(value, (int, float)):
        return f"{key.removesuffix('_s')}: {seconds(value)}"
    if key in ("began", "ended", "since", "when", "source_time") and isinstance(value, str):
        return f"{key}: {clock.moment(value)}"
    if isinstance(value, dict):
        return f"{key}: {', '.join(f'{name} {value_text(inner)}' for name, inner in value.items())}"
    return f"{key}: {value_text(value) if not isinstance(value, str) else value}"
