"""Runs inputs through the engine, as the daemon did or as it would have under another configuration.

Under the configuration that a file was recorded with, the engine begins with the file's checkpoint and goes on from
file to file; where inputs are missing, or the daemon was started again, it takes up the checkpoint there as the daemon
did. Under another configuration the recording's begin is a start of the daemon: the checkpoint, what it no longer fits
begun anew, and every signal as it was read last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from gateway.checkpoint import CheckpointError
from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import Input, Reload
from gateway.pipeline import Pipeline
from gateway.recording.header import Header, RecordingError
from gateway.recording.reader import RecordedFile
from gateway.replay.translation import Translation, read_as_recorded

STEP = 4096
"""Inputs between two looks at how far it is."""


class Replay:
    """One pass over recordings; events go to `emit` as they are decided."""

    def __init__(self, config: Config, emit: Callable[[list[Event]], object], told: Callable[[], None]) -> None:
        """`told` is called every now and then, for whoever shows the progress."""
        self.inputs = 0
        self.began: int | None = None
        """UTC of the first input, in milliseconds."""
        self.at = 0
        """Engine time of the last input."""
        self.missing: set[str] = set()
        """Signals that the configuration uses and a recording does not have."""
        self.notes: list[str] = []
        """What a person should know of how it went."""
        self._config, self._emit, self._told = config, emit, told
        self._pipeline: Pipeline | None = None
        self._header: Header | None = None
        self._expected = 0
        """Inputs of the run before the next file, if that continues."""
        self._stopped = False

    @property
    def ended(self) -> int:
        """UTC of the last input, in milliseconds."""
        return self.at + (0 if self._pipeline is None else self._pipeline.utc_offset)

    def recorded(self, files: Iterable[RecordedFile]) -> None:
        """Recorded files, in order. Raises RecordingError for one that cannot follow, OSError."""
        for file in files:
            header = file.header
            if self._pipeline is None or not self._continues(header):
                self._enter(file)
            self._header = header
            translation = Translation(header.devices, read_as_recorded(self._config, header.devices))
            self.run(map(translation, file) if translation.is_needed else iter(file))
            self._expected = header.first + file.inputs

    def _continues(self, header: Header) -> bool:
        before = self._header
        return before is not None and (header.run, header.first) == (before.run, self._expected)

    def _enter(self, file: RecordedFile) -> None:
        """A recording begins here, or inputs before it are missing."""
        header = file.header
        if header.at < self.at:
            why = f"it begins at {header.at}, before the end of the file before it at {self.at} (engine time)"
            raise RecordingError(why, "give the files of one buffer, in the order of their names")
        as_recorded = header.configuration == self._config.digest
        config = read_as_recorded(self._config, header.devices)
        rows = self._pipeline.all_rows() if self._pipeline is not None and not as_recorded else header.checkpoint
        self._pipeline = Pipeline(config)
        try:
            self._pipeline.restore(rows)
        except CheckpointError as error:
            self.notes.append(f"{file.path}: what was before it is not known: {error.why}")
            as_recorded = False
        self._pipeline.texts.update(header.texts)
        if self.began is None:
            self.began = header.at + header.utc_offset
        translation = Translation(header.devices, config)
        used = self._pipeline.signals | self._pipeline.thinned
        self.missing |= used.intersection(translation.missing)
        if not as_recorded and header.opens != "start":
            at = self._pipeline.at or header.at
            snapshot = translation.snapshot(header.devices, header.values, at)
            self.run(iter([Reload(at, header.utc_offset), *snapshot]))

    def plain(self, config: Config, inputs: Iterator[Input]) -> None:
        """Inputs that no daemon recorded; the first one begins."""
        self._pipeline = Pipeline(config)
        for first in inputs:
            self.began = first.at
            self.run(chain([first], inputs))

    def run(self, inputs: Iterator[Input]) -> None:
        """Decide."""
        assert self._pipeline is not None
        process, emit = self._pipeline.process, self._emit
        given: Input | None = None
        while True:
            before = self.inputs
            for given in islice(inputs, STEP):
                self.inputs += 1
                events, _ = process(given)
                if events:
                    emit(events)
            if given is not None:
                self.at = given.at
                self._stopped = isinstance(given, Reload) and given.cause == "stop"
            self._told()
            if self.inputs - before < STEP:
                return

    def finish(self) -> None:
        """The recording is over: what runs is closed at its last time."""
        if self._pipeline is not None and self.began is not None and not self._stopped:
            self.run(iter([Reload(self.at, self._pipeline.utc_offset, "stop")]))

    def close_windows(self) -> None:
        """KPI windows that are open end with the recording, and are told as they are."""
        if self._pipeline is not None and (events := self._pipeline.finish()):
            self._emit(events)
