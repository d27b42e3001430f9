"""Shows how a replay differs from what was sent: tables on a terminal, columns in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TextIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from gateway.replay.compare import Difference, Pair, Window
from gateway.sheet import Sheet, aligned, drawn

MOST_SPANS = 20
HEADINGS = (">sent", ">replayed", ">difference")
RATIOS = ("oee", "availability", "effectiveness", "quality")


def show(differences: Sequence[Difference], began: str, ended: str, zone: ZoneInfo, out: TextIO) -> None:
    """Write the comparison for a person; times are the line's."""
    console = Console(file=out) if out.isatty() else None
    title = f"{_local(began, zone)} to {_local(ended, zone)}: the replay against what was sent"
    _say(title, "bold", console, out)
    for one in differences:
        if one.is_none:
            _say(f"{one.name}: no difference", "green", console, out)
            continue
        for sheet in _sheets(one, zone):
            if console is None:
                out.write("\n".join(("", sheet.title, *aligned(sheet))) + "\n")
            else:
                console.print(Text(f"\n{sheet.title}", style="bold"))
                console.print(drawn(sheet, _style))
    if not differences:
        _say("nothing to compare: neither side has a state of any machine in this time", "yellow", console, out)


def _say(words: str, style: str, console: Console | None, out: TextIO) -> None:
    if console is None:
        out.write(f"{words}\n")
    else:
        console.print(Text(words, style=style))


def _style(cell: str) -> str:
    return "red" if cell.startswith("-") and cell != "-" else "green" if cell.startswith("+") else ""


def _differ(pairs: Mapping[str, Pair]) -> bool:
    return any(pair.differs for pair in pairs.values())


def _sheets(one: Difference, zone: ZoneInfo) -> Iterator[Sheet]:
    if _differ(one.categories):
        times = [(category, *_cells(pair, _time)) for category, pair in one.categories.items()]
        yield Sheet(f"{one.name}: time by category", ("category", *HEADINGS), times)
    if _differ(one.stops) or _differ(one.stopped):
        stops = [(kind, *_cells(pair, _count), *_cells(one.stopped[kind], _time)) for kind, pair in one.stops.items()]
        headings = ("kind", ">sent", ">replayed", ">difference", ">time sent", ">time replayed", ">difference")
        yield Sheet(f"{one.name}: stops", headings, stops)
    if _differ(one.counts):
        rows = [(what, *_cells(pair, _count)) for what, pair in one.counts.items()]
        yield Sheet(f"{one.name}: parts", ("parts", *HEADINGS), rows)
    windows = [window for window in one.windows if _differ(window.figures)]
    if windows:
        yield _kpis(one.name, windows, len(one.windows), zone)
    if one.states:
        rows = [
            (_moment(span.began, zone), _time((span.ended - span.began) / 1000), str(span.sent), str(span.replayed))
            for span in one.states[:MOST_SPANS]
        ]
        more = f" (the longest {MOST_SPANS} of {len(one.states):,})" if len(one.states) > MOST_SPANS else ""
        yield Sheet(f"{one.name}: where states differ{more}", ("from", ">for", "sent", "replayed"), rows)


def _kpis(name: str, windows: Sequence[Window], of: int, zone: ZoneInfo) -> Sheet:
    rows = []
    for window in windows:
        cells = [_ratio(side) for ratio in RATIOS for side in window.figures[ratio]]
        difference = _cells(window.figures["oee"], _ratio)[2]
        rows.append((window.kind, _local(window.began, zone), *cells[:2], difference, *cells[2:]))
    headings = (
        "window", "from", ">OEE sent", ">replayed", ">difference", ">availability", ">replayed", ">effectiveness",
        ">replayed", ">quality", ">replayed",
    )  # fmt: skip
    return Sheet(f"{name}: KPIs that differ, {len(windows)} of {of} windows", headings, rows)


def _cells(pair: Pair, text: Callable[[float | None], str]) -> tuple[str, str, str]:
    """Both sides, and the difference with its sign; nothing where there is none."""
    difference = pair.difference
    shown = ""
    if difference:
        shown = ("+" if difference > 0 else "-") + text(abs(difference))
    return text(pair.sent), text(pair.replayed), shown


def _count(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}"


def _ratio(number: float | None) -> str:
    return "-" if number is None else f"{100 * number:.2f} %"


def _time(seconds: float | None) -> str:
    """Hours, minutes and seconds as people write them."""
    if seconds is None:
        return "-"
    whole, fraction = divmod(round(seconds * 1000), 1000)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" + (f".{fraction:03d}" if fraction else "")


def _moment(utc: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(utc / 1000, zone):%Y-%m-%d %H:%M:%S}"


def _local(text: str, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(text).astimezone(zone):%Y-%m-%d %H:%M:%S}"
