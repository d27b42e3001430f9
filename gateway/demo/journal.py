"""Reads the events file while the daemon writes it, and adds up the production that it tells of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO


class Journal:
    """New events since the last look, each once: what is delivered again is known by its `(stream, seq)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._partial = b""
        self._last: dict[str, int] = {}
        self.counted: dict[str, tuple[int, int]] = {}
        """Parts and scrap of all `machine.production` so far, by machine."""

    def news(self) -> Iterator[dict[str, Any]]:
        """The events that came since, in order."""
        for line in self._lines():
            event: dict[str, Any] = json.loads(line)
            stream, seq = event["stream"], int(event["seq"])
            if seq <= self._last.get(stream, 0):
                continue
            self._last[stream] = seq
            if event["type"] == "linegate.machine.production.v1":
                total, scrap = self.counted.get(event["subject"], (0, 0))
                data = event["data"]
                self.counted[event["subject"]] = (total + (data["total"] or 0), scrap + (data["scrap"] or 0))
            yield event

    def close(self) -> None:
        """Lets go of the file; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lines(self) -> Iterator[bytes]:
        if self._file is None:
            with suppress(FileNotFoundError):
                self._file = self._path.open("rb")
        while self._file is not None:
            rotated = self._is_rotated(self._file)
            *lines, self._partial = (self._partial + self._file.read()).split(b"\n")
            yield from lines
            if not rotated:
                return
            self.close()
            self._partial = b""
            self._file = self._path.open("rb")

    def _is_rotated(self, file: BinaryIO) -> bool:
        """Whether the path leads to another file by now: then the old one has all that it will ever have."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False
