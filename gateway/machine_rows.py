"""A machine's rows of the checkpoint: one with its open KPI windows, and one for each that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.checkpoint import MACHINE_ROW, WINDOW_ROW, pack
from gateway.machine import Machine


def machine_rows(machine: Machine, *, whole: bool = False) -> dict[str, bytes]:
    """Rows of the checkpoint: the machine with its open windows, and each closed window that changed, or all."""
    rows = {MACHINE_ROW + machine.name: pack(machine.checkpoint())}
    for window, row in machine.windows.rows(whole=whole).items():
        rows[f"{WINDOW_ROW}{machine.name}/{window}"] = b"" if row is None else pack(row)
    return rows


def windows_of(machine: Machine, saved: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the checkpoint's rows those of a machine's closed windows."""
    return [row for name, row in saved.items() if name.startswith(f"{WINDOW_ROW}{machine.name}/")]
