"""Shows a plan: tables with colour on a terminal, aligned text in a pipe; the same rows in both."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from gateway.plan.plan import LinePlan, ScanPlan
from gateway.sheet import Sheet, aligned, drawn
from protocols.settings import duration_text

HIGH, FULL = 70, 100
"""Percent of duty from which a line is shown as busy, and as overloaded."""


def show(plan: LinePlan, out: TextIO) -> None:
    """Write the plan for a person."""
    sheets = tuple(sheet for sheet in (_requests(plan), _scans(plan), _told(plan), _endpoints(plan)) if sheet.rows)
    if out.isatty():
        _coloured(plan, sheets, Console(file=out))
        return
    for sheet in sheets:
        out.write("\n".join((sheet.title, *aligned(sheet), "")) + "\n")
    out.writelines(f"warning: {warning}\n" for warning in plan.warnings)
    out.writelines(f"note: {note}\n" for note in plan.notes)


def _requests(plan: LinePlan) -> Sheet:
    rows = [
        (
            device.name,
            duration_text(scan.interval_ms),
            f"{one.table}:{one.first}..{one.last}",
            f"{one.count:,}",
            f"{one.needless:,}",
            f"{len(one.signals):,}",
            f"{one.bytes:,}",
        )
        for device in plan.devices
        for scan in device.scans
        for one in scan.requests
    ]
    headings = ("device", ">every", "reads", ">count", ">needless", ">signals", ">bytes")
    return Sheet(
        "Requests: registers or bits that each reads, those that no signal needs, request and reply", headings, rows
    )


def _scans(plan: LinePlan) -> Sheet:
    rows = [
        (
            device.name,
            f"{device.unit_id}",
            duration_text(scan.interval_ms),
            f"{scan.signals:,}",
            f"{len(scan.requests):,}",
            f"{scan.registers:,}",
            f"{scan.bits:,}",
            f"{scan.bytes:,}",
            _duration(scan),
        )
        for device in plan.devices
        for scan in device.scans
        if not scan.asks
    ]
    headings = (
        "device", ">unit", ">every", ">signals", ">requests", ">registers", ">bits", ">bytes", ">ms",
    )  # fmt: skip
    return Sheet("A scan of each device", headings, rows)


def _told(plan: LinePlan) -> Sheet:
    rows = [
        (device.name, duration_text(scan.interval_ms), f"{scan.signals:,}", scan.asks)
        for device in plan.devices
        for scan in device.scans
        if scan.asks
    ]
    return Sheet("A scan of devices that know their own types", ("device", ">every", ">signals", "asks"), rows)


def _duration(scan: ScanPlan) -> str:
    """Milliseconds of a scan, as far as the configuration says."""
    if scan.line_ms is not None:
        return f"{scan.line_ms:,.1f}"
    return f"{scan.pause_ms:,} + device" if scan.pause_ms else "device"


def _endpoints(plan: LinePlan) -> Sheet:
    rows = [
        (
            one.endpoint,
            one.protocol,
            f"{len(one.devices):,}",
            f"{one.scans_per_s:,.1f}",
            "" if one.requests_per_s is None else f"{one.requests_per_s:,.1f}",
            f"{one.signals_per_s:,.1f}",
            "" if one.bytes_per_s is None else f"{one.bytes_per_s:,.0f}",
            "" if one.requests_per_s is None or not (one.duty or one.budget_ms is None) else f"{one.duty:.1f} %",
            "" if one.budget_ms is None else f"{one.budget_ms:,.1f}",
        )
        for one in plan.endpoints
    ]
    headings = (
        "connection", "protocol", ">devices", ">scans/s", ">requests/s", ">signals/s", ">bytes/s", ">duty",
        ">ms left",
    )  # fmt: skip
    words = (
        "Connections: duty is the time that frames and pauses take; ms left is how long the device may take a request"
    )
    return Sheet(words, headings, rows)


def _coloured(plan: LinePlan, sheets: tuple[Sheet, ...], console: Console) -> None:
    for sheet in sheets:
        console.print(Text(sheet.title, style="bold"))
        console.print(drawn(sheet, _style))
        console.print()
    for kind, style, lines in (("warning", "bold red", plan.warnings), ("note", "yellow", plan.notes)):
        for line in lines:
            console.print(Text.assemble((f"{kind}: ", style), line))


def _style(cell: str) -> str:
    """A duty shows by its colour whether the line bears it."""
    if not cell.endswith(" %"):
        return ""
    duty = float(cell.removesuffix(" %"))
    return "bold red" if duty > FULL else "yellow" if duty > HIGH else "green"
