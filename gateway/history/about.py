"""What a line is made of, as its configuration says it: what a page needs to know once."""

from __future__ import annotations

from typing import Any

from gateway import __version__
from gateway.config.model import Config
from gateway.history.history import HOURS
from gateway.lineview import LineView
from gateway.work.ideals import Ideals

LANGUAGES = ("en",)


def about(config: Config, view: LineView) -> dict[str, Any]:
    """Static facts: they change with `digest` alone. Machines are in the order of the configuration."""
    topology, products = config.topology, config.products
    levels = {name: level for level, stage in enumerate(topology.stages) for name in stage}
    signals: dict[str, list[str]] = {name: [] for name in config.machines}
    for signal in config.signal_types:
        for name in view.users(signal):
            signals[name].append(signal)
    return {
        "version": __version__,
        "line": config.line.model_dump(mode="json"),
        "time_zone": config.line.time_zone,
        "digest": config.digest,
        "languages": LANGUAGES,
        "machines": [
            {
                "name": name,
                "level": levels.get(name),
                "devices": list(dict.fromkeys(signal.partition(".")[0] for signal in signals[name])),
                "signals": signals[name],
                "parts": machine.parts is not None,
                "scrap": machine.parts is not None and machine.parts.scrap is not None,
                "ideal_s": _seconds(Ideals(name, machine, products).fastest),
                "reasons": view.reasons(name),
            }
            for name, machine in config.machines.items()
        ],
        "links": [[one, other] for link in topology.links for one in link.feeders for other in link.fed],
        "products": []
        if products is None
        else [{"product": name, "text": product.text} for name, product in products.by_name.items()],
        "shifts": _shifts(config),
        "history_hours": HOURS,
    }


def _shifts(config: Config) -> list[dict[str, Any]]:
    shifts = {} if config.calendar is None else config.calendar.shifts
    return [
        {"name": name, "days": shift.days, "from": _clock(shift.from_), "to": _clock(shift.to)}
        for name, shift in shifts.items()
    ]


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _seconds(cycle_ms: float | None) -> float | None:
    return None if cycle_ms is None else cycle_ms / 1000
