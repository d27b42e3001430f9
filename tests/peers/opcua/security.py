"""Security of the asyncua test server: its certificate, policies, users, and which clients it trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asyncua import Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto import uacrypto
from asyncua.crypto.permission_rules import User, UserRole
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocols.simulated.opcua_server import Request
from tests.peers.opcua import values
from tests.peers.opcua.pki import PASSWORD, USER, Authority, Issued, Kind

POLICIES = {
    "None": (ua.SecurityPolicyType.NoSecurity,),
    "Basic256Sha256": (
        ua.SecurityPolicyType.Basic256Sha256_Sign,
        ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ),
    "Aes128_Sha256_RsaOaep": (
        ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
        ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ),
    "Aes256_Sha256_RsaPss": (
        ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
        ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
    ),
}
TOKENS = {
    "anonymous": ua.AnonymousIdentityToken,
    "password": ua.UserNameIdentityToken,
    "certificate": ua.X509IdentityToken,
}


class Security:
    """What a server offers and whom it lets in; without a folder only policy None, for anybody."""

    def __init__(self, folder: Path | None, kind: Kind, policies: list[str], users: list[str], trust: bool) -> None:
        self._policies, self._tokens = policies, [TOKENS[user] for user in users]
        self._authority = None if folder is None else Authority(folder)
        self._trust = trust
        self._server: Issued | None = None
        self._chain: list[x509.Certificate] = []
        self._users: set[bytes] = set()
        self.told: dict[str, str] = {}
        """For the ready line: where files are, and who the user is."""
        if self._authority is not None:
            self._server, user = self._authority.server(kind, values.APPLICATION_URI), self._authority.user()
            self._chain = x509.load_pem_x509_certificates(self._server.pem.read_bytes())
            self._users = {user.certificate.read_bytes()}
            self.told = self._authority.told(self._server, user)

    async def prepare(self, server: Server) -> None:
        """Before the server listens."""
        server.set_security_policy([mode for policy in self._policies for mode in POLICIES[policy]])
        server.set_identity_tokens(self._tokens)
        server.iserver.user_manager = self
        if self._server is not None:
            await server.load_certificate(self._server.certificate)
            await server.load_private_key(self._server.key)
        if self._trust:
            server.iserver.certificate_validator = self._validate

    def send_chain(self, server: Server) -> None:
        """Once endpoints are there: certificates that the server sends are followed by their issuers'."""
        whole = b"".join(each.public_bytes(Encoding.DER) for each in self._chain)
        for endpoint in server.iserver.endpoints:
            if endpoint.ServerCertificate:
                endpoint.ServerCertificate = whole
        for policy in server._policies:
            policy.certificate_chain = self._chain[1:]

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """asyncua asks it of each session that passes `check`."""
        if username is None or (username, password) == (USER, PASSWORD):
            return User(role=UserRole.User, name=username)
        return None

    def check(self, request: Request) -> None:
        """Refuses certificates of unknown users, which asyncua does not tell from anonymous ones."""
        if request.service == "ActivateSession":
            token = request.parameters(ua.ActivateSessionParameters).UserIdentityToken
            if isinstance(token, ua.X509IdentityToken) and token.CertificateData not in self._users:
                raise ServiceError(ua.StatusCodes.BadIdentityTokenRejected)

    async def _validate(self, certificate: x509.Certificate, application: Any) -> None:
        assert self._authority is not None, "--trust needs --pki"
        known = {path.read_bytes() for path in self._authority.trusted.iterdir()}
        if uacrypto.der_from_x509(certificate) not in known:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)
