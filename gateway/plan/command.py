"""`linegate plan`: loads a configuration and writes its plan, and its exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import orjson

from gateway.check import load_or_exit
from gateway.plan.plan import plan_line
from gateway.plan.show import show

GOOD, TROUBLE = 0, 1


def plan_file(path: Path, as_json: bool, out: TextIO | None = None) -> int:
    """Write the plan of a configuration to `out` (standard output). Returns 0, or 1 with warnings; exits with 2."""
    out = sys.stdout if out is None else out
    plan = plan_line(load_or_exit(path))
    if as_json:
        out.write(orjson.dumps(plan.plain(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        show(plan, out)
    return TROUBLE if plan.warnings else GOOD
