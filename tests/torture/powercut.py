"""Power cuts: what the daemon's log of writes and syncs allows to be left, opened by the product and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gateway.config.model import Config
from gateway.events import Envelope
from gateway.lineview import LineView
from gateway.outbox.outbox import BufferError, Outbox
from gateway.pipeline import Pipeline
from gateway.uplinks.file.config import FileUplink
from gateway.uplinks.file.sink import FileSink
from gateway.uplinks.uplink import UplinkContext
from tests.torture.book import Book, Broken
from tests.torture.disk import Disk
from tests.torture.journal import Journals
from tests.torture.layer import Call, Done

SHARES = (0.0, 0.3, 0.7, 1.0)
"""Of what was not synced, how much a cut leaves whole."""
_ALL = 1_000_000


@dataclass(slots=True)
class Cut:
    """A power cut after call number `at`."""

    at: int
    share: float
    files: dict[str, bytes]
    sent: Sequence[bytes]
    """Lines that the file uplink had been given by then, whether its disk kept them or not."""


@dataclass(slots=True)
class Verdict:
    """What became of all cuts of one log."""

    cuts: int = 0
    syncs: int = 0
    broken: list[str] = field(default_factory=list)


def cuts(log: Sequence[Done], files: Mapping[str, bytes], chance: Random) -> Iterator[Cut]:
    """For every sync: cuts right after it, right before the next one, and somewhere between them."""
    disk = Disk(files)
    sent: list[bytes] = []
    partial = b""
    syncs = [number for number, done in enumerate(log) if done.call is Call.SYNC]
    ends = [*syncs[1:], len(log)]
    chosen: dict[int, list[float]] = {}
    for begin, end in zip(syncs, ends, strict=True):
        chosen.setdefault(begin, []).append(0.0)
        chosen.setdefault(end - 1, []).append(chance.choice(SHARES))
        chosen.setdefault(chance.randint(begin, end - 1), []).append(chance.choice(SHARES))
    for number, done in enumerate(log):
        disk.do(done)
        if done.is_journal and done.call is Call.WRITE:
            *lines, partial = (partial + done.data).split(b"\n")
            sent += lines
        for share in chosen.get(number, ()):
            yield Cut(number, share, disk.left(chance, share), sent)


async def judge(log: Sequence[Done], files: Mapping[str, bytes], config: Config, place: Path, seed: int) -> Verdict:
    """Rebuild the files of every cut, and let the product go on from them."""
    verdict = Verdict(syncs=sum(done.call is Call.SYNC for done in log))
    for cut in cuts(log, files, Random(seed)):
        directory = place / str(verdict.cuts)
        verdict.cuts += 1
        await asyncio.to_thread(_lay_out, directory, cut.files)
        try:
            await _go_on(directory, config, cut.sent)
        except (Broken, BufferError) as error:
            verdict.broken.append(f"cut after call {cut.at}, {cut.share:.0%} left, in {directory}: {error}")
        else:
            await asyncio.to_thread(_remove, directory)
    return verdict


async def _go_on(directory: Path, config: Config, sent: Sequence[bytes]) -> None:
    """Open what is left, deliver the rest, and hold it against what had been sent. Raises Broken or BufferError."""
    settings = config.uplinks["journal"]
    assert isinstance(settings, FileUplink)
    outbox = await Outbox.open(directory / config.buffer.path, config.buffer, config.uplinks)
    store = asyncio.get_running_loop().create_task(outbox.run())
    pipeline = Pipeline(config)
    envelope = Envelope(config.source, outbox.stream)
    sink = FileSink(
        settings, UplinkContext("journal", config.line, envelope, directory, LineView(pipeline, {}, config))
    )
    try:
        pipeline.restore(await outbox.load_checkpoint())
        stored = {event.seq: envelope.json(event) for event in await outbox.recent(0, _ALL)}
        _holds(stored, outbox.last_seq, dict.fromkeys(sent))
        await sink.connect()
        if outbox.backlog("journal"):
            await sink.write(await outbox.read("journal", _ALL))
        book = Book("journal")
        with closing(Journals(directory / settings.path)) as reader:
            for line in await asyncio.to_thread(lambda: list(reader.news())):
                book.take(line)
        if book.last != outbox.last_seq:
            raise Broken(f"the journal ends with {book.last}, the outbox with {outbox.last_seq}")
    finally:
        await sink.close()
        await outbox.close()
        await store


def _holds(stored: Mapping[int, bytes], last_seq: int, sent: Iterable[bytes]) -> None:
    """What was sent is there as it was sent, but for what was let go, which is the oldest."""
    oldest = min(stored, default=last_seq + 1)
    if list(stored) != list(range(oldest, last_seq + 1)):
        raise Broken(f"{len(stored)} events from {oldest} on are stored, the last one is {last_seq}")
    for seq, line in enumerate(sent, 1):
        if seq >= oldest and stored.get(seq) != line:
            raise Broken(f"sent was {line!r}, the outbox has {stored.get(seq, b'nothing')!r}")


def _lay_out(directory: Path, files: Mapping[str, bytes]) -> None:
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)


def _remove(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
