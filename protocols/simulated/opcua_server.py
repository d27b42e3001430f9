"""asyncua's server behind a listener of our own: it can refuse, drop and fall silent, and holds clients to reading."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import Buffer, ServiceError
from asyncua.server.binary_server_asyncio import OPCUAProtocol
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary

_READING = (
    "FindServers", "GetEndpoints", "CloseSecureChannel", "CreateSession", "ActivateSession", "CloseSession", "Cancel",
    "Browse", "BrowseNext", "TranslateBrowsePathsToNodeIds", "RegisterNodes", "UnregisterNodes", "Read",
    "CreateMonitoredItems", "ModifyMonitoredItems", "SetMonitoringMode", "SetTriggering", "DeleteMonitoredItems",
    "CreateSubscription", "ModifySubscription", "SetPublishingMode", "Publish", "Republish", "TransferSubscriptions",
    "DeleteSubscriptions",
)  # fmt: skip
"""Services (OPC 10000-4, clause 5) that change nothing on the machine. Call is judged by its method."""
_SUFFIX = "Request_Encoding_DefaultBinary"
_SERVICES: dict[int, str] = {
    number: name.removesuffix(_SUFFIX) for name, number in vars(ua.ObjectIds).items() if name.endswith(_SUFFIX)
}
_CONDITION_REFRESH = ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh)


@dataclass(frozen=True, slots=True)
class Violation:
    """A request that a reader has no use for."""

    service: str
    detail: str

    def __str__(self) -> str:
        return f"{self.service} {self.detail}".rstrip()


@dataclass(slots=True)
class Request:
    """What a client asks, before it is answered."""

    service: str
    """The service's name without `Request`, such as `Read`."""
    header: Any
    body: Buffer
    connection: Processor

    def parameters(self, kind: type) -> Any:
        """The request's parameters; the body stays as it is for whoever answers it."""
        return struct_from_binary(kind, self.body.copy())


class GuardedServer:
    """One address space behind one TCP port. Fill `server`'s address space between `prepare` and `start`.

    A request outside the allow-list gets BadUserAccessDenied and a place in `violations`.
    """

    def __init__(self, application_uri: str, name: str, path: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port, self.path = host, port, path
        self.server = Server()
        self.server.name = name
        self.server.application_type = ua.ApplicationType.Server
        self._uri = application_uri
        self.violations: list[Violation] = []
        self.muted = False
        """Whether requests are swallowed and nothing is published; connections stay, and notifications queue up."""
        self.requests = 0
        self.before: Callable[[Request], Any] = _nothing
        """Awaited with each request that is allowed; may raise ServiceError."""
        self.may_publish: Callable[[Processor, Any, Any], bool] = lambda connection, result, request: True
        """Asked before a Publish request is answered; what may not be sent is lost."""
        self.connections: list[OPCUAProtocol] = []
        self._closing: list[asyncio.Task[Any]] = []
        self._claim: socket.socket | None = None
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"opc.tcp://{self.host}:{self.port}{self.path}"

    async def prepare(self) -> None:
        """Claims the port (OSError where it is taken) and builds the standard address space, which takes 1 to 2 s."""
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
        # A bound socket that does not listen keeps the number ours while `refuse` has closed the listener.
        self._claim = _claimed(self.host, self.port)
        self.port = self._claim.getsockname()[1]
        self.server.set_endpoint(self.url)
        await self.server.init()
        await self.server.set_application_uri(self._uri)

    async def start(self) -> None:
        """Listens."""
        await self.server._setup_server_nodes()
        await self.server.iserver.start()
        await self.accept()

    async def accept(self) -> None:
        """Takes connections, again after `refuse`."""
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(lambda: _Connection(self), self.host, self.port, backlog=256)

    def refuse(self) -> None:
        """Refuses new connections; those that are there stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def drop(self) -> None:
        """Cuts all connections; their sessions live on until they time out (OPC 10000-4, 6.7)."""
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """Stops; idempotent."""
        self.refuse()
        self.drop()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn
        iserver = self.server.iserver
        for session in list(iserver._external_sessions.values()):
            await session.close_session()
        while self._closing:
            await self._closing.pop()
        if iserver.time_task is not None:  # it would be waited for until its next second
            iserver.time_task.cancel()
            iserver.time_task = None
            await iserver.stop()
        if self._claim is not None:
            self._claim.close()

    async def judge(self, request: Request) -> None:
        """Refuses what is not reading."""
        self.requests += 1
        detail = ""
        if request.service in _READING:
            await self.before(request)
            return
        if request.service == "Call":
            methods = [call.MethodId for call in request.parameters(ua.CallParameters).MethodsToCall]
            if all(method == _CONDITION_REFRESH for method in methods):
                await self.before(request)
                return
            detail = f"of {', '.join(method.to_string() for method in methods)}"
        self.violations.append(Violation(request.service, detail))
        raise ServiceError(ua.StatusCodes.BadUserAccessDenied)


def _claimed(host: str, port: int) -> socket.socket:
    claim = socket.socket()
    try:
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claim.bind((host, port))
    except OSError:
        claim.close()
        raise
    return claim


async def _nothing(request: Request) -> None:
    return None


class Processor(UaProcessor):  # type: ignore[misc]
    """asyncua's answers to one client, each judged before it is made and before it is sent."""

    def __init__(self, guard: GuardedServer, transport: asyncio.Transport) -> None:
        super().__init__(guard.server.iserver, transport, guard.server.limits)
        self.guard = guard

    async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Buffer) -> Any:
        if self.guard.muted:
            return True
        service = _SERVICES.get(typeid.Identifier, f"service {typeid.to_string()}")
        await self.guard.judge(Request(service, requesthdr, body, self))
        return await super()._process_message(typeid, requesthdr, seqhdr, body)

    def send_response(self, requesthandle: Any, seqhdr: Any, response: Any, *kind: Any) -> None:
        if not self.guard.muted:
            super().send_response(requesthandle, seqhdr, response, *kind)

    def get_publish_request(self, subscription_id: Any) -> Any:
        return None if self.guard.muted else super().get_publish_request(subscription_id)

    async def forward_publish_response(self, result: Any, requestdata: Any) -> None:
        if self.guard.may_publish(self, result, requestdata):
            await super().forward_publish_response(result, requestdata)


class _Connection(OPCUAProtocol):  # type: ignore[misc]
    """One client's connection."""

    def __init__(self, guard: GuardedServer) -> None:
        server = guard.server
        super().__init__(server.iserver, server._policies, guard.connections, guard._closing, server.limits)
        self._guard = guard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.processor = Processor(self._guard, self.transport)
            self.processor.set_policies(self.policies)
