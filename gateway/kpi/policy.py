"""By what rules a machine's KPI windows are computed and told, as the configuration says it."""

from __future__ import annotations

from typing import NamedTuple

from gateway.config.model import Config
from gateway.kpi.figures import Rules


class Policy(NamedTuple):
    """By what rules a machine's windows are computed and told."""

    rules: Rules
    grace: int
    """Milliseconds from a window's end until it is told."""
    freeze: int
    """Milliseconds from its end until it can't change any more."""
    digest: str
    """Of what figures depend on."""


def policy_of(config: Config, machine: str) -> Policy:
    """Of one machine."""
    settings = config.machines[machine]
    rules = Rules(settings.minor_stops, settings.max_plausible)
    grace = config.kpi.grace
    return Policy(rules, grace, max(grace, config.kpi.freeze), config.policies[machine])
