"""`linegate replay`: what the engine makes of a recording, as events or as what differs from those that were sent."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO
from zoneinfo import ZoneInfo

import orjson

from gateway.check import load_or_exit
from gateway.config.model import Config
from gateway.config.nearest import listed
from gateway.events import Event, rfc3339
from gateway.progress import Progress
from gateway.recording.header import RecordingError
from gateway.replay.compare import compare, plain
from gateway.replay.compare_show import show
from gateway.replay.plain import PlainLines, read_plain
from gateway.replay.replay import Replay
from gateway.replay.sent import Standing, read_sent
from gateway.replay.sources import Sources
from gateway.replay.told import Told
from protocols.settings import counted

GOOD, TROUBLE, WRONG = 0, 1, 2
MOST_COMPLAINTS = 50
"""Complaints about a recording that are shown; all are counted."""


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Values come and go by the million and form no cycles: to look for those at each few hundred takes a third."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Command:
    """One call of the command."""

    def __init__(self, config: Config, sources: Sources, out: BinaryIO, err: TextIO) -> None:
        self._config, self._sources, self._out, self._err = config, sources, out, err
        self._progress = Progress(err) if err.isatty() else None
        self._told = Told(config, sources.name)
        self._began = time.monotonic()
        self._complaints = 0
        self._replay: Replay | None = None

    def print_events(self) -> None:
        """Events to standard output, as they are decided."""
        self._run(lambda events: self._out.write(self._told.lines(events)), closes=True)

    def compare(self, against: Sequence[Path], out: TextIO, *, as_json: bool) -> None:
        """How what stands after the replay differs from what stands in the events that were sent."""
        replayed = Standing(0)

        def take(events: list[Event]) -> None:
            for event in events:
                replayed.add(event.type, event.subject, event.data)

        replay = self._run(take, closes=False)  # what was sent has no windows that ended with the recording
        if replay.began is None:
            return
        replayed.began, replayed.ended = replay.began, replay.ended
        sent = Standing(replay.began, replay.ended)
        for complaint in read_sent(against, self._config.source, sent):
            self._complain(complaint)
        if sent.others:
            self._err.write(f"{sent.others:,} events of other lines were left out: this is {self._config.source}\n")
        differences = compare(sent, replayed, tuple(self._config.machines))
        began, ended = rfc3339(replay.began), rfc3339(replay.ended)
        if as_json:
            out.write(orjson.dumps(plain(differences, began, ended), option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            show(differences, began, ended, ZoneInfo(self._config.line.time_zone), out)

    @property
    def exit_code(self) -> int:
        """1 where something of the recording, or of what was sent, could not be used."""
        return TROUBLE if self._complaints else GOOD

    def _run(self, emit: Callable[[list[Event]], object], *, closes: bool) -> Replay:
        replay = self._replay = Replay(self._config, emit, self._say_progress)
        with _seldom_collected():
            self._feed(replay)
        replay.finish()
        if closes:
            replay.close_windows()
        self._out.flush()
        if self._progress is not None:
            self._progress.done()
        self._sum_up(replay)
        return replay

    def _feed(self, replay: Replay) -> None:
        sources = self._sources
        if sources.is_recorded:
            replay.recorded(sources.recordings())
        else:
            lines = PlainLines(self._config, self._complain)
            inputs = (lines.inputs(str(path), sources.lines(path)) for path in sources.paths)
            replay.plain(read_plain(self._config), chain.from_iterable(inputs))

    def _say_progress(self) -> None:
        replay = self._replay
        if self._progress is None or replay is None or replay.began is None:
            return
        seconds = (replay.ended - replay.began) / 1000
        speed = seconds / max(1e-9, time.monotonic() - self._began)
        done = f"{100 * self._sources.progress():3.0f} %"
        self._progress(f"{done}  {rfc3339(replay.ended)}  {replay.inputs:,} inputs  {speed:,.0f} times real time")

    def _complain(self, words: str) -> None:
        self._complaints += 1
        if self._complaints <= MOST_COMPLAINTS:
            self._err.write(f"{words}\n")

    def _sum_up(self, replay: Replay) -> None:
        for path, why, remedy in self._sources.complaints:
            self._complain(f"{path}: {why}; {remedy}")
        if self._complaints > MOST_COMPLAINTS:
            self._err.write(f"and {self._complaints - MOST_COMPLAINTS:,} more\n")
        self._err.writelines(f"{note}\n" for note in (*self._sources.notes, *replay.notes))
        if replay.missing:
            words = "the recording does not have these signals of the configuration, which stay bad"
            self._err.write(f"{words}: {listed(sorted(replay.missing))}\n")
        if replay.began is None:
            self._complain("there was nothing to replay")
            return
        took = time.monotonic() - self._began
        seconds = (replay.ended - replay.began) / 1000
        self._err.write(
            f"{rfc3339(replay.began)} to {rfc3339(replay.ended)}: {counted(replay.inputs, 'input')} in {took:.1f} s, "
            f"{seconds / max(took, 1e-9):,.0f} times real time\n"
        )


def replay_file(file: Path, recordings: Sequence[Path], against: Sequence[Path], *, as_json: bool) -> int:
    """Replay under the configuration `file`. Returns the exit code: 0, 1 with what could not be used said, 2."""
    config = load_or_exit(file)
    try:
        command = Command(config, Sources(recordings), sys.stdout.buffer, sys.stderr)
        if against:
            command.compare(against, sys.stdout, as_json=as_json)
        else:
            command.print_events()
    except RecordingError as error:
        sys.stderr.write(f"{error.why}; {error.remedy}\n")
        return WRONG
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has seen enough; nothing is left to say, nor to flush
        return TROUBLE
    except OSError as error:
        sys.stderr.write(f"{error.filename or file}: {error.strerror or error}\n")
        return WRONG
    return command.exit_code
