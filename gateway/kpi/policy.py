"""By what rules a machine's KPI windows are computed and told, as the configuration says it."""

from __future__ import annotations

from gateway.config.model import Config
from gateway.kpi.figures import Rules
from gateway.kpi.windows import Policy


def policy_of(config: Config, machine: str) -> Policy:
    """Of one machine."""
    settings = config.machines[machine]
    rules = Rules(settings.minor_stops, settings.max_plausible)
    grace = config.kpi.grace
    return Policy(rules, grace, max(grace, config.kpi.freeze), config.policies[machine])
