"""GET /api/samples: what signals were, drawn with few points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ext.curves import LEAST_POINTS
from gateway.health.answers import Refusal, packs
from gateway.health.sources import Sources
from gateway.samples.curves import Wanted
from gateway.samples.ring import Busy

MOST_SIGNALS = 50
MOST_POINTS = 2000
POINTS = 300
SPAN_MS = 900_000
"""How much is shown where nobody says from when."""
FORM = (
    f"signals=DEVICE.SIGNAL,... (at most {MOST_SIGNALS}), from_ms and to_ms (UTC milliseconds; by default the last"
    f" {SPAN_MS // 60_000} minutes), points ({LEAST_POINTS} to {MOST_POINTS}, by default {POINTS})"
)


def routes(sources: Sources) -> Sequence[Route]:
    """Asked by GET."""

    async def samples(request: Request) -> Response:
        if not sources.samples.is_on:
            raise Refusal(404, "no samples are kept", "set buffer.samples to a size of at least 10MB")
        wanted = replace(_wanted(request.query_params, sources), gzip=packs(request))
        try:
            body, unknown = await sources.samples.ask(wanted)
        except Busy as error:
            raise Refusal(503, str(error), "ask again, for fewer signals or a shorter time") from None
        strange = [name for name in unknown if not _is_signal(name, sources)]
        if strange:
            raise Refusal(404, f"{', '.join(sorted(strange))}: no such signal", "/api/signals lists them")
        headers = {"Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if wanted.gzip else {})}
        return Response(body, media_type="application/json", headers=headers)

    return [Route("/api/samples", samples, methods=["GET"])]


def _wanted(asked: Mapping[str, str], sources: Sources) -> Wanted:
    names = dict.fromkeys(name.strip() for name in asked.get("signals", "").split(",") if name.strip())
    now = sources.clock.utc()
    try:
        to = min(int(asked.get("to_ms", now)), now)
        begin, points = int(asked.get("from_ms", to - SPAN_MS)), int(asked.get("points", POINTS))
    except ValueError:
        raise Refusal(400, "from_ms, to_ms and points are whole numbers", FORM) from None
    if not 0 < len(names) <= MOST_SIGNALS:
        raise Refusal(400, f"{len(names)} signals are asked for", FORM)
    if not LEAST_POINTS <= points <= MOST_POINTS:
        raise Refusal(400, f"{points} points are beyond the bounds", FORM)
    if not 0 <= begin < to:
        raise Refusal(400, "from_ms is not before to_ms and now", FORM)
    return Wanted({name: _unit(name, sources) for name in names}, begin, to, points)


def _is_signal(name: str, sources: Sources) -> bool:
    device, _, signal = name.partition(".")
    return device in sources.config.devices and signal in sources.config.devices[device].signal_settings


def _unit(name: str, sources: Sources) -> str | None:
    device, _, signal = name.partition(".")
    return sources.config.devices[device].signal_settings[signal].unit if _is_signal(name, sources) else None
