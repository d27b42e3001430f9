"""Tables for people: in columns for a pipe, drawn with colour on a terminal, row by row on a narrow one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

FOLDED = 24
"""A word of more characters may be folded within a column."""


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


class Drawn:
    """A sheet for rich, as wide as the terminal is at that moment."""

    def __init__(self, sheet: Sheet, style: Callable[[str], str]) -> None:
        self._sheet = sheet
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """In columns where their words fit, else each row as lines of its own."""
        if self._least_width() <= options.max_width:
            yield self._columns()
        else:
            yield from self._lines()

    def _least_width(self) -> int:
        columns = zip(self._sheet.headings, *self._sheet.rows, strict=True)
        longest = (max((len(word) for cell in column for word in cell.split()), default=0) for column in columns)
        return sum(min(one, FOLDED) + 1 for one in longest)

    def _columns(self) -> Table:
        table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
        for heading in self._sheet.headings:
            justify: Literal["right", "left"] = "right" if heading.startswith(">") else "left"
            table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold")
        for row in self._sheet.rows:
            table.add_row(*(Text(cell, style=self._style(cell)) for cell in row))
        return table

    def _lines(self) -> Iterator[Text]:
        """What a row is called, and below it what is known of it."""
        _, *headings = self._sheet.headings
        for name, *cells in self._sheet.rows:
            yield Text(name)
            for heading, cell in zip(headings, cells, strict=True):
                if cell:
                    yield Text.assemble((f"  {heading.removeprefix('>')}: ", "dim"), (cell, self._style(cell)))


def drawn(sheet: Sheet, style: Callable[[str], str]) -> Drawn:
    """The rows for a terminal; `style` gives a cell's colour."""
    return Drawn(sheet, style)


def shown_number(value: Any) -> str:
    """A value for a person: a float with the digits that it has as float32 where it is one, at most 12 otherwise."""
    if not isinstance(value, float):
        return str(value)
    try:
        is_single = struct.unpack("f", struct.pack("f", value))[0] == value
    except OverflowError:
        is_single = False
    for digits in (6, 7, 8, 9) if is_single else ():
        if struct.pack("f", float(text := f"{value:.{digits}g}")) == struct.pack("f", value):
            return text
    return f"{value:.12g}"
