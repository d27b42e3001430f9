"""The structure holds: imports point one way, tasks are made in two places, files stay one room each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for top in ("ext", "protocols", "gateway") for path in (ROOT / top).rglob("*.py"))
NAMES = {path.relative_to(ROOT).as_posix() for path in SOURCES}
CYTHON = sorted((ROOT / "ext").glob("*.px?"))
FORBIDDEN = {
    "ext": ("protocols", "gateway"),
    "protocols": ("gateway",),
    "protocols/simulated": ("gateway", "protocols.modbus.driver", "protocols.registry"),
}
MOST_LINES = 400
TASK_MAKERS = {"create_task", "ensure_future", "gather", "wait", "TaskGroup", "run_in_executor", "to_thread", "shield"}
HEAVY = ("pymodbus", "aiomqtt", "paho", "asyncua", "pycomm3", "aiokafka", "nats", "google", "sparkplub_b_packets")
ENGINE = {
    f"gateway/{room}"
    for room in (
        *("calendar", "config", "entries", "flow", "inputs", "kpi", "linetime", "lineview", "machine", "publisher"),
        *("signals", "states", "tell", "uplinks", "work"),
    )
}
KNOWS_EVERY_PART = {"app.py", "parts.py", "reloader.py", "service.py", "cli.py"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            yield from (alias.name for alias in inner.names)
        elif isinstance(inner, ast.ImportFrom) and inner.module is not None:
            yield from (f"{inner.module}.{alias.name}" for alias in inner.names)


def test_there_are_sources() -> None:
    assert len(SOURCES) > 30
    assert CYTHON


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    for folder, forbidden in FORBIDDEN.items():
        if name_of(path).startswith(folder + "/"):
            wrong = [
                name
                for name in imported(tree(path))
                if name.startswith(tuple(f + "." for f in forbidden)) or name in forbidden
            ]
            assert not wrong, f"{name_of(path)} imports {wrong}"


@pytest.mark.parametrize("path", CYTHON, ids=name_of)
def test_extensions_import_nothing_of_ours(path: Path) -> None:
    assert not re.search(r"^\s*(from|cimport|import)\s+(protocols|gateway)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if name_of(p).startswith("gateway/") and "runner/" not in name_of(p)], ids=name_of
)
def test_tasks_are_made_by_app_and_runners_alone(path: Path) -> None:
    if name_of(path) == "gateway/app.py":
        return
    calls = [
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    owners = [
        node.func.value.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    ]
    wrong = {call for call in calls if call in TASK_MAKERS - {"wait"}}
    if "asyncio" in owners:
        wrong |= {
            "asyncio.wait"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("asyncio.wait", "asyncio.wait_for")
        }
    assert not wrong, f"{name_of(path)} makes tasks: {wrong}"


@pytest.mark.parametrize("path", [p for p in SOURCES if name_of(p).startswith("protocols/")], ids=name_of)
def test_protocols_make_no_tasks(path: Path) -> None:
    if name_of(path).startswith("protocols/simulated/"):
        return  # a process of its own
    calls = {
        node.func.attr
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & (TASK_MAKERS - {"wait"})


@pytest.mark.parametrize("path", SOURCES + CYTHON, ids=name_of)
def test_a_file_is_one_room_with_its_job_on_the_first_line(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES, "ask what its two jobs are"
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    assert first.startswith('"""'), "the first line says its job"
    assert len(first) > 20


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_fit_a_screen(path: Path) -> None:
    long = [
        f"{node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno > 50
    ]
    assert not long


def test_only_app_knows_every_part() -> None:
    parts = ("gateway.outbox", "gateway.uplinks", "gateway.health", "gateway.pipeline", "gateway.runner")
    for path in SOURCES:
        relative = path.relative_to(ROOT)
        if relative.parts[0] == "gateway" and len(relative.parts) == 2 and relative.name not in KNOWS_EVERY_PART:
            known = {part for part in parts for name in imported(tree(path)) if name.startswith(part)}
            assert len(known) < 3, f"{relative} knows {known}"


def imports_of_ours(path: Path) -> Iterator[str]:
    """Files that are imported when this one is; what is imported for a type checker alone, or later, is not."""
    later = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    nodes: list[ast.AST] = [*tree(path).body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, later) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                yield from (file for file in (to_file(name), to_file(name.rpartition(".")[0])) if file in NAMES)


def to_file(module: str) -> str:
    return module.replace(".", "/") + ".py"


def in_circles(above: dict[str, set[str]]) -> dict[str, set[str]]:
    """What imports itself by way of others, or what does."""
    while free := {name for name, needs in above.items() if not needs & above.keys()}:
        above = {name: needs for name, needs in above.items() if name not in free}
    return above


def room_of(name: str) -> str:
    """The folder, or the file, of `gateway` or another top; what decides and what describes it is one room here."""
    room = "/".join(Path(name).with_suffix("").parts[:2])
    return "the engine" if room in ENGINE else room


def test_no_file_imports_itself_in_a_circle() -> None:
    assert in_circles({name_of(path): set(imports_of_ours(path)) for path in SOURCES}) == {}


def test_no_room_imports_itself_in_a_circle() -> None:
    above: dict[str, set[str]] = {}
    for path in SOURCES:
        room = room_of(name_of(path))
        above.setdefault(room, set()).update({room_of(name) for name in imports_of_ours(path)} - {room})
    assert in_circles(above) == {}


def test_nothing_waits_for_a_thread_that_could_hold_the_exit() -> None:
    """The loop's executor is joined at the end; `protocols.worker` has threads that are not."""
    for path in SOURCES:
        if not name_of(path).startswith("protocols/simulated/"):
            assert not re.search(r"\.(to_thread|run_in_executor)\(|ThreadPoolExecutor", path.read_text()), path


def test_the_architecture_names_every_room_of_the_gateway() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    here = {path.relative_to(ROOT / "gateway").parts[0] for path in SOURCES if name_of(path).startswith("gateway/")}
    rooms = {name if name.endswith(".py") else f"{name}/" for name in here} - {"__init__.py", "__main__.py"}
    assert {room for room in rooms if not re.search(rf"[`/]{re.escape(room)}", page)} == set()


def test_libraries_are_imported_where_a_configuration_uses_them() -> None:
    """Importing the daemon imports no protocol's and no uplink's library."""
    import subprocess
    import sys

    code = (
        "import gateway.app, gateway.cli, gateway.check, sys\n"
        f"print([name for name in sys.modules if name.split('.')[0] in {HEAVY!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_catch_alls_are_few_and_each_says_why() -> None:
    found = {}
    for path in SOURCES:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if re.search(r"except (Base)?Exception\b|except:", line):
                found[f"{name_of(path)}:{number}"] = line
    unexplained = [place for place, line in found.items() if re.search(r"except Exception\b", line) and "#" not in line]
    assert not unexplained
    assert len(found) <= 12, found


def test_the_repository_stands_alone() -> None:
    """No file names a place outside the checkout."""
    for path in [
        *SOURCES,
        *CYTHON,
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*"),
        *ROOT.glob("config/*"),
        *ROOT.glob("tests/**/*.py"),
    ]:
        if path.is_file() and path != Path(__file__):
            assert b"../shared" not in path.read_bytes(), path
