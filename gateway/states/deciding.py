"""What one machine's rules and its mode signal say, as intervals of its timeline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from gateway.config.model import MachineConfig
from gateway.states.account import Context
from gateway.states.decision import Decision
from gateway.states.interval import Timeline, decided_by
from gateway.states.packml import UNKNOWN
from gateway.states.ruleset import Evidence, Ruleset, Verdict
from protocols.model import Value

GATEWAY_OFF = Decision(UNKNOWN, reason={"code": "gateway_off", "text": "the gateway was not running", "source": "rule"})


class Deciding:
    """Times are engine milliseconds."""

    def __init__(self, config: MachineConfig, rules: Ruleset, timeline: Timeline) -> None:
        self.rules, self._timeline, self._signal = rules, timeline, config.mode
        named = () if config.mode is None else (config.mode.signal,)
        self.signals = rules.signals.union(named)
        self.mode: str | None = None if config.mode is None else UNKNOWN
        """What the mode signal says; None for a machine without one."""
        self._verdict: Verdict | None = None

    @property
    def is_sure(self) -> bool:
        """Whether no rule with `for` may yet turn out to have held."""
        return self.rules.holds.since is None

    def follow(
        self,
        changed: Collection[str],
        values: Mapping[str, Value],
        context: Callable[[], Context],
        at: int,
        uncertainty: int | None,
        evidence: Evidence,
    ) -> None:
        """Signals changed at `at`, or that much earlier."""
        if self._verdict is not None and self.signals.isdisjoint(changed):
            return
        if self._verdict is None or not self.rules.signals.isdisjoint(changed):
            self._decide(changed, values, context, at, uncertainty, evidence)
        if self._signal is not None and self._signal.signal in changed:
            self.mode = self._signal.name_of(values.get(self._signal.signal))

    def _decide(
        self,
        changed: Collection[str],
        values: Mapping[str, Value],
        context: Callable[[], Context],
        at: int,
        uncertainty: int | None,
        evidence: Evidence,
    ) -> None:
        begins = self.rules.update(changed, values, at, uncertainty)
        verdict = self.rules.verdict(values)
        if verdict != self._verdict:
            self._verdict = verdict
            decision, since = self.rules.decision(verdict, evidence), self.rules.holds.since
            divides = since is not None and since < at
            self._timeline.decide(decision, context(), at, uncertainty, divides=divides)
        if begins:
            self._timeline.mark(at)

    def complete(self, at: int, values: Mapping[str, Value], evidence: Evidence) -> None:
        """Rules have held for long enough: they count from when they began to."""
        for index, since, uncertainty in self.rules.holds.complete(at):
            self._timeline.rewrite(since, decided_by(self.rules.held(index, values, evidence)), uncertainty)
        self._verdict = self.rules.verdict(values)
        current = self._timeline.current
        if current is not None and self.rules.decision(self._verdict, evidence).same_as(current.decision):
            self._timeline.pending = None

    def forget(self) -> None:
        """Nobody looked: all that was said is unknown."""
        self._verdict = None
        self.rules.holds.forget()
        self.mode = None if self._signal is None else UNKNOWN

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {**self.rules.checkpoint(), "mode": self.mode}

    def restore(self, saved: dict[str, Any], values: Mapping[str, Value], at: int) -> None:
        """Go on from a checkpoint, with the signals' values."""
        self.rules.update(self.rules.signals, values, at, None)
        self.rules.restore(saved)
        self._verdict = self.rules.verdict(values)
        self.mode = saved["mode"] if self._signal is not None else None
