"""Where a configuration says what decided: rules, reasons and settings with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.calendar.calendar import Calendar
from gateway.config.model import Config, MachineConfig, StateRule
from gateway.work.ideals import Ideals

Where = Mapping[tuple[str | int, ...], str]
"""`line-3.yaml:58:9` by the path of a value."""


class Places:
    """One configuration, and where its file says what."""

    def __init__(self, config: Config, where: Where) -> None:
        self.config = config
        self._where = where

    def at(self, *path: str | int) -> str:
        """` (line-3.yaml:58:9)`: where a value stands; nothing where the file does not give it."""
        place = self._where.get(path)
        return "" if place is None else f" ({place})"

    def machine(self, name: str) -> MachineConfig | None:
        """A machine of the file."""
        return self.config.machines.get(name)

    def ideal_ms(self, machine: str, product: str | None) -> float | None:
        """Ideal cycle time of a product on a machine, as far as the file says: else the fastest that it lists."""
        config = self.machine(machine)
        if config is None:
            return None
        ideals = Ideals(machine, config, self.config.products)
        return ideals.of(product, None) or ideals.fastest

    def is_planned(self, machine: str, moment: str) -> bool:
        """Whether the calendar plans production of a machine at a time of an event."""
        calendar = Calendar(self.config.line.time_zone, self.config.calendar)
        utc = round(datetime.fromisoformat(moment).timestamp() * 1000)
        return not calendar.is_given or calendar.of_machine(machine, utc).planned

    def rule(self, machine: str, told: dict[str, Any] | None) -> tuple[int, StateRule] | None:
        """The rule of an event in the file as it is now: at its position, or where it has moved to."""
        config = self.machine(machine)
        if told is None or config is None:
            return None
        same = [
            index
            for index, rule in enumerate(config.states)
            if (rule.when if rule.when is not None else "always") == told["text"]
        ]
        if not same:
            return None
        index = min(same, key=lambda one: abs(one - told["index"]))
        return index, config.states[index]

    def reason(self, machine: str, code: str) -> str:
        """Where a reason's text stands."""
        for path in (("machines", machine, "reasons"), ("reasons",)):
            for key in (code, int(code) if code.lstrip("-").isdecimal() else code):
                if place := self.at(*path, key):
                    return place
        return ""
