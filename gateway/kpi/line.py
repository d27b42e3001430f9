"""The line's KPI windows: told when its machines' are, and again when one of those is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.config.model import Config
from gateway.events import Event
from gateway.flow.ledger import Ledger
from gateway.kpi.policy import policy_of
from gateway.kpi.rollup import Plant, constraint_of, roll_up
from gateway.kpi.tallies import Tallies
from gateway.kpi.window import KINDS, Kind
from gateway.kpi.windows import Running, Told, shown
from gateway.machine import Machine
from gateway.tell import Teller

LINE = "line"


@dataclass(slots=True)
class LineWindow:
    """What the machines' windows over the same time, or on the same job, sum up to as they were told last."""

    kind: Kind
    key: str
    ended: int | None
    """Engine time at which all of them ended; None for a job, which ends on one machine after the other."""
    windows: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By machine: id, begin and end, and what names the window."""
    tallies: dict[str, Tallies] = field(default_factory=dict)
    final: list[str] = field(default_factory=list)
    """Machines whose window cannot change any more."""
    wip_delta: int | None = None
    rev: int = -1
    told: str = ""

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restored` makes it again."""
        tallies = {name: one.checkpoint() for name, one in self.tallies.items()}
        plain = (
            self.kind,
            self.key,
            self.ended,
            self.windows,
            tallies,
            self.final,
            self.wip_delta,
            self.rev,
            self.told,
        )
        return {"line": list(plain)}

    @staticmethod
    def restored(saved: dict[str, Any]) -> LineWindow:
        """From a checkpoint."""
        kind, key, ended, windows, tallies, *rest = saved["line"]
        return LineWindow(kind, key, ended, windows, {n: Tallies.restored(one) for n, one in tallies.items()}, *rest)


