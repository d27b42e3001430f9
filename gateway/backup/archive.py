"""The archive: a tar in zstd, whose last member says what the others have to be.

config/...        the configuration and what it includes
buffer.db         the buffer, a SQLite file
recordings/...    files of the recording
pki/...           keys, certificates and trust lists
manifest.json     of what, when, by whom; name, size, mode and SHA-256 of each member
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import orjson
import zstandard

FORMAT = "linegate.backup"
VERSION = 1
MANIFEST = "manifest.json"
BUFFER = "buffer.db"
CONFIGURATION, PKI, RECORDINGS = "config", "pki", "recordings"
MOST_MANIFEST = 64_000_000
CHUNK = 1 << 20
_WHOLE = "copy it again, or take another one"

Progress = Callable[[str], None]


class BackupError(Exception):
    """A backup that cannot be made, or an archive that cannot be used; `remedy` says what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    size: int
    mode: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds."""

    line: str
    """The CloudEvents source of its events."""
    name: str
    """Of the service: the configuration's file name without `.yaml`."""
    made: str
    """RFC 3339."""
    linegate: str
    configuration: str
    """Digest."""
    file: str
    """The configuration's file among `config/`."""
    stream: str
    last_seq: int
    """Of the buffer; its events and its checkpoint are as of this one."""
    moved: bool
    """Whether the machine that it was made on has given the line up: nothing came after it."""
    members: tuple[Member, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Content:
    """A file for an archive."""

    name: str
    path: Path


def write(target: Path, contents: Iterable[Content], manifest: Manifest, progress: Progress) -> Manifest:
    """Make the archive at `target`, which must not exist; mode 0600, for keys are in it. What vanished is left out."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    members: list[Member] = []
    with os.fdopen(descriptor, "wb") as file:
        with (
            zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(file, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for content in contents:
                progress(f"{content.name}")
                try:
                    with content.path.open("rb") as source:
                        members.append(_add(tar, content.name, source))
                except FileNotFoundError:
                    continue  # the oldest file of a recording goes when a new one begins
            whole = Manifest(**{**_fields(manifest), "members": tuple(members)})
            body = orjson.dumps({"format": FORMAT, "version": VERSION, **asdict(whole)}, option=orjson.OPT_INDENT_2)
            tar.addfile(_info(MANIFEST, len(body), 0o600), io.BytesIO(body))
        os.fsync(file.fileno())
    return whole


def extract(archive: Path, into: Path | None, progress: Progress) -> Manifest:
    """Read all of an archive, and write its files below `into` where that is given.

    Raises BackupError where any byte is not what the manifest says; what was written then is to be thrown away.
    """
    found: list[Member] = []
    manifest: Manifest | None = None
    try:
        with _opened(archive) as tar:
            for info in tar:
                if manifest is not None:
                    raise BackupError(f"{archive} goes on behind its manifest", _WHOLE)
                source = tar.extractfile(info) if info.isreg() else None
                if source is None:
                    raise BackupError(f"{archive}: {info.name} is no plain file", _WHOLE)
                if info.name == MANIFEST:
                    manifest = _manifest(archive, source.read(MOST_MANIFEST))
                else:
                    progress(info.name)
                    found.append(_take(archive, info, source, into))
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BackupError(f"{archive} is damaged or cut off: {error}", _WHOLE) from None
    if manifest is None:
        raise BackupError(f"{archive} has no manifest: it is cut off, or no backup", _WHOLE)
    if found != list(manifest.members):
        differ = sorted({one.name for one in set(found) ^ set(manifest.members)})
        raise BackupError(f"{archive} is damaged: {', '.join(differ[:5])}", _WHOLE)
    return manifest


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    with (
        archive.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as tar,
    ):
        yield tar
        while unpacked.read(CHUNK):  # to the end, where zstd has its checksum
            pass


def _add(tar: tarfile.TarFile, name: str, source: IO[bytes]) -> Member:
    stat = os.fstat(source.fileno())
    hashing = _Hashing(source, stat.st_size)
    tar.addfile(_info(name, stat.st_size, stat.st_mode & 0o777, stat.st_mtime), hashing)  # type: ignore[arg-type]
    return Member(name, stat.st_size, stat.st_mode & 0o777, hashing.digest.hexdigest())


def _info(name: str, size: int, mode: int, mtime: float = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, int(mtime)
    return info


class _Hashing:
    """A file's first bytes, however much is appended meanwhile."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self.digest = hashlib.sha256()
        self._source, self._left = source, size

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        self.digest.update(data)
        return data


def _take(archive: Path, info: tarfile.TarInfo, source: IO[bytes], into: Path | None) -> Member:
    name = PurePosixPath(info.name)
    if name.is_absolute() or ".." in name.parts or str(name) != info.name:
        raise BackupError(f"{archive}: {info.name} leads out of it", _WHOLE)
    hashing = _Hashing(source, info.size)
    if into is None:
        while hashing.read(CHUNK):
            pass
    else:
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as target:
            while data := hashing.read(CHUNK):
                target.write(data)
            os.fchmod(target.fileno(), info.mode & 0o777)
            os.fsync(target.fileno())
        os.utime(path, (info.mtime, info.mtime))  # a recording's age is its file's
    return Member(info.name, info.size, info.mode, hashing.digest.hexdigest())


def _manifest(archive: Path, body: bytes) -> Manifest:
    try:
        said: dict[str, Any] = orjson.loads(body)
        if said.pop("format") != FORMAT:
            raise ValueError
        if (version := said.pop("version")) > VERSION:
            why = f"{archive} is of version {version}, this version of linegate reads {VERSION}"
            raise BackupError(why, "restore it with the version that made it, or a newer one")
        return Manifest(**{**said, "members": tuple(Member(**one) for one in said["members"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(f"{archive} is no backup of linegate", "give a file that `linegate backup` made") from None


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__slots__}
