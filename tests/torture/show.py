"""What a person sees of a campaign: a progress bar on a terminal, lines elsewhere, and the figures at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.torture.campaign import Figures

_LINE_EVERY = 25


class Show:
    """The campaign's output; a context for as long as it runs."""

    def __init__(self, kills: int) -> None:
        self._kills = kills
        self._console = Console(width=None if sys.stdout.isatty() else 120)
        columns = (
            TextColumn("kills"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not sys.stdout.isatty())
        self._task = self._progress.add_task("", total=kills)

    def __enter__(self) -> Show:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def kill(self, figures: Figures, step: str) -> None:
        """The next kill is at `step`."""
        self._progress.update(self._task, completed=figures.kills, description=step)
        if self._progress.disable and figures.kills % _LINE_EVERY == 0:
            self._console.print(f"{figures.kills} of {self._kills} kills, seed {figures.seed}")

    def held(self, figures: Figures) -> None:
        """All promises held."""
        table = Table("killed at", "kills", "missed")
        for step in sorted({*figures.steps, *figures.missed}):
            table.add_row(step, str(figures.steps[step]), str(figures.missed[step] or ""))
        self._console.print(table)
        twice = ", ".join(f"{count} by {name}" for name, count in figures.duplicates.items())
        self._console.print(
            f"{figures.kills} kills and {figures.starts} starts in {figures.seconds:.0f} s, seed {figures.seed}: "
            f"{figures.events} events, {figures.let_go} of them let go since, delivered twice {twice}; "
            f"{figures.made} parts made and told, {figures.recovered} of them recovered. "
            "Nothing is missing, nothing doubled, nothing contradicted."
        )

    def broken(self, figures: Figures, error: Exception, kept: Path | None) -> None:
        """A promise did not hold."""
        where = f"everything is in {kept}" if kept else "--keep DIR leaves everything there"
        self._console.print(
            f"Broken after {figures.kills} kills: {error}\n"
            f"Repeat the plan: make torture TORTURE_ARGS=\"--kills {self._kills} --seed {figures.seed}\"; {where}.",
            highlight=False, markup=False,
        )  # fmt: skip
