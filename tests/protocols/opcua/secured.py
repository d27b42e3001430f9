"""An OPC UA server on asyncua whose certificate, policies and log-ins are changed while it runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509

from protocols.driver import LinkStats
from protocols.opcua.config import OpcuaDevice
from protocols.opcua.facts import der
from protocols.opcua.security_config import SecurityConfig, UserConfig
from protocols.opcua.session import Session
from tests.processes import free_port
from tests.protocols.opcua.authority import SERVER_URI, Issued

PASSWORDS = {"gateway": "Füller-7-geheim"}
POLICIES = {
    ("none", None): ua.SecurityPolicyType.NoSecurity,
    ("Basic256Sha256", "sign"): ua.SecurityPolicyType.Basic256Sha256_Sign,
    ("Basic256Sha256", "sign_and_encrypt"): ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ("Aes128_Sha256_RsaOaep", "sign"): ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ("Aes128_Sha256_RsaOaep", "sign_and_encrypt"): ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ("Aes256_Sha256_RsaPss", "sign"): ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ("Aes256_Sha256_RsaPss", "sign_and_encrypt"): ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
}
SECURED = [pair for pair in POLICIES if pair[1] is not None]
TOKENS = (ua.AnonymousIdentityToken, ua.UserNameIdentityToken, ua.X509IdentityToken)


class SecuredServer:
    """One server; `present` says what it shows from the next connection on."""

    def __init__(self) -> None:
        self.server = Server()
        self.port = free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/plant"
        self.trusted: set[bytes] | None = None
        """Clients' certificates that are let in; None for all."""
        self.users: set[bytes] = set()
        """Certificates of users who are let in."""
        self.seen: list[Any] = []
        """Per session: policy's URI, mode, and the user's name."""
        self.changed: Callable[[Any], None] | None = None
        """What is done to the answer to CreateSession."""

    async def start(self) -> None:
        """Takes 1 to 2 s."""
        self.server.set_endpoint(self.url)
        await self.server.init()
        self.server.iserver.user_manager = self
        self.server.iserver.certificate_validator = self._validate
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self.server.start()
        make = self.server.iserver.create_session

        def watched(*given: Any, **named: Any) -> Any:
            session = make(*given, **named)
            create = session.create_session

            async def create_session(*given: Any, **named: Any) -> Any:
                result = await create(*given, **named)
                if self.changed is not None:
                    self.changed(result)
                return result

            session.create_session = create_session
            return session

        self.server.iserver.create_session = watched

    async def present(
        self,
        server: Issued | None = None,
        chain: Sequence[Issued] = (),
        offers: Sequence[tuple[str, str | None]] = tuple(POLICIES),
        tokens: Sequence[type] = TOKENS,
        uri: str = SERVER_URI,
    ) -> None:
        """Show this certificate, these policies and log-ins."""
        self.trusted, self.users, self.changed = None, set(), None
        self.seen.clear()
        one = self.server
        one.iserver.certificate = server.certificate if server else None
        one.iserver.private_key = server.key if server else None
        one.iserver.endpoints.clear()
        one._policies.clear()
        one.set_security_policy([POLICIES[offer] for offer in offers])
        one.set_identity_tokens(list(tokens))
        one._application_uri = uri
        await one._setup_server_nodes()
        if chain:
            for endpoint in one.iserver.endpoints:
                endpoint.ServerCertificate += b"".join(der(link.certificate) for link in chain)
            for policy in one._policies:
                policy.certificate_chain = [link.certificate for link in chain]

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """asyncua's question; None refuses with BadUserAccessDenied."""
        self.seen.append(username)
        if username is not None:
            return User(UserRole.User, username) if PASSWORDS.get(username) == password else None
        if self.users and certificate not in self.users:
            return None
        return User(UserRole.User)

    async def _validate(self, certificate: x509.Certificate, application: Any) -> None:
        if self.trusted is not None and der(certificate) not in self.trusted:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    async def channels(self) -> list[tuple[str, str]]:
        """Policy and mode of each connection that is open."""
        await asyncio.sleep(0)
        clients = self.server.bserver.clients
        policies = [client.processor._connection.security_policy for client in clients]
        return [(policy.URI.rpartition("#")[2], policy.Mode.name) for policy in policies]


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens, and nobody will."""
    with socket.socket() as claimed:
        claimed.bind(("127.0.0.1", 0))
        yield claimed.getsockname()[1]


@asynccontextmanager
async def secured_server() -> AsyncIterator[SecuredServer]:
    """A running server on loopback, at a free port."""
    one = SecuredServer()
    await one.start()
    try:
        yield one
    finally:
        await one.server.stop()


def device(url: str, security: SecurityConfig, user: UserConfig | None = None) -> OpcuaDevice:
    """A device's section with these."""
    signals = {"state": {"node": "i=2259"}}
    given = {"protocol": "opcua", "endpoint": url, "security": security, "user": user, "signals": signals}
    return OpcuaDevice.model_validate(given)


@asynccontextmanager
async def opened(of: OpcuaDevice, state_dir: Path | None) -> AsyncIterator[Session]:
    """A session as the driver has it."""
    session = Session(of, state_dir, 1_000, LinkStats())
    try:
        await session.open()
        yield session
    finally:
        await session.close()


async def server_state(session: Session) -> Any:
    """What the server says of itself."""
    wanted = ua.ReadValueId(ua.NodeId(ua.ObjectIds.Server_ServerStatus_State), ua.AttributeIds.Value)
    response = await session.ask(ua.ReadRequest(Parameters=ua.ReadParameters(NodesToRead=[wanted])))
    return response.Results[0].Value.Value