class LineWindows:
    """Works on what machines tell, in the order in which they do; has no time of its own."""

    def __init__(self, config: Config, machines: Sequence[Machine], teller: Teller) -> None:
        known = {machine.name: machine for machine in machines}
        each = {name: one.each for name, one in known.items()}
        rules = {name: policy_of(config, name).rules for name in known}
        named = {name for stage in config.topology.stages for name in stage}
        constraint = config.line.constraint if config.line.constraint in named else None
        self._plant = Plant(
            config.topology, constraint, each, lambda name, product: known[name].ideal_of(product), rules
        )
        self._machines = [machine for machine in machines if machine.name in named]
        self._needed = [machine.name for machine in self._machines]
        self._told: list[Told] = []
        """Of all machines, in the order in which they told."""
        for machine in self._machines:
            machine.windows.told = self._told
        self._turns = -1
        """Of the first machine's windows, as far as they were weighed."""
        self._policy = config.policies.get(LINE, "")
        self._teller = teller
        self._windows: dict[str, LineWindow] = {}
        """By id, those that are not frozen."""
        self._balance: dict[str, int | None] = {}
        """What had come to lie between machines when each window that is open began, by kind."""
        self._doubts: dict[str, int] = {}
        """The ledger's doubts then."""
        self._open: dict[str, str] = {}
        """Ids of those of the first machine, by kind."""
        self._deltas: dict[str, int | None] = {}
        """Change of WIP over each window of the first machine that has ended and was not told yet."""
        self._dirty: set[str] = set()

    def follow(self, ledger: Ledger) -> list[Event]:
        """What machines have told since, and so what there is to tell of the line."""
        if not self._machines:
            return []
        if self._turns != self._machines[0].windows.turns:
            self._weigh(ledger)
        if not self._told:
            return []
        touched: dict[str, LineWindow] = dict(map(self._take, self._told))
        self._told.clear()
        return [event for name, window in touched.items() for event in self._tell(name, window)]

    def _weigh(self, ledger: Ledger) -> None:
        """Windows may have begun or ended just now: what lies between the machines then is their change of WIP."""
        first = self._machines[0].windows
        self._turns = first.turns
        for kind in KINDS:
            window = first.open.get(kind)
            known, now = self._open.get(kind), "" if window is None else window.id
            if known == now:
                continue
            before, balance = self._balance.get(kind), ledger.balance
            if known and any(one.id == known for one in first.closed):
                certain = self._doubts.get(kind) == ledger.doubts and before is not None
                self._deltas[known] = None if balance is None or not certain else balance - (before or 0)
            self._open[kind], self._balance[kind], self._doubts[kind] = now, balance, ledger.doubts

    def _take(self, told: Told) -> tuple[str, LineWindow]:
        """What one machine told, beside what others did of the same time."""
        machine, window = told.machine, told.window
        ended = None if window.kind == "job" else window.ended
        name, line = self._find(machine, window.id, window.kind, window.key, ended)
        line.windows[machine] = {
            "id": window.id,
            "began": [window.began, window.began_text],
            "ended": [window.ended, window.ended_text],
            "job": window.job,
            "product": window.product,
            "shift": window.shift,
            "production_date": window.production_date,
            **({} if window.crew is None else {"crew": window.crew}),
        }
        line.tallies[machine] = told.tallies
        if told.final and machine not in line.final:
            line.final.append(machine)
        if window.id in self._deltas:
            line.wip_delta = self._deltas.pop(window.id)
        self._dirty.add(name)
        return name, line

    def _find(self, machine: str, window: str, kind: Kind, key: str, ended: int | None) -> tuple[str, LineWindow]:
        alike = [(n, one) for n, one in self._windows.items() if (one.kind, one.key, one.ended) == (kind, key, ended)]
        for name, one in alike:
            if one.windows.get(machine, {}).get("id") == window:
                return name, one
        for name, one in alike:
            if machine not in one.windows:
                return name, one
        name = f"{LINE}-{window}"
        self._windows[name] = LineWindow(kind, key, ended)
        return name, self._windows[name]

    def _tell(self, name: str, line: LineWindow) -> list[Event]:
        final = all(machine in line.final for machine in line.windows)
        if not self._is_whole(line.kind, line.tallies):
            if final:  # nothing comes any more: a job that never came to the end of the line
                del self._windows[name]
            return []
        constraint = constraint_of(self._plant, line.tallies)
        rolled = roll_up(self._plant, line.tallies)
        content = {**rolled.figures, "rollup": rolled.rollup, "wip_delta": line.wip_delta, "bottleneck": None}
        of_time = line.windows[constraint[0]]
        content |= {"crew": of_time["crew"]} if "crew" in of_time else {}
        digest = hashlib.blake2b(orjson.dumps(content), digest_size=8).hexdigest()
        if final:
            del self._windows[name]
        elif digest == line.told:
            return []
        line.told = digest
        line.rev += 1
        (began, began_text), (ended, ended_text) = of_time["began"], of_time["ended"]
        data = {
            "kpi": f"{LINE}-{line.kind}-{began}",
            "window": line.kind,
            "began": began_text,
            "ended": ended_text,
            "rev": line.rev,
            "final": final,
            "policy": self._policy,
            **content,
            **{field_: of_time[field_] for field_ in ("job", "product", "shift", "production_date")},
        }
        return [self._teller.event("line.kpi", LINE, ended, data, began)]

    def snapshot(self, now: int) -> dict[str, Any]:
        """The windows that are open, for people: as far as all that a line's figures are made of has come."""
        return dict(self.shown({machine.name: machine.running(now) for machine in self._machines}))

    def shown(self, running: Mapping[str, Sequence[Running]]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Likewise one by one, from what the machines' windows sum up to."""
        for window, _ in next(iter(running.values()), []):
            same = (window.kind, window.key)
            alike = [one for one in self._windows.values() if one.ended is None and (one.kind, one.key) == same]
            tallies = {name: sums for one in alike for name, sums in one.tallies.items()}  # a job is over there
            tallies.update(
                (name, sums) for name, all_ in running.items() for one, sums in all_ if (one.kind, one.key) == same
            )
            if self._is_whole(window.kind, tallies):
                rolled = roll_up(self._plant, tallies)
                yield window.kind, {**shown(window, rolled.figures), "rollup": rolled.rollup}

    def _is_whole(self, kind: Kind, tallies: Mapping[str, Tallies]) -> bool:
        """Whether nothing is missing: a job comes to one machine after the other."""
        needed = {*constraint_of(self._plant, tallies), *self._plant.topology.out}
        return (needed if kind == "job" else set(self._needed)) <= tallies.keys()

    def rows(self, *, whole: bool) -> dict[str, dict[str, Any] | None]:
        """Windows that have changed since this was last asked, None for one that is frozen; or, `whole`, all."""
        if whole:
            return {name: one.checkpoint() for name, one in self._windows.items()}
        dirty, self._dirty = self._dirty, set()
        return {name: self._windows[name].checkpoint() if name in self._windows else None for name in sorted(dirty)}

    def checkpoint(self) -> dict[str, Any]:
        """Plain values of what belongs to no window."""
        return {"balance": self._balance, "doubts": self._doubts, "open": self._open, "deltas": self._deltas}

    def restore(self, saved: Mapping[str, Any], windows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Go on from a checkpoint; machines that the line no longer has are left out."""
        self._balance, self._open = dict(saved.get("balance", {})), dict(saved.get("open", {}))
        self._doubts, self._deltas = dict(saved.get("doubts", {})), dict(saved.get("deltas", {}))
        for name, row in windows:
            line = LineWindow.restored(row)
            for gone in [machine for machine in line.windows if machine not in self._needed]:
                del line.windows[gone], line.tallies[gone]
            if line.windows:
                self._windows[name] = line
