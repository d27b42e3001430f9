"""Draws docs/demo.svg: the demo as a terminal shows it, after half a minute of the simulated line's life."""

from __future__ import annotations

import io
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from gateway.demo.children import Simulator
from gateway.demo.configuration import TRUTH, write_configuration
from gateway.demo.run import Demo, Ending
from gateway.demo.show import Terminal

SECONDS = 33.0
PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"


def without_fonts_from_outside(svg: str) -> str:
    """The picture shows the same everywhere and asks nobody for anything."""
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(str(Path.home()), "~")


def main() -> None:
    """Run the demo on a recording console and keep its last page."""
    with TemporaryDirectory(prefix="linegate-demo-") as place:
        state = Path(place)
        simulator = Simulator(1, 10, state / TRUTH)
        try:
            show = Terminal(Console(file=io.StringIO(), force_terminal=True, width=104))
            demo = Demo(write_configuration(state, simulator.ready(), 10, 0), simulator, show, Ending())
            demo.start()
            demo.run(SECONDS)
            page = Console(record=True, file=io.StringIO(), width=104)
            page.print(show.page())
            PICTURE.write_text(without_fonts_from_outside(page.export_svg(title="linegate demo")))
            demo.close()
        finally:
            simulator.end()


main()
