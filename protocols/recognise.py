"""Recognises machines by their signals' names: PackTags (ISA-TR88.00.02, PackML) and the Weihenstephan Standards.

What is proposed rests on signals that are there; what is a guess is said beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocols.discovery import FoundSignal, ProposedMachine, plain_name

_GROUPS = {"operatingstates", "operatingmodes", "counters", "measuredvalues", "operatingprograms", "status", "data"}
"""Folders between a machine and its Weihenstephan tags (OPC 40600, 7)."""
_FOLDERS = {"status", "admin", "command"}
_COUNTERS = ("ProdConsumedCount", "ProdProcessedCount", "ProdDefectiveCount")
"""ISA-TR88.00.02, "Admin tags"; OPC 30050, 6.5."""
_HELD, _ABORTED, _LAST_STATE = 11, 9, 17
_TAGS = ("StateCurrent", "ProdProcessedCount", "ProdDefectiveCount", "StopReason", "MachDesignSpeed", "CurMachSpeed")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and the signals that say something of it, by their tags' names."""

    place: tuple[str, ...]
    signals: Mapping[str, list[FoundSignal]]


def is_of_machine(place: Sequence[str]) -> bool:
    """Whether a place is likely part of a machine, and so to be looked at first."""
    last = _words(place)[-1]
    return last.startswith("WS_") or any(tag in last for tag in _TAGS)


def is_counter(name: str) -> bool:
    """Whether a tag is one of PackML's counters: arrays, of which the first element is the machine's own product."""
    return name.rpartition(".")[2] in _COUNTERS


def recognise(signals: Sequence[FoundSignal], device: str, url_name: str) -> Iterator[ProposedMachine]:
    """Machines among signals that have their names; their sections name signals as `device.signal`."""
    packml = _by_machine(signals, _packtag)
    weihenstephan = _by_machine(signals, _ws_tag)
    for machine in packml:
        if "StateCurrent" in machine.signals:
            yield _packml(machine, device, url_name)
    for machine in weihenstephan:
        if "WS_Cur_State" in machine.signals:
            yield _weihenstephan(machine, device, url_name)


def counter(several: Sequence[FoundSignal]) -> FoundSignal | None:
    """Of what a counter's tag has the one that counts parts without a reset: AccCount before Count before itself."""
    whole = [one for one in several if "int" in one.type]
    ranks = {"AccCount": 0, "Count": 1}
    member = [one for one in whole if one.place[-1] in ranks]
    if member:
        return min(member, key=lambda one: ranks[one.place[-1]])
    return whole[0] if len(whole) == 1 else None


def parts_of(total: FoundSignal | None, scrap: FoundSignal | None, device: str) -> dict[str, Any]:
    """The `parts` key; nothing where no counter of all parts is there."""
    if total is None:
        return {}
    roles = {"total": total, "scrap": scrap}
    return {"parts": {role: f"{device}.{one.name}" for role, one in roles.items() if one is not None}}


def ideal_note(speed: FoundSignal | None) -> str:
    """What a person has to add, as far as the machine helps."""
    try:
        value = 0.0 if speed is None else float(speed.value)
    except ValueError:
        value = 0.0
    if speed is None or not 0 < value < 1e9:
        return "add the ideal, without which there is no performance: ideal: 120/min"
    return f"ideal: {value:g}/min, if {speed.place[-1]} is the speed it was designed for, in parts a minute"


def machine_name(place: Sequence[str], url_name: str) -> str:
    """A name for a machine at a place."""
    return next((name for part in reversed(place) if (name := plain_name(part))), url_name)


def _packml(machine: Machine, device: str, url_name: str) -> ProposedMachine:
    state = machine.signals["StateCurrent"][0]
    reason = next((one for one in machine.signals.get("StopReason", []) if "int" in one.type), None)
    settings: dict[str, Any] = {}
    if reason is not None:
        settings["states"] = [
            {
                "state": name,
                "when": f"{device}.{state.name} == {number}",
                "reason": {"signal": f"{device}.{reason.name}"},
            }
            for name, number in (("aborted", _ABORTED), ("held", _HELD))
        ]
    settings["packml_state"] = f"{device}.{state.name}"
    total = counter(machine.signals.get("ProdProcessedCount", []))
    scrap = counter(machine.signals.get("ProdDefectiveCount", []))
    settings |= parts_of(total, scrap, device)
    notes = []
    if not state.value.isdigit() or int(state.value) > _LAST_STATE:
        notes.append(f"StateCurrent is {state.value} now, which is no state of ISA-TR88: see which `numbering` it has")
    if total is not None and total.place[-1] == "Count":
        notes.append("the counters have no AccCount; see when Count is reset")
    notes.append(ideal_note(_first(machine.signals.get("MachDesignSpeed", []))))
    by = "PackTags of ISA-TR88.00.02 (PackML): Status.StateCurrent"
    return ProposedMachine(machine_name(machine.place, url_name), machine.place, by, settings, tuple(notes))


def _weihenstephan(machine: Machine, device: str, url_name: str) -> ProposedMachine:
    state = machine.signals["WS_Cur_State"][0]
    numbering = {"signal": f"{device}.{state.name}", "numbering": "weihenstephan"}
    totals, bads = (_counters(machine, prefix) for prefix in ("WS_Tot_", "WS_Bad_"))
    notes = []
    for what, several in (("total", totals), ("scrap", bads)):
        if len(several) > 1:
            others = ", ".join(one.place[-1] for one in several[1:])
            notes.append(f"{what} is {several[0].place[-1]}; there is also {others}")
    settings = {"packml_state": numbering, **parts_of(_first(totals), _first(bads), device)}
    notes.append(ideal_note(_first(machine.signals.get("WS_Mach_Design_Spd", []))))
    by = "tags of the Weihenstephan Standards: WS_Cur_State"
    return ProposedMachine(machine_name(machine.place, url_name), machine.place, by, settings, tuple(notes))


def _counters(machine: Machine, prefix: str) -> list[FoundSignal]:
    """Counters of packages first: of all that is counted they are what the machine makes."""
    several = [one for tag, found in machine.signals.items() if tag.startswith(prefix) for one in found]
    whole = [one for one in several if "int" in one.type]
    return sorted(whole, key=lambda one: ("pack" not in one.place[-1].lower(), one.place))


def _first(several: Sequence[FoundSignal]) -> FoundSignal | None:
    return several[0] if several else None


def _by_machine(signals: Sequence[FoundSignal], tag_of: Any) -> list[Machine]:
    machines: dict[tuple[str, ...], dict[str, list[FoundSignal]]] = {}
    for signal in signals:
        if (found := tag_of(_words(signal.place))) is not None:
            place, tag = found
            machines.setdefault(place, {}).setdefault(tag, []).append(signal)
    return [Machine(place, tags) for place, tags in machines.items()]


def _packtag(words: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    """The machine's place and the tag's name; members and elements of a counter belong to it."""
    for at in range(len(words) - 1, -1, -1):
        tag = re.sub(r"\[[0-9,]+\]$", "", words[at])
        if tag in _TAGS:
            place = words[:at]
            return (place[:-1] if place and place[-1].lower() in _FOLDERS else place), tag
    return None


def _ws_tag(words: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    if not words[-1].startswith("WS_"):
        return None
    place = words[:-1]
    return (place[:-1] if place and place[-1].lower() in _GROUPS else place), words[-1]


def _words(place: Sequence[str]) -> tuple[str, ...]:
    """A place with names taken apart that are paths themselves, `Status.StateCurrent`."""
    return tuple(word for part in place for word in re.split(r"[./]", part) if word) or ("",)
