"""The engine's inputs as MessagePack messages, and back: what is read is equal to what was recorded.

A message is an array that begins with its kind and the milliseconds of engine time since the message before it:
`[0, ms]` a Tick; `[1, ms, device, scan, changes]` a Batch, with `notices, learned` behind where it has any; `[2, ms,
name, fields]` every other input; `[3, ms, inputs]` the end of a file that was closed in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, get_args

import msgpack

from gateway.inputs import Input, Tick, entry_of_note
from protocols.model import Batch, Learned, Notice

TICK, BATCH, OTHER, END = range(4)
OTHERS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Input) if kind not in (Tick, Batch)}
OTHERS["Note"] = entry_of_note  # as recordings had it before there were other entries
MAX_MESSAGE = 64_000_000
"""Bytes of one message; that of a line of 10,000 signals with texts has a few."""
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, msgpack.UnpackException)
"""What reading something else than messages raises."""


@dataclass(frozen=True, slots=True)
class End:
    """The file was closed in order."""

    at: int
    inputs: int


class Encoder:
    """Makes messages of inputs, in order; one for each file."""

    def __init__(self, devices: Sequence[str], at: int) -> None:
        """`devices` in the order of the header, `at` the engine time at which the file begins."""
        self._devices = {name: number for number, name in enumerate(devices)}
        self._at = at
        self._packer = msgpack.Packer(unicode_errors="surrogatepass")

    def encode(self, given: Input) -> bytes:
        """One message. Raises TypeError, ValueError or OverflowError for what MessagePack cannot carry."""
        since = given.at - self._at
        if isinstance(given, Batch):
            message: list[Any] = [BATCH, since, self._devices[given.device], given.scan, given.changes]
            if given.notices or given.learned is not None:
                message += [[astuple(notice) for notice in given.notices], _learned(given)]
        elif isinstance(given, Tick):
            message = [TICK, since]
        else:
            message = [OTHER, since, type(given).__name__, asdict(given)]
        packed: bytes = self._packer.pack(message)
        self._at = given.at  # only now: a message that could not be made is none
        return packed

    def end(self, at: int, inputs: int) -> bytes:
        """The last message of a file."""
        packed: bytes = self._packer.pack([END, at - self._at, inputs])
        return packed


def _learned(batch: Batch) -> dict[int, list[Any]] | None:
    if batch.learned is None:
        return None
    return {number: [one.type, dict(one.texts), one.unit] for number, one in batch.learned.items()}


class Decoder:
    """Reads the messages of one file."""

    def __init__(self, devices: Sequence[str], at: int) -> None:
        self._devices = devices
        self._at = at
        self._unpacker = unpacker()

    def feed(self, data: bytes) -> Iterator[Input | End]:
        """The inputs in the next bytes, as far as they are whole. Raises one of UNREADABLE for what is no message."""
        self._unpacker.feed(data)
        for message in self._unpacker:
            yield self._decode(message)

    def _decode(self, message: tuple[Any, ...]) -> Input | End:
        kind = message[0]
        self._at = at = self._at + message[1]
        if kind == BATCH:
            batch = Batch(self._devices[message[2]], message[3], list(message[4]), at)
            if len(message) > 5:
                batch.notices = [Notice(*notice) for notice in message[5]]
                if message[6] is not None:
                    batch.learned = {number: Learned(*one) for number, one in message[6].items()}
            return batch
        if kind == TICK:
            return Tick(at)
        if kind == END:
            return End(at, message[2])
        if kind != OTHER:
            raise ValueError(f"a message of kind {kind!r}, which this version does not know")
        made: Input = OTHERS[message[2]](**message[3])
        return made


def unpacker() -> Any:
    """A reader of messages and headers: arrays are tuples, as in a batch's changes."""
    return msgpack.Unpacker(
        use_list=False, strict_map_key=False, unicode_errors="surrogatepass", max_buffer_size=MAX_MESSAGE
    )
