"""A true file system of three megabytes, filled to the last byte by another program: what the outbox does on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway.outbox.bounds import SHORT

ROOT = Path(__file__).parents[2]


def on_a_small_disk(what: str, place: Path) -> dict[str, Any]:
    """Run it in a mount namespace of its own, which needs no privileges and leaves nothing behind."""
    script = 'mount -t tmpfs -o size=3m none "$1" && exec "$2" -m tests.torture.small_disk "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*command, str(place), sys.executable, what], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_disk_without_a_byte_costs_only_what_memory_cannot_hold(tmp_path: Path) -> None:
    found = on_a_small_disk("full", tmp_path)
    assert "full" in found["said"]
    assert len(found["got"]) + sum(found["gaps"].values()) == found["made"]
    assert found["lost"] == sum(found["gaps"].values()) > 0
    assert found["got"] == sorted(set(found["got"]))
    states = [n for n in found["got"] if n % 4 == 3]
    assert found["got"][-len(states) // 2 :] == states[-len(states) // 2 :], "states stay longest"
    assert "full" in found["began"], "a start on a full disk, with an uplink that is new"
    assert found["more"] == list(range(found["made"] + 1, found["made"] + 51)), "what was decided meanwhile"


def test_a_disk_with_less_than_others_need_lets_the_file_grow_no_more(tmp_path: Path) -> None:
    found = on_a_small_disk("short", tmp_path)
    assert found["full"] == SHORT
    assert len(found["got"]) + sum(found["gaps"].values()) == found["made"]
    assert list(found["gaps"]) == ["trends", "production", "kpis"]
    assert "machine.state" in found["stayed"]
