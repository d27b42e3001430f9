"""The lines of a file uplink, its closed files included, each once, while the daemon writes, rotates and is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Journals:
    """Whole lines since the last look; looked at before more than `keep` files are full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[int, BinaryIO] = {}
        """By inode, each read as far as it has been told; open, so that no other file gets the number."""

    def news(self) -> Iterator[bytes]:
        """The lines that came since, in the order of the files."""
        # Opened before the closed ones are listed: if it is closed in between, it comes in its place among them.
        current = self._open(self._path)
        closed = sorted(path for path in self._path.parent.glob(f"{self._path.name}.*") if path.suffix[1:].isdecimal())
        for file in dict.fromkeys([*map(self._open, closed), current]):
            if file is None:
                continue
            begin = file.tell()
            whole, _, _ = file.read().rpartition(b"\n")
            file.seek(begin + len(whole) + bool(whole))
            yield from whole.splitlines()
        for inode, file in list(self._files.items()):
            if os.fstat(file.fileno()).st_nlink == 0:
                self._files.pop(inode).close()

    def _open(self, path: Path) -> BinaryIO | None:
        """None where it is just being renamed or taken away."""
        with suppress(FileNotFoundError):
            inode = path.stat().st_ino
            if inode not in self._files:
                self._files[inode] = path.open("rb")
            return self._files[inode]
        return None

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()
