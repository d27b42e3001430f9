"""The directory of certificates: the gateway's own, those it trusts, those that only complete chains, those refused.

    pki/own/        key and certificate of the gateway
    pki/trusted/    servers, or authorities whose servers are all trusted; and their revocation lists
    pki/issuers/    authorities that are not trusted themselves, but lead from a server to one that is
    pki/rejected/   the last certificates that were refused: moving one to trusted/ trusts it

Files are PEM or DER, and end in .der, .cer, .crt, .pem or .crl; others are no concern of ours. All functions block.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from protocols.driver import ConfigError
from protocols.opcua.facts import common_name, der, thumbprint

MOST_REJECTED = 20
"""A server that shows another certificate each time must not fill the disk."""
_MOST_BYTES = 10_000_000
_PEM_CRL = b"-----BEGIN X509 CRL"
_SUFFIXES = (".der", ".cer", ".crt", ".pem", ".crl")


@dataclass(frozen=True, slots=True)
class Pki:
    """The directory `pki` of a state directory; its parts are made when something is put into them."""

    directory: Path

    @property
    def own(self) -> Path:
        """The gateway's key and certificate."""
        return self.directory / "own"

    @property
    def trusted(self) -> Path:
        """What is trusted."""
        return self.directory / "trusted"

    @property
    def issuers(self) -> Path:
        """What completes chains."""
        return self.directory / "issuers"

    @property
    def rejected(self) -> Path:
        """What was refused."""
        return self.directory / "rejected"

    def trust(self, certificate: x509.Certificate) -> Path:
        """Put a certificate into `trusted` (from `rejected`, if it is there), and return its file."""
        path = self.trusted / _file_name(certificate)
        write(path, der(certificate), 0o644)
        (self.rejected / path.name).unlink(missing_ok=True)
        return path

    def reject(self, certificate: x509.Certificate) -> Path:
        """Put a certificate into `rejected`, where a person finds it, and return its file; the oldest make room."""
        path = self.rejected / _file_name(certificate)
        if not path.exists():
            write(path, der(certificate), 0o644)
            kept = sorted(self.rejected.glob("*.der"), key=lambda file: file.stat().st_mtime_ns)
            for oldest in kept[:-MOST_REJECTED]:
                oldest.unlink(missing_ok=True)
        return path


def state_pki(state_dir: Path) -> Pki:
    """The certificates of a state directory."""
    return Pki(state_dir / "pki")


def certificates_in(folder: Path) -> list[x509.Certificate]:
    """Every certificate of a folder. Raises ConfigError for a file that is neither that nor a revocation list."""
    return [one for path in _files(folder) if not _is_crl(path) for one in read_certificates(path)]


def revocation_lists_in(folder: Path) -> list[x509.CertificateRevocationList]:
    """Every certificate revocation list (RFC 5280, 5) of a folder. Raises ConfigError."""
    return [_read_crl(path) for path in _files(folder) if _is_crl(path)]


def read_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a file: of DER one, of PEM any number. Raises ConfigError."""
    content = read(path)
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except ValueError:
        raise ConfigError(f"{path} is not a certificate", "give a certificate in PEM or DER") from None


def read(path: Path) -> bytes:
    """A file's content. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no path"
        raise ConfigError(f"{path} cannot be read: {reason}", "check the path and the file's mode") from None


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, for the user whom the directory belongs to. Raises ConfigError."""
    try:
        owner = _make(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                _hand_over(file.fileno(), owner)
                os.fchmod(file.fileno(), mode)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        remedy = "check that the state directory can be written, and that its disk has room"
        raise ConfigError(f"{path} cannot be written: {error.strerror}", remedy) from None


def _make(folder: Path) -> os.stat_result:
    """Make a directory and those above it; the owner is that of the first one that was there."""
    there = next(above for above in (folder, *folder.absolute().parents) if above.exists())
    owner = there.stat()
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in missing:
        _hand_over(one, owner)
    return owner


def _hand_over(file: int | Path, owner: os.stat_result) -> None:
    # root makes a certificate beforehand; the daemon, which runs as somebody else, has to be able to read it
    if os.geteuid() == 0:
        os.chown(file, owner.st_uid, owner.st_gid)


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}", "check the directory's mode") from None


def _is_crl(path: Path) -> bool:
    return path.suffix.lower() == ".crl" or _PEM_CRL in read(path)


def _read_crl(path: Path) -> x509.CertificateRevocationList:
    content = read(path)
    try:
        if _PEM_CRL in content:
            return x509.load_pem_x509_crl(content)
        return x509.load_der_x509_crl(content)
    except ValueError:
        raise ConfigError(f"{path} is not a revocation list", "give a revocation list in PEM or DER") from None


def _file_name(certificate: x509.Certificate) -> str:
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", common_name(certificate)).strip("-.")[:60] or "unnamed"
    return f"{name}-{thumbprint(certificate)}.der"
