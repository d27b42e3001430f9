"""The trust list: who is trusted, in which order what is checked, and the words of each refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocols.driver import ConfigError
from protocols.opcua.facts import der, fingerprint
from protocols.opcua.pki import MOST_REJECTED, Pki
from protocols.opcua.trust import Refused, Shown, TrustList, trust_list
from tests.protocols.opcua.authority import (
    DAY,
    SERVER_URI,
    Issued,
    application,
    authority,
    elliptic,
    key_usage,
    malformed,
    revoking,
    with_sha1,
)

ROOT = authority("acme root")
SUB = authority("acme filling", ROOT)


def shown(
    server: Issued | x509.Certificate, *sent: Issued, host: str = "127.0.0.1", application_uri: str = SERVER_URI
) -> Shown:
    certificate = server.certificate if isinstance(server, Issued) else server
    return Shown(certificate, [one.certificate for one in sent], host, application_uri)


def trusting(*trusted: Issued, issuers: tuple[Issued, ...] = (), revoked: tuple[bytes, ...] = ()) -> TrustList:
    return TrustList(
        tuple(one.certificate for one in trusted),
        tuple(one.certificate for one in issuers),
        tuple(x509.load_der_x509_crl(one) for one in revoked),
        where=Path("/var/lib/linegate/line-3/pki"),
    )


def refused(trust: TrustList, what: Shown) -> Refused:
    with pytest.raises(Refused) as caught:
        trust.check(what)
    assert caught.value.remedy
    return caught.value


def test_a_trusted_certificate_needs_no_authority() -> None:
    for server in (application(), application("signed", SUB)):
        trusting(server).check(shown(server))


def test_an_authority_is_trusted_with_all_that_it_signed() -> None:
    direct, below = application("direct", ROOT), application("below", SUB)
    trusting(ROOT).check(shown(direct))
    trusting(ROOT).check(shown(below, SUB))
    trusting(ROOT, issuers=(SUB,)).check(shown(below))
    trusting(SUB).check(shown(below))


def test_what_completes_a_chain_is_not_trusted_for_it() -> None:
    server = application("below", SUB)
    error = refused(trusting(issuers=(SUB, ROOT)), shown(server))
    assert error.status == "BadCertificateUntrusted"
    assert "the server's certificate is not trusted: below, SHA-256 " in error.why
    error = refused(trusting(), shown(server, SUB, ROOT))
    assert error.status == "BadCertificateUntrusted"


def test_an_unknown_server_is_refused_with_its_fingerprint_and_the_way_to_trust_it() -> None:
    server = application("stranger")
    error = refused(trusting(application("known")), shown(server))
    assert error.status == "BadCertificateUntrusted"
    assert error.why == f"the server's certificate is not trusted: stranger, SHA-256 {fingerprint(server.certificate)}"
    assert "compare the fingerprint with the one that the server itself shows" in error.remedy
    assert "from /var/lib/linegate/line-3/pki/rejected to /var/lib/linegate/line-3/pki/trusted" in error.remedy
    assert "`linegate discover URL --trust`" in error.remedy


def test_a_chain_without_an_end_says_which_authority_is_missing() -> None:
    server = application("below", SUB)
    error = refused(trusting(application("known")), shown(server))
    assert error.status == "BadCertificateChainIncomplete"
    assert "was signed by O=acme,CN=acme filling, which is not known here" in error.why
    assert "put the authority's certificate there" in error.remedy


def test_a_name_is_no_signature() -> None:
    impostor = Issued(authority("impostor").certificate, authority("impostor").key)
    forged = application("forged", Issued(ROOT.certificate, impostor.key))
    assert refused(trusting(ROOT), shown(forged)).status == "BadCertificateChainIncomplete"


def test_a_pinned_certificate_is_the_only_one() -> None:
    mine, other = application("mine", hosts=["plc-7.plant.example"]), application("other")
    pin = TrustList(trusted=(other.certificate,), pinned=mine.certificate)
    pin.check(shown(mine, host="10.0.0.7"))
    error = refused(pin, shown(other))
    assert error.status == "BadCertificateUntrusted"
    assert "the server shows another certificate than the one that is pinned: other, SHA-256 " in error.why
    assert error.why.endswith(f"pinned is {fingerprint(mine.certificate)}")
    assert "compare the fingerprint there and pin the new one" in error.remedy


@pytest.mark.parametrize(
    ("server", "host", "status", "why", "remedy"),
    [
        (
            application("old", begins=-30 * DAY, ends=-DAY),
            "127.0.0.1",
            "BadCertificateTimeInvalid",
            "the server's certificate expired on ",
            "renew it on the server, and trust the new one; check this machine's clock",
        ),
        (
            application("early", begins=DAY),
            "127.0.0.1",
            "BadCertificateTimeInvalid",
            "the server's certificate is valid only from ",
            "check this machine's clock, and the server's",
        ),
        (
            application("moved", hosts=["plc-7", "10.0.0.7"]),
            "10.0.0.8",
            "BadCertificateHostNameInvalid",
            "the server's certificate is for plc-7, 10.0.0.7, not for 10.0.0.8",
            "write the host in `endpoint` as the certificate names it, or pin the certificate",
        ),
        (
            application("nameless", hosts=[]),
            "plc-7",
            "BadCertificateHostNameInvalid",
            "the server's certificate is for no host at all, not for plc-7",
            "`server_certificate:`",
        ),
        (
            application("renamed", uri="urn:somebody:else"),
            "127.0.0.1",
            "BadCertificateUriInvalid",
            f"the server calls itself {SERVER_URI}, but its certificate names urn:somebody:else",
            "have the server make its certificate anew",
        ),
        (
            application("no uri", uri=None),
            "127.0.0.1",
            "BadCertificateUriInvalid",
            f"the server calls itself {SERVER_URI}, but its certificate names no application URI",
            "have the server make its certificate anew",
        ),
        (
            application("client", extended=ExtendedKeyUsageOID.CLIENT_AUTH),
            "127.0.0.1",
            "BadCertificateUseNotAllowed",
            "the server's certificate may not be used by a server: client",
            "serverAuth",
        ),
        (
            application("signs nothing", usage=key_usage(digital_signature=False)),
            "127.0.0.1",
            "BadCertificateUseNotAllowed",
            "may not be used by a server",
            "digitalSignature",
        ),
        (
            application("hides nothing", usage=key_usage(encipherment=False)),
            "127.0.0.1",
            "BadCertificateUseNotAllowed",
            "may not be used by a server",
            "keyEncipherment",
        ),
        (
            application("short", bits=1024),
            "127.0.0.1",
            "BadCertificatePolicyCheckFailed",
            "an RSA key of 1024 bits; every security policy here wants RSA of 2048 to 4096",
            "2048 bits",
        ),
        (elliptic(), "127.0.0.1", "BadCertificatePolicyCheckFailed", "a key that is not RSA", "2048 bits"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("Bad") else "",
)
def test_a_trusted_certificate_that_is_wrong_is_refused(
    server: Issued | x509.Certificate, host: str, status: str, why: str, remedy: str
) -> None:
    what = shown(server, host=host)
    error = refused(TrustList((what.certificate,)), what)
    assert error.status == status
    assert why in error.why
    assert remedy in error.remedy


@pytest.mark.parametrize("host", ["plc-7.plant.example", "PLC-7.Plant.Example.", "10.0.0.7", "fe80::1", "[fe80:0::1]"])
def test_hosts_are_compared_as_names_and_as_addresses(host: str) -> None:
    server = application("named", hosts=["plc-7.plant.example", "10.0.0.7", "fe80::1"])
    trusting(server).check(shown(server, host=host))


def test_a_certificate_that_does_not_say_what_it_is_for_may_be_used() -> None:
    server = application("plain", extended=None)
    trusting(server).check(shown(server))


@pytest.mark.parametrize(
    ("vouching", "what"),
    [
        (authority("no authority", ca=False), "which is not the certificate of an authority"),
        (authority("no signer", usage=key_usage()), "which is not the certificate of an authority"),
        (authority("a server", uri=SERVER_URI), "which is an application's certificate"),
        (
            authority("strange", critical=x509.NameConstraints([x509.DNSName("plant.example")], None)),
            "which has a critical extension that is not understood: 2.5.29.30",
        ),
    ],
    ids=["constraints", "usage", "application", "critical"],
)
def test_not_everyone_may_vouch(vouching: Issued, what: str) -> None:
    server = application("vouched", vouching)
    error = refused(trusting(vouching), shown(server))
    assert error.status == "BadCertificateIssuerUseNotAllowed"
    assert what in error.why


def test_a_path_is_not_longer_than_its_authority_allows() -> None:
    root = authority("narrow", path_length=0)
    sub = authority("too deep", root)
    error = refused(trusting(root), shown(application("deep", sub), sub))
    assert error.status == "BadCertificateIssuerUseNotAllowed"
    assert "may have no more than 0 authorities below it" in error.why


def test_a_chain_that_is_too_long_ends() -> None:
    chain = [authority("link 0")]
    for number in range(1, 10):
        chain.append(authority(f"link {number}", chain[-1]))
    server = application("far", chain[-1])
    assert refused(trusting(chain[0]), shown(server, *chain)).status == "BadCertificateChainIncomplete"


def test_an_authority_that_expired_vouches_for_nobody() -> None:
    root = authority("old root", begins=-30 * DAY, ends=-DAY)
    error = refused(trusting(root), shown(application("orphan", root)))
    assert error.status == "BadCertificateIssuerTimeInvalid"
    assert "the authority's certificate old root expired on" in error.why


def test_a_broken_hash_signs_nothing() -> None:
    server = with_sha1(application("sha1", ROOT), ROOT)
    error = refused(trusting(ROOT), shown(server))
    assert error.status == "BadCertificatePolicyCheckFailed"
    assert "sha1 was signed with SHA1, which proves nothing any more" in error.why
    trusting(server).check(shown(server))  # trust by fingerprint leans on no signature


def test_trust_is_asked_before_dates_before_host_before_uri() -> None:
    wrong = application("all wrong", begins=-30 * DAY, ends=-DAY, hosts=["elsewhere"], uri="urn:somebody:else")
    assert refused(trusting(), shown(wrong)).status == "BadCertificateUntrusted"
    assert refused(trusting(wrong), shown(wrong)).status == "BadCertificateTimeInvalid"
    fresh = application("two wrong", hosts=["elsewhere"], uri="urn:somebody:else")
    assert refused(trusting(fresh), shown(fresh)).status == "BadCertificateHostNameInvalid"


@pytest.mark.parametrize("ended", [False, True], ids=["current", "past its end"])
def test_a_revoked_server_is_refused(ended: bool) -> None:
    server, other = application("revoked", SUB), application("not revoked", SUB)
    trust = trusting(ROOT, issuers=(SUB,), revoked=(revoking(SUB, server, ended=ended),))
    error = refused(trust, shown(server))
    assert error.status == "BadCertificateRevoked"
    assert "the server's certificate was revoked by its authority: revoked" in error.why
    trust.check(shown(other))


def test_a_revoked_server_is_refused_also_where_it_is_pinned_or_trusted_itself() -> None:
    server = application("revoked", SUB)
    lists = tuple(x509.load_der_x509_crl(one) for one in (revoking(SUB, server),))
    for trust in (
        TrustList(revoked=lists, pinned=server.certificate),
        TrustList((server.certificate,), revoked=lists),
        TrustList((server.certificate,), (SUB.certificate,), lists),
    ):
        assert refused(trust, shown(server)).status == "BadCertificateRevoked"


def test_a_revoked_authority_takes_its_servers_along() -> None:
    server = application("below", SUB)
    trust = trusting(ROOT, issuers=(SUB,), revoked=(revoking(ROOT, SUB),))
    error = refused(trust, shown(server))
    assert error.status == "BadCertificateIssuerRevoked"
    assert "the authority's certificate acme filling was revoked" in error.why


def test_a_forged_revocation_list_revokes_nothing() -> None:
    server = application("below", SUB)
    forged = revoking(SUB, server, key=authority("impostor"))
    trusting(ROOT, issuers=(SUB,), revoked=(forged,)).check(shown(server))


def test_a_malformed_certificate_is_refused_and_nothing_else() -> None:
    certificate = malformed(application("twice")).certificate
    error = refused(TrustList((certificate,)), shown(certificate))
    assert error.status == "BadCertificateInvalid"
    assert "the server's certificate is malformed" in error.why


def test_a_trust_list_is_read_from_its_folders(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    server = application("below", SUB)
    assert refused(trust_list(pki, None), shown(server)).status == "BadCertificateChainIncomplete"
    pki.trust(ROOT.certificate)
    pki.issuers.mkdir()
    (pki.issuers / "filling.pem").write_bytes(SUB.pem)
    (pki.issuers / ".new-1234.der").mkdir()
    trust_list(pki, None).check(shown(server))
    (pki.trusted / "revoked.crl").write_bytes(revoking(SUB, server))
    assert refused(trust_list(pki, None), shown(server)).status == "BadCertificateRevoked"
    (pki.trusted / "note.txt").write_bytes(b"call Anna before you trust anything")
    assert refused(trust_list(pki, None), shown(server)).status == "BadCertificateRevoked"
    for name, what in {"broken.CRT": "a certificate", "broken.crl": "a revocation list"}.items():
        broken = pki.trusted / name
        broken.write_bytes(b"call Anna before you trust anything")
        with pytest.raises(ConfigError) as caught:
            trust_list(pki, None)
        assert caught.value.why == f"{broken} is not {what}"
        broken.unlink()


def test_refused_certificates_are_kept_but_not_all_of_them(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    first = application("stranger/../0")
    path = pki.reject(first.certificate)
    assert path.parent == pki.rejected
    assert path.name.startswith("stranger-..-0-")
    for _ in range(MOST_REJECTED + 5):
        pki.reject(application("stranger").certificate)  # another serial number each time
    assert len(list(pki.rejected.iterdir())) == MOST_REJECTED
    assert not path.exists()


def test_trusting_takes_a_certificate_from_the_rejected_ones(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    server = application()
    waiting = pki.reject(server.certificate)
    path = pki.trust(server.certificate)
    assert not waiting.exists()
    assert path.read_bytes() == der(server.certificate)
    trust_list(pki, None).check(shown(server))
