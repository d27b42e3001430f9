"""Records what the engine decides from: a plain call an input on the loop, compressing and writing in a thread.

An input costs its message on the loop, some microseconds. Once a second they go to the thread as one block. Where
the thread does not keep up, or the disk takes nothing, the rest of the file is dropped and said, and a new file begins
with a checkpoint of its own as soon as there is room: a scan never waits for the recording.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway import __version__
from gateway.config.model import Config
from gateway.config.recording import RecordingConfig
from gateway.inputs import Input, Reload
from gateway.pipeline import Pipeline
from gateway.recording.header import Header, Opening, devices_of
from gateway.recording.messages import Encoder
from gateway.recording.writer import Writer
from protocols.worker import DaemonWorker

if TYPE_CHECKING:
    from ext.table import SignalTable

BLOCK_MS = 1_000
BLOCK_BYTES = 262_144
"""What waits for the thread goes to it after so long, or at so many bytes."""
FILE_MS = 3_600_000
MOST_FILE_BYTES = 64_000_000
"""A file is full after so long, or at so many bytes; of a small recording at an eighth of `max_size`."""
MOST_WAITING = 32_000_000
"""Bytes that wait for the disk; beyond, the rest of the file is dropped."""
RETRY_MS = 60_000
"""How long after an error of the disk another file is tried."""

log = structlog.get_logger("recording")


class Recorder:
    """Taps the engine's inputs. Only the loop's thread calls it."""

    def __init__(
        self,
        config: Config,
        recording: RecordingConfig,
        state_dir: Path,
        pipeline: Pipeline,
        tables: Mapping[str, SignalTable],
    ) -> None:
        """`pipeline` is the engine as it is, `tables` have every signal as it was read last."""
        self.directory = state_dir / recording.path
        self._dropped = 0
        """Inputs that the thread did not get."""
        self._config = config
        self._devices = devices_of(config)
        self._pipeline, self._tables = pipeline, tables
        self._file_bytes = min(MOST_FILE_BYTES, recording.max_size // 8)
        self._writer = Writer(self.directory, recording, self._file_bytes, config.buffer.min_free_disk)
        self._worker = DaemonWorker("recording")
        self._run = uuid.uuid4().hex
        self._encoder: Encoder | None = None
        """None while no file is open."""
        self._inputs = 0
        """Inputs of this run, recorded or not."""
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._block_ends = 0
        self._file_ends = 0
        self._in_file = 0
        self._posted = self._opened = 0
        """Bytes and files given to the thread."""
        self._again_at = 0
        self._said = False

    @property
    def trouble(self) -> str:
        """Why inputs are dropped; "" while they are recorded."""
        if self._encoder is not None and not self._writer.failed:
            return ""
        return self._writer.failed or ("the disk does not keep up" if self._said else "")

    @property
    def dropped(self) -> int:
        """Inputs that are in no file."""
        return self._dropped + self._writer.lost

    @property
    def bytes_written(self) -> int:
        """Compressed, since the daemon's start."""
        return self._writer.written

    @property
    def files(self) -> int:
        """How many there are."""
        return self._writer.files

    async def start(self) -> None:
        """Start the thread; before the first input."""
        await self._worker.call(lambda: None)

    def record(self, given: Input) -> None:
        """Keep an input, before the engine has it. Never raises."""
        at = given.at
        if self._encoder is None or at >= self._block_ends or self._block_bytes >= BLOCK_BYTES:
            self._turn(given)
        self._inputs += 1
        if self._encoder is None:
            self._dropped += 1
            return
        try:
            message = self._encoder.encode(given)
        except (TypeError, ValueError, OverflowError, KeyError) as error:
            self._dropped += 1
            self._give_up(at, f"{type(given).__name__}: {error}")
            return
        self._in_file += 1
        self._block.append(message)
        self._block_bytes += len(message)

    async def close(self, at: int) -> None:
        """End the file in order; waits for the disk."""
        if self._encoder is not None:
            self._end_file(at)
        await self._worker.call(self._writer.close)
        self._worker.stop()
        if self._writer.failed:
            self._say_dropped(self._writer.failed)

    @property
    def _is_full(self) -> bool:
        """Whether the file is, as far as the thread has come; until it has begun it, its size is another's."""
        return self._writer.opened == self._opened and self._writer.size >= self._file_bytes

    def _turn(self, given: Input) -> None:
        """A block is full, or there is no file: all of it before the next input."""
        at = given.at
        self._block_ends = at + BLOCK_MS
        if self._encoder is not None:
            self._pass_on()
            if self._writer.failed:
                self._give_up(at, self._writer.failed)
            elif self._posted - self._writer.done > MOST_WAITING:
                self._give_up(at, "the disk does not keep up")
            elif at >= self._file_ends or self._is_full:
                self._end_file(at)
                self._open(given, "roll")
        elif at >= self._again_at and self._posted == self._writer.done:
            first = isinstance(given, Reload) and given.cause == "start" and self._inputs == 0
            self._open(given, "start" if first else "gap")

    def _open(self, given: Input, opens: Opening) -> None:
        at = given.at
        offset = given.utc_offset if isinstance(given, Reload) else self._pipeline.utc_offset
        given_texts = self._config.signal_texts
        header = Header(
            self._config.source,
            self._config.digest,
            __version__,
            self._run,
            self._inputs,
            opens,
            at,
            offset,
            self._devices,
            self._pipeline.all_rows(),
            {name: dict(texts.items()) for name, texts in self._pipeline.texts.items() if name not in given_texts},
            tuple(tuple(table.read(number) for number in range(len(table))) for table in self._tables.values()),
        ).pack()
        self._encoder = Encoder(tuple(device.name for device in self._devices), at)
        self._in_file, self._file_ends = 0, at + FILE_MS
        self._posted += len(header)
        self._opened += 1
        self._writer.failed = ""  # of the file before; nothing waits for the disk
        self._worker.post(lambda: self._writer.open(header, at + offset))
        if self._said:
            self._said = False
            log.info("recording_again", directory=str(self.directory), dropped=self.dropped)

    def _pass_on(self) -> None:
        block, inputs = b"".join(self._block), len(self._block)
        self._block.clear()
        self._block_bytes = 0
        if block:
            self._posted += len(block)
            self._worker.post(lambda: self._writer.write(block, inputs))

    def _end_file(self, at: int) -> None:
        assert self._encoder is not None
        self._block.append(self._encoder.end(at, self._in_file))
        self._pass_on()
        self._worker.post(self._writer.close)
        self._encoder = None

    def _give_up(self, at: int, why: str) -> None:
        """The file ends here, without its end; a new one begins when there is room."""
        self._pass_on()
        self._worker.post(self._writer.close)
        self._encoder = None
        self._again_at = at + RETRY_MS
        self._say_dropped(why)

    def _say_dropped(self, why: str) -> None:
        if not self._said:
            self._said = True
            remedy = "free space, or see whether the disk is well; the recording goes on by itself"
            log.warning("recording_dropped", directory=str(self.directory), why=why, remedy=remedy)
