"""The documentation: its commands, make targets and links are there, and what is generated is fresh."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli import main
from gateway.event_reference import PAGE, page

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown() -> Iterator[tuple[str, str]]:
    """Each page and each line of it that begins with a command, in a block or alone in a span of code."""
    for path in PAGES:
        text = path.read_text()
        blocks = "\n".join(re.findall(r"^```(?:sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        blocks += "\n".join(re.findall(r"^ {4}(.*)$", text, re.MULTILINE))
        lines = re.findall(r"^(?:sudo )?(?:\S*/)?linegate (.+)$", blocks, re.MULTILINE)
        spans = re.findall(r"`linegate ([a-z][^`\n]*)`", text)
        yield from {(name_of(path), re.sub(r"\s(#|>|\||&).*", "", line)) for line in (*lines, *spans)}


def test_there_are_commands() -> None:
    assert len(set(shown())) > 50


@pytest.mark.parametrize(("name", "line"), sorted(set(shown())))
def test_every_command_has_the_options_that_are_shown(name: str, line: str) -> None:
    words = shlex.split(line)
    command: click.Command = main
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    options = [word for word in words if word.startswith("-")]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    assert command is not main
    assert {option.partition("=")[0] for option in options} <= known, f"{name}: linegate {line}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_make_target_and_benchmark_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", path.read_text())) <= targets
    suites = {suite.stem for suite in (ROOT / "tests" / "benchmarks").glob("*.py")}
    asked = " ".join(re.findall(r"`python -m tests\.benchmarks ([a-z_ ]+)`", path.read_text()))
    assert set(asked.split()) <= suites


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in link:
            continue
        file, _, place = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if place:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert place in {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}, link


def test_the_page_of_events_is_fresh() -> None:
    assert PAGE.read_text() == page(), "run `python -m gateway.event_reference`"
