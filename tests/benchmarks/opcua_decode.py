"""Decoding OPC UA's Read and Publish responses into the signal table, beside asyncua's decoder on the same bytes."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.status_codes import get_name_and_doc
from asyncua.ua.ua_binary import struct_from_binary

from ext.opcua import ValuePlan
from ext.table import Kind, SignalTable
from tests.benchmarks.result import Result
from tests.fuzz.opcua_messages import DataValue, data_change, publish_response, read_response, ticks, variant

NOW = 1_790_000_000_000
COUNT = 1000
ROUNDS = 25
HANDLES = array("I", range(COUNT))
BOOLEAN, BYTE, INT16, UINT16, INT32, UINT32, UINT64, FLOAT, DOUBLE, STRING = 1, 3, 4, 5, 6, 7, 9, 10, 11, 12
KINDS = {
    BOOLEAN: Kind.BOOL, BYTE: Kind.UINT, INT16: Kind.INT, UINT16: Kind.UINT, INT32: Kind.INT, UINT32: Kind.UINT,
    UINT64: Kind.UINT, FLOAT: Kind.FLOAT, DOUBLE: Kind.FLOAT, STRING: Kind.TEXT,
}  # fmt: skip
SCALARS = (DOUBLE, FLOAT, BOOLEAN, INT32, DOUBLE, UINT16, FLOAT, UINT32, INT16, UINT64)
UNCERTAIN, BAD = 0x40900000, 0x808C0000


@dataclass(frozen=True, slots=True)
class Node:
    """What one node sends: every value differs from that of the step before."""

    type: int
    number: int
    scale: float = 1.0
    of_array: bool = False
    status: int = 0

    def value(self, step: int) -> DataValue:
        raw: object = f"recipe {self.number} {step}" if self.type == STRING else self.number % 97 + step
        if self.type == BOOLEAN:
            raw = step % 2 == 1
        sent = variant(self.type, [raw, raw, raw] if self.of_array else raw)
        return DataValue(sent, self.status or None, ticks(NOW), None, ticks(NOW))


def scalars() -> list[Node]:
    """Good scalars, mixed as on a line."""
    return [Node(SCALARS[n % len(SCALARS)], n) for n in range(COUNT)]


def mixed() -> list[Node]:
    """Of ten nodes two are scaled, one is a text, one an element of an array, one a byte, and one uncertain or bad."""
    return [
        (
            Node(DOUBLE, n), Node(INT16, n, scale=0.1), Node(BOOLEAN, n), Node(STRING, n), Node(FLOAT, n),
            Node(UINT16, n, scale=2.5), Node(INT32, n, of_array=True), Node(BYTE, n), Node(UINT32, n),
            Node(DOUBLE, n, status=UNCERTAIN if n % 20 == 9 else BAD),
        )[n % 10]
        for n in range(COUNT)
    ]  # fmt: skip


class Ours:
    """A table of the nodes, and the plan that fills it; a handle is the node's number."""

    def __init__(self, nodes: list[Node]) -> None:
        self.table = SignalTable([f"s{n}" for n in range(COUNT)])
        self.plan = ValuePlan(self.table, lambda status: get_name_and_doc(status)[0])
        for number, node in enumerate(nodes):
            kind = Kind.FLOAT if node.scale != 1.0 else KINDS[node.type]
            self.table.define(number, kind, length=32 if kind == Kind.TEXT else 0, encoding="utf-8")
            self.table.forward(number)
            self.plan.bind(number, number, scale=node.scale, element=1 if node.of_array else None)

    def prove_alike(self, nodes: list[Node], found: list[ua.DataValue]) -> None:
        """The table holds what asyncua decoded; to be called before anything is timed."""
        for number, (node, one) in enumerate(zip(nodes, found, strict=True)):
            raw = one.Value.Value[1] if node.of_array else one.Value.Value
            value = raw * node.scale if node.scale != 1.0 else raw
            status = 0 if one.StatusCode is None else one.StatusCode.value
            _, held, quality, _, time = self.table.read(number)
            assert (held, quality, time) == (None if status == BAD else value, (2, 1, 0)[status >> 30], NOW), node


def nanoseconds(*works: tuple[Callable[[], object], int]) -> list[float]:
    """Medians of the processor time of one call of each, for so many calls; they take turns."""
    times: list[list[int]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for (work, calls), mine in zip(works, times, strict=True):
            began = time.thread_time_ns()
            for _ in range(calls):
                work()
            mine.append((time.thread_time_ns() - began) // calls)
    return [statistics.median(mine) for mine in times]


def read_work(ours: Ours, bodies: list[bytes]) -> Callable[[], object]:
    read = ours.plan.read
    return lambda: [read(body, HANDLES, NOW) for body in bodies]


def publish_work(ours: Ours, bodies: list[bytes]) -> Callable[[], object]:
    publish = ours.plan.publish
    return lambda: [publish(body, NOW).decode() for body in bodies]


def taking(ours: Ours, bodies: list[bytes]) -> Callable[[], object]:
    read, take = ours.plan.read, ours.table.take
    return lambda: [(read(body, HANDLES, NOW), take()) for body in bodies]


def theirs(response: type, bodies: list[bytes]) -> Callable[[], object]:
    return lambda: [struct_from_binary(response, Buffer(body)) for body in bodies]


def measure() -> list[Result]:
    """Nanoseconds a value; each ratio is ours to asyncua's on the same bytes."""
    results = []
    for words, nodes in (("good scalars", scalars()), ("scaled, texts, arrays, statuses", mixed())):
        values = [[node.value(step) for node in nodes] for step in (1, 2)]
        reads = [read_response(one) for one in values]
        publishes = [publish_response(data_change(enumerate(one))) for one in values]
        ours = Ours(nodes)
        for body in (*reads, *publishes):
            response: type = ua.ReadResponse if body in reads else ua.PublishResponse
            found = struct_from_binary(response, Buffer(body))
            if response is ua.ReadResponse:
                assert ours.plan.read(body, HANDLES, NOW) == (0, [])
                ours.prove_alike(nodes, found.Results)
            else:
                assert ours.plan.publish(body, NOW).decode() == []
                (part,) = found.Parameters.NotificationMessage.NotificationData
                ours.prove_alike(nodes, [item.Value for item in part.MonitoredItems])
        read, publish, taken, their_read, their_publish = nanoseconds(
            (read_work(ours, reads), 100),
            (publish_work(ours, publishes), 100),
            (taking(ours, reads), 10),
            (theirs(ua.ReadResponse, reads), 1),
            (theirs(ua.PublishResponse, publishes), 1),
        )
        for name, mine, other in (("Read", read, their_read), ("Publish", publish, their_publish)):
            a, b = mine / 2 / COUNT, other / 2 / COUNT
            results += [
                Result("opcua", f"decode a {name} response, {words}", a, "ns/value"),
                Result("opcua", f"asyncua, the same {name} response", b, "ns/value", "ours", a / b),
            ]
        results.append(Result("opcua", f"decode a Read response and take, {words}", taken / 2 / COUNT, "ns/value"))
    return results
