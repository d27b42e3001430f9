"""Certificates as tests want them: of authorities and of applications, right or wrong in one way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
SERVER_URI = "urn:acme:capper:server"
HOSTS = ("localhost", "127.0.0.1")


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key a name, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and who signed it."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        """The key in PEM, encrypted where a password is given."""
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            how = serialization.BestAvailableEncryption(password)
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def name(common: str) -> x509.Name:
    """A distinguished name."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "acme")]
    )


def application(
    common: str = "capper",
    by: Issued | None = None,
    *,
    uri: str | None = SERVER_URI,
    hosts: Iterable[str] = HOSTS,
    begins: timedelta = -DAY,
    ends: timedelta = 90 * DAY,
    usage: x509.KeyUsage | None = None,
    extended: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
    bits: int = 2048,
) -> Issued:
    """An application's certificate; signed by itself where `by` is left out."""
    key = rsa_key(common, bits)
    builder = _builder(common, key, by, begins, ends)
    names: list[x509.GeneralName] = [] if uri is None else [x509.UniformResourceIdentifier(uri)]
    names += [_host(host) for host in hosts]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage or key_usage(), critical=True)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([extended]), critical=False)
    return Issued(builder.sign((by.key if by else key), hashes.SHA256()), key)


def authority(
    common: str,
    by: Issued | None = None,
    *,
    ca: bool = True,
    path_length: int | None = None,
    usage: x509.KeyUsage | None = None,
    uri: str | None = None,
    begins: timedelta = -DAY,
    ends: timedelta = 90 * DAY,
    critical: x509.ExtensionType | None = None,
) -> Issued:
    """An authority's certificate; a root's where `by` is left out."""
    key = rsa_key(common)
    builder = _builder(common, key, by, begins, ends)
    builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    builder = builder.add_extension(usage or key_usage(signs=True), critical=True)
    if uri is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    return Issued(builder.sign((by.key if by else key), hashes.SHA256()), key)


def with_sha1(issued: Issued, by: Issued) -> Issued:
    """The same certificate, signed with SHA-1, which libraries do no longer."""
    rsa_sha256, rsa_sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    encoded = issued.certificate.public_bytes(serialization.Encoding.DER).replace(rsa_sha256, rsa_sha1)
    signed = x509.load_der_x509_certificate(encoded).tbs_certificate_bytes
    signature = by.key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    return Issued(x509.load_der_x509_certificate(encoded[: -len(signature)] + signature), issued.key)


def malformed(issued: Issued) -> Issued:
    """A certificate with alternative names twice."""
    encoded = issued.certificate.public_bytes(serialization.Encoding.DER)
    extended_usage, alternative_names = bytes.fromhex("0603551d25"), bytes.fromhex("0603551d11")
    return Issued(x509.load_der_x509_certificate(encoded.replace(extended_usage, alternative_names)), issued.key)


def elliptic() -> x509.Certificate:
    """A certificate whose key is not RSA."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = name("elliptic")
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, now - DAY, now + DAY)
    return builder.sign(key, hashes.SHA256())


def revoking(by: Issued, *revoked: Issued, ended: bool = False, key: Issued | None = None) -> bytes:
    """An authority's revocation list in DER; one that ended yesterday, or signed with another's key."""
    now = datetime.now(UTC)
    last, following = (now - 9 * DAY, now - DAY) if ended else (now - DAY, now + DAY)
    builder = x509.CertificateRevocationListBuilder(by.certificate.subject, last, following)
    for one in revoked:
        entry = x509.RevokedCertificateBuilder(one.certificate.serial_number, last).build()
        builder = builder.add_revoked_certificate(entry)
    signed = builder.sign((key or by).key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def key_usage(
    *, signs: bool = False, digital_signature: bool = True, encipherment: bool = True, key_cert_sign: bool | None = None
) -> x509.KeyUsage:
    """Of an application, or of an authority that signs certificates."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=not signs,
        key_encipherment=encipherment and not signs,
        data_encipherment=encipherment and not signs,
        key_agreement=False,
        key_cert_sign=signs if key_cert_sign is None else key_cert_sign,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    common: str, key: rsa.RSAPrivateKey, by: Issued | None, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now, subject = datetime.now(UTC), name(common)
    issuer = by.certificate.subject if by else subject
    serial = x509.random_serial_number()
    return x509.CertificateBuilder(issuer, subject, key.public_key(), serial, now + begins, now + ends)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
