"""A machine's `states:` and `packml_state:` at work: a rule is evaluated again only when a signal of it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config.model import MachineConfig, Reasons, SignalReason, StateRule
from gateway.states.expression import Expression, ExpressionError, compile_expression
from gateway.states.interval import Decision
from gateway.states.packml import UNKNOWN, Numbered, state_of
from protocols.model import Value

Evidence = Callable[[str], dict[str, Any]]
"""A signal's value, quality, why and time, as `because` shows them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rule decides, and how; equal verdicts are the same decision, whatever the signals did meanwhile."""

    rule: int | None
    holds: bool | None
    """None where it cannot be known."""
    error: str | None = None
    code: str | None = None
    """The reason's code, where a signal gives it."""
    packml: Numbered | None = None
    """The state and cause that the PLC itself says, where no rule holds."""


class Ruleset:
    """Evaluated top-down in three-valued logic: the first rule that is not false decides, else the PackML state."""

    def __init__(
        self,
        config: MachineConfig,
        types: Mapping[str, Any],
        reasons: Reasons,
        signal_texts: Mapping[str, Reasons] | None = None,
    ) -> None:
        """`types`: expression type of every `device.signal`; `reasons`: texts that hold for all machines.

        `signal_texts`: texts of a `device.signal`'s own, for a number that is no reason of the file.
        """
        self._rules: tuple[StateRule, ...] = config.states
        self._conditions: list[Expression | None] = [
            None if rule.when is None else compile_expression(rule.when, types) for rule in config.states
        ]
        self._texts: dict[int | str, str] = {**reasons, **config.reasons}
        self._signal_texts = {} if signal_texts is None else signal_texts
        self._by_signal: dict[str, list[int]] = {}
        for index, condition in enumerate(self._conditions):
            for signal in condition.signals if condition is not None else ():
                self._by_signal.setdefault(signal, []).append(index)
        self._reason_signals = [
            rule.reason.signal if isinstance(rule.reason, SignalReason) else None for rule in config.states
        ]
        self._packml = config.packml_state
        named = {signal for signal in self._reason_signals if signal is not None}
        if self._packml is not None:
            named.add(self._packml.signal)
        self.signals = frozenset(self._by_signal) | named
        self._results: list[bool | str | None] = [True] * len(self._conditions)
        for index, condition in enumerate(self._conditions):
            if condition is not None:  # with no signal at all it is decided here, once for all
                self._evaluate(index, dict.fromkeys(condition.signals))

    def update(self, changed: Iterable[str], values: Mapping[str, Value]) -> None:
        """Evaluate what uses a changed signal; an error is kept as its text."""
        for index in {rule for signal in changed for rule in self._by_signal.get(signal, ())}:
            self._evaluate(index, values)

    def _evaluate(self, index: int, values: Mapping[str, Value]) -> None:
        condition = self._conditions[index]
        assert condition is not None
        try:
            self._results[index] = condition.evaluate(values)
        except ExpressionError as error:
            self._results[index] = str(error) or type(error).__name__

    def verdict(self, values: Mapping[str, Value]) -> Verdict:
        """Which rule decides now."""
        for index, result in enumerate(self._results):
            if result is False:
                continue
            if isinstance(result, str):
                return Verdict(index, None, error=result)
            if result is None:
                return Verdict(index, None)
            signal = self._reason_signals[index]
            return Verdict(index, True, code=None if signal is None else _code(values.get(signal)))
        if self._packml is None:
            return Verdict(None, True)
        value = values.get(self._packml.signal)
        return (
            Verdict(None, None)
            if value is None
            else Verdict(None, True, packml=state_of(value, self._packml.numbering))
        )

    def decision(self, verdict: Verdict, evidence: Evidence) -> Decision:
        """The verdict with its proof."""
        if verdict.rule is None:
            return self._without_rule(verdict, evidence)
        rule = self._rules[verdict.rule]
        named = {"index": verdict.rule, "text": rule.when if rule.when is not None else "always"}
        deciding = range(verdict.rule) if rule.when is None else (verdict.rule,)
        because = self._evidence(deciding, evidence)
        if verdict.error is not None:
            return Decision(UNKNOWN, None, _reason("rule_error", verdict.error, "rule"), named, because)
        if verdict.holds is None:
            return _bad(named, because)
        if (signal := self._reason_signals[verdict.rule]) is not None:
            because[signal] = evidence(signal)
        return Decision(rule.state, rule.cause, self._reason(rule, verdict), named, because)

    def _without_rule(self, verdict: Verdict, evidence: Evidence) -> Decision:
        because = self._evidence(range(len(self._rules)), evidence)
        if self._packml is None:
            return Decision("undefined", because=because)
        signal = self._packml.signal
        named, because = {"index": len(self._rules), "text": f"packml_state: {signal}"}, {signal: evidence(signal)}
        if verdict.packml is None:
            return _bad(named, because)
        state, cause = verdict.packml
        return Decision(state, cause, None, named, because)

    def _evidence(self, rules: Iterable[int], evidence: Evidence) -> dict[str, Any]:
        conditions = [condition for index in rules if (condition := self._conditions[index]) is not None]
        return {signal: evidence(signal) for condition in conditions for signal in sorted(condition.signals)}

    def _reason(self, rule: StateRule, verdict: Verdict) -> dict[str, Any] | None:
        if isinstance(rule.reason, str):
            return _reason(rule.reason, rule.reason, "rule")
        if verdict.code is None:
            return None
        text = _text(verdict.code, self._texts)
        if text is None and rule.reason is not None:
            number = "1" if verdict.code == "True" else verdict.code
            text = _text(number, self._signal_texts.get(rule.reason.signal, {}))
        return _reason(verdict.code, text, "signal")


def _bad(named: dict[str, Any], because: dict[str, Any]) -> Decision:
    bad = [f"{signal}: {proof['why']}" for signal, proof in because.items() if proof["quality"] == "bad"]
    return Decision(UNKNOWN, None, _reason("signal_bad", "; ".join(bad), "signal"), named, because)


def _reason(code: str, text: str | None, source: str) -> dict[str, Any]:
    return {"code": code, "text": text, "source": source}


def _text(code: str, texts: Reasons) -> str | None:
    """A code's text, by the name or by the number that it is."""
    if (text := texts.get(code)) is not None:
        return text
    return texts.get(int(code)) if code.lstrip("-").isdecimal() else None


def _code(value: Value) -> str | None:
    """A reason's code from a signal's value; bad, 0, false and empty mean that there is none."""
    if not value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)
