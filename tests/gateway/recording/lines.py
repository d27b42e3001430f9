"""A line that is recorded: a real pipeline, a real recorder and its files, through starts, stops and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ext.table import Kind, SignalTable
from gateway.config.model import Config
from gateway.config.recording import RecordingConfig
from gateway.events import Event
from gateway.inputs import Input, Reload
from gateway.pipeline import Pipeline
from gateway.recording.files import recorded
from gateway.recording.reader import RecordedFile
from gateway.recording.recorder import Recorder
from gateway.replay.replay import Replay
from protocols.model import Batch
from tests.conftest import line_document

BEGIN = 1_795_417_200_000
"""2026-11-23T07:00:00Z."""
SIGNALS: dict[str, Any] = {
    "run": {"address": "coil:0"},
    "hold": {"address": "coil:1"},
    "starved": {"address": "coil:2"},
    "tick": {"address": "holding:3", "type": "uint16"},
    "count": {"address": "holding:4", "type": "uint16", "scan_interval": "1s"},
    "speed": {"address": "holding:6", "type": "float32", "deadband": 2},
    "level": {"address": "holding:8", "type": "float32"},
    "spare": {"address": "holding:10", "type": "uint16"},
}
NAMES = list(SIGNALS)
RULES: list[dict[str, Any]] = [
    {"state": "held", "when": "a.hold", "reason": "jam"},
    {"state": "suspended", "when": "a.starved", "cause": "starved", "for": "2s"},
    {"state": "execute", "when": "a.run and b.speed > 5"},
    {"state": "idle"},
]
FILLER = {"states": RULES, "parts": {"total": "a.count"}, "ideal": "500ms", "settle": "300ms", "resume": "4s"}
CAPPER = {"states": [{"state": "execute", "when": "b.run"}, {"state": "stopped"}], "parts": {"good": "b.count"}}


def device(**more: Any) -> dict[str, Any]:
    return {"protocol": "modbus_tcp", "host": "127.0.0.1", "scan_interval": "250ms", "signals": dict(SIGNALS), **more}


def devices() -> dict[str, Any]:
    return {"a": device(port=1, heartbeat={"signal": "tick", "within": "20s"}), "b": device(port=2)}


def document() -> dict[str, Any]:
    """Two devices, two machines, trends of each kind, a heartbeat, a calendar."""
    return line_document(
        devices=devices(),
        machines={"filler": FILLER, "capper": CAPPER},
        trends={
            "b.level": {"every": "10s"},
            "b.speed": {"on_change": True, "at_least_every": "15s"},
            "a.speed": {"swinging_door": 0.5},
        },
        calendar={"shifts": {"day": {"days": ["mon"], "from": "08:00", "to": "08:01"}}},
        buffer={"path": "line.db", "min_free_disk": "1kB"},
    )


def line(**sections: Any) -> Config:
    """The line; sections given replace its own."""
    return Config.model_validate({**document(), **sections})


def said(*numbers: int, **values: Any) -> list[Any]:
    """Changes of signals by name; None is bad."""
    return [
        (NAMES.index(name), value, 0 if value is None else 2, "exception 2" if value is None else None, None)
        for name, value in values.items()
    ]


def tables(config: Config) -> dict[str, SignalTable]:
    """The devices' tables, as the drivers would fill them."""
    made = {}
    kinds = {"bool": Kind.BOOL, "int": Kind.UINT, "float": Kind.FLOAT, "text": Kind.TEXT}
    for name, one in config.devices.items():
        made[name] = SignalTable(one.signal_settings)
        for number, signal in enumerate(one.signal_settings.values()):
            made[name].define(number, kinds[signal.value_type or "int"])
    return made


class Life:
    """The daemon's lives on one state directory: what each decided, and what it would restore."""

    def __init__(self, state: Path, config: Config, recording: RecordingConfig | None = None) -> None:
        self.state, self.config = state, config
        self.recording = recording or RecordingConfig()
        self.decided: list[Event] = []
        self.rows: dict[str, bytes] = {}
        """The checkpoint as the buffer has it."""
        self.recorder: Recorder
        self.pipeline: Pipeline
        self.tables: dict[str, SignalTable]

    async def start(self, at: int, utc_offset: int = 0) -> None:
        """Begin a life."""
        self.pipeline = Pipeline(self.config)
        self.pipeline.restore(self.rows)
        self.tables = tables(self.config)
        self.recorder = Recorder(self.config, self.recording, self.state, self.pipeline, self.tables)
        await self.recorder.start()
        self.give(Reload(at, utc_offset))

    def give(self, given: Input) -> None:
        """One input, as the engine takes it: recorded, decided, its events committed with their rows."""
        if isinstance(given, Batch):
            for number, value, quality, why, _ in given.changes:
                table = self.tables[given.device]
                table.put(number, value) if quality else table.fail(number, why or "")
        self.recorder.record(given)
        events, _ = self.pipeline.process(given)
        self.decided += events
        if events:
            self.rows |= self.pipeline.checkpoint({event.subject for event in events})

    async def stop(self, at: int) -> None:
        """An orderly end."""
        self.give(Reload(at, self.pipeline.utc_offset, "stop"))
        self.rows |= self.pipeline.checkpoint()
        await self.recorder.close(at)

    async def crash(self, at: int) -> None:
        """What is not committed is lost; the recording has all, for its last block was written."""
        await self.recorder.close(at)

    @property
    def files(self) -> list[Path]:
        """The recording's files."""
        return recorded(self.recorder.directory)


def live(state: Path, config: Config, inputs: Iterable[Input], **recording: Any) -> Life:
    """One life from start to stop; the inputs follow the start."""
    one = Life(state, config, RecordingConfig(**recording))

    async def run() -> None:
        await one.start(BEGIN)
        at = BEGIN
        for given in inputs:
            one.give(given)
            at = given.at
        await one.stop(at)

    asyncio.run(run())
    return one


def replayed(config: Config, files: Iterable[Path]) -> tuple[list[Event], Replay]:
    """What a replay of some files decides."""
    events: list[Event] = []
    replay = Replay(config, events.extend, lambda: None)
    replay.recorded(RecordedFile(path) for path in files)
    replay.finish()
    return events, replay
