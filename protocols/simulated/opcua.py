"""The simulated capper: a machine behind a real OPC UA server, in a tree like PackML's, read only."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.common.node import Node

from protocols.simulated.machine import Filler, State
from protocols.simulated.opcua_server import GuardedServer, Request, Violation
from protocols.simulated.opcua_tree import Tree, Unit

NAMESPACE = "urn:acme:capper"
APPLICATION_URI = "urn:acme:capper:server"
SAMPLE_S = 0.05
"""Real time between two samples for those who subscribe; who reads gets a sample of that moment."""
PACKML = {State.STOPPED: 2, State.STARVED: 5, State.EXECUTE: 6, State.ESTOPPED: 9, State.FAULTED: 11}
"""`Status.StateCurrent` (OPC 30050, ISA-TR88.00.02): stopped, suspended, execute, aborted, held."""
PRODUCE = 1
"""`Status.UnitModeCurrent`."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A variable: `path` is its node's identifier, and its place below Objects/Capper."""

    path: str
    kind: ua.VariantType
    value: Callable[[Filler], Any]
    unit: Unit | None = None


def torque(machine: Filler) -> float:
    """Closing torque of the cap in work in N·m, which wears up by a tenth and back in ten minutes; 0 while none is."""
    if machine.state is not State.EXECUTE:
        return 0.0
    tenths = machine.now_ms // 100
    return round(1.8 + 0.1 * math.sin(2 * math.pi * tenths / 6_000) + 0.04 * math.sin(2 * math.pi * tenths / 37), 3)


TAGS = (
    Tag("Status.StateCurrent", ua.VariantType.Int32, lambda machine: PACKML[machine.state]),
    Tag("Status.UnitModeCurrent", ua.VariantType.Int32, lambda machine: PRODUCE),
    Tag(
        "Status.CurMachSpeed",
        ua.VariantType.Float,
        lambda machine: machine.speed,
        Unit("C94", "1/min", "reciprocal minute", 0, 200),
    ),
    Tag("Admin.ProdProcessedCount", ua.VariantType.UInt32, lambda machine: machine.bottles),
    Tag("Admin.ProdDefectiveCount", ua.VariantType.UInt16, lambda machine: machine.rejects),
    Tag("Admin.StopReason", ua.VariantType.Int32, lambda machine: machine.fault),
    Tag("Torque", ua.VariantType.Double, torque, Unit("NU", "N·m", "newton metre", 0, 5)),
    Tag("Recipe", ua.VariantType.String, lambda machine: machine.recipe),
)


class CapperPlc:
    """A machine behind one OPC UA endpoint. `now` gives simulated time and brings the machine up to it.

    A value's source time is the wall clock's when it was first sampled. `drop` cuts connections, `refuse` and `accept`
    close and open the port, `muted` swallows requests.
    """

    def __init__(self, machine: Filler, now: Callable[[], int], host: str = "127.0.0.1", port: int = 0) -> None:
        self._machine, self._now = machine, now
        self._guard = GuardedServer(APPLICATION_URI, "simulated capper", "/plant", host, port)
        self._guard.before = self._before
        self._nodes: dict[Tag, Node] = {}
        self._shown: dict[Tag, Any] = {}
        self._sampling: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._guard.port

    @property
    def url(self) -> str:
        """The endpoint."""
        return self._guard.url

    @property
    def violations(self) -> list[Violation]:
        """What was asked beyond reading."""
        return self._guard.violations

    @property
    def requests(self) -> int:
        """How many were made."""
        return self._guard.requests

    @property
    def muted(self) -> bool:
        """Whether requests are swallowed; connections stay."""
        return self._guard.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._guard.muted = muted

    async def start(self) -> int:
        """Listens, after 1 to 2 s of building the standard address space; the port. OSError where it is taken."""
        await self._guard.prepare()
        index = await self._guard.server.register_namespace(NAMESPACE)
        self._now()
        await self._build(index)
        await self._guard.start()
        self._sampling = asyncio.create_task(self._sample_for_ever())
        return self.port

    async def accept(self) -> None:
        """Takes connections, again after `refuse`."""
        await self._guard.accept()

    def refuse(self) -> None:
        """Refuses new connections; those that are there stay."""
        self._guard.refuse()

    def drop(self) -> None:
        """Cuts all connections."""
        self._guard.drop()

    async def close(self) -> None:
        """Stops; idempotent."""
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None
        await self._guard.close()

    async def sample(self) -> None:
        """Brings the machine up to now and shows what has changed."""
        self._now()
        for tag, node in self._nodes.items():
            value = tag.value(self._machine)
            if self._shown.get(tag) != value:
                self._shown[tag] = value
                sampled = datetime.now(UTC)
                shown = ua.DataValue(ua.Variant(value, tag.kind), SourceTimestamp=sampled, ServerTimestamp=sampled)
                await self._guard.server.write_attribute_value(node.nodeid, shown)

    async def _before(self, request: Request) -> None:
        if request.service in ("Read", "CreateMonitoredItems"):
            await self.sample()

    async def _sample_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            await self.sample()

    async def _build(self, index: int) -> None:
        server = self._guard.server
        root = await Tree(server, index, server.nodes.objects).object("Capper")
        tree = Tree(server, index, root)
        for tag in TAGS:
            value = ua.Variant(tag.value(self._machine), tag.kind)
            self._nodes[tag] = await tree.variable(tag.path, value, unit=tag.unit)
