"""Decides whether a server's certificate is trusted, in the steps and the order of OPC 10000-4, 6.1.3.

A certificate that is trusted itself needs no chain; any other one has to lead, signature by signature, to an authority
that is. What completes a chain is trusted no more for it. A revocation list counts where there is one, also an old one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from protocols.driver import ConfigError
from protocols.opcua.facts import (
    application_uris,
    common_name,
    day,
    fingerprint,
    host_names,
    is_self_signed,
    key_bits,
    printable,
)
from protocols.opcua.pki import Pki, certificates_in, revocation_lists_in

KEY_BITS = range(2048, 4097)
"""Of all policies that are supported (OPC 10000-7)."""
_LONGEST_CHAIN = 8
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
}


class Refused(ConfigError):
    """A server's certificate was refused; `status` is the name of OPC UA's status code for it."""

    def __init__(self, status: str, why: str, remedy: str) -> None:
        super().__init__(why, remedy)
        self.status = status


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows of itself before anything is proven."""

    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]
    """Those that it sends along."""
    host: str
    """The host that we asked."""
    application_uri: str
    """As its endpoint describes it."""


@dataclass(frozen=True, slots=True)
class TrustList:
    """What is trusted: one certificate that is pinned for the device, else certificates and authorities."""

    trusted: tuple[x509.Certificate, ...] = ()
    issuers: tuple[x509.Certificate, ...] = ()
    revoked: tuple[x509.CertificateRevocationList, ...] = ()
    pinned: x509.Certificate | None = None
    where: Path | None = None
    """The directory, for messages."""

    def check(self, shown: Shown, now: datetime | None = None) -> None:
        """Raise Refused unless the server's certificate is trusted."""
        try:
            self._check(shown, now or datetime.now(UTC))
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnsupportedAlgorithm) as error:
            why = f"the server's certificate is malformed: {printable(str(error))}"
            raise Refused("BadCertificateInvalid", why, "have the server make its certificate anew") from None

    def _check(self, shown: Shown, now: datetime) -> None:
        _check_key(shown.certificate)
        chain = self._chain(shown)
        for one in chain:
            _check_dates(one, now, one is shown.certificate)
        if self.pinned is None:
            _check_host(shown.certificate, shown.host)
        check_uri(shown.certificate, shown.application_uri)
        _check_usage(shown.certificate)
        self._check_revoked(chain, shown)

    def _chain(self, shown: Shown) -> list[x509.Certificate]:
        """The certificate and those that lead to one that is trusted."""
        certificate = shown.certificate
        if self.pinned is not None:
            if certificate == self.pinned:
                return [certificate]
            why = (
                f"the server shows another certificate than the one that is pinned: {_named(certificate)}; "
                f"pinned is {fingerprint(self.pinned)}"
            )
            remedy = "if the server's certificate was renewed, compare the fingerprint there and pin the new one; "
            raise Refused("BadCertificateUntrusted", why, f"{remedy}if not, find out who answers at this address")
        chain = [certificate]
        while chain[-1] not in self.trusted:
            issuer = self._issuer(chain[-1], shown.chain)
            if issuer is None or issuer in chain or len(chain) == _LONGEST_CHAIN:
                raise self._unknown(chain)
            _check_authority(issuer, chain)
            chain.append(issuer)
        return chain

    def _issuer(self, certificate: x509.Certificate, sent: Sequence[x509.Certificate]) -> x509.Certificate | None:
        """The authority that signed a certificate; a trusted one first, and what the server sends last."""
        if is_self_signed(certificate):
            return None
        _check_hash(certificate)
        return next((one for one in (*self.trusted, *self.issuers, *sent) if _signed(certificate, one)), None)

    def _unknown(self, chain: list[x509.Certificate]) -> Refused:
        last = chain[-1]
        words = f"the server's certificate is not trusted: {_named(chain[0])}"
        if not is_self_signed(last):
            authority = printable(last.issuer.rfc4514_string())
            words = f"the server's certificate was signed by {authority}, which is not known here: {_named(chain[0])}"
        status = "BadCertificateUntrusted" if is_self_signed(last) else "BadCertificateChainIncomplete"
        remedy = "compare the fingerprint with the one that the server itself shows; if they are the same, trust it"
        if self.where is not None:
            remedy += f": move its file from {self.where / 'rejected'} to {self.where / 'trusted'}"
            remedy += ", or put the authority's certificate there" if not is_self_signed(chain[0]) else ""
            remedy += ", or run `linegate discover URL --trust`"
        return Refused(status, words, remedy)

    def _check_revoked(self, chain: list[x509.Certificate], shown: Shown) -> None:
        known = (*self.trusted, *self.issuers, *shown.chain)
        for one in chain:
            signers = [other for other in known if _signed(one, other)]
            for revoked in self.revoked:
                # a list whose authority is not known here counts: somebody put it there
                if revoked.issuer != one.issuer or (signers and not any(_issued(revoked, s) for s in signers)):
                    continue
                if revoked.get_revoked_certificate_by_serial_number(one.serial_number) is not None:
                    status = "BadCertificateRevoked" if one is chain[0] else "BadCertificateIssuerRevoked"
                    why = f"{_whose(one, one is chain[0])} was revoked by its authority: {_named(one)}"
                    raise Refused(status, why, "have a new certificate issued for the server, and ask why this one was")


