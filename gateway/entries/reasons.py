"""The reasons that an operator chooses from: a machine's own, those of the line, and those that its rules give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.model import MachineConfig, ReasonConfig, Reasons

SAID = ("group", "category", "owner")


class ReasonList:
    """Of one machine, by code; a machine's own goes before the line's."""

    def __init__(self, machine: MachineConfig | None, of_line: Reasons) -> None:
        own = {} if machine is None else {f"{code}": one for code, one in machine.reasons.items()}
        common = {f"{code}": one for code, one in of_line.items() if f"{code}" not in own}
        ruled = {
            rule.reason: rule.reason
            for rule in (() if machine is None else machine.states)
            if isinstance(rule.reason, str)
        }
        self._known: dict[str, str | ReasonConfig] = {**ruled, **own, **common}

    def __contains__(self, code: str) -> bool:
        return code in self._known

    @property
    def codes(self) -> list[str]:
        """In the order of the configuration."""
        return list(self._known)

    def of(self, code: str) -> dict[str, Any]:
        """A reason as events carry it. One that is not in the list is its code alone."""
        known = self._known.get(code)
        reason = {"code": code, "text": None, "source": "operator"}
        if known is None or isinstance(known, str):
            return {**reason, "text": known}
        said = {name: value for name in SAID if (value := getattr(known, name)) is not None}
        return {**reason, "text": known.text, **said, **({} if known.failure else {"failure": False})}

    def listed(self) -> list[Mapping[str, Any]]:
        """For people to choose from: code, text, group, category, failure."""
        found = map(self.of, self._known)
        return [
            {
                **{name: one.get(name) for name in ("code", "text", "group", "category")},
                "failure": one.get("failure", True),
            }
            for one in found
        ]
