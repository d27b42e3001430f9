"""The gateway's own certificate, and the files that a configuration names."""

from __future__ import annotations

import os
import re
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from protocols.driver import ConfigError
from protocols.opcua.certificate import (
    KeySize,
    application_uri,
    create_own,
    load_identity,
    own_certificate_files,
    own_identity,
)
from protocols.opcua.facts import application_uris, der, described, host_names, key_bits, thumbprint
from protocols.opcua.pki import Pki, state_pki
from protocols.secrets import Secret
from tests.protocols.opcua.authority import Issued, application, authority


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return state_pki(tmp_path / "line-3")


def test_the_application_uri_names_host_and_line(tmp_path: Path) -> None:
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname())
    assert application_uri(tmp_path / "line-3") == f"urn:{host}:linegate:line-3"
    assert application_uri(tmp_path / "Füller 3") == f"urn:{host}:linegate:F-ller-3"
    assert application_uri(None) == f"urn:{host}:linegate"


@pytest.mark.parametrize("size", [2048, 3072])
def test_own_certificate_is_as_the_standard_wants_it(pki: Pki, size: KeySize) -> None:
    """OPC 10000-6, 6.2.2."""
    own = create_own(pki, size)
    certificate = own.certificate
    assert application_uris(certificate) == [own.application_uri] == [application_uri(pki.directory.parent)]
    assert socket.gethostname().partition(".")[0] in host_names(certificate)
    assert key_bits(certificate) == size
    assert certificate.version is x509.Version.v3
    assert certificate.subject == certificate.issuer
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert usage.key_encipherment
    assert usage.data_encipherment
    assert usage.key_cert_sign
    assert not usage.crl_sign
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(hours=23)
    assert now + timedelta(days=4 * 365) < certificate.not_valid_after_utc < now + timedelta(days=6 * 365)


def test_own_certificate_is_made_once_and_replaced_only_when_asked(pki: Pki) -> None:
    first = own_identity(pki)
    assert own_identity(pki).certificate == first.certificate
    second = create_own(pki)
    assert second.certificate != first.certificate
    assert own_identity(pki).certificate == second.certificate
    assert second.application_uri == first.application_uri


def test_nobody_else_reads_the_key(pki: Pki) -> None:
    own = own_identity(pki)
    both, public = own_certificate_files(pki)
    assert stat.S_IMODE(both.stat().st_mode) == 0o600
    assert stat.S_IMODE(both.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert public.read_bytes() == der(own.certificate)
    assert "PRIVATE" not in public.read_bytes().decode("latin-1")
    assert sorted(path.name for path in both.parent.iterdir()) == ["linegate.der", "linegate.pem"]
    assert "key" not in repr(own)


def test_what_root_makes_belongs_to_the_state_directorys_owner(pki: Pki) -> None:
    pki.directory.parent.mkdir()
    owner = (61_234, 61_235) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(pki.directory.parent, *owner)
    own_identity(pki)
    for path in (pki.directory, pki.own, *own_certificate_files(pki)):
        assert (path.stat().st_uid, path.stat().st_gid) == owner


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "line-3").write_text("not a directory")
    with pytest.raises(ConfigError) as caught:
        own_identity(state_pki(tmp_path / "line-3"))
    assert "linegate.pem cannot be written: " in caught.value.why
    assert "check that the state directory can be written" in caught.value.remedy


def written(folder: Path, issued: Issued, password: bytes | None = None, *, as_der: bool = False) -> tuple[Path, Path]:
    """Files of certificate and key."""
    certificate, key = folder / "own.crt", folder / "own.key"
    certificate.write_bytes(der(issued.certificate) if as_der else issued.pem)
    key.write_bytes(issued.key_pem(password))
    return certificate, key


def secret(folder: Path, text: str) -> Secret:
    (folder / "password").write_text(text)
    return Secret(file=str(folder / "password"))


def test_pem_and_der_and_encrypted_keys_are_read(tmp_path: Path) -> None:
    root = authority("acme root")
    mine = application("gateway", root)
    certificate, key = written(tmp_path, mine, as_der=True)
    assert load_identity(certificate, key, None).certificate == mine.certificate
    certificate, key = written(tmp_path, mine, b"open sesame")
    certificate.write_bytes(mine.pem + root.pem)
    identity = load_identity(certificate, key, secret(tmp_path, "open sesame\n"))
    assert identity.certificate == mine.certificate
    assert identity.chain == (root.certificate,)
    plain = mine.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.write_bytes(plain)
    assert load_identity(certificate, key, None).key.private_numbers() == mine.key.private_numbers()


def refusal(certificate: Path, key: Path, password: Secret | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_identity(certificate, key, password)
    assert caught.value.remedy
    assert "open sesame" not in f"{caught.value.why}{caught.value.remedy}{caught.value.__context__!r}"
    return caught.value.why


def test_files_that_cannot_be_used_are_refused_in_words(tmp_path: Path) -> None:
    mine = application("gateway")
    certificate, key = written(tmp_path, mine, b"open sesame")
    assert refusal(certificate, key) == f"{key} is encrypted with a password"
    wrong = secret(tmp_path, "open barley")
    assert refusal(certificate, key, wrong) == f"{key} is not a private key, or has another password"
    certificate, key = written(tmp_path, mine)
    assert refusal(certificate, key, wrong) == f"{key} is not encrypted"
    key.write_bytes(application("another").key_pem())
    assert refusal(certificate, key) == f"{key} is not the key of {certificate}"
    key.write_bytes(b"open sesame")
    assert refusal(certificate, key) == f"{key} is not a private key"
    elliptic = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(
        elliptic.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert refusal(certificate, key).startswith(f"{key} is not ")
    certificate.write_bytes(b"open sesame")
    assert refusal(certificate, key) == f"{certificate} is not a certificate"
    certificate.unlink()
    assert refusal(certificate, key) == f"{certificate} cannot be read: No such file or directory"


def test_a_certificate_in_words() -> None:
    one = application("capper\x1b[2J", hosts=["plc-7", "10.0.0.7"]).certificate
    words = dict(described(one))
    assert words["subject"] == "O=acme,CN=capper?[2J"
    assert words["signed by"] == "itself"
    assert words["thumbprint (SHA-1)"] == thumbprint(one)
    assert re.fullmatch(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", words["fingerprint (SHA-256)"])
    assert words["application URI"] == "urn:acme:capper:server"
    assert words["host names"] == "plc-7, 10.0.0.7"
    assert words["key"] == "RSA, 2048 bits"
    old = application("old", authority("acme root"), begins=timedelta(days=-9), ends=timedelta(days=-2))
    assert dict(described(old.certificate))["valid"].endswith(" (expired)")
    assert dict(described(old.certificate))["signed by"] == "O=acme,CN=acme root"
