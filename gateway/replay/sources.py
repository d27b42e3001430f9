"""What `linegate replay` is given: files or a directory of a recording, or plain JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.recording.files import recorded
from gateway.recording.header import RecordingError
from gateway.recording.reader import RecordedFile, is_recording
from gateway.replay.lines import lines_of

Complaint = tuple[Path, str, str]
"""Which file cannot be used, why, and what to do."""


class Sources:
    """The files to replay, in order, all of one kind."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises RecordingError for what is no recording, or of both kinds; OSError."""
        self.paths = list(_files(paths))
        kinds = {is_recording(path) for path in self.paths}
        if len(kinds) > 1:
            raise RecordingError(
                "recordings and plain JSON lines are given together", "replay them one after the other"
            )
        self.is_recorded = kinds == {True}
        self.size = sum(path.stat().st_size for path in self.paths)
        self.read = 0
        """Bytes read so far, of all files."""
        self.complaints: list[Complaint] = []
        """Files, or ends of files, that were left out."""
        self.notes: list[str] = []
        self._file: RecordedFile | None = None

    @property
    def name(self) -> str:
        """Names what is replayed: the plain files, or the recording and where in it the first file is."""
        if not self.is_recorded:
            return " ".join(path.name for path in self.paths)
        for path in self.paths:
            with suppress(RecordingError, OSError):
                header = RecordedFile(path).header
                return f"{header.run} {header.first}"
        return ""

    def recordings(self) -> Iterator[RecordedFile]:
        """The recorded files that can be read; what is wrong with one loses none after it."""
        for path in self.paths:
            try:
                file = RecordedFile(path)
            except RecordingError as error:
                self.complaints.append((path, error.why, error.remedy))
                continue
            except OSError as error:  # the daemon that still writes has removed its oldest
                self.complaints.append((path, error.strerror or str(error), "begin with a later file"))
                continue
            self._file = file
            yield file
            self._file, self.read = None, self.read + file.size
            if file.damaged:
                self.complaints.append((path, f"{file.damaged}; what follows is left out", "see the disk's health"))
            elif file.unfinished:
                self.notes.append(f"{path}: no end: the daemon was killed or still writes; read as far as it goes")

    def progress(self) -> float:
        """How much has been read, from 0 to 1."""
        return min(1.0, (self.read + (0 if self._file is None else self._file.read)) / max(1, self.size))

    def lines(self, path: Path) -> Iterator[bytes]:
        """The lines of a plain file, compressed or not."""
        for line in lines_of(path):
            self.read += len(line)
            yield line


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = recorded(path)
            if not files:
                raise RecordingError(f"{path} holds no recording", "give the directory that `recording.path` names")
            yield from files
        else:
            yield path
