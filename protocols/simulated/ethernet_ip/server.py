"""The simulated controller as an EtherNet/IP server over TCP and UDP, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Collection
from typing import cast

from protocols.simulated.ethernet_ip.connections import Manager
from protocols.simulated.ethernet_ip.encapsulation import HEADER, Stack
from protocols.simulated.ethernet_ip.faults import Faults
from protocols.simulated.ethernet_ip.objects import Identity
from protocols.simulated.ethernet_ip.project import Project
from protocols.simulated.ethernet_ip.router import Router, Violation

_MOST_PORTS_TRIED = 5


class LogixPlc:
    """A Logix controller that is only read. `now` gives simulated time and brings the machine up to it, once a frame.

    `project_of` makes the project that an edition, which counts downloads, has. `routes` are the paths that lead to
    the controller; it answers without one as well. All services that do not read are refused and kept in `violations`.
    """

    def __init__(
        self,
        project_of: Callable[[int], Project],
        now: Callable[[], int],
        host: str = "127.0.0.1",
        port: int = 0,
        identity: Identity | None = None,
        routes: Collection[str] = ("1/0",),
    ) -> None:
        self.host, self.port = host, port
        self.identity = identity or Identity()
        self.faults = Faults()
        self.edition = 0
        self.now = now
        self._project_of = project_of
        self.router = Router(self._sealed(0), self.identity, lambda: time.time_ns() // 1000)
        self.manager = Manager(self.router, time.monotonic, routes)
        self.stack = Stack(self.identity, self.manager)
        self.links: set[_Link] = set()
        self._claim: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None

    @property
    def project(self) -> Project:
        """What is loaded."""
        return self.router.project

    @property
    def violations(self) -> list[Violation]:
        """Requests outside the allow-list, so far."""
        return self.router.violations

    @property
    def muted(self) -> bool:
        """Whether replies are swallowed; connections stay."""
        return self.faults.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.faults.muted = muted

    @property
    def counts(self) -> dict[str, int]:
        """Encapsulation frames received, and each CIP service served by its name, since `reset_counts`."""
        return {"frames": self.stack.frames, **self.router.services}

    def reset_counts(self) -> None:
        """Counts from zero."""
        self.stack.frames = 0
        self.router.services.clear()

    async def start(self) -> int:
        """Listens; returns the port. OSError where it is taken."""
        # A bound socket that does not listen keeps the number ours while `refuse` has closed the listener.
        for tries_left in range(0 if self.port else _MOST_PORTS_TRIED, -1, -1):
            self._claim = socket.socket()
            self._claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._claim.bind((self.host, self.port))
            port = self._claim.getsockname()[1]
            try:
                loop = asyncio.get_running_loop()
                self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (self.host, port))
                break
            except OSError:  # a port that is free for TCP may be taken for UDP
                self._claim.close()
                if not tries_left:
                    raise
        self.port = port
        await self.accept()
        return self.port

    async def accept(self) -> None:
        """Takes connections, again after `refuse`."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Link(self), self.host, self.port, reuse_address=True)

    def refuse(self) -> None:
        """Refuses new connections; those that are there stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def drop(self) -> None:
        """Closes all sockets."""
        for link in list(self.links):
            link.close()

    def drop_sessions(self) -> None:
        """Forgets all sessions, and with them their connections; sockets stay."""
        for session in list(self.stack.sessions):
            self.stack.end(session)

    def drop_connections(self) -> None:
        """Forgets all CIP connections; sessions and sockets stay."""
        self.manager.forget()

    def unload(self) -> None:
        """A download begins: tags, symbols, templates and class 0xAC are not there until `download`."""
        self.router.is_unloaded = True

    def download(self, edition: int | None = None, keep_connections: bool = False) -> None:
        """Loads another edition: symbols and templates get other numbers, and class 0xAC changes.

        A controller closes connections on the way; with `keep_connections` a client notices nothing of that kind.
        """
        self.edition = self.edition + 1 if edition is None else edition
        self.router.project = self._sealed(self.edition)
        self.router.is_unloaded = False
        if not keep_connections:
            self.drop()

    async def close(self) -> None:
        """Stops; idempotent."""
        self.refuse()
        self.drop()
        if self._udp is not None:
            self._udp.close()
        if self._claim is not None:
            self._claim.close()
        # The transports close their sockets in the loop's next turn.
        await asyncio.sleep(0)

    def _sealed(self, edition: int) -> Project:
        project = self._project_of(edition)
        project.seal()
        return project


class _Link(asyncio.Protocol):
    """One client's socket: answers each whole frame, in order."""

    transport: asyncio.Transport

    def __init__(self, plc: LogixPlc) -> None:
        self._plc = plc
        self._buffer = bytearray()
        self._sessions: list[int] = []
        self._address = plc.host, plc.port
        self._free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._address = transport.get_extra_info("sockname")[:2]
        self._plc.links.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._plc.links.discard(self)
        for session in self._sessions:
            self._plc.stack.end(session)

    def close(self) -> None:
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size and not self.transport.is_closing():
            end = HEADER.size + int.from_bytes(self._buffer[2:4], "little")
            if len(self._buffer) < end:
                break
            frame = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._receive(frame)

    def _receive(self, frame: bytes) -> None:
        faults = self._plc.faults
        if faults.drops_after is not None:
            faults.drops_after -= 1
            if faults.drops_after < 0:
                faults.drops_after = None
                self.close()
                return
        self._plc.now()
        answer, registered = self._plc.stack.answer(frame, self._address)
        if registered is not None:
            self._sessions.append(registered)
        if answer is None:
            self._hang_up_unregistered()
        elif not faults.muted:
            self._send(answer)

    def _hang_up_unregistered(self) -> None:
        """A client that unregisters its session is hung up on (CIP Volume 2, 2-4.5)."""
        if self._sessions and not any(session in self._plc.stack.sessions for session in self._sessions):
            self.close()

    def _send(self, answer: bytes) -> None:
        faults = self._plc.faults
        loop = asyncio.get_running_loop()
        now = loop.time()
        answer = faults.garble(answer)
        due = max(self._free_at, now + faults.take_delay_s())
        if due <= now:
            self.transport.write(answer)
        else:
            self._free_at = due
            loop.call_at(due, self._write_late, answer)

    def _write_late(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


class _Datagrams(asyncio.DatagramProtocol):
    """ListIdentity and its like over UDP."""

    transport: asyncio.DatagramTransport

    def __init__(self, plc: LogixPlc) -> None:
        self._plc = plc

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._plc.stack.answer_datagram(data, self.transport.get_extra_info("sockname")[:2])
        if answer is not None and not self._plc.faults.muted:
            self.transport.sendto(answer, address)
