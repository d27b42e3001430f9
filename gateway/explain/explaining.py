"""An event in words, by its type, with what weakens the explanation."""

from __future__ import annotations

from collections.abc import Callable

from gateway.explain.counts import explain_fault, explain_production
from gateway.explain.events import Event, EventError, Found
from gateway.explain.explanation import Clock, Explanation
from gateway.explain.kpi import explain_kpi
from gateway.explain.others import explain_other
from gateway.explain.people import explain_entry
from gateway.explain.places import Places
from gateway.explain.states import explain_state
from gateway.explain.stops import explain_stop

BY_TYPE: dict[str, Callable[[Found, Places, Clock], Explanation]] = {
    "machine.state": explain_state,
    "machine.stop": explain_stop,
    "machine.production": explain_production,
    "counter.fault": explain_fault,
    "machine.kpi": explain_kpi,
    "line.kpi": explain_kpi,
    "operator.entry": explain_entry,
}


def explain(found: Found, places: Places) -> Explanation:
    """The event in words. Raises EventError for data that is not of its type."""
    clock = Clock(places.config.line.time_zone)
    try:
        explanation = BY_TYPE.get(found.kind, explain_other)(found, places, clock)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = f"the event says it is a {found.kind}, and is none: {error!r}"
        raise EventError(words, "give the event as linegate sent it") from None
    explanation.notes.extend(_notes(found, places))
    return explanation


def _notes(found: Found, places: Places) -> list[str]:
    notes = []
    digest = found.data.get("config_digest")
    if digest is not None and digest != places.config.digest:
        notes.append(
            f"it was decided under configuration {digest}, this file is {places.config.digest}: places are where this "
            "file says the same, and its settings may be others"
        )
    if (source := found.event.get("source")) not in (None, places.config.source):
        notes.append(f"it is of {source}, and this file describes {places.config.source}")
    newest = max((one["data"].get("rev", 0) for one in _revisions(found)), default=0)
    if newest > found.data.get("rev", newest):
        notes.append(f"revision {newest} of it stands: this event is not the last word")
    return notes


def _revisions(found: Found) -> list[Event]:
    key = {"machine.state": "interval", "machine.stop": "stop", "machine.kpi": "kpi", "line.kpi": "kpi"}.get(found.kind)
    return [] if key is None else found.of(found.kind, key, found.data.get(key))
