"""What the endpoint reports on: read from the running parts, never kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from gateway import __version__
from gateway.config.model import Config
from gateway.engine import UNLISTED, Engine
from gateway.events import rfc3339
from gateway.outbox.bounds import remedy

if TYPE_CHECKING:
    from gateway.history.explaining import Explainer
    from gateway.history.history import History
    from gateway.parts import Parts
    from gateway.recording.recorder import Recorder
    from gateway.runner.device import DeviceRunner
    from gateway.runner.uplink import UplinkRunner
    from gateway.samples.ring import Samples

SAMPLES_REMEDY = "free space, or see whether the disk is well; nothing else is touched, and it goes on by itself"
LAG_S = 0.5
"""From how much on a late event loop is worth a warning."""
WORST = ("pass", "warn", "fail")
STORE_SILENT_S = 10.0
"""Longest time without a turn of the store task that still counts as alive."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the health report: what it is about, how it is, and what to do about it."""

    name: str
    status: str
    """pass, warn or fail."""
    output: str = ""
    remedy: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """As application/health+json has it."""
        said = {"output": self.output, "remedy": self.remedy}
        return {"status": self.status, "observedValue": dict(self.values), **{k: v for k, v in said.items() if v}}


class Sources:
    """Every part that has something to say about itself."""

    def __init__(self, parts: Parts, history: History, explainer: Explainer, stopping: Callable[[], bool]) -> None:
        self._parts = parts
        self.history, self.explainer = history, explainer
        self.stopping = stopping
        self.outbox = parts.outbox
        self.view = parts.view
        self.clock = parts.clock
        self.started = time.monotonic()
        self.version = __version__

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._parts.config

    @property
    def engine(self) -> Engine:
        """What decides; nobody but it may drive the pipeline."""
        return self._parts.engine

    @property
    def runners(self) -> Mapping[str, DeviceRunner]:
        """By device."""
        return self._parts.devices

    @property
    def endpoints(self) -> Collection[DeviceRunner]:
        """One for each connection."""
        return self._parts.runners.values()

    @property
    def uplinks(self) -> Mapping[str, UplinkRunner]:
        """By name."""
        return self._parts.uplinks

    @property
    def recorder(self) -> Recorder | None:
        """None where nothing is recorded."""
        return self._parts.recorder

    @property
    def samples(self) -> Samples:
        """What signals were in the last hours."""
        return self._parts.samples

    def alive(self) -> bool:
        """Whether the store task turns; that this runs shows that the loop does."""
        return time.monotonic() - self.outbox.heartbeat < STORE_SILENT_S

    def report(self) -> dict[str, Any]:
        """The body of /health: application/health+json."""
        checks = self.checks()
        return {
            "status": max((check.status for check in checks), key=WORST.index),
            "version": "1",
            "releaseId": self.version,
            "serviceId": self.config.source,
            "description": self.summary(),
            "checks": {check.name: [check.shown()] for check in checks},
        }

    def checks(self) -> list[Check]:
        """Of every part; a lost PLC or broker is a warning: the daemon itself does its work."""
        uplinks = (self._uplink(name) for name in self.uplinks)
        devices = map(self._device, self.runners)
        always = self._store(), self._configuration(), self._clock(), self._loop()
        return [*always, *devices, *uplinks, *self._recording(), *self._samples(), *self._products()]

    def _products(self) -> Iterator[Check]:
        if self.config.products is None:
            return
        unlisted = self.view.unlisted()
        if unlisted:
            words = "; ".join(f"{product} on {', '.join(on)} is not listed" for product, on in unlisted.items())
            yield Check("products", "warn", words, UNLISTED)
        else:
            yield Check("products", "pass")

    def _recording(self) -> Iterator[Check]:
        recorder = self.recorder
        if recorder is None:
            return
        values = {"files": recorder.files, "bytes_written": recorder.bytes_written, "dropped": recorder.dropped}
        if recorder.trouble:
            words = "free space, or see whether the disk is well; the recording goes on by itself"
            yield Check("recording", "warn", recorder.trouble, words, values)
        else:
            yield Check("recording", "pass", values=values)

    def _samples(self) -> Iterator[Check]:
        samples = self.samples
        if not samples.is_on:
            return
        since = None if samples.oldest is None else rfc3339(samples.oldest)
        values = {"since": since, "size_bytes": samples.size_bytes, "lost": samples.lost}
        if samples.trouble:
            yield Check("samples", "warn", samples.trouble, SAMPLES_REMEDY, values)
        else:
            yield Check("samples", "pass", values=values)

    def _store(self) -> Check:
        stats = self.outbox.stats
        values = {
            "last_seq": self.outbox.last_seq,
            "quarantined": stats.quarantined,
            "pending": stats.pending,
            "size_bytes": stats.size_bytes,
        }
        values["lost"] = stats.events_lost
        if not self.alive():
            return Check("store", "fail", "the store task makes no progress", "check the disk; see the log", values)
        if stats.degraded:
            words = "free space or mend the disk; the daemon goes on by itself"
            return Check("store", "fail", f"events cannot be stored: {stats.degraded}", words, values)
        if stats.exposed:
            why = f"what is stored would be gone with the daemon: {stats.exposed}"
            words = "do not end the daemon; see to the directory and its disk, and all is put back within seconds"
            return Check("store", "fail", why, words, values)
        if stats.full:
            return Check("store", "warn", f"events are lost: {stats.full}", remedy(stats.full), values)
        if stats.aside:
            why = f"a damaged or foreign buffer was moved aside: {', '.join(stats.aside)}"
            words = "see in the log what is missing, and whether the disk is well; delete the file to end this warning"
            return Check("store", "warn", why, words, values)
        return Check("store", "pass", values=values)

    def _configuration(self) -> Check:
        parts = self._parts
        values = {"digest": parts.config.digest, "applied": rfc3339(parts.applied_at)}
        if not parts.refused:
            return Check("configuration", "pass", values=values)
        words = "the file was not taken over: " + parts.refused.splitlines()[0]
        return Check("configuration", "warn", words, "mend the file, and `linegate reload` it", values)

    def _loop(self) -> Check:
        worst = self.worst_lag_s
        values = {"worst_lag_s": round(worst, 3)}
        if worst < LAG_S:
            return Check("loop", "pass", values=values)
        words = f"the event loop came {worst:.1f} s late in the last minute: scans may have been late too"
        return Check("loop", "warn", words, "see what else the machine computes; give the service more of it", values)

    @property
    def worst_lag_s(self) -> float:
        """By how much the event loop came late in the last minute."""
        return max(self._parts.engine.lags)

    def _clock(self) -> Check:
        clock = self.clock
        values = {"synchronised": clock.synchronised, "utc_offset_ms": clock.utc_offset}
        if not clock.is_suspect:
            return Check("clock", "pass", values=values)
        words = "nothing synchronises the clock: events are marked `clock_suspect`"
        return Check("clock", "warn", words, "have NTP keep it (chrony, systemd-timesyncd)", values)

    def _device(self, name: str) -> Check:
        runner = self.runners[name]
        age = None if runner.last_batch is None else round(time.monotonic() - runner.last_batch, 3)
        values = {"age_s": age, "round_trip_ms": runner.round_trip_ms, **runner.counts()}
        if not runner.is_up(name):
            return Check(f"device:{name}", "warn", runner.why, runner.remedy, values)
        bad = self.view.bad_signals(name)
        values["bad_signals"] = bad
        if bad:
            words = "see `why` of its signals in /api/line?signals"
            return Check(f"device:{name}", "warn", f"{bad} signals are bad", words, values)
        return Check(f"device:{name}", "pass", values=values)

    def _uplink(self, name: str) -> Check:
        stats = self.uplinks[name].stats
        values = {
            "backlog": self.outbox.backlog(name),
            "behind_s": self.behind_s(name),
            "acknowledged": stats.acknowledged,
            "refused": stats.refused,
            "reconnects": stats.reconnects,
        }
        if stats.state == "connected" and stats.others:
            who = ", ".join(f"stream {stream} since {since}" for stream, since in stats.others.items())
            remedy = "stop one of the two: both count the same parts"
            return Check(f"uplink:{name}", "warn", f"another gateway of this line is there: {who}", remedy, values)
        if stats.state == "connected":
            return Check(f"uplink:{name}", "pass", values=values)
        return Check(f"uplink:{name}", "warn", stats.why or stats.state, stats.remedy, values)

    @property
    def is_refused(self) -> bool:
        """Whether the configuration's file was not taken over when that was asked for last."""
        return bool(self._parts.refused)

    def behind_s(self, uplink: str) -> float | None:
        """How old what waits for an uplink is at the most; 0 where nothing does, None before it delivered anything."""
        if not self.outbox.backlog(uplink):
            return 0.0
        until = self.uplinks[uplink].stats.delivered_until
        return None if until is None else max(0, self.clock.utc() - until) / 1000

    def summary(self) -> str:
        """One line for systemd's status and people in a hurry."""
        up = sum(runner.is_up(name) for name, runner in self.runners.items())
        connected = sum(runner.stats.state == "connected" for runner in self.uplinks.values())
        backlog = max((self.outbox.backlog(name) for name in self.uplinks), default=0)
        degraded = f", store degraded: {self.outbox.stats.degraded}" if self.outbox.stats.degraded else ""
        return (
            f"{up}/{len(self.runners)} devices, {connected}/{len(self.uplinks)} uplinks, "
            f"last seq {self.outbox.last_seq}, backlog {backlog}{degraded}"
        )

    async def events(self, after: int, limit: int, kind: str | None, subject: str | None) -> bytes:
        """Stored events as one JSON object: CloudEvents whose `prevseq` is of the store, not of any uplink's chain."""
        envelope = self.outbox.envelope(self.config.source)
        found = await self.outbox.recent(after, limit, kind, subject)
        ends = (0, *(one.base for one in envelope.former))
        former = [
            {"stream": stream, "last_seq": str(end - base)}
            for end, (base, stream) in zip(ends, envelope.former, strict=False)
        ]
        return b'{"stream":"%s","last_seq":"%d","former":%s,"events":[%s]}' % (
            self.outbox.stream.encode(),
            self.outbox.last_seq,
            orjson.dumps(former),
            b",".join(map(envelope.json, found)),
        )
