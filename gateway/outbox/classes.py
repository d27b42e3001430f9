"""Which table an event is in: the classes in the order in which they go when space runs out."""

from __future__ import annotations

from typing import Final

TREND, PRODUCTION, KPI, EVENT, GAP = TABLES = ("trend", "production", "kpi", "event", "gap")

FIRST: Final = -(2**63)
"""Before every number."""

CLASSES: Final = {TREND: "trends", PRODUCTION: "production", KPI: "kpis", EVENT: "states"}
"""What a `gateway.gap` calls each, in the order in which they go. Gaps never go before everybody has them."""

TYPES: Final = {
    "signal.trend": TREND,
    "machine.production": PRODUCTION,
    "machine.kpi": KPI,
    "line.kpi": KPI,
    "gateway.gap": GAP,
}


def table_of(type_: str) -> str:
    """The table of events of this type; states are with all that is not to go before them."""
    return TYPES.get(type_, EVENT)


def merged(columns: str, where: str, tables: tuple[str, ...] = TABLES) -> str:
    """A SELECT over several tables, whose rows SQLite merges by `seq` without sorting; add a LIMIT as needed."""
    arms = " UNION ALL ".join(f"SELECT {columns} FROM {table} WHERE {where}" for table in tables)
    return f"{arms} ORDER BY seq"
