"""Certificates for the test servers: an authority of their own, servers' good and bad ones, a user's, a client's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USER, PASSWORD = "gateway", "Füller-7"
Kind = Literal["good", "self_signed", "chain", "expired", "not_yet", "wrong_host", "wrong_uri"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""`good` is signed by the authority and sent alone, `chain` is sent with the authority's certificate behind it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate (DER and PEM) and its key (PEM), as files."""

    certificate: Path
    pem: Path
    key: Path


class Authority:
    """A folder with `ca.der`, `ca.crl`, `trusted/` for clients' certificates, and what is issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        """A server with `--trust` takes the clients whose DER certificates are here, looked up at each connection."""
        self.trusted.mkdir(parents=True, exist_ok=True)
        self.certificate, self.crl = folder / "ca.der", folder / "ca.crl"
        self._key = _new_key()
        self._name = _name("linegate test authority")
        now = datetime.now(UTC)
        builder = _builder(self._name, self._name, self._key, now - timedelta(days=1), now + timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(self._certificate.public_bytes(Encoding.DER))
        revoked = x509.CertificateRevocationListBuilder(self._name, now, now + timedelta(days=30))
        self.crl.write_bytes(revoked.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER))

    def server(self, kind: Kind, uri: str) -> Issued:
        """A server's certificate for loopback, or one that is wrong in one way."""
        hosts = ["elsewhere.example"] if kind == "wrong_host" else ["localhost", "127.0.0.1"]
        given = "urn:somebody:else" if kind == "wrong_uri" else uri
        days = {"expired": (-30, -1), "not_yet": (1, 30)}.get(kind, (-1, 30))
        return self._issue(
            f"server-{kind}", given, hosts, days, self_signed=kind == "self_signed", chain=kind == "chain"
        )

    def client(self, uri: str, name: str = "client") -> Issued:
        """A client's certificate, self-signed as clients make theirs."""
        return self._issue(name, uri, ["localhost"], (-1, 30), self_signed=True)

    def user(self, name: str = "user") -> Issued:
        """A person's certificate."""
        return self._issue(name, None, [], (-1, 30), self_signed=True)

    def told(self, server: Issued, user: Issued) -> dict[str, str]:
        """What a test has to know: where the files are, and who the user is."""
        return {
            "ca": str(self.certificate),
            "crl": str(self.crl),
            "certificate": str(server.certificate),
            "trusted": str(self.trusted),
            "user_certificate": str(user.certificate),
            "user_key": str(user.key),
            "user": USER,
            "password": PASSWORD,
        }

    def trust(self, certificate: Path) -> None:
        """Lets a client in."""
        (self.trusted / certificate.name).write_bytes(certificate.read_bytes())

    def _issue(
        self,
        name: str,
        uri: str | None,
        hosts: list[str],
        days: tuple[int, int],
        *,
        self_signed: bool = False,
        chain: bool = False,
    ) -> Issued:
        key, subject, now = _new_key(), _name(f"linegate test {name}"), datetime.now(UTC)
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        begin, end = (now + timedelta(days=offset) for offset in days)
        builder = _builder(subject, issuer, key, begin, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        names: list[x509.GeneralName] = [] if uri is None else [x509.UniformResourceIdentifier(uri)]
        names += [_host(host) for host in hosts]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        sent = [certificate, self._certificate] if chain else [certificate]
        issued = Issued(*(self.folder / f"{name}{suffix}" for suffix in (".der", ".pem", "-key.pem")))
        issued.certificate.write_bytes(certificate.public_bytes(Encoding.DER))
        issued.pem.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in sent))
        issued.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return issued


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), begin, end)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=not authority,
        key_encipherment=not authority,
        data_encipherment=not authority,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
