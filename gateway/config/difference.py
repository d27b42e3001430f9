"""What differs between two configurations of a line, and so what has to be begun anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gateway.config.model import Config

KEYED = ("devices", "machines", "uplinks")


@dataclass(frozen=True, slots=True)
class Changes:
    """Of one section whose entries have names."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[str]:
        """Every name that is touched."""
        return frozenset((*self.added, *self.removed, *self.changed))


class Difference:
    """From `old` to `new`; what is written otherwise and means the same is no difference."""

    def __init__(self, old: Config, new: Config) -> None:
        self.old, self.new = old, new
        before, after = (one.model_dump(mode="json", by_alias=True) for one in (old, new))
        self.devices, self.machines, self.uplinks = (_changes(before[name], after[name]) for name in KEYED)
        others = [name for name in after if name not in KEYED and before[name] != after[name]]
        reordered = [*before["machines"]] != [*after["machines"]] and not self.machines.all
        self.sections = (*others, *(["order of machines"] if reordered else []))
        """What else differs, by the names of sections."""

    @property
    def is_none(self) -> bool:
        """Whether both say the same."""
        return self.old.digest == self.new.digest

    @property
    def needs_restart(self) -> str:
        """Why a running daemon can't take it over; "" where it can."""
        if self.old.source != self.new.source:
            return "enterprise, site, area and name of the line name the source of every event"
        if self.old.buffer.path != self.new.buffer.path:
            return "buffer.path is where what was not delivered lies"
        return ""

    @cached_property
    def endpoints(self) -> frozenset[tuple[str, str]]:
        """Protocol and endpoint of connections that end or begin: a changed unit behind one concerns its neighbours."""
        return frozenset(
            (config.devices[name].protocol, config.devices[name].endpoint)
            for config in (self.old, self.new)
            for name in self.devices.all
            if name in config.devices
        )

    def as_data(self) -> dict[str, Any]:
        """For people and for `config.applied`: names by section, and the other sections that differ."""
        data: dict[str, Any] = {}
        for name, changes in zip(KEYED, (self.devices, self.machines, self.uplinks), strict=True):
            data[name] = {
                "added": list(changes.added),
                "removed": list(changes.removed),
                "changed": list(changes.changed),
            }
        return {**data, "sections": list(self.sections)}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    return Changes(
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name in before and before[name] != after[name]),
    )
