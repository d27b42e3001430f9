"""Reads the rows of a SQLite file that SQLite itself refuses: page by page, whatever can be believed.

After the file format (sqlite.org/fileformat2.html): section 1.6 has the pages of a tree, 2.1 the records, 4 the
write-ahead log. Nothing is believed by its place alone: a cell has to lie within its page, and a record has to be
exactly as long as its header says.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

Value: TypeAlias = int | float | str | bytes | None

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 0x02, 0x05, 0x0A, 0x0D
PAGE_SIZE: Final = 4096
"""Of a file whose header does not say it: ours have it."""
MOST_PAYLOAD = 64_000_000
"""Bytes of a record that is still believed."""
_SIZES = tuple(2**power for power in range(9, 17))
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes by serial type."""
_WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""Byte order of the checksums by the log's first word."""


class Unbelievable(ValueError):
    """What is there is no cell or no record."""


class Row(NamedTuple):
    """`key` is the rowid, None in a table without."""

    key: int | None
    values: tuple[Value, ...]


class Pages:
    """The pages of a database file, of which the newest may be in its write-ahead log. Raises OSError, never writes."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as files:
            self._file, self._wal = (
                files.enter_context(one.open("rb")) if one.exists() else BytesIO()
                for one in (path, path.with_name(path.name + "-wal"))
            )
            header, log_header = self._file.read(100), self._wal.read(32)
            declared = int.from_bytes(header[16:18] or log_header[10:12], "big")
            self.size = 65_536 if declared == 1 else declared if declared in _SIZES else PAGE_SIZE
            self._logged = self._read_wal(log_header)
            self.count = max(-(-self._file.seek(0, os.SEEK_END) // self.size), *self._logged, 0)
            self._files = files.pop_all()

    def close(self) -> None:
        """Close both files."""
        self._files.close()

    def page(self, number: int) -> bytes:
        """One page, from 1; zeros where the file ends."""
        offset = self._logged.get(number)
        if offset is not None:
            self._wal.seek(offset)
            return self._wal.read(self.size)
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size).ljust(self.size, b"\0")

    def _read_wal(self, header: bytes) -> dict[int, int]:
        """Where the log has the newest committed version of a page: all up to its first frame that is not right."""
        if len(header) < 32:
            return {}
        magic, _, size, _, salts, first, second = struct.unpack(">4I8s2I", header)
        order = _WAL_MAGIC.get(magic)
        if order is None or size != self.size or _checksum(header[:24], (0, 0), order) != (first, second):
            return {}
        sums = (first, second)
        pending: dict[int, int] = {}
        committed: dict[int, int] = {}
        while len(frame := self._wal.read(24 + size)) == 24 + size:
            number, pages, its_salts, first, second = struct.unpack(">2I8s2I", frame[:24])
            sums = _checksum(frame[:8] + frame[24:], sums, order)
            if its_salts != salts or sums != (first, second):
                break
            pending[number] = self._wal.tell() - size
            if pages:
                committed |= pending
                pending = {}
        return committed

    def tree(self, root: int) -> Tree:
        """The tree that begins at a page."""
        return Tree(self, root)

    def rows(self, number: int) -> Iterator[Row]:
        """What can be believed of one leaf of a table, whatever tree it belongs to."""
        page = self.page(number)
        if page[0] == TABLE_LEAF:
            yield from Tree(self, number).leaf(page, 0)

    def payload(self, page: bytes, at: int, size: int, *, is_table: bool) -> bytes:
        """A record whose first bytes are at `at`, the others in overflow pages. Raises Unbelievable."""
        if not 1 <= size <= MOST_PAYLOAD:
            raise Unbelievable
        most = self.size - 35 if is_table else (self.size - 12) * 64 // 255 - 23
        least = (self.size - 12) * 32 // 255 - 23
        local = size
        if size > most:
            local = least + (size - least) % (self.size - 4)
            local = local if local <= most else least
        if at + local + (4 if local < size else 0) > self.size:
            raise Unbelievable
        parts, left = [page[at : at + local]], size - local
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while left:
            if not 2 <= following <= self.count:
                raise Unbelievable
            overflow = self.page(following)
            following = int.from_bytes(overflow[:4], "big")
            parts.append(overflow[4 : 4 + left])
            left -= len(parts[-1])
        return b"".join(parts)


class Tree:
    """One table's pages; `is_whole` says in the end whether all that was met could be believed."""

    def __init__(self, pages: Pages, root: int) -> None:
        self.is_whole = True
        self.seen: set[int] = set()
        """Pages of the tree that were met."""
        self._pages = pages
        self._root = root

    def __iter__(self) -> Iterator[Row]:
        waiting = [self._root]
        while waiting:
            number = waiting.pop()
            if not 1 <= number <= self._pages.count or number in self.seen:
                self.is_whole = False
                continue
            self.seen.add(number)
            page, begin = self._pages.page(number), 100 if number == 1 else 0
            if page[begin] in (TABLE_LEAF, INDEX_LEAF):
                yield from self.leaf(page, begin)
            elif page[begin] in (TABLE_INTERIOR, INDEX_INTERIOR):
                yield from self._interior(page, begin, waiting)
            else:
                self.is_whole = False

    def leaf(self, page: bytes, begin: int) -> Iterator[Row]:
        """Its rows; one that cannot be believed is passed over."""
        is_table = page[begin] == TABLE_LEAF
        for at in self._cells(page, begin, 8):
            try:
                size, at = _varint(page, at)
                key = None
                if is_table:
                    key, at = _varint(page, at)
                yield Row(key, record(self._pages.payload(page, at, size, is_table=is_table)))
            except (Unbelievable, IndexError, UnicodeDecodeError):
                self.is_whole = False

    def _interior(self, page: bytes, begin: int, waiting: list[int]) -> Iterator[Row]:
        """Children, to be met in order; a table without rowids has rows here as well."""
        children = []
        for at in self._cells(page, begin, 12):
            children.append(int.from_bytes(page[at : at + 4], "big"))
            if page[begin] == INDEX_INTERIOR:
                try:
                    size, at = _varint(page, at + 4)
                    yield Row(None, record(self._pages.payload(page, at, size, is_table=False)))
                except (Unbelievable, IndexError, UnicodeDecodeError):
                    self.is_whole = False
        children.append(int.from_bytes(page[begin + 8 : begin + 12], "big"))
        waiting += reversed(children)

    def _cells(self, page: bytes, begin: int, header: int) -> Iterator[int]:
        (count,) = struct.unpack_from(">H", page, begin + 3)
        first = begin + header + 2 * count
        if first > self._pages.size:
            self.is_whole = False
            return
        for (at,) in struct.iter_unpack(">H", page[begin + header : first]):
            if first <= at < self._pages.size:
                yield at
            else:
                self.is_whole = False


def record(payload: bytes) -> tuple[Value, ...]:
    """The columns of a record. Raises Unbelievable where header and length do not agree."""
    try:
        end, at = _varint(payload, 0)
        types = []
        while at < end:
            kind, at = _varint(payload, at)
            types.append(kind)
        if at != end:
            raise Unbelievable
        values = []
        for kind in types:
            value, at = _column(payload, kind, at)
            values.append(value)
    except IndexError:
        raise Unbelievable from None
    if at != len(payload):
        raise Unbelievable
    return tuple(values)


def _column(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind >= 12:
        size = (kind - 12) // 2
        value = payload[at : at + size]
        if len(value) < size:
            raise Unbelievable
        return value.decode() if kind % 2 else value, at + size
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload.ljust(at + 8, b"\0"), at)[0], at + 8
    if kind in (0, 8, 9):
        return {0: None, 8: 0, 9: 1}[kind], at
    raise Unbelievable


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, signed as a rowid is, and what is behind it. Raises IndexError."""
    value = 0
    for number in range(8):
        byte = data[at + number]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + number + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >= 1 << 63 else value, at + 9


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
