"""Whose certificates there are: subjects and validity; of keys not even their size in bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

_MOST_BYTES = 1_000_000
_PEM = b"-----BEGIN CERTIFICATE-----"


def described(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Each file with the certificates in it, or why it shows none."""
    for path in paths:
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES)
            found = [*_certificates(content)]
        except OSError as error:
            yield {"file": str(path), "why": error.strerror}
        except ValueError:
            yield {"file": str(path), "why": "no certificate"}
        else:
            yield {"file": str(path), "certificates": found}


def _certificates(content: bytes) -> Iterator[dict[str, Any]]:
    is_pem = _PEM in content
    several = x509.load_pem_x509_certificates(content) if is_pem else [x509.load_der_x509_certificate(content)]
    for one in several:
        yield {
            "subject": one.subject.rfc4514_string(),
            "issuer": one.issuer.rfc4514_string(),
            "from": _text(one.not_valid_before_utc),
            "until": _text(one.not_valid_after_utc),
            "sha1": one.fingerprint(hashes.SHA1()).hex(),  # the thumbprint that servers show
            "sha256": one.fingerprint(hashes.SHA256()).hex(),
        }


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
