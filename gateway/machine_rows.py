"""Rows of the checkpoint: a machine with its open KPI windows, and each window that has ended and is not frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.checkpoint import MACHINE_ROW, WINDOW_ROW, pack
from gateway.machine import Machine


def machine_rows(machine: Machine, *, whole: bool = False) -> dict[str, bytes]:
    """Of a machine and its closed windows: those that changed, or all."""
    rows = {MACHINE_ROW + machine.name: pack(machine.checkpoint())}
    return rows | window_rows(machine.name, machine.windows.rows(whole=whole))


def window_rows(owner: str, windows: Mapping[str, dict[str, Any] | None]) -> dict[str, bytes]:
    """Of closed windows by id; an empty row for one that is gone."""
    return {f"{WINDOW_ROW}{owner}/{name}": b"" if row is None else pack(row) for name, row in windows.items()}


def windows_of(owner: str, saved: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of the checkpoint's rows those of closed windows, by id."""
    prefix = f"{WINDOW_ROW}{owner}/"
    return {name.removeprefix(prefix): row for name, row in saved.items() if name.startswith(prefix)}
