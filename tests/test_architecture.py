"""The house rules that can be read from the source: arrows, cycles, sizes, and what an import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "robotkit": {"robotkit"},
    "sims": {"sims", "robotkit"},
    "servers": {"servers", "robotkit"},
    "envs": {"envs", "robotkit"},
    "rl": {"rl"},
}
HEAVY = ("torch", "mujoco", "scipy", "fastapi", "httpx", "numba", "rich", "tyro", "franky", "pymodbus", "pyrealsense2")
MAX_LINES = 400


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


ALL_SOURCES = [path for package in ALLOWED for path in sources(package)]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.If) -> bool:
    test = node.test
    return getattr(test, "id", None) == "TYPE_CHECKING" or getattr(test, "attr", None) == "TYPE_CHECKING"


def imports(nodes: list[ast.stmt], *, at_import_only: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements, without those for the type checker; optionally without those inside functions."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
            continue
        if isinstance(node, ast.If) and is_type_checking(node):
            yield from imports(node.orelse, at_import_only=at_import_only)
            continue
        if at_import_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for _, value in ast.iter_fields(node):
            if isinstance(value, list):
                children = [
                    child for child in value if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
                ]
                yield from imports(children, at_import_only=at_import_only)


@cache
def targets(path: Path, at_import_only: bool) -> tuple[str, ...]:
    """Dotted names that a file imports; `from a import b` gives a.b when that is a module, else a."""
    found: list[str] = []
    for node in imports(ast.parse(path.read_text()).body, at_import_only=at_import_only):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
            continue
        base = node.module or ""
        if node.level:
            package = name_of(path).split(".")
            package = package if path.name == "__init__.py" else package[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
        modules = [f"{base}.{alias.name}" for alias in node.names]
        found += [module if is_module(module) else base for module in modules]
    return tuple(found)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("package", ALLOWED)
def test_arrows_between_packages_point_down(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {target}"
        for path in sources(package)
        for target in targets(path, False)
        if target.partition(".")[0] in set(ALLOWED) - ALLOWED[package]
    ]
    assert not wrong


@pytest.mark.parametrize("package", ALLOWED)
def test_no_import_cycle_inside_a_package(package):
    """A module and the packages around it may know each other only in one direction at import time."""
    graph = {
        name_of(path): {target for target in targets(path, True) if target.startswith(package + ".")}
        for path in sources(package)
    }
    for name, needed in graph.items():
        needed.discard(name)
    finished: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "import cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        if name not in finished:
            for target in sorted(graph.get(name, ())):
                walk(target, (*trail, name))
            finished.add(name)

    for name in graph:
        walk(name, ())


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_small_room_with_a_sentence_over_its_door(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "a file opens with one sentence that says what it holds"


def modules_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_robotkit_imports_nothing_heavy():
    assert not modules_after("import robotkit") & set(HEAVY)


def test_the_fake_cell_needs_nothing_heavy():
    assert not modules_after("import robotkit; robotkit.make_workcell('fake')") & set(HEAVY)


@pytest.mark.skipif(not (ROOT / "servers" / "__init__.py").exists(), reason="servers is not built yet")
def test_servers_do_not_import_torch_or_mujoco():
    assert not modules_after("import servers, servers.__main__") & {"torch", "mujoco"}


@pytest.mark.skipif(not (ROOT / "rl" / "__init__.py").exists(), reason="rl is not built yet")
def test_the_learner_does_not_import_the_robot():
    assert not modules_after("import rl") & {"robotkit", "envs", "sims", "servers"}
