"""Counters and gauges of the running parts as OpenMetrics, gathered when someone asks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gateway.health.sources import Sources

CONTENT_TYPE = CONTENT_TYPE_LATEST
_PROCESS = ProcessCollector(namespace="linegate", registry=None)


class _LineCollector(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """All metrics; names carry their unit."""
        yield from self._process()
        yield from self._devices()
        yield from self._machines()
        yield from self._store()
        yield from self._uplinks()
        yield from self._recording()
        yield from self._samples()

    def _process(self) -> Iterator[Metric]:
        sources = self._sources
        build = GaugeMetricFamily(
            "linegate_build_info", "Version and configuration", labels=["version", "configuration"]
        )
        build.add_metric([sources.version, sources.config.digest], 1)
        yield build
        uptime = time.monotonic() - sources.started
        yield GaugeMetricFamily("linegate_uptime_seconds", "Time since the start", value=uptime)
        yield from _PROCESS.collect()
        yield GaugeMetricFamily("linegate_threads", "Threads", value=threading.active_count())
        yield GaugeMetricFamily("linegate_tasks", "Tasks of the event loop", value=len(asyncio.all_tasks()))
        yield GaugeMetricFamily(
            "linegate_loop_lag_seconds", "Worst lateness of the event loop in a minute", value=sources.worst_lag_s
        )
        suspect = sources.clock.is_suspect
        yield GaugeMetricFamily("linegate_clock_suspect", "1 while nothing synchronises the clock", value=suspect)
        refused = GaugeMetricFamily("linegate_configuration_refused", "1 while the file was not taken over")
        refused.add_metric([], sources.is_refused)
        yield refused

    def _devices(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("linegate_device_up", "1 while the device delivers values", labels=["device"])
        for name, runner in self._sources.runners.items():
            up.add_metric([name], runner.is_up(name))
        yield up
        age = GaugeMetricFamily(
            "linegate_endpoint_data_age_seconds", "Time since the last scan was read", labels=["endpoint"]
        )
        for runner in self._sources.endpoints:
            if runner.last_batch is not None:
                age.add_metric([runner.endpoint.name], time.monotonic() - runner.last_batch)
        yield age
        bad = GaugeMetricFamily("linegate_device_bad_signals", "Signals that are bad", labels=["device"])
        for name in self._sources.runners:
            bad.add_metric([name], self._sources.view.bad_signals(name))
        yield bad
        round_trip = GaugeMetricFamily(
            "linegate_endpoint_round_trip_seconds", "Duration of the last scan's requests", labels=["endpoint"]
        )
        for runner in self._sources.endpoints:
            if (took_ms := runner.stats.round_trip_ms) is not None:
                round_trip.add_metric([runner.endpoint.name], took_ms / 1000)
        yield round_trip
        helps = {
            "requests": "Requests sent",
            "request_errors": "Requests that were refused or answered wrongly",
            "garbled": "Replies that were cut, damaged, or not the answer",
            "timeouts": "Requests without an answer",
            "overruns": "Scans skipped because the one before took too long",
            "dropped": "Times that a device's own queue of values was full",
            "skewed": "Times of values too far from the gateway's clock to be used",
            "bytes_read": "Bytes of values read",
            "reconnects": "Connections given up and begun anew",
        }
        for key, text in helps.items():
            family = CounterMetricFamily(f"linegate_endpoint_{key}", text, labels=["endpoint"])
            for runner in self._sources.endpoints:
                family.add_metric([runner.endpoint.name], runner.counts()[key])
            yield family

    def _machines(self) -> Iterator[Metric]:
        illegal = CounterMetricFamily(
            "linegate_machine_illegal_transitions",
            "Jumps of its PackML state that the state model does not have",
            labels=["machine"],
        )
        state = GaugeMetricFamily("linegate_machine_state", "1: the state that it is in", labels=["machine", "state"])
        parts = GaugeMetricFamily(
            "linegate_machine_parts", "Parts of the production day, in the machine's unit", labels=["machine", "kind"]
        )
        oee = GaugeMetricFamily(
            "linegate_machine_oee_ratio", "OEE so far, as it is known", labels=["machine", "window", "bound"]
        )
        for name, machine in self._sources.view.machines().items():
            if machine["illegal_transitions"] is not None:
                illegal.add_metric([name], machine["illegal_transitions"])
            state.add_metric([name, machine["state"]], 1)
            for kind, count in (machine["parts"] or {}).items():
                if count is not None:
                    parts.add_metric([name, kind], count)
            for window, figures in machine["kpi"].items():
                for bound in ("low", "high"):
                    if (value := figures[f"oee_{bound}"]) is not None:
                        oee.add_metric([name, window, bound], value)
        yield from (state, parts, oee, illegal)

    def _store(self) -> Iterator[Metric]:
        outbox, stats = self._sources.outbox, self._sources.outbox.stats
        yield GaugeMetricFamily("linegate_buffer_last_seq", "Number of the last committed event", value=outbox.last_seq)
        yield GaugeMetricFamily("linegate_buffer_pending_events", "Events not committed yet", value=stats.pending)
        yield GaugeMetricFamily("linegate_buffer_size_bytes", "Size of the buffer's file", value=stats.size_bytes)
        yield GaugeMetricFamily("linegate_buffer_degraded", "1 while nothing can be stored", value=bool(stats.degraded))
        yield GaugeMetricFamily(
            "linegate_buffer_commit_seconds", "Last commit's duration", value=stats.commit_ms / 1000
        )
        yield CounterMetricFamily("linegate_buffer_commits", "Transactions committed", value=stats.commits)
        yield CounterMetricFamily("linegate_buffer_commit_failures", "Transactions undone", value=stats.commit_failures)
        yield CounterMetricFamily("linegate_buffer_events_stored", "Events committed", value=stats.events_stored)
        yield CounterMetricFamily("linegate_buffer_events_mended", "Events not stored whole", value=stats.events_mended)
        yield CounterMetricFamily("linegate_buffer_events_dropped", "Events let go", value=stats.events_dropped)
        yield CounterMetricFamily("linegate_buffer_events_lost", "Events lost: no room", value=stats.events_lost)
        yield GaugeMetricFamily("linegate_buffer_quarantined_events", "Events set aside", value=stats.quarantined)

    def _recording(self) -> Iterator[Metric]:
        recorder = self._sources.recorder
        if recorder is None:
            return
        up = not recorder.trouble
        yield GaugeMetricFamily("linegate_recording_up", "1 while inputs are recorded", value=up)
        yield GaugeMetricFamily("linegate_recording_files", "Files of the recording", value=recorder.files)
        written = recorder.bytes_written
        yield CounterMetricFamily("linegate_recording_bytes_written", "Compressed bytes written", value=written)
        yield CounterMetricFamily(
            "linegate_recording_dropped_inputs", "Inputs of the engine in no file", value=recorder.dropped
        )

    def _samples(self) -> Iterator[Metric]:
        samples = self._sources.samples
        if not samples.is_on:
            return
        yield GaugeMetricFamily("linegate_samples_up", "1 while samples are kept", value=not samples.trouble)
        size = samples.size_bytes
        yield GaugeMetricFamily("linegate_samples_size_bytes", "Size of the files of recent samples", value=size)
        yield CounterMetricFamily("linegate_samples_lost", "Samples that found no room", value=samples.lost)

    def _uplinks(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("linegate_uplink_up", "1 while the uplink is connected", labels=["uplink"])
        backlog = GaugeMetricFamily("linegate_uplink_backlog_events", "Events to deliver", labels=["uplink"])
        behind = GaugeMetricFamily(
            "linegate_uplink_behind_seconds", "At most so old is what waits for it", labels=["uplink"]
        )
        sent = CounterMetricFamily("linegate_uplink_sent_events", "Events sent, repeated ones too", labels=["uplink"])
        settled = CounterMetricFamily("linegate_uplink_acknowledged_events", "Events acknowledged", labels=["uplink"])
        refused = CounterMetricFamily("linegate_uplink_refused_events", "Refusals of events", labels=["uplink"])
        again = CounterMetricFamily("linegate_uplink_reconnects", "Connections begun anew", labels=["uplink"])
        for name, runner in self._sources.uplinks.items():
            up.add_metric([name], runner.stats.state == "connected")
            backlog.add_metric([name], self._sources.outbox.backlog(name))
            if (age := self._sources.behind_s(name)) is not None:
                behind.add_metric([name], age)
            sent.add_metric([name], runner.stats.sent)
            settled.add_metric([name], runner.stats.acknowledged)
            refused.add_metric([name], runner.stats.refused)
            again.add_metric([name], runner.stats.reconnects)
        yield from (up, backlog, behind, sent, settled, refused, again)


def exposition(sources: Sources) -> bytes:
    """The metrics as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_LineCollector(sources))
    return bytes(generate_latest(registry))  # type: ignore[no-untyped-call]
