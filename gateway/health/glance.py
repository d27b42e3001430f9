"""The line as it is now, as pieces of JSON: between two of them others have their turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.events import rfc3339
from gateway.health.answers import json_object
from gateway.health.sources import Sources
from gateway.pipeline import Glances


def glance(sources: Sources, *, with_signals: bool = False) -> Iterator[bytes]:
    """The body of /api/line; each piece is as of when it is made, `time` as of the first."""
    yield orjson.dumps(_head(sources))[:-1]
    machines, kpi = sources.view.glances()
    for name, members in ("machines", machines), ("kpi", kpi), ("devices", _devices(sources, with_signals)):
        yield b',"%s":' % name.encode()
        yield from json_object(members)
    yield b"}"


def _head(sources: Sources) -> dict[str, Any]:
    config, view, outbox = sources.config, sources.view, sources.outbox
    return {
        "time": rfc3339(sources.clock.utc()),
        "line": config.line.model_dump(mode="json"),
        "configuration": config.digest,
        "job": view.job(),
        "crew": view.crew(),
        "flow": view.flow(),
        "uplinks": {
            name: {"state": runner.stats.state, "why": runner.stats.why, "backlog": outbox.backlog(name)}
            for name, runner in sources.uplinks.items()
        },
        "buffer": {
            "stream": outbox.stream,
            "last_seq": outbox.last_seq,
            "pending": outbox.stats.pending,
            "size_bytes": outbox.stats.size_bytes,
            "degraded": outbox.stats.degraded,
            "full": outbox.stats.full,
            "lost": outbox.stats.events_lost,
        },
    }


def _devices(sources: Sources, with_signals: bool) -> Glances:
    config, view = sources.config, sources.view
    for name, runner in list(sources.runners.items()):
        up = runner.is_up(name)
        unit_id = getattr(config.devices.get(name), "unit_id", None)  # Modbus has it
        device = {"connected": up, "why": "" if up else runner.why, "endpoint": runner.endpoint.name}
        signals = {"signals": view.signals(name)} if with_signals else {}
        yield name, {**device, "unit_id": unit_id, **signals}
