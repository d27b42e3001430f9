"""Why a machine is in its state: from a rule's text, a signal's number or text, the first bit that is set, an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.model import ReasonConfig, Reasons, SignalReason
from protocols.model import Value


class ReasonTexts:
    """What the configuration says of one machine's reasons, by number or name."""

    def __init__(self, reasons: Reasons, signal_texts: Mapping[str, Mapping[int | str, str]]) -> None:
        """`signal_texts`: texts of a `device.signal`'s own, for a number that is no reason of the file."""
        self._reasons = reasons
        self._signal_texts = signal_texts

    def of_rule(self, text: str) -> dict[str, Any]:
        """A reason that a rule gives as it stands; it may be described under its name."""
        return {"code": text, "text": text, "source": "rule"} | self._described(self._reasons.get(text))

    def of_signal(self, code: str, given: SignalReason) -> dict[str, Any]:
        """A reason that a signal gives."""
        entry = _entry(code, self._reasons)
        text = None
        if entry is None:
            number = "1" if code == "True" else code
            text = _entry(number, self._signal_texts.get(given.source, {}))
        if given.alarms is not None:
            return {"code": code, "text": code, "source": "alarm"} | self._described(entry)
        return {"code": code, "text": text, "source": "signal"} | self._described(entry)

    @staticmethod
    def _described(entry: str | ReasonConfig | None) -> dict[str, Any]:
        if entry is None:
            return {}
        if isinstance(entry, str):
            return {"text": entry}
        given = {key: getattr(entry, key) for key in ("text", "group", "category", "owner")}
        said = {key: value for key, value in given.items() if value is not None}
        return said if entry.failure else {**said, "failure": False}


def code_of(value: Value, given: SignalReason) -> str | None:
    """A reason's code from a signal's value; bad, 0, false and empty mean that there is none."""
    if not value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if given.bits is None:
        return str(value)
    if not isinstance(value, int):
        return None
    return str((value & -value).bit_length() - 1)


def _entry(code: str, entries: Mapping[int | str, Any]) -> Any:
    """What is said of a code, by the name or by the number that it is."""
    if (entry := entries.get(code)) is not None:
        return entry
    return entries.get(int(code)) if code.lstrip("-").isdecimal() else None
