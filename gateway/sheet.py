"""Tables for people: in columns for a pipe, drawn with colour on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from rich.table import Table
from rich.text import Text


class Sheet(NamedTuple):
    """One table: headings that begin with > are of numbers."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def aligned(sheet: Sheet) -> Iterator[str]:
    """The rows in columns, for a pipe."""
    names = tuple(heading.removeprefix(">") for heading in sheet.headings)
    widths = [max(len(row[column]) for row in (names, *sheet.rows)) for column in range(len(names))]
    for row in (names, *sheet.rows):
        cells = [
            cell.rjust(width) if heading.startswith(">") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, sheet.headings, strict=True)
        ]
        yield "  " + "  ".join(cells).rstrip()


def drawn(sheet: Sheet, style: Callable[[str], str]) -> Table:
    """The rows for a terminal; `style` gives a cell's colour."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in sheet.headings:  # a narrow terminal folds names, and cuts none
        justify: Literal["right", "left"] = "right" if heading.startswith(">") else "left"
        table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold")
    for row in sheet.rows:
        table.add_row(*(Text(cell, style=style(cell)) for cell in row))
    return table
