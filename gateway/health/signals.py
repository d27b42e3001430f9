"""GET /api/signals: what each signal is and where it comes from, which only a reload changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.health.answers import joined, json_object, long_answer
from gateway.health.sources import Sources
from protocols.device import DeviceSettings


def routes(sources: Sources) -> Sequence[Route]:
    """One."""

    async def signals(request: Request) -> Response:
        devices = sources.config.devices.items()
        facts = ((name, _facts(device, _round_trip_ms(sources, name))) for name, device in devices)
        return await long_answer(request, await joined(json_object(facts)))

    return [Route("/api/signals", signals, methods=["GET"])]


def _facts(device: DeviceSettings, round_trip_ms: float | None) -> dict[str, Any]:
    return {
        name: {
            "unit": signal.unit,
            "type": getattr(signal, "type", None) or signal.value_type,
            "address": signal.place,
            "scan_interval_s": (signal.scan_interval or device.scan_interval) / 1000,
            "round_trip_ms": round_trip_ms,
        }
        for name, signal in device.signal_settings.items()
    }


def _round_trip_ms(sources: Sources, device: str) -> float | None:
    """Of the last scan's requests; None while it delivers nothing, or where nothing is asked."""
    runner = sources.runners.get(device)
    return runner.round_trip_ms if runner is not None and runner.is_up(device) else None
