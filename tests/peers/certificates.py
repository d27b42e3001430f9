"""An authority and what it signed: good, expired, for another host, for a client. Made anew for each run."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def make_certificates(directory: Path) -> trustme.CA:
    """Writes `ca.pem`, and `.pem` with `.key` of `server`, `old`, `elsewhere` and `client`."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.pem"))
    for name, host, until in (
        ("server", "127.0.0.1", None), ("old", "127.0.0.1", LONG_AGO),
        ("elsewhere", "server.example", None), ("client", "line-3.example", None),
    ):  # fmt: skip
        certificate = ca.issue_cert(host, not_after=until)
        certificate.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(directory / f"{name}.pem"), append=number > 0)
    return ca
