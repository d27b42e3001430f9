"""What a certificate says, as people compare it: subject, fingerprints, dates, application URI, host names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_MOST_BYTES = 64_000
"""Of a certificate and those that signed it, as one side of a connection sends them."""


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's bytes, as OPC UA sends them."""
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in pairs of hex digits."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 of the certificate, as servers list it (OPC 10000-6, 6.2.2); a name, not a proof."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, else its whole subject."""
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return printable(str(names[0].value) if names else certificate.subject.rfc4514_string())


def application_uris(certificate: x509.Certificate) -> list[str]:
    """URIs of the subject's alternative names: of an application's certificate one, its application URI."""
    names = _alternative_names(certificate)
    return names.get_values_for_type(x509.UniformResourceIdentifier) if names is not None else []


def host_names(certificate: x509.Certificate) -> list[str]:
    """Names and addresses of the hosts that the certificate is for."""
    names = _alternative_names(certificate)
    if names is None:
        return []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def key_bits(certificate: x509.Certificate) -> int | None:
    """The length of an RSA key; None for any other key."""
    key = certificate.public_key()
    return key.key_size if isinstance(key, RSAPublicKey) else None


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether nobody but its own key vouches for it."""
    return certificate.subject == certificate.issuer


def split_chain(sent: bytes) -> list[x509.Certificate]:
    """The certificates of a peer, its own first: they are sent one behind the other. Raises ValueError."""
    if len(sent) > _MOST_BYTES:
        raise ValueError(f"{len(sent)} bytes are no certificate")
    chain = []
    while sent:
        length = _der_length(sent)
        chain.append(x509.load_der_x509_certificate(sent[:length]))
        sent = sent[length:]
    return chain


def described(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    """What a person compares before trusting a certificate, as names and values."""
    yield "subject", printable(certificate.subject.rfc4514_string())
    by = "itself" if is_self_signed(certificate) else printable(certificate.issuer.rfc4514_string())
    yield "signed by", by
    yield "fingerprint (SHA-256)", fingerprint(certificate)
    yield "thumbprint (SHA-1)", thumbprint(certificate)
    yield (
        "valid",
        f"{day(certificate.not_valid_before_utc)} to {day(certificate.not_valid_after_utc)}{_now(certificate)}",
    )
    yield "application URI", printable(", ".join(application_uris(certificate)) or "none")
    yield "host names", printable(", ".join(host_names(certificate)) or "none")
    bits = key_bits(certificate)
    yield "key", f"RSA, {bits} bits" if bits is not None else "not RSA"


def day(moment: datetime) -> str:
    """A date as people compare it."""
    return moment.strftime("%Y-%m-%d")


def printable(text: str) -> str:
    """A peer's text without anything that moves a cursor or forges a line, and not longer than a line."""
    return "".join(one if one.isprintable() else "?" for one in text[:300])


def _now(certificate: x509.Certificate) -> str:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        return " (expired)"
    return " (not valid yet)" if certificate.not_valid_before_utc > now else ""


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _der_length(sent: bytes) -> int:
    """Length of the SEQUENCE that `sent` begins with, its header included (ITU-T X.690, 8.1.3)."""
    if len(sent) < 2 or sent[0] != 0x30:
        raise ValueError("this is no certificate")
    if sent[1] < 0x80:
        return 2 + sent[1]
    digits = sent[1] & 0x7F
    return 2 + digits + int.from_bytes(sent[2 : 2 + digits], "big")
