"""Runs the page's modules in Node: those that compute, and draw nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parents[3] / "gateway/page/assets"


def copied(folder: Path) -> Path:
    """The page's modules as Node takes them."""
    modules = folder / "assets"
    shutil.copytree(ASSETS, modules)
    (modules / "package.json").write_text('{"type": "module"}')
    return modules


def run(modules: Path, imports: str, program: str) -> Any:
    """What the body of a function returns, by way of JSON."""
    code = f"{imports}\nprocess.stdout.write(JSON.stringify((() => {{ {program} }})()));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code], cwd=modules, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)
