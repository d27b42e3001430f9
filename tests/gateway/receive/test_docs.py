"""docs/receive.md names what there is: every option, every transport, and the snippet works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gateway.receive.cli import receive
from gateway.receive.follower import Follower
from gateway.receive.source import SOURCES

PAGE = (Path(__file__).parents[3] / "docs" / "receive.md").read_text()


def test_options_and_transports() -> None:
    options = {name for one in receive.params for name in one.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) == options
    assert {scheme for scheme in SOURCES if f"`{scheme}://" in PAGE} == set(SOURCES)


def test_the_snippet() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done: list[Any] = []
    event = {"type": "linegate.gateway.alive.v1", "source": "/a", "stream": "s", "seq": "1", "prevseq": "0", "data": {}}
    names = ("upsert", "commit", "acknowledge", "alarm")
    exec(snippet, {"Follower": Follower, "batch": [event, event], **dict.fromkeys(names, done.append)})
    assert done[0] == event
    assert Follower.restored(done[1]).take(event).is_new is False
    assert done[2:] == [[event, event], []]
