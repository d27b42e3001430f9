"""Sections that come in several kinds, told apart by one key: protocols of devices, types of uplinks."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BeforeValidator

from gateway.config.nearest import did_you_mean, nearest
from protocols.settings import Settings, misplaced, shown


def alternatives(kind: str, key: str, sections: tuple[type[Settings], ...]) -> BeforeValidator:
    """What a section that comes in several kinds is: named by one key, and refused whole where that is unknown."""
    known = [get_args(section.model_fields[key].annotation)[0] for section in sections]

    def check(data: Any) -> Any:
        if isinstance(data, dict) and key not in data:
            raise misplaced(f"is required, for example `{key}: {known[0]}`; it is one of {', '.join(known)}", key)
        if isinstance(data, dict) and data[key] not in known:
            hint = did_you_mean(nearest(data[key], known)) if isinstance(data[key], str) else ""
            expected = " or ".join(known) if len(known) < 3 else f"one of {', '.join(known)}"
            words = f"{shown(data[key])} is not {kind} of this version; expected {expected}"
            raise misplaced(words + hint, key)
        return data

    return BeforeValidator(check)
