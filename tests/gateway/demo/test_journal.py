"""The demo reads each event once, however the file comes to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.journal import Journal


def event(seq: int, total: int | None = None, scrap: int | None = None, stream: str = "a") -> dict[str, Any]:
    kind = "machine.state" if total is None else "machine.production"
    data = {} if total is None else {"total": total, "scrap": scrap}
    return {"type": f"linegate.{kind}.v1", "subject": "filler", "stream": stream, "seq": str(seq), "data": data}


def line(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def seqs(journal: Journal) -> list[int]:
    return [int(event["seq"]) for event in journal.news()]


def test_there_is_no_file_yet(journal: Journal, path: Path) -> None:
    assert seqs(journal) == []
    append(path, line(event(1)))
    assert seqs(journal) == [1]


def test_it_adds_up_production_alone(journal: Journal, path: Path) -> None:
    append(path, line(event(1, 100, 2), event(2), event(3, 50, None)))
    assert seqs(journal) == [1, 2, 3]
    assert journal.counted == {"filler": (150, 2)}


def test_what_is_delivered_again_counts_once(journal: Journal, path: Path) -> None:
    append(path, line(event(1, 100, 2), event(2, 10, 1)))
    append(path, line(event(1, 100, 2), event(2, 10, 1), event(3, 7, 0)))
    append(path, line(event(1, 5, 0, stream="b")))
    assert seqs(journal) == [1, 2, 3, 1]
    assert journal.counted["filler"][0] == 122


def test_a_line_that_is_half_written_waits_for_its_end(journal: Journal, path: Path) -> None:
    text = line(event(1, 100, 2))
    seen = []
    for character in text:
        append(path, character)
        seen += seqs(journal)
    assert seen == [1]


def test_it_follows_a_rotation_and_reads_the_old_file_to_its_end(journal: Journal, path: Path) -> None:
    append(path, line(event(1, 1, 0)))
    assert seqs(journal) == [1]
    append(path, line(event(2, 1, 0)))
    path.rename(path.with_suffix(".1"))
    assert seqs(journal) == [2]
    append(path, line(event(3, 1, 0)))
    assert seqs(journal) == [3]
    append(path, line(event(4, 1, 0)))
    path.rename(path.with_suffix(".2"))
    append(path, line(event(5, 1, 0)))
    assert seqs(journal) == [4, 5]
    assert journal.counted["filler"][0] == 5
