"""What a machine's time is accounted to: at each instant one category, by a fixed precedence.

Observed production outside the calendar; then what the calendar does not plan; then what is unknown; then setup;
then the category of the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gateway.kpi.task import Task
from gateway.linetime import Planned
from gateway.states.decision import Decision
from gateway.states.packml import UNKNOWN, CategoryName, StateName, category_of

Demand = Literal["job", "none", "unknown"]
"""Of jobs: there is one, there is none, or nothing says so."""
Output = Literal["", "missing", "coming", "recovered"]
"""Of parts: nothing special; none though the machine executes; some though it does not; some over an outage."""
MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Context:
    """What beside the state decides the category."""

    mode: str | None = None
    """None for a machine without a mode signal, `unknown` where that is bad."""
    shift: str | None = None
    production_date: str = ""
    """Empty without a calendar, where no boundary of a day divides an interval."""
    planned: bool = True
    output: Output = ""
    job: str | None = None
    product: str | None = None
    demand: Demand = "unknown"
    """Whether there is a job for the machine."""
    changeover: bool = False
    """Whether it lies between the last good part of one product and the first of a run of the next."""

    @staticmethod
    def of(mode: str | None, planned: Planned, output: Output, task: Task, demand: Demand, changeover: bool) -> Context:
        """At one instant."""
        of_shift = planned.shift, planned.production_date, planned.planned
        return Context(mode, *of_shift, output, task.job, task.product, demand, changeover)

    def same_as(self, other: Context) -> bool:
        """Whether both are of one interval, as long as its account is the same too."""
        return replace(self, output=other.output, demand=other.demand) == other


@dataclass(frozen=True, slots=True)
class Account:
    """A category, and what qualifies it."""

    category: str
    unscheduled: bool = False
    """It was not planned, and production was seen or must be assumed."""
    assumed: bool = False
    """The calendar says so, and nobody saw the machine."""
    demand: Demand | None = None
    """Of idle time: whether there was something to do."""


class Accounts:
    """One machine's accounting."""

    def __init__(self, categories: Mapping[StateName, CategoryName]) -> None:
        """`categories`: of states that are accounted otherwise than PackML's names suggest."""
        self._categories: dict[str, str] = {str(state): category for state, category in categories.items()}

    def of(self, decision: Decision, context: Context) -> Account:
        """The one category that holds."""
        natural = self.natural(decision, context.mode)
        if not context.planned:
            return self._not_planned(natural, context)
        if context.changeover and natural != UNKNOWN:
            return Account("setup")
        if natural == "production" and context.output == "missing":
            return Account("unplanned_stop")
        if natural != "idle":
            return Account(natural)
        return Account("no_demand") if context.demand == "none" else Account("idle", demand=context.demand)

    @staticmethod
    def _not_planned(natural: str, context: Context) -> Account:
        unknown = natural == UNKNOWN
        if unknown and context.output == "recovered":
            return Account(UNKNOWN, unscheduled=True)
        produces = natural == "production" and context.output != "missing"
        if produces or (context.output == "coming" and context.mode != MAINTENANCE):
            return Account("production", unscheduled=True)
        return Account("planned_stop", assumed=unknown)

    def natural(self, decision: Decision, mode: str | None) -> str:
        """The category by state and mode alone."""
        usual = category_of(decision.state, decision.cause)
        if decision.state == UNKNOWN or mode == UNKNOWN:
            return UNKNOWN
        of_state = usual if usual in ("starved", "blocked") else self._categories.get(decision.state, usual)
        of_reason = None if decision.reason is None else decision.reason.get("category")
        category: str = decision.category or of_reason or of_state
        return "setup" if mode == MAINTENANCE and category != UNKNOWN else category
