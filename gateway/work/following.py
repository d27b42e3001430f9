"""Jobs and products come along the flow: each machine takes them once what lay before it is used up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.config.flow import Topology
from gateway.events import Event
from gateway.flow.ledger import Ledger
from gateway.machine import Machine
from protocols.model import Value


class Following:
    """All machines of a line."""

    def __init__(self, topology: Topology, machines: Sequence[Machine], ledger: Ledger) -> None:
        named = {machine.name: machine for machine in machines}
        for link in topology.links:
            feeders = [named[name].making.queue for name in link.feeders]
            for name in link.fed:
                named[name].making.queue.attach(name, ledger, feeders)
        depth = {name: number for number, stage in enumerate(topology.stages) for name in stage}
        order = sorted(range(len(machines)), key=lambda index: depth.get(machines[index].name, 0))
        self._machines = [(index, machines[index], machines[index].making.queue) for index in order]
        """With their positions and queues, in the order of the flow."""

    def follow(self, at: int, values: Mapping[str, Value]) -> Iterator[tuple[int, list[Event]]]:
        """Parts were counted, or signals said another job: what it tells of which machine that has taken it."""
        for index, machine, queue in self._machines:
            if not queue.waiting:
                continue
            for _ in range(queue.look()):
                yield index, machine.take(at, values)
            machine.dirty |= queue.dirty
            queue.dirty = False
