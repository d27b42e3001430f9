"""The gateway's own certificate and key, and those that a configuration names.

The own pair is one file, `pki/own/linegate.pem` (mode 0600), so that key and certificate are replaced together; the
certificate alone, for the server's trust list, is beside it as `linegate.der`.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.driver import ConfigError
from protocols.opcua.facts import application_uris, der
from protocols.opcua.pki import Pki, read, read_certificates, write
from protocols.secrets import Secret

KeySize = Literal[2048, 3072]
VALID = timedelta(days=5 * 365)
"""Who runs a line does not renew certificates each year; a key of 2,048 bits lasts longer than this."""
_CLOCKS = timedelta(days=1)
"""A server whose clock is behind must not find the certificate to be from the future."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate, its key, and the authorities that signed it, from the nearest on."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def application_uri(self) -> str:
        """The application URI that the certificate was issued for; empty where it names none."""
        uris = application_uris(self.certificate)
        return uris[0] if uris else ""


def application_uri(state_dir: Path | None) -> str:
    """The URI of this instance: `urn:HOST:linegate:NAME`, with the name of the state directory."""
    name = "" if state_dir is None else f":{_plain(state_dir.resolve().name)}"
    return f"urn:{_plain(_host())}:linegate{name}"


def own_certificate_files(pki: Pki) -> tuple[Path, Path]:
    """The file with key and certificate, and that of the certificate alone."""
    return pki.own / "linegate.pem", pki.own / "linegate.der"


def own_identity(pki: Pki) -> Identity:
    """The gateway's own certificate, made now if there is none. Blocking; raises ConfigError."""
    both, _ = own_certificate_files(pki)
    return load_identity(both, both, None) if both.exists() else create_own(pki)


def create_own(pki: Pki, key_size: KeySize = 2048) -> Identity:
    """A new key and certificate in the place of those that are there, if any. Blocking; raises ConfigError."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=key_size)
    certificate = self_signed(key, application_uri(pki.directory.parent), _host())
    both, public = own_certificate_files(pki)
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write(both, secret + certificate.public_bytes(encoding), 0o600)
    write(public, der(certificate), 0o644)
    return Identity(certificate, key)


def self_signed(key: rsa.RSAPrivateKey, uri: str, host: str) -> x509.Certificate:
    """An application instance certificate of a client (OPC 10000-6, 6.2.2)."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"linegate@{host}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "linegate"),
        ]
    )
    hosts = [x509.DNSName(one) for one in dict.fromkeys((host, host.partition(".")[0]))]
    now = datetime.now(UTC)
    public = key.public_key()
    builder = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def load_identity(certificate: Path, private_key: Path, password: Secret | None) -> Identity:
    """Certificate and key of files. Blocking; raises ConfigError, which never says what is in the key's file."""
    chain = read_certificates(certificate)
    key = _load_key(private_key, password)
    if chain[0].public_key() != key.public_key():
        words = f"{private_key} is not the key of {certificate}"
        raise ConfigError(words, "name the key that the certificate was made with; a chain begins with the own one")
    return Identity(chain[0], key, tuple(chain[1:]))


def _load_key(path: Path, password: Secret | None) -> rsa.RSAPrivateKey:
    content, secret = read(path), None if password is None else password.resolve().encode()
    load = serialization.load_pem_private_key if b"-----BEGIN" in content else serialization.load_der_private_key
    try:
        key = load(content, secret)
    except TypeError:
        if secret is None:
            remedy = "write `private_key_password: {credential: NAME}` beside it"
            raise ConfigError(f"{path} is encrypted with a password", remedy) from None
        raise ConfigError(f"{path} is not encrypted", "leave `private_key_password` out") from None
    except (ValueError, UnsupportedAlgorithm):
        what = "is not a private key" if secret is None else "is not a private key, or has another password"
        raise ConfigError(f"{path} {what}", "give an RSA key in PEM or DER, and its password if it has one") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"{path} is not an RSA key", "OPC UA's security policies here want RSA, 2048 to 4096 bits")
    return key


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # as 6.2.2 wants it of a certificate that signs itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host() -> str:
    return _plain(socket.gethostname()) or "localhost"


def _plain(name: str) -> str:
    """What may stand in a URN and in a host name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")
