"""The line as it is now, for whoever looks at it (the endpoint, uplinks that carry current values): read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.signals import text_of
from protocols.model import Quality, Value

if TYPE_CHECKING:
    from ext.table import SignalTable
    from gateway.config.model import Config
    from gateway.entries.word import Word
    from gateway.inputs import Entry
    from gateway.pipeline import Glances, Pipeline


class LineView:
    """Current signals and machines. What is read here is newer than any event, and is not a record."""

    def __init__(self, pipeline: Pipeline, tables: Mapping[str, SignalTable], config: Config) -> None:
        self.config = config
        """The one in force, until a reload puts another in its place."""
        self._pipeline = pipeline
        self._tables = tables
        self._watchers: list[Callable[[], None]] = []
        self.became: Callable[[str, int], int | None] = lambda _device, _number: None
        """When a device's signal became what it is, UTC ms, as of a look at it; None where nobody looks."""

    def show(self, pipeline: Pipeline, tables: Mapping[str, SignalTable], config: Config) -> None:
        """Another configuration is in force: from now on these."""
        self._pipeline, self._tables, self.config = pipeline, tables, config

    def machines(self) -> dict[str, dict[str, Any]]:
        """Every machine's state, reason and parts."""
        return self._pipeline.snapshot()

    def glances(self) -> tuple[Glances, Glances]:
        """What `machines` and `kpi` have, one by one, for whoever lets others have their turn in between.

        The first has to be gone through before the second.
        """
        return self._pipeline.glances()

    def flow(self) -> list[dict[str, Any]]:
        """What lies on each link between machines."""
        return self._pipeline.ledger.snapshot()

    def kpi(self) -> dict[str, Any]:
        """Figures of the line in the hour, shift, production day and job that run."""
        return self._pipeline.line.snapshot(self._pipeline.at)

    def unlisted(self) -> dict[str, list[str]]:
        """Products that are worked on and that the configuration's list does not have, with the machines."""
        return self._pipeline.jobs.unlisted

    def job(self) -> dict[str, Any] | None:
        """The line's job: made, target, forecast; None where there is none."""
        return self._pipeline.jobs.snapshot(self._pipeline.at)

    def crew(self) -> str | None:
        """The crew that works now, as far as somebody said it."""
        return self._pipeline.entries.crew(self._pipeline.at)

    def check(self, entry: Entry) -> None:
        """Whether what a person says can be so, now. Raises `gateway.entries.check.Refused`."""
        self._pipeline.entries.check(entry)

    def entry(self, name: str) -> Word | None:
        """What a person said, by the entry's id; None where it is not kept any more."""
        return self._pipeline.entries.find(name)

    def entry_ending(self, machine: str, end: str) -> Word | None:
        """What a person said of a machine or the line, by the end of the entry's id; None where it is not kept."""
        return self._pipeline.entries.ending(machine, end)

    def reasons(self, machine: str) -> list[Mapping[str, Any]]:
        """What an operator may choose from: code, text, group, category, failure."""
        return self._pipeline.entries.reasons_of(machine)

    def signals(self, device: str) -> dict[str, dict[str, Any]]:
        """A device's signals with value, quality and why; with its text, where the signal has texts."""
        return {name: self.signal(device, number) for number, name in enumerate(self._tables[device].names)}

    def signal(self, device: str, number: int, noticed_ms: int | None = None) -> dict[str, Any]:
        """One signal likewise. `at_ms` is when it became what it is, in UTC milliseconds.

        That is known of signals from which something is decided; else it is `noticed_ms`, or what `became` says.
        """
        table = self._tables[device]
        subject = f"{device}.{table.names[number]}"
        _, value, quality, why, _ = table.read(number)
        since = self._pipeline.readings.since(subject)
        at_ms = noticed_ms or self.became(device, number) if since is None else since
        signal = {"value": value, "quality": Quality(quality).label, "why": why, "at_ms": at_ms}
        if (texts := self._pipeline.texts.get(subject)) is not None:
            signal["text"] = text_of(value, texts)
        return signal

    def names(self, device: str) -> tuple[str, ...]:
        """A device's signals, in the order of the configuration."""
        return self._tables[device].names

    def readings(self, device: str) -> list[tuple[Value, int, str | None]]:
        """Value, quality and why of each of a device's signals, in that order."""
        table = self._tables[device]
        return [table.read(number)[1:4] for number in range(len(table))]

    def values(self, device: str) -> list[tuple[Value, int]]:
        """Value and quality of each of a device's signals, in the order of the configuration."""
        table = self._tables[device]
        return [(value, quality) for _, value, quality, _, _ in map(table.read, range(len(table)))]

    def bad_signals(self, device: str) -> int:
        """How many of a device's signals are bad."""
        return len(self._tables[device]) - self._tables[device].good

    def is_lost(self, device: str) -> bool:
        """Whether a device is gone, or answers and is not believed (`heartbeat`)."""
        return self._pipeline.devices[device].lost_since is not None

    def users(self, signal: str) -> list[str]:
        """The machines that decide from or count by a `device.signal`, in the order in which product flows."""
        names = list(self.config.machines)
        return [names[index] for index in self._pipeline.users.get(signal, ())]

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Have a plain function called after each input that changed something; the result stops that."""
        self._watchers.append(on_change)
        return lambda: self._watchers.remove(on_change)

    def changed(self) -> None:
        """Tell the watchers; only the one who drives the engine calls this."""
        for on_change in self._watchers:
            on_change()
