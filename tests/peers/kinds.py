"""A peer over each kind of frame and wire, and how the driver reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.peers.master import rtu, rtu_over_tcp, tcp
from tests.peers.peer import Peer, Unit, pty_peer, tcp_peer

KINDS = ["tcp", "tcp8", "rtu", "rtu_over_tcp"]
ON_A_LINE = ["rtu", "rtu_over_tcp"]


@asynccontextmanager
async def peering(kind: str, units: dict[int, Unit], **options: Any) -> AsyncIterator[tuple[Peer, dict[str, Any]]]:
    """A peer and the transport of a device's configuration; `tcp8` has up to 8 requests in flight."""
    if kind == "rtu":
        async with pty_peer(units) as peer:
            yield peer, rtu(peer.path)
    elif kind == "rtu_over_tcp":
        async with tcp_peer("rtu", units, **options) as peer:
            yield peer, rtu_over_tcp(peer.port)
    else:
        async with tcp_peer("mbap", units, **options) as peer:
            yield peer, tcp(peer.port) | {"in_flight": 8 if kind == "tcp8" else 1}