def trust_list(pki: Pki | None, pinned: x509.Certificate | None) -> TrustList:
    """What is trusted here and now. Blocking; raises ConfigError for files that cannot be used."""
    if pki is None:
        return TrustList(pinned=pinned)
    folders = (pki.trusted, pki.issuers)
    trusted, issuers = (tuple(certificates_in(folder)) for folder in folders)
    revoked = tuple(one for folder in folders for one in revocation_lists_in(folder))
    return TrustList(trusted, issuers, revoked, pinned, pki.directory)


def names_host(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for a host, by its name or its address."""
    return _same_form(host) in {_same_form(one) for one in host_names(certificate)}


def check_uri(certificate: x509.Certificate, uri: str) -> None:
    """Raise Refused unless a certificate is for the application that a server says to be."""
    uris = application_uris(certificate)
    if uri in uris:
        return
    named = f"names {', '.join(map(printable, uris))}" if uris else "names no application URI"
    why = f"the server calls itself {printable(uri) or 'nothing'}, but its certificate {named}"
    remedy = (
        "have the server make its certificate anew: its application URI was changed, or the certificate is another's"
    )
    raise Refused("BadCertificateUriInvalid", why, remedy)


def _check_key(certificate: x509.Certificate) -> None:
    bits = key_bits(certificate)
    if bits in KEY_BITS:
        return
    what = f"an RSA key of {bits} bits" if bits is not None else "a key that is not RSA"
    why = f"the server's certificate has {what}; every security policy here wants RSA of 2048 to 4096"
    raise Refused("BadCertificatePolicyCheckFailed", why, "have the server make a certificate with a key of 2048 bits")


def _check_dates(certificate: x509.Certificate, now: datetime, is_server: bool) -> None:
    status = "BadCertificateTimeInvalid" if is_server else "BadCertificateIssuerTimeInvalid"
    whose = _whose(certificate, is_server)
    if certificate.not_valid_after_utc < now:
        why = f"{whose} expired on {day(certificate.not_valid_after_utc)}: {_named(certificate)}"
        raise Refused(status, why, "renew it on the server, and trust the new one; check this machine's clock")
    if certificate.not_valid_before_utc > now:
        why = f"{whose} is valid only from {day(certificate.not_valid_before_utc)} on: {_named(certificate)}"
        remedy = "check this machine's clock, and the server's: one that had lost its time made the certificate"
        raise Refused(status, why, remedy)


def _check_host(certificate: x509.Certificate, host: str) -> None:
    if names_host(certificate, host):
        return
    names = ", ".join(map(printable, host_names(certificate))) or "no host at all"
    why = f"the server's certificate is for {names}, not for {printable(host)}"
    remedy = "write the host in `endpoint` as the certificate names it, or pin the certificate: `server_certificate:`"
    raise Refused("BadCertificateHostNameInvalid", why, remedy)


def _check_usage(certificate: x509.Certificate) -> None:
    """Signing, and decrypting what we encrypt for it; where it says how it may be used."""
    extensions = certificate.extensions
    wrong = False
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            wrong |= not (value.digital_signature and (value.key_encipherment or value.data_encipherment))
        elif isinstance(value, x509.ExtendedKeyUsage):
            any_usage = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
            wrong |= not any(usage in value for usage in any_usage)
    if wrong:
        why = f"the server's certificate may not be used by a server: {_named(certificate)}"
        remedy = "have it issued for an OPC UA server: serverAuth; digitalSignature, keyEncipherment, dataEncipherment"
        raise Refused("BadCertificateUseNotAllowed", why, remedy)


def _check_hash(certificate: x509.Certificate) -> None:
    if isinstance(certificate.signature_hash_algorithm, hashes.MD5 | hashes.SHA1):
        broken = certificate.signature_hash_algorithm.name.upper()
        why = f"{common_name(certificate)} was signed with {broken}, which proves nothing any more"
        raise Refused("BadCertificatePolicyCheckFailed", why, "have it issued anew, signed with SHA-256")


def _check_authority(authority: x509.Certificate, chain: Sequence[x509.Certificate]) -> None:
    """Whether a certificate may vouch for the last of a chain (RFC 5280, 6.1.4)."""
    signed, name = chain[-1], common_name(authority)
    if (what := _no_authority(authority, len(chain) - 1)) is not None:
        why = f"{common_name(signed)} was signed by {name}, which {what}"
        remedy = "have the server's certificate issued by a proper authority"
        raise Refused("BadCertificateIssuerUseNotAllowed", why, remedy)


def _no_authority(certificate: x509.Certificate, below: int) -> str | None:
    """Why a certificate vouches for no other one, with `below` authorities between."""
    constraints = usage = None
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            return f"has a critical extension that is not understood: {extension.oid.dotted_string}"
        if isinstance(extension.value, x509.BasicConstraints):
            constraints = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return "is not the certificate of an authority"
    if application_uris(certificate):
        return "is an application's certificate; that it is trusted makes it no authority"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"may have no more than {constraints.path_length} authorities below it"
    return None


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _issued(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, RSAPublicKey) and revoked.is_signature_valid(key)


def _named(certificate: x509.Certificate) -> str:
    return f"{common_name(certificate)}, SHA-256 {fingerprint(certificate)}"


def _whose(certificate: x509.Certificate, is_server: bool) -> str:
    return "the server's certificate" if is_server else f"the authority's certificate {common_name(certificate)}"


def _same_form(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.rstrip(".").lower()
