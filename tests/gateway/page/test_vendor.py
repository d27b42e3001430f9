"""What the page has from others is what npm has, under a licence that we may use, and noted beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parents[3] / "gateway/page/assets/vendor"
NOTE = (VENDOR / "README.md").read_text()


def test_each_file_has_the_noted_hash() -> None:
    noted = dict(re.findall(r"^- `([\w.-]+)`: `([0-9a-f]{64})`$", NOTE, re.MULTILINE))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.suffix != ".md"
    }
    assert noted == found


def test_each_file_has_its_package_version_and_licence() -> None:
    rows = re.findall(r"^\| `([\w.-]+)` \| `([\w-]+@[\d.]+)`, `[\w./]+` \|.*\| ([^|]+) \|$", NOTE, re.MULTILINE)
    assert {name for name, _, _ in rows} == {path.name for path in VENDOR.iterdir() if path.suffix != ".md"}
    assert all("MIT" in licence for _, _, licence in rows)
    for package in {package for _, package, _ in rows}:
        assert re.search(rf"^- {package.replace('@', ' ')}: `sha512-[\w+/]{{86}}==`$", NOTE, re.MULTILINE), package
