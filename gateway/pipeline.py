"""The engine: what is decided is a function of the inputs and the checkpoint; it never reads a clock.

`process` takes one input at a time, in order of engine time. It first fires every deadline that is
due, in order of deadline and machine and at the deadline's own time, so that more Ticks change no
event; then it applies the input.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from gateway.checkpoint import DEVICE_ROW, ENGINE_ROW, MACHINE_ROW, pack, unpack
from gateway.config.model import Config
from gateway.deadlines import Deadlines
from gateway.events import Event, rfc3339
from gateway.inputs import ClockStep, DeviceState, Input, Note, Reload, Tick
from gateway.linetime import LineTime
from gateway.machine import Machine
from gateway.signals import moduli
from gateway.trends.line import Trends
from gateway.trends.ways import Point, Seen
from protocols.model import Batch, Learned, Notice, Quality, Value
from protocols.settings import DeviceSettings

NOT_READ = "not read yet"
HELD_SCANS = 5
"""Scan intervals beyond its last sample for which a trend takes a value to hold; a subscription may skip three."""


_Proof: TypeAlias = tuple[int, str | None, int | None, int | None]
"""Quality, why, engine time of the last change, source time of one signal."""


class _Device:
    """What the engine keeps of one device: only the signals that a machine uses."""

    def __init__(self, name: str, config: DeviceSettings, used: Collection[str]) -> None:
        self.name = name
        self.signals = tuple(config.signal_settings)
        subjects = ((number, self.subject(number)) for number in range(len(self.signals)))
        self.route = {number: subject for number, subject in subjects if subject in used}
        self.names = list(self.route.values())
        self.intervals = [interval for interval, _ in config.scan_classes]
        self.interval = {
            self.route[number]: interval
            for interval, numbers in config.scan_classes
            for number in numbers
            if number in self.route
        }
        self.sampled: dict[int, int] = {}
        """Engine time of the last sample by scan interval: what is scanned together has the same."""
        self.scans: dict[int, int] = {}
        """How many samples there were, likewise."""
        self.lost_since: int | None = None
        self.lost_why: dict[str, str] = {}
        self.dirty = True

    def subject(self, number: int) -> str:
        """`device.signal` of a signal."""
        return f"{self.name}.{self.signals[number]}"


class Pipeline:
    """One line's machines and the signals that they decide from."""

    def __init__(self, config: Config) -> None:
        self._time = LineTime(config.line.time_zone, config.calendar)
        common = {
            "job": None,
            "product": None,
            "unit": config.line.unit,
            "config_digest": config.digest,
        }
        self._common = common
        types, ranges = config.signal_types, moduli(config)
        self._given_texts = config.signal_texts
        self.texts = dict(self._given_texts)
        """Texts of the numbers of each `device.signal` that has any: the configuration's, else the device's."""
        self._machines = [
            Machine(name, machine, types, ranges, config.reasons, self.texts, self._time, common)
            for name, machine in config.machines.items()
        ]
        self._deadlines = Deadlines()
        """Of machines by their position, and of trends behind them."""
        self._trends = Trends(config, self._time, self._deadlines, len(self._machines), self._seen)
        decided: frozenset[str] = frozenset().union(*(machine.signals for machine in self._machines))
        self.signals = decided | self._trends.exact
        """`device.signal` of everything that the engine decides from: every change of these must reach it."""
        self.thinned = self._trends.signals - self.signals
        """Those of which only changes of at least the deadband must."""
        used = self.signals | self.thinned
        self._devices = {name: _Device(name, device, used) for name, device in config.devices.items()}
        names = [name for device in self._devices.values() for name in device.names]
        self._values: dict[str, Value] = dict.fromkeys(names)
        self._proofs: dict[str, _Proof] = dict.fromkeys(names, (Quality.BAD, NOT_READ, None, None))
        self._users = {
            name: [index for index, machine in enumerate(self._machines) if name in machine.signals] for name in names
        }
        self._waiting: set[int] = set()
        """Machines with a counter whose doubtful reading waits for the next scan, changed or not."""
        self.at = 0
        """Engine time of the last input."""
        self._offset_is_new = False
        """Whether the clock has stepped since the checkpoint was last whole."""
        self._known_until = 0
        """Engine time of the last input that showed something; a Tick does not."""

    @property
    def utc_offset(self) -> int:
        """UTC minus engine time, in milliseconds."""
        return self._time.utc_offset

    def process(self, given: Input) -> tuple[list[Event], int | None]:
        """Apply one input; its events in order, and the next deadline in engine time."""
        events: list[Event] = []
        self._fire(given.at, events)
        if isinstance(given, Reload) and given.cause == "start":
            self._interrupt(given.at, events)
        self.at = max(self.at, given.at)
        if not isinstance(given, Tick):
            self._known_until = self.at
        if isinstance(given, Batch):
            self._batch(given, events)
        elif isinstance(given, DeviceState):
            self._device_state(given, events)
        elif isinstance(given, ClockStep):
            self._close_minutes(given.at, events)
            self._time.set_offset(given.utc_offset, given.at)
            self._offset_is_new = True
            self._trends.follow_clock()
        elif isinstance(given, Reload) and given.cause == "stop":
            self._close_minutes(given.at, events)
        elif isinstance(given, Reload):
            self._time.set_offset(given.utc_offset, given.at)
            self._trends.follow_clock()
            self._evaluate_all(given.at, events)
        elif isinstance(given, Note):
            events.append(self._note(given))
        return events, self._deadlines.next()

    def _fire(self, until: int, events: list[Event]) -> None:
        while (taken := self._deadlines.take(until)) is not None:
            due, owner = taken
            if owner < len(self._machines):
                events += self._machines[owner].fire(due)
                self._schedule(owner)
            else:
                events += self._trends.fire(owner, due)

    def _schedule(self, index: int) -> None:
        """A machine was touched: what it waits for may have changed."""
        if self._machines[index].waits:
            self._waiting.add(index)
        else:
            self._waiting.discard(index)
        self._deadlines.set(index, self._machines[index].deadline)

    def _batch(self, batch: Batch, events: list[Event]) -> None:
        device = self._devices[batch.device]
        for number, learned in (batch.learned or {}).items():
            self._learn(device.subject(number), learned, batch.at, events)
        events += [self._notice(device, notice, batch.at) for notice in batch.notices]
        changed: set[str] = set()
        for number, value, quality, why, source_time in batch.changes:
            if (name := device.route.get(number)) is not None:
                self._values[name] = value
                self._proofs[name] = (quality, why, batch.at, source_time)
                changed.add(name)
                if name in self._trends.signals:
                    point = Point(batch.at, value, quality, source_time)
                    events += self._trends.sample(name, point)
        interval = device.intervals[batch.scan]
        self._resume(device, interval, batch.at, changed, events)
        affected = {index for name in changed for index in self._users[name]}
        for index in self._waiting:
            waiting = self._machines[index].counters_waiting()
            again = {s for s in waiting if device.interval.get(s) == interval and self._values[s] is not None}
            if again:
                changed |= again
                affected.add(index)
        for index in sorted(affected):
            self._sample(index, changed, batch.at, events)
        device.sampled[interval] = batch.at
        device.scans[interval] = device.scans.get(interval, 0) + 1
        device.dirty |= bool(batch.changes)

    def _resume(self, device: _Device, interval: int, at: int, changed: Collection[str], events: list[Event]) -> None:
        """Nobody looked for so long that values were not taken to hold: what did not change is known again."""
        last = device.sampled.get(interval)
        if last is None or at - last <= HELD_SCANS * interval:
            return
        for name in device.names:
            if name in self._trends.signals and name not in changed and device.interval[name] == interval:
                quality, _, _, source_time = self._proofs[name]
                events += self._trends.sample(name, Point(at, self._values[name], quality, source_time))

    def _learn(self, signal: str, learned: Learned, at: int, events: list[Event]) -> None:
        """A device says what a signal is; what the configuration says of it stands."""
        if signal not in self._given_texts:
            self.texts[signal] = dict(learned.texts.items())
        for index in self._users.get(signal, ()):
            events += self._machines[index].learn(signal, learned.type, at)
            self._schedule(index)

    def _sample(self, index: int, changed: Collection[str], at: int, events: list[Event]) -> None:
        machine = self._machines[index]
        mine = machine.signals.intersection(changed)
        events += machine.sample(mine, self._values, at, self._since, self._evidence)
        self._schedule(index)

    def _since(self, signal: str) -> int | None:
        """When a signal was last sampled, before what is being processed."""
        device = self._devices[signal.partition(".")[0]]
        return device.sampled.get(device.interval[signal])

    def _seen(self, signal: str) -> Seen:
        """The samples of a signal, before what is being processed."""
        device = self._devices[signal.partition(".")[0]]
        interval = device.interval[signal]
        return Seen(device.sampled.get(interval), HELD_SCANS * interval, device.scans.get(interval, 0))

    def _device_state(self, state: DeviceState, events: list[Event]) -> None:
        device = self._devices[state.device]
        if state.connected:
            if device.lost_since is not None:
                events.append(self._transition("device.restored", device, state))
                device.lost_since = None
        elif device.lost_since is None:
            device.lost_since = state.at
            device.lost_why = {"endpoint": state.endpoint, "why": state.why, "remedy": state.remedy}
            events.append(self._transition("device.lost", device, state))
            self._forget(device, f"device lost: {state.why}", state.at, events)
        device.dirty = True

    def _transition(self, kind: str, device: _Device, state: DeviceState) -> Event:
        since = device.lost_since if device.lost_since is not None else state.at
        data = {
            "device": device.name,
            **device.lost_why,
            "since": self._time.text(since),
            "signals": len(device.signals),
            "duration_s": (state.at - since) / 1000 if state.connected else None,
        }
        return Event(kind, device.name, self._time.utc(state.at), data)

    def _notice(self, device: _Device, notice: Notice, at: int) -> Event:
        signal = device.subject(notice.signal)
        data = {
            "signal": signal,
            "address": notice.address,
            "why": notice.why,
            "retry_s": notice.retry_s if notice.quarantined else None,
        }
        kind = "signal.quarantined" if notice.quarantined else "signal.restored"
        return Event(kind, signal, self._time.utc(at), data)

    def _forget(self, device: _Device, why: str, at: int, events: list[Event]) -> None:
        """All signals of a device become bad; each keeps the time of its last sample."""
        for name in device.names:
            self._values[name] = None
            self._proofs[name] = (Quality.BAD, why, at, None)
            if name in self._trends.signals:
                events += self._trends.sample(name, Point(at, None, Quality.BAD))
        lost = set(device.names)
        for index in sorted({index for name in lost for index in self._users[name]}):
            self._sample(index, lost, at, events)

    def _interrupt(self, at: int, events: list[Event]) -> None:
        """The gateway was off since the last input that was no Tick: what was not seen is unknown."""
        for device in self._devices.values():
            for name in device.names:
                self._values[name] = None
                self._proofs[name] = (Quality.BAD, NOT_READ, at, None)
            device.dirty = True
        events += self._trends.interrupt(self._known_until)
        for index, machine in enumerate(self._machines):
            events += machine.interrupt(self._known_until, at)
            self._schedule(index)

    def _evaluate_all(self, at: int, events: list[Event]) -> None:
        for index, machine in enumerate(self._machines):
            self._sample(index, machine.rules.signals, at, events)

    def _close_minutes(self, at: int, events: list[Event]) -> None:
        """What was counted is published now: UTC moves under the minute, or nobody will be there at its end."""
        events += self._trends.close(at)
        for index, machine in enumerate(self._machines):
            events += machine.close_minute(at)
            self._schedule(index)

    def _note(self, note: Note) -> Event:
        when = self._time.text(note.at)
        data = {
            "entry": f"{note.machine}-note-{note.at}",
            "what": "note",
            "target": None,
            "reason": None,
            "note": note.text,
            "amount": None,
            "who": note.who,
            "when": when,
        }
        common = {**self._common, **self._time.of_event(note.at)}
        return Event("operator.entry", note.machine, self._time.utc(note.at), {**data, **common})

    def _evidence(self, signal: str) -> dict[str, Any]:
        quality, why, at, source_time = self._proofs[signal]
        time = source_time if source_time is not None else None if at is None else self._time.utc(at)
        proof: dict[str, Any] = {
            "value": self._values[signal],
            "quality": Quality(quality).label,
            "time": None if time is None else rfc3339(time),
        }
        if why is not None:
            proof["why"] = why
        return proof

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Every machine as it is now, for people."""
        return {machine.name: machine.snapshot(self.at) for machine in self._machines}

    def checkpoint(self, subjects: Collection[str] | None = None) -> dict[str, bytes]:
        """Rows of what changed since they were last taken: of the events' subjects, or of everything.

        Only a whole checkpoint moves the engine's own time, so that after a crash each machine goes on
        from a moment at which its row was true. After a step of the clock it is always whole.
        """
        rows: dict[str, bytes] = {}
        whole = subjects is None or self._offset_is_new
        touched = set() if subjects is None else {subject.partition(".")[0] for subject in subjects} | set(subjects)
        users = {index for subject in touched for index in self._users.get(subject, ())}
        for index, machine in enumerate(self._machines):
            if machine.dirty and (whole or machine.name in touched or index in users):
                rows[MACHINE_ROW + machine.name] = pack(machine.checkpoint())
                machine.dirty = False
        for device in self._devices.values():
            if device.dirty and (whole or device.name in touched):
                rows[DEVICE_ROW + device.name] = pack(self._device_row(device))
                device.dirty = False
        rows |= {name: pack(row) for name, row in self._trends.checkpoint(None if whole else touched).items()}
        if whole:
            self._offset_is_new = False
            rows[ENGINE_ROW] = pack(self._engine_row())
        return rows

    def _engine_row(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "known_until": self._known_until,
            "clock": self._time.checkpoint(),
            "machines": [machine.name for machine in self._machines],
            "sampled": {device.name: device.sampled for device in self._devices.values()},
            "scans": {device.name: device.scans for device in self._devices.values()},
        }

    def _device_row(self, device: _Device) -> dict[str, Any]:
        return {
            "lost_since": device.lost_since,
            "lost_why": device.lost_why,
            "signals": {name: [self._values[name], *self._proofs[name]] for name in device.names},
        }

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Go on from a checkpoint: names that the configuration no longer has are left out, new ones begin anew.

        Raises CheckpointError.
        """
        saved = unpack(rows)
        engine = saved.get(ENGINE_ROW)
        if engine is not None:
            self.at, self._known_until = engine["at"], engine["known_until"]
            self._time.restore(engine["clock"])
        for device in self._devices.values():
            device.sampled = {} if engine is None else engine["sampled"].get(device.name, {})
            device.scans = {} if engine is None else engine.get("scans", {}).get(device.name, {})
            if (row := saved.get(DEVICE_ROW + device.name)) is not None:
                device.lost_since, device.lost_why = row["lost_since"], row["lost_why"]
                for name, (value, *proof) in row["signals"].items():
                    if name in self._values:
                        self._values[name] = value
                        self._proofs[name] = tuple(proof)
        for index, machine in enumerate(self._machines):
            if (row := saved.get(MACHINE_ROW + machine.name)) is not None:
                self.at = max(self.at, machine.restore(row, self._values))
                machine.was_left_out = engine is not None and machine.name not in engine["machines"]
                self._schedule(index)
        self._trends.restore(saved)
