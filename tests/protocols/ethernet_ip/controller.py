"""A simulated controller for tests: what it holds as single values, and pycomm3 talking to it within the process."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from pycomm3 import LogixDriver
from pycomm3.packets.ethernetip import SendUnitDataRequestPacket

from protocols.simulated.ethernet_ip.connections import Manager
from protocols.simulated.ethernet_ip.datatypes import BOOL, DWORD, LREAL, REAL, Elementary, Type
from protocols.simulated.ethernet_ip.encapsulation import Stack
from protocols.simulated.ethernet_ip.objects import Identity
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.router import Router
from protocols.simulated.ethernet_ip.showcase import Shown

CONNECTED_DATA = 46
"""Where the message router reply begins in a frame: encapsulation header, items, sequence count."""


def leaves(shown: Shown) -> Iterator[tuple[str, Any]]:
    """Address and value of everything in a tag that is no structure; hidden members are left out."""
    scope = f"Program:{shown.program}." if shown.program is not None else ""
    yield from _of(scope + shown.name, shown.type, shown.value, shown.dimensions)


def _of(address: str, kind: Type, value: Any, dimensions: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    if not dimensions:
        yield from _of_one(address, kind, value)
        return
    flat = list(value) if isinstance(value, (list, tuple)) else []
    for number, indices in enumerate(product(*map(range, dimensions))):
        at = f"{address}[{','.join(map(str, indices))}]"
        yield from _of_one(at, kind, flat[number] if number < len(flat) else None)


def _of_one(address: str, kind: Type, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(kind, Elementary):
        yield address, rounded(kind, value)
    elif kind.is_string and (value is None or isinstance(value, str)):
        yield address, value or ""
    else:
        for member in kind.members:
            if member.hidden or member.name == "CTL":  # the word of the bits
                continue
            inner = (value or {}).get(member.name)
            if member.type is DWORD and member.count:
                bits = list(inner or []) + [False] * 32 * member.count
                yield from ((f"{address}.{member.name}[{n}]", bool(bits[n])) for n in range(32 * member.count))
            else:
                yield from _of(f"{address}.{member.name}", member.type, inner, (member.count,) if member.count else ())


def rounded(kind: Elementary, value: Any) -> Any:
    """A value as its type holds it."""
    if kind is BOOL:
        return bool(value)
    if kind in (REAL, LREAL):
        (near,) = struct.unpack("<" + kind.format, struct.pack("<" + kind.format, value or 0.0))
        return near
    return value or 0


def asked(addresses: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A configuration's signals for some addresses."""
    return {f"s{number}": {"tag": address, "length": 500} for number, address in enumerate(addresses)}


class _InProcess:
    """What pycomm3 takes for a socket: frames go to the controller's stack and come from there."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._frame = b""

    def connect(self, host: str, port: int) -> None:
        pass

    def send(self, frame: bytes) -> None:
        answer, _ = self._stack.answer(frame, ("127.0.0.1", 44818))
        self._frame = answer or b""

    def receive(self) -> bytes:
        return self._frame

    def close(self) -> None:
        pass


def stack_of(project: Project, identity: Identity | None = None) -> Stack:
    """A controller that has a project; it is sealed here."""
    project.seal()
    identity = identity or Identity()
    return Stack(identity, Manager(Router(project, identity, lambda: 0), time.monotonic, ("1/0",)))


def opened(stack: Stack) -> LogixDriver:
    """pycomm3's driver as it is after opening and uploading everything."""
    driver = LogixDriver("127.0.0.1/0")
    driver._sock = _InProcess(stack)  # type: ignore[assignment]
    assert driver.open()  # type: ignore[no-untyped-call]
    return driver


def exchanged(driver: LogixDriver, request: bytes) -> bytes:
    """The message router reply to a request over pycomm3's connection."""
    packet = SendUnitDataRequestPacket(driver._sequence)
    packet.add(request)
    return bytes(driver.send(packet).raw[CONNECTED_DATA:])
