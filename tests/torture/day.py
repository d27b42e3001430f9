"""The events that the demo's line makes at the machines' own pace, in simulated time, by the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gateway
from gateway.config.loader import load_config
from gateway.config.model import Config
from gateway.events import Event
from gateway.inputs import Reload
from gateway.pipeline import Pipeline
from protocols.model import Batch, Change, Quality, Value
from protocols.simulated.machine import Filler, Interval, Observed, Profile, State

BEGIN = 1_795_417_200_000
"""2026-11-23T07:00:00Z."""
STEP_MS = 10_000
"""How often counters and measured values are looked at; a change of state is seen when it comes."""
MINUTE_MS = 60_000
CALMER = Profile(mean_run_ms=90_000)
"""Trouble comes more often than in a plant, but not as often as in the demo."""
PACKML = {State.ESTOPPED: 9, State.FAULTED: 11, State.STARVED: 5, State.STOPPED: 2, State.EXECUTE: 6}


def line() -> Config:
    """The line as `linegate demo` has it."""
    return load_config(Path(gateway.__file__).parent / "data" / "config" / "demo.yaml").config


class Machine:
    """One machine and what its PLC shows."""

    def __init__(self, name: str, config: Config, seed: int, profile: Profile, before: Machine | None) -> None:
        self.device = f"{name}_plc"
        self._numbers = {signal: n for n, signal in enumerate(config.devices[self.device].signal_settings)}
        self._seen: list[Interval] = []
        source = None if before is None else before._filler
        self._filler: Filler = Filler(seed, profile, observer=self._observe, remember=1, source=source)

    def until(self, ms: int) -> Iterator[Batch]:
        """What is read up to a time of the machine's own, at the end of which all is looked at."""
        self._filler.advance(ms)
        intervals, self._seen = self._seen, []
        for one in intervals:
            yield self._batch(_states(one.state, one.reason), one.began_ms)
        yield self._batch({**_states(self._filler.state, self._filler.fault), **self._values()}, ms)

    def _batch(self, values: dict[str, Value], at: int) -> Batch:
        changes: list[Change] = [
            (self._numbers[name], value, Quality.GOOD, None, None)
            for name, value in values.items()
            if name in self._numbers
        ]
        return Batch(self.device, changes=changes, at=at)

    def _values(self) -> dict[str, Value]:
        parts, rejects = self._filler.bottles, self._filler.rejects
        speed = self._filler.speed
        return {
            "bottles": parts, "rejects": rejects, "caps": parts, "bad_caps": rejects, "labels": parts - rejects,
            "rejected": rejects, "speed": speed, "torque": speed / 60, "temperature": 60 + speed / 40, "level": 12.5,
        }  # fmt: skip

    def _observe(self, observed: Observed) -> None:
        if isinstance(observed, Interval):
            self._seen.append(observed)


def _states(state: State, reason: int) -> dict[str, Value]:
    return {
        "running": state is State.EXECUTE, "infeed_ready": state is not State.STARVED, "estop": state is State.ESTOPPED,
        "fault": reason, "recipe": "cola-500ml", "state": PACKML[state], "reason": reason, "jam": reason != 0,
    }  # fmt: skip


class Day:
    """The line's engine and its machines. `minute` is to be called again and again; `now` is engine time, and UTC."""

    def __init__(self, config: Config, seed: int = 1, begin: int = BEGIN, profile: Profile = CALMER) -> None:
        self.now = self._begin = begin
        self.pipeline = Pipeline(config)
        self._machines: list[Machine] = []
        for n, name in enumerate(config.machines):
            self._machines.append(Machine(name, config, seed + n, profile, self._machines[-1] if n else None))
        self._begun: list[Event] = list(self.pipeline.process(Reload(begin, 0))[0])

    def minute(self) -> list[Event]:
        """The events of the next minute."""
        events, self._begun = self._begun, []
        for _ in range(MINUTE_MS // STEP_MS):
            self.now += STEP_MS
            batches = [batch for machine in self._machines for batch in machine.until(self.now - self._begin)]
            for batch in sorted(batches, key=lambda one: one.at):
                batch.at += self._begin
                events += self.pipeline.process(batch)[0]
        events.append(Event("gateway.alive", "gateway", self.now, self._alive()))
        return events

    def _alive(self) -> dict[str, Any]:
        return {"last_seq": "0", "backlog": {}, "open": []}
