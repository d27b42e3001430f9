"""A machine's `states:` and `packml_state:` at work: a rule is evaluated again only when a signal of it changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.config.model import MachineConfig, Reasons, SignalReason, StateRule
from gateway.states.decision import Decision
from gateway.states.expression import Expression, ExpressionError, compile_expression
from gateway.states.holds import Holds
from gateway.states.jumps import Jumps
from gateway.states.packml import UNKNOWN, Numbered, state_of
from gateway.states.reasons import ReasonTexts, code_of
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
    category_rule: int | None = None
    """The rule before it that gives the category alone."""


class Ruleset:
    """Evaluated top-down in three-valued logic: the first rule that is not false decides, else the PackML state."""

    def __init__(
        self,
        config: MachineConfig,
        types: Mapping[str, Any],
        reasons: Reasons,
        signal_texts: Mapping[str, Mapping[int | str, str]] | None = None,
    ) -> None:
        """`types`: expression type of every `device.signal`; `reasons`: those that hold for all machines."""
        self._rules: tuple[StateRule, ...] = config.states
        self._conditions: list[Expression | None] = [
            None if rule.when is None else compile_expression(rule.when, types) for rule in config.states
        ]
        self._texts = ReasonTexts({**reasons, **config.reasons}, {} if signal_texts is None else signal_texts)
        self._by_signal: dict[str, list[int]] = {}
        for index, condition in enumerate(self._conditions):
            for signal in condition.signals if condition is not None else ():
                self._by_signal.setdefault(signal, []).append(index)
        self._packml = config.packml_state
        self.jumps = None if config.packml_state is None else Jumps(config.packml_state.numbering)
        named = {rule.reason.source for rule in config.states if isinstance(rule.reason, SignalReason)}
        if self._packml is not None:
            named.add(self._packml.signal)
        self.signals = frozenset(self._by_signal) | named
        self.holds = Holds(config.states)
        self._results: list[bool | str | None] = [True] * len(self._conditions)
        for index, condition in enumerate(self._conditions):
            if condition is not None:  # with no signal at all it is decided here, once for all
                self._evaluate(index, dict.fromkeys(condition.signals))

    def update(self, changed: Collection[str], values: Mapping[str, Value], at: int, uncertainty: int | None) -> bool:
        """Evaluate what uses a changed signal; an error is kept as its text. Whether a `for` begins to run."""
        if self._packml is not None and self.jumps is not None and self._packml.signal in changed:
            value = values.get(self._packml.signal)
            self.jumps.follow(None if value is None else state_of(value, self._packml.numbering)[0])
        begins = False
        for index in {rule for signal in changed for rule in self._by_signal.get(signal, ())}:
            self._evaluate(index, values)
            begins |= self.holds.follow(index, self._results[index] is True, at, uncertainty)
        return begins

    def _evaluate(self, index: int, values: Mapping[str, Value]) -> None:
        condition = self._conditions[index]
        assert condition is not None
        try:
            self._results[index] = condition.evaluate(values)
        except ExpressionError as error:
            self._results[index] = str(error) or type(error).__name__

    def verdict(self, values: Mapping[str, Value]) -> Verdict:
        """Which rule decides now."""
        of_category: int | None = None
        for index, result in enumerate(self._results):
            if result is False or (result is True and self.holds.is_waiting(index)):
                continue
            if isinstance(result, str):
                return Verdict(index, None, error=result)
            if result is None:
                return Verdict(index, None)
            if self._rules[index].state is None:
                of_category = index if of_category is None else of_category
                continue
            return Verdict(index, True, code=self._code(of_category, index, values), category_rule=of_category)
        if self._packml is None:
            return Verdict(None, True, code=self._code(of_category, None, values), category_rule=of_category)
        value = values.get(self._packml.signal)
        if value is None:
            return Verdict(None, None)
        state = state_of(value, self._packml.numbering)
        return Verdict(None, True, None, self._code(of_category, None, values), state, of_category)

    def _given(self, of_category: int | None, of_state: int | None) -> str | SignalReason | None:
        """Where the reason comes from: the rule that gives the category, or the one that gives the state."""
        rules = [self._rules[index] for index in (of_category, of_state) if index is not None]
        return next((rule.reason for rule in rules if rule.reason is not None), None)

    def _code(self, of_category: int | None, of_state: int | None, values: Mapping[str, Value]) -> str | None:
        given = self._given(of_category, of_state)
        return code_of(values.get(given.source), given) if isinstance(given, SignalReason) else None

    def decision(self, verdict: Verdict, evidence: Evidence) -> Decision:
        """The verdict with its proof."""
        decision = self._without_rule(verdict, evidence) if verdict.rule is None else self._by_rule(verdict, evidence)
        if verdict.holds is None:
            return decision
        because = decision.because
        category_rule = None if verdict.category_rule is None else self._rules[verdict.category_rule]
        if verdict.category_rule is not None and category_rule is not None:
            because = {**self._evidence([verdict.category_rule], evidence), **because}
            decision = replace(decision, category=category_rule.category, category_order=verdict.category_rule)
        given, reason = self._given(verdict.category_rule, verdict.rule), None
        if isinstance(given, SignalReason):
            because = {**because, given.source: evidence(given.source)}
            reason = None if verdict.code is None else self._texts.of_signal(verdict.code, given)
        elif given is not None:
            reason = self._texts.of_rule(given)
        gave = given.source if reason is not None and isinstance(given, SignalReason) else None
        return replace(decision, reason=reason, because=because, gave=gave)

    def _by_rule(self, verdict: Verdict, evidence: Evidence) -> Decision:
        assert verdict.rule is not None
        order, rule = verdict.rule, self._rules[verdict.rule]
        named = {"index": order, "text": rule.when if rule.when is not None else "always"}
        because = self._evidence(range(order) if rule.when is None else (order,), evidence)
        if verdict.error is not None:
            error = {"code": "rule_error", "text": verdict.error, "source": "rule"}
            return Decision(UNKNOWN, None, error, named, because, order=order, category_order=order)
        if verdict.holds is None:
            return _bad(named, because, order)
        assert rule.state is not None
        return Decision(rule.state, rule.cause, None, named, because, rule.category, order, order)

    def _without_rule(self, verdict: Verdict, evidence: Evidence) -> Decision:
        order = len(self._rules)
        if self._packml is None:
            because = self._evidence(range(order), evidence)
            return Decision("undefined", because=because, order=order, category_order=order)
        signal = self._packml.signal
        named, because = {"index": order, "text": f"packml_state: {signal}"}, {signal: evidence(signal)}
        if verdict.packml is None:
            return _bad(named, because, order)
        state, cause = verdict.packml
        return Decision(state, cause, None, named, because, order=order, category_order=order)

    def _evidence(self, rules: Iterable[int], evidence: Evidence) -> dict[str, Any]:
        conditions = [condition for index in rules if (condition := self._conditions[index]) is not None]
        return {signal: evidence(signal) for condition in conditions for signal in sorted(condition.signals)}

    def held(self, index: int, values: Mapping[str, Value], evidence: Evidence) -> Callable[[Decision], Decision]:
        """What a rule that has held for long enough makes of what was decided meanwhile; the same where that stays."""
        rule = self._rules[index]
        code = self._code(None, index, values)
        if rule.state is not None:
            decided = self.decision(Verdict(index, True, code=code), evidence)

            def state(before: Decision) -> Decision:
                if before.order <= index:
                    return before
                if before.category_order > index:
                    return decided
                return replace(decided, category=before.category, category_order=before.category_order)

            return state
        reason = self.decision(Verdict(None, True, code=code, category_rule=index), evidence).reason

        def category(before: Decision) -> Decision:
            if before.category_order <= index:
                return before
            given = before.reason if reason is None else reason
            return replace(before, category=rule.category, category_order=index, reason=given)

        return category

    def checkpoint(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {"holds": self.holds.checkpoint(), "jumps": None if self.jumps is None else self.jumps.checkpoint()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.holds.restore(saved["holds"])
        if self.jumps is not None and (jumps := saved.get("jumps")) is not None:
            self.jumps.restore(jumps)


def _bad(named: dict[str, Any], because: dict[str, Any], order: int) -> Decision:
    bad = [f"{signal}: {proof['why']}" for signal, proof in because.items() if proof["quality"] == "bad"]
    reason = {"code": "signal_bad", "text": "; ".join(bad), "source": "signal"}
    return Decision(UNKNOWN, None, reason, named, because, order=order, category_order=order)
