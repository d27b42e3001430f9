"""The engine: what is decided is a function of the inputs and the checkpoint; it never reads a clock.

`process` takes one input at a time, in order of engine time. It first fires every deadline that is
due, in order of deadline and machine and at the deadline's own time, so that more Ticks change no
event; then it applies the input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from gateway.checkpoint import DEVICE_ROW, ENGINE_ROW, JOB_ROW, MACHINE_ROW, pack, unpack
from gateway.config.model import Config
from gateway.deadlines import Deadlines
from gateway.devices import Changes, Device, notice_event
from gateway.entries.line import LineEntries, why_not
from gateway.events import Event
from gateway.flow.ledger import Ledger
from gateway.heartbeats import Heartbeats
from gateway.inputs import ClockStep, DeviceState, Entry, Input, Mute, Reload, Tick, Verified
from gateway.kpi.line import LINE, LineWindows
from gateway.kpi.policy import policy_of
from gateway.kpi.windows import Running
from gateway.linetime import LineTime
from gateway.machine import Machine
from gateway.machine_rows import machine_rows, window_rows, windows_of
from gateway.readings import NOT_READ, Readings
from gateway.sampled import Sampled, held_ms
from gateway.signals import moduli
from gateway.tell import Teller
from gateway.trends.line import Trends
from gateway.trends.ways import Point
from gateway.work.assignment import Assignment
from gateway.work.following import Following
from gateway.work.jobs import Jobs
from protocols.model import Batch, Learned, Quality

Glances: TypeAlias = Iterator[tuple[str, dict[str, Any]]]


class Pipeline:
    """One line's machines and the signals that they decide from."""

    def __init__(self, config: Config) -> None:
        self._time = LineTime(config.line.time_zone, config.calendar)
        common = {"unit": config.line.unit, "config_digest": config.digest}
        self._teller = Teller(self._time, common)
        self._given_texts = config.signal_texts
        self.texts = dict(self._given_texts)
        """Texts of the numbers of each `device.signal` that has any: the configuration's, else the device's."""
        ranges = moduli(config)
        self._machines = [self._machine(config, name, ranges) for name in config.machines]
        self.ledger = Ledger(config.topology, {one.name: one.parts for one in self._machines}, self._teller)
        self._following = Following(config.topology, self._machines, self.ledger)
        self.jobs = Jobs(config, self._machines, self._teller)
        self.line = LineWindows(config, self._machines, self._teller)
        self.entries = LineEntries(config, self._machines, self.jobs, self._teller)
        self._deadlines = Deadlines()
        """Of machines by their position, of trends behind them, and then of devices with a heartbeat."""
        self.devices: dict[str, Device] = {}
        self._sampled = Sampled(self.devices)
        self._trends = Trends(config, self._time, self._deadlines, len(self._machines), self._sampled.seen)
        decided: frozenset[str] = frozenset().union(*(machine.signals for machine in self._machines))
        beats = {f"{name}.{one.heartbeat.signal}" for name, one in config.devices.items() if one.heartbeat is not None}
        self.signals = decided | self._trends.exact | beats | self.jobs.signals
        """`device.signal` of everything that the engine decides from: every change of these must reach it."""
        self.thinned = self._trends.signals - self.signals
        """Those of which only changes of at least the deadband must."""
        used = self.signals | self.thinned
        self.devices.update((name, Device(name, device, used)) for name, device in config.devices.items())
        names = [name for device in self.devices.values() for name in device.names]
        self.readings = Readings(names, self._time)
        self._values, self._proofs = self.readings.values, self.readings.proofs
        owners = len(self._machines) + len(config.trends)
        self._heartbeats = Heartbeats(self.devices.values(), self.readings, self._deadlines, owners, self._time)
        self.users = {
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

    def _machine(self, config: Config, name: str, ranges: dict[str, int]) -> Machine:
        own, types, policy = config.machines[name], config.signal_types, policy_of(config, name)
        work = Assignment(name, own, config.products, config.jobs)
        said = self._teller.own(), work, policy, why_not(config)
        return Machine(name, own, types, ranges, config.reasons, self.texts, *said)

    @property
    def utc_offset(self) -> int:
        """UTC minus engine time, in milliseconds."""
        return self._time.utc_offset

    def process(self, given: Input) -> tuple[list[Event], int | None]:
        """Apply one input; its events in order, and the next deadline in engine time."""
        events: list[Event] = []
        if isinstance(given, Reload) and given.cause == "start":
            self._fire(min(given.at, self._known_until), events)
            self._interrupt(given.at, events)  # what was due since then was not seen
        self._fire(given.at, events)
        self.at = max(self.at, given.at)
        if not isinstance(given, (Batch, Tick)):
            self._catch_up(range(len(self._machines)), given.at, events)
        if not isinstance(given, Tick):
            self._known_until = self.at
        if isinstance(given, Batch):
            self._batch(given, events)
        elif isinstance(given, DeviceState):
            self._device_state(given, events)
        elif isinstance(given, ClockStep):
            self._close_minutes(given.at, events)
            self._time.is_suspect = given.suspect
            self._time.set_offset(given.utc_offset, given.at)
            self._offset_is_new = True
            self._follow_clock(given.at, events)
        elif isinstance(given, Reload) and given.cause == "stop":
            self._close_minutes(given.at, events)
        elif isinstance(given, Reload):
            self._time.is_suspect = given.suspect
            self._time.set_offset(given.utc_offset, given.at)
            self._follow_clock(given.at, events)
            for index, machine in enumerate(self._machines):
                self._sample(index, machine.rules.signals, given.at, given.at, events)
        elif isinstance(given, (Verified, Mute)):
            events += [machine.said(given) for machine in self._machines if machine.name == given.machine]
        elif isinstance(given, Entry):
            events += self.entries.take(given, self._values)
            events += [one for _, told in self._following.follow(given.at, self._values) for one in told]
            events += self.jobs.follow(given.at, self._values, self._sampled.since)
            for index in range(len(self._machines)):
                self._schedule(index)
        events += self.line.follow(self.ledger)
        return events, self._deadlines.next()

    def finish(self) -> list[Event]:
        """No input comes any more: KPI windows end with the last one, and are told as they are."""
        told: list[Event] = []
        self._catch_up(range(len(self._machines)), self.at, told)
        events = told + [event for machine in self._machines for event in machine.finish(self.at)]
        return events + self.line.follow(self.ledger)

    def _fire(self, until: int, events: list[Event]) -> None:
        while (taken := self._deadlines.take(until)) is not None:
            due, owner = taken
            if owner < len(self._machines):
                events += self._machines[owner].fire(due, self._values, self.readings.evidence)
                self._schedule(owner)
                events += self.line.follow(self.ledger)
            elif (device := self._heartbeats.of(owner)) is not None:
                self._forget(device, self._heartbeats.freeze(device, due, events).why, due, events)
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
        device = self.devices[batch.device]
        for number, learned in (batch.learned or {}).items():
            self._learn(device.subject(number), learned, batch.at, events)
        events += [notice_event(device, notice, self._time, batch.at) for notice in batch.notices]
        changes: Changes = [
            (name, value, (quality, why, batch.at, source_time))
            for number, value, quality, why, source_time in batch.changes
            if (name := device.route.get(number)) is not None
        ]
        if device.beat is not None and changes:
            changes = self._heartbeats.follow(device, changes, batch.at, events)
        interval = device.intervals[batch.scan]
        known = {name for name, _, _ in changes}
        self._resume(device, interval, batch.at, known, events)
        again = self._read_again(device, interval) - known if self._waiting else set()
        if changes or again:
            self._changed(device.dated(changes, interval, batch.at), again, batch.at, events)
        elif device.seen:
            device.seen.pop(interval, None)
        device.sampled[interval] = batch.at
        device.scans[interval] = device.scans.get(interval, 0) + 1
        events += self.jobs.follow(batch.at, self._values, self._sampled.since)
        device.dirty |= bool(batch.changes)

    def _read_again(self, device: Device, interval: int) -> set[str]:
        """Signals of counters that a reading decides about, be it changed or not."""
        waiting = {signal for index in self._waiting for signal in self._machines[index].counters_waiting()}
        return {one for one in waiting if device.interval.get(one) == interval and self._values[one] is not None}

    def _changed(
        self, groups: Sequence[tuple[int, Changes]], again: set[str], received: int, events: list[Event]
    ) -> None:
        """What happened in order of time, each at once; with the last, what was read again though it is as it was."""
        affected, counted = set[int](), set[int]()
        for at, changes in groups:
            changed = {name for name, _, _ in changes}
            if again and changes is groups[-1][1]:
                changed |= again
            used = sorted({index for name in changed for index in self.users[name]})
            affected.update(used)
            self._catch_up(used, at, events)
            for name, value, proof in changes:
                self._values[name] = value
                self._proofs[name] = proof
                if name in self._trends.signals:
                    events += self._trends.sample(name, Point(received, value, proof[0], proof[3]))
            for index in used:
                self._sample(index, changed, at, received, events)
            counted.update(index for index in used if self._machines[index].counts(changed))
        events += self.ledger.follow(counted, received)
        for index, told in self._following.follow(received, self._values) if affected else ():
            events += told
            self._schedule(index)

    def _catch_up(self, machines: Iterable[int], at: int, events: list[Event]) -> None:
        """What was due before `at` and has waited."""
        for index in machines:
            if (machine := self._machines[index]).late is not None:
                events += machine.catch_up(machine.moment(at), self._values, self.readings.evidence)
                events += self.line.follow(self.ledger)

    def _follow_clock(self, at: int, events: list[Event]) -> None:
        self._trends.follow_clock()
        for index, machine in enumerate(self._machines):
            events += machine.follow_clock(at)
            self._schedule(index)

    def _resume(self, device: Device, interval: int, at: int, changed: Collection[str], events: list[Event]) -> None:
        """Nobody looked for so long that values were not taken to hold: what did not change is known again."""
        last = device.sampled.get(interval)
        if last is None or at - last <= held_ms(interval):
            return
        for name in device.names:
            if name in self._trends.signals and name not in changed and device.interval[name] == interval:
                quality, _, _, source_time = self._proofs[name]
                events += self._trends.sample(name, Point(at, self._values[name], quality, source_time))

    def _learn(self, signal: str, learned: Learned, at: int, events: list[Event]) -> None:
        """A device says what a signal is; what the configuration says of it stands."""
        if signal not in self._given_texts:
            self.texts[signal] = dict(learned.texts.items())
        for index in self.users.get(signal, ()):
            events += self._machines[index].learn(signal, learned.type, at)
            self._schedule(index)

    def _sample(self, index: int, changed: Collection[str], at: int, received: int, events: list[Event]) -> None:
        machine = self._machines[index]
        mine, moment = machine.signals.intersection(changed), machine.moment(at) if at < received else at
        events += machine.sample(mine, self._values, moment, self._sampled.known, self.readings.evidence, received)
        self._schedule(index)

    def _device_state(self, state: DeviceState, events: list[Event]) -> None:
        device = self.devices[state.device]
        if state.connected:
            events += device.restored(self._time, state.at)
        elif device.lost_since is None or device.frozen is not None:
            if device.frozen is None:
                events += device.lost(state, self._time)
            self._heartbeats.unwatch(device, state.at)
            self._forget(device, f"device lost: {state.why}", state.at, events)
        device.dirty = True

    def _forget(self, device: Device, why: str, at: int, events: list[Event]) -> None:
        """All signals of a device become bad; each keeps the time of its last sample."""
        self._catch_up(range(len(self._machines)), at, events)
        self.readings.lose(device.names, why, at)
        for name in device.names:
            if name in self._trends.signals:
                events += self._trends.sample(name, Point(at, None, Quality.BAD))
        lost = set(device.names)
        for index in sorted({index for name in lost for index in self.users[name]}):
            self._sample(index, lost, at, at, events)

    def _interrupt(self, at: int, events: list[Event]) -> None:
        """The gateway was off since the last input that was no Tick: what was not seen is unknown."""
        for device in self.devices.values():
            self.readings.lose(device.names, NOT_READ, at)
            self._heartbeats.unwatch(device, at)
            device.dirty = True
        events += self._trends.interrupt(self._known_until)
        for index, machine in enumerate(self._machines):
            events += machine.interrupt(self._known_until, at)
            self._schedule(index)

    def _close_minutes(self, at: int, events: list[Event]) -> None:
        """What was counted is published now: UTC moves under the minute, or nobody will be there at its end."""
        events += self._trends.close(at)
        for index, machine in enumerate(self._machines):
            events += machine.close_minute(at)
            self._schedule(index)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Every machine as it is now, for people."""
        return {machine.name: machine.snapshot(self.at) for machine in self._machines}

    def glances(self) -> tuple[Glances, Glances]:
        """Machines one by one, and behind them the line's windows: what machines sum up to is found once for both."""
        running: dict[str, list[Running]] = {}

        def machines() -> Glances:
            for machine in self._machines:
                running[machine.name] = machine.running(self.at)
                yield machine.name, machine.snapshot(self.at, running[machine.name])

        return machines(), self.line.shown(running)

    def checkpoint(self, subjects: Collection[str] | None = None) -> dict[str, bytes]:
        """Rows of what changed since they were last taken: of the events' subjects, or of everything.

        Only a whole checkpoint moves the engine's own time, so that after a crash each machine goes on
        from a moment at which its row was true. After a step of the clock it is always whole.
        """
        rows: dict[str, bytes] = {}
        stored = set[str]()
        whole = subjects is None or self._offset_is_new or self.jobs.dirty  # which machine has which job is one thing
        touched = set() if subjects is None else {subject.partition(".")[0] for subject in subjects} | set(subjects)
        users = {index for subject in touched for index in self.users.get(subject, ())}
        for index, machine in enumerate(self._machines):
            if machine.dirty and (whole or machine.name in touched or index in users):
                rows |= machine_rows(machine)
                stored.add(machine.name)
                machine.dirty = False
        rows |= self.entries.rows(stored)
        rows |= window_rows(LINE, self.line.rows(whole=False))
        for device in self.devices.values():
            if device.dirty and (whole or device.name in touched):
                rows[DEVICE_ROW + device.name] = pack(self._device_row(device))
                device.dirty = False
        rows |= {name: pack(row) for name, row in self._trends.checkpoint(None if whole else touched).items()}
        if self.jobs.dirty:
            rows[JOB_ROW], self.jobs.dirty = pack(self.jobs.checkpoint()), False
        if whole:
            self._offset_is_new = False
            rows[ENGINE_ROW] = pack(self._engine_row())
        return rows

    def all_rows(self) -> dict[str, bytes]:
        """The whole checkpoint as it is now, for a recording that begins here; what is dirty stays so."""
        rows = {name: row for machine in self._machines for name, row in machine_rows(machine, whole=True).items()}
        rows |= {DEVICE_ROW + device.name: pack(self._device_row(device)) for device in self.devices.values()}
        rows |= {name: pack(row) for name, row in self._trends.rows(self._trends.signals).items()}
        rows |= window_rows(LINE, self.line.rows(whole=True))
        rows |= self.entries.rows([machine.name for machine in self._machines], whole=True)
        return {**rows, ENGINE_ROW: pack(self._engine_row()), JOB_ROW: pack(self.jobs.checkpoint())}

    def _engine_row(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "known_until": self._known_until,
            "clock": self._time.checkpoint(),
            "suspect": self._time.is_suspect,
            "flow": self.ledger.checkpoint(),
            "line": self.line.checkpoint(),
            "machines": [machine.name for machine in self._machines],
            "sampled": {device.name: device.sampled for device in self.devices.values()},
            "scans": {device.name: device.scans for device in self.devices.values()},
            "seen": {device.name: device.seen for device in self.devices.values() if device.seen},
        }

    def _device_row(self, device: Device) -> dict[str, Any]:
        return {**device.checkpoint(), "signals": self.readings.checkpoint(device.names)}

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Go on from a checkpoint: names that the configuration no longer has are left out, new ones begin anew.

        Raises CheckpointError.
        """
        saved = unpack(rows)
        engine = saved.get(ENGINE_ROW)
        if engine is not None:
            self.at, self._known_until = engine["at"], engine["known_until"]
            self._time.restore(engine["clock"])
            self._time.is_suspect = engine.get("suspect", False)
            self.ledger.restore(engine.get("flow", {}))
            self.line.restore(engine.get("line", {}), windows_of(LINE, saved).items())
        for device in self.devices.values():
            device.sampled = {} if engine is None else engine["sampled"].get(device.name, {})
            device.scans = {} if engine is None else engine.get("scans", {}).get(device.name, {})
            device.seen = {} if engine is None else engine["seen"].get(device.name, {})
            if (row := saved.get(DEVICE_ROW + device.name)) is not None:
                device.restore(row)
                self.readings.restore(row["signals"])
        self.entries.restore(saved)
        for index, machine in enumerate(self._machines):
            if (row := saved.get(MACHINE_ROW + machine.name)) is not None:
                self.at = max(self.at, machine.restore(row, [*windows_of(machine.name, saved).values()], self._values))
                machine.was_left_out = engine is not None and machine.name not in engine["machines"]
                self._schedule(index)
        self._trends.restore(saved)
        if JOB_ROW in saved:
            self.jobs.restore(saved[JOB_ROW])
        self._heartbeats.restore()
