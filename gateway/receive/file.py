"""Events from the files of a file uplink: closed ones by their numbers, then the open one as it grows."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import msgpack
import zstandard

from gateway.receive.decode import check, decode
from gateway.receive.follower import NotAnEvent
from gateway.receive.source import Receiver, Settings
from protocols.driver import ConfigError, NotConnected

LOOK_S = 0.2
"""Between two looks at a file that may have grown."""
BLOCK = 1_048_576
_CLOSED = re.compile(r"(.+)\.([0-9]{8,})(\.gz|\.zst)?")
_OPEN = (".ndjson", ".jsonl", ".json", ".msgpack")


class FileSource:
    """`file:///dir/events.ndjson`, the open file's name; or `file:///dir` where there is one.

    It begins with the oldest each time: who has a state drops what came before.
    """

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.url)
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(f"{settings.url} names a host", "write three slashes: file:///dir/events.ndjson")
        self._given = self._path = Path(unquote(parts.path))
        self._number = 0
        """Of the last closed file that was read."""
        self._begin = settings.begin
        self._skips = 0
        """Bytes of the open file that were there before."""

    async def run(self, receiver: Receiver) -> None:
        """See `Source`."""
        try:
            while True:
                if self._find():
                    break
                await asyncio.sleep(LOOK_S)
            if self._begin == "now":
                self._number = max(self._closed(), default=0)
                self._skips = self._path.stat().st_size if self._path.exists() else 0
            receiver.ready(str(self._path))
            while True:
                await self._read_closed(receiver)
                if not await self._read_open(receiver):
                    await asyncio.sleep(LOOK_S)
        except OSError as error:
            if error.filename is None:
                raise  # not of these files
            raise NotConnected(f"{error.filename}: {error.strerror}", "check the path and its rights") from None

    def _find(self) -> bool:
        """Whether it is known which file to follow. Raises ConfigError where there are several, OSError."""
        if not self._given.is_dir():
            if not self._given.parent.is_dir():
                raise ConfigError(f"there is no directory {self._given.parent}", "check the path")
            return True
        closed = {found[1] for name in os.listdir(self._given) if (found := _CLOSED.fullmatch(name))}
        names = sorted(closed | {name for name in os.listdir(self._given) if name.endswith(_OPEN)})
        if len(names) > 1:
            raise ConfigError(f"{self._given} has several: {', '.join(names)}", "name the one to follow in the URL")
        self._path = self._given / names[0] if names else self._given
        return bool(names)

    def _closed(self) -> dict[int, Path]:
        """Closed files by number; one that is just being compressed is there twice for a moment."""
        files = {}
        for name in os.listdir(self._path.parent):
            found = _CLOSED.fullmatch(name)
            if found and found[1] == self._path.name:
                files[int(found[2])] = self._path.parent / name
        return files

    async def _read_closed(self, receiver: Receiver) -> None:
        while files := {number: path for number, path in self._closed().items() if number > self._number}:
            number = min(files)
            path = files[number]
            try:
                with path.open("rb") as file:
                    await _read(_plain(file, path.suffix), Parser(receiver, str(path)))
            except FileNotFoundError:
                continue  # compressed meanwhile, or dropped
            except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
                receiver.strange(str(path), f"its compression is damaged: {error}")
            self._number = number

    async def _read_open(self, receiver: Receiver) -> bool:
        """Follow the open file until it is another one; whether there was one to follow."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            if any(number > self._number for number in self._closed()):
                return True  # it was closed just before: those come first
            parser = Parser(receiver, str(self._path))
            parser.skips, self._skips = self._skips, 0
            is_over = False
            while True:
                if parser.feed(file.read(min(BLOCK, parser.skips or BLOCK))):
                    await asyncio.sleep(0)
                elif is_over:
                    break
                elif os.fstat(file.fileno()).st_size < file.tell():  # cut after a power failure, or emptied
                    file.seek(0)
                    parser = Parser(receiver, str(self._path))
                elif self._is_other(file):
                    is_over = True  # what was written before that is read yet
                else:
                    await asyncio.sleep(LOOK_S)
            self._note_read(file)
        return True

    def _is_other(self, file: BinaryIO) -> bool:
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return True

    def _note_read(self, file: BinaryIO) -> None:
        """The file has a number now; if it is compressed already it is read once more, to no effect."""
        mine = os.fstat(file.fileno())
        for number, path in self._closed().items():
            try:
                if number > self._number and os.path.samestat(mine, path.stat()):
                    self._number = number
                    break
            except FileNotFoundError:
                continue


class Parser:
    """Events of one file, block by block, each block's taken at once."""

    def __init__(self, receiver: Receiver, where: str) -> None:
        self.skips = 0
        """Bytes whose events are not taken."""
        self._receiver = receiver
        self._where = where
        self._rest = b""
        self._unpacker: Any = None
        self._is_first = True

    def feed(self, block: bytes) -> bool:
        """Take what it completes; whether it was one."""
        if not block:
            return False
        if self._is_first:
            self._is_first = False
            if block.lstrip(b"\0 \r\n")[:1] != b"{":
                self._unpacker = msgpack.Unpacker(max_buffer_size=0)
        events = list(self._messages(block) if self._unpacker is not None else self._lines(block))
        if self.skips:
            self.skips = max(0, self.skips - len(block))
        elif events:
            self._receiver.take(events)
        return True

    def _lines(self, block: bytes) -> Iterator[dict[str, Any]]:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            try:
                yield from decode(line)
            except NotAnEvent as error:
                self._receiver.strange(self._where, str(error))

    def _messages(self, block: bytes) -> Iterator[dict[str, Any]]:
        self._unpacker.feed(block)
        while True:
            try:
                event = self._unpacker.unpack()
                check(event)
            except msgpack.OutOfData:
                return
            except NotAnEvent as error:
                self._receiver.strange(self._where, str(error))
            except ValueError as error:
                self._receiver.strange(self._where, f"this is no MessagePack: {error}")
                return
            else:
                yield event


async def _read(file: BinaryIO, parser: Parser) -> None:
    """All of a file that does not change any more."""
    while True:
        if not parser.feed(file.read(BLOCK)):
            return
        await asyncio.sleep(0)


def _plain(file: BinaryIO, ending: str) -> BinaryIO:
    if ending == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if ending == ".zst":
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file
