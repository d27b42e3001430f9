"""An event's data in a few words, for a line on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIELDS = {
    "machine.state": ("state", "category", "reason", "cause", "mode", "duration_s", "rev", "final"),
    "machine.stop": ("kind", "reason", "minor", "duration_s", "rev", "final"),
    "machine.production": ("total", "good", "scrap", "recovered"),
    "machine.kpi": ("window", "began", "oee", "oee_low", "oee_high", "rev", "final"),
    "line.kpi": ("window", "began", "oee", "oee_low", "oee_high", "rev", "final"),
    "job.started": ("job", "product", "target"),
    "job.ended": ("job", "product", "total", "good", "scrap"),
    "signal.trend": ("signal", "value", "mean", "min", "max", "unit", "quality"),
    "gateway.gap": ("what", "class", "from", "to", "count", "why"),
    "gateway.alive": ("last_seq",),
    "gateway.started": ("version", "config_digest"),
}
_BARE = ("state", "category", "kind", "what", "window", "signal", "why", "began", "cause")
"""What says by itself what it is."""
_MOST = 6


def brief(kind: str, data: Mapping[str, Any]) -> str:
    """`held  unplanned_stop  cap jam  rev 1  final`; of a type that is not known here the first plain fields."""
    names = (
        _FIELDS.get(kind)
        or [
            name for name, value in data.items() if isinstance(value, str | int | float) and not isinstance(value, bool)
        ][:_MOST]
    )
    return "  ".join(filter(None, (_field(name, data.get(name)) for name in names)))


def _field(name: str, value: Any) -> str:
    if name == "reason" and isinstance(value, Mapping):
        return str(value.get("text") or value.get("code") or "")
    if value is None or value is False or (name == "rev" and value == 0):
        return ""
    if value is True:
        return name
    words = f"{value:g}" if isinstance(value, float) else str(value)
    if name.endswith("_s"):
        return f"{words} s"
    return words if name in _BARE else f"{name} {words}"
