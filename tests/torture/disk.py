"""A disk that loses its power: from the calls that were made, what files a power cut can leave.

What was synced stays. Of what was written or cut since, any part may be there, in any order, down to single sectors;
of names that were made, changed or removed since the directory was synced, the first few, as file systems journal them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.torture.layer import Call, Done

SECTOR = 512


@dataclass(slots=True)
class _File:
    lasting: bytearray = field(default_factory=bytearray)
    pending: list[Done] = field(default_factory=list)

    def sync(self) -> None:
        for done in self.pending:
            _apply(self.lasting, done)
        self.pending.clear()

    def left(self, chance: Random, share: float) -> bytes:
        content = bytearray(self.lasting)
        for done in self.pending:
            if chance.random() < share:
                _apply(content, done)
            elif share > 0 and done.call is Call.WRITE:
                _tear(content, done, chance)
        return bytes(content)


class Disk:
    """One directory. `do` what the log says, and ask at any time what a power cut would leave."""

    def __init__(self, files: Mapping[str, bytes] = {}) -> None:
        """`files`: what was there, for good, before the log began."""
        self._files = {name: _File(bytearray(content)) for name, content in files.items()}
        self._names = [dict(self._files)]
        """The directory as it was when it was synced, and after each change of names since."""

    def do(self, done: Done) -> None:
        """The next call."""
        match done.call:
            case Call.SYNC if done.name:
                self._files[done.name].sync()
            case Call.SYNC:
                self._names = [dict(self._files)]
            case Call.WRITE | Call.TRUNCATE:
                self._files[done.name].pending.append(done)
            case Call.CREATE:
                self._files[done.name] = _File()
            case Call.RENAME:
                self._files[done.other] = self._files.pop(done.name)
            case Call.UNLINK:
                del self._files[done.name]
        if done.call in (Call.CREATE, Call.RENAME, Call.UNLINK):
            self._names.append(dict(self._files))

    def now(self) -> dict[str, bytes]:
        """What a process reads, synced or not."""
        return {name: file.left(Random(0), 1.0) for name, file in self._files.items()}

    def left(self, chance: Random, share: float) -> dict[str, bytes]:
        """What a power cut leaves of it, by name: of all that is not synced about `share` whole, the rest torn or lost.

        0 is a disk that wrote nothing unasked, 1 one that wrote everything, as far as names allow.
        """
        names = self._names[round(share * (len(self._names) - 1))] if share in (0, 1) else chance.choice(self._names)
        return {name: file.left(chance, share) for name, file in names.items()}


def _apply(content: bytearray, done: Done) -> None:
    if done.call is Call.TRUNCATE:
        _resize(content, done.offset)
        return
    if done.offset > len(content):
        _resize(content, done.offset)
    content[done.offset : done.offset + len(done.data)] = done.data


def _tear(content: bytearray, done: Done, chance: Random) -> None:
    """Some of the sectors of a write, often none."""
    share = chance.choice((0.0, 0.0, 0.5, 0.9))
    end = done.offset + len(done.data)
    for begin in range(done.offset - done.offset % SECTOR, end, SECTOR):
        first, last = max(begin, done.offset), min(begin + SECTOR, end)
        if chance.random() < share:
            _apply(content, Done(Call.WRITE, "", "", first, done.data[first - done.offset : last - done.offset]))


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))
