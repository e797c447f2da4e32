"""The house rules that can be read from the source: arrows, cycles, sizes, and what an import costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rl
from rl.cli.table import COMMANDS
from tests.support.source_imports import Graph, find_climbs, find_cycle, import_graph, room_of

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

FLOORS_OF_RL = (
    ("errors",),
    ("nn", "utils"),
    ("data", "vision"),
    ("link", "common"),
    ("networks",),
    ("agents", "wrappers", "plots"),
    ("config", "offline", "recording"),
    ("training", "interop", "presets"),
    ("evaluation",),
    ("cli",),
    ("__main__",),
)
"""Rooms of `rl` from the ground up: each imports from floors below its own only."""
MAX_FLOORS = 11
MAX_ROOMS = 20


ALL_SOURCES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]
BESIDE = [path for folder in ("tests", "examples", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
"""What is installed with no package."""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return import_graph(ROOT, list(ALLOWED))


@pytest.mark.parametrize("package", ALLOWED)
def test_arrows_between_packages_point_down(graph, package):
    forbidden = ALLOWED.keys() - ALLOWED[package]
    wrong = [
        f"{name} imports {target}"
        for name in graph
        if package_of(name) == package
        for target in graph[name]
        if package_of(target) in forbidden
    ]
    assert not wrong


def package_of(name: str) -> str:
    return name.partition(".")[0]


def test_no_import_in_rl_climbs(graph):
    assert not find_climbs(graph, "rl", FLOORS_OF_RL)


def test_rl_stays_a_house_that_one_can_know(graph):
    rooms = {room_of(name) for name in graph if package_of(name) == "rl"} - {""}
    assert rooms == {room for floor in FLOORS_OF_RL for room in floor}
    assert len(rooms) <= MAX_ROOMS
    assert len(FLOORS_OF_RL) <= MAX_FLOORS


def test_tests_of_rl_stand_in_the_room_that_they_test():
    folders = {
        path.parent.relative_to(ROOT / "tests" / "rl").as_posix() for path in (ROOT / "tests" / "rl").rglob("*.py")
    }
    assert folders - {"."} <= {room for floor in FLOORS_OF_RL for room in floor}


def test_no_two_files_import_each_other(graph):
    assert not find_cycle(graph)


@pytest.mark.parametrize(
    "statement",
    [
        "import shop.door",
        "from shop import door",
        "from . import door",
        "from .door import knock",
        "def late():\n    from shop.door import knock",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.door import knock",
        "try:\n    import shop.door\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_is_found_wherever_it_stands(tmp_path, statement):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "door.py").write_text("import shop.window\nknock = 1\n")
    (tmp_path / "shop" / "window.py").write_text(statement)
    planted = import_graph(tmp_path, ["shop"])
    assert find_cycle(planted) == ["shop.door", "shop.window", "shop.door"]
    assert find_climbs(planted, "shop", [["window"], ["door"]]) == ["shop.window imports shop.door"]
    assert find_climbs(planted, "shop", [["door"], ["window"]]) == ["shop.door imports shop.window"]
    assert len(find_climbs(planted, "shop", [["door", "window"]])) == 2


def test_a_package_imports_from_its_rooms_and_no_room_from_the_package():
    planted = {"shop": frozenset({"shop.door"}), "shop.door": frozenset({"shop"})}
    assert find_climbs(planted, "shop", [["door"]]) == ["shop.door imports shop"]


FILES = [*ALL_SOURCES, *(path for path in BESIDE if path.stat().st_size)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_small_room_with_a_sentence_over_its_door(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "a file opens with one sentence that says what it holds"


@pytest.mark.parametrize(
    "path", [*ALL_SOURCES, *sorted((ROOT / "examples").rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_docstring_opens_with_its_subject(path):
    assert not re.findall(r'^\s*"""(?:Of|The same|What)\b.*', path.read_text(), re.MULTILINE)


def modules_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_robotkit_imports_nothing_heavy():
    assert not modules_after("import robotkit") & set(HEAVY)


def test_the_fake_cell_needs_nothing_heavy():
    assert not modules_after("import robotkit; robotkit.make_workcell('fake')") & set(HEAVY)


def test_servers_do_not_import_torch_or_mujoco():
    assert not modules_after("import servers, servers.__main__") & {"torch", "mujoco"}


def modules_after_helps(entry: str, command_lines: list[str]) -> set[str]:
    """What is imported after the help of every command line was shown, one after another, in one process."""
    shows = f"""
import contextlib, io, sys
{entry}
for line in {command_lines!r}:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(line.split())
"""
    return modules_after(f"exec({shows!r})")


SLOW_TO_IMPORT = {"torch", "mujoco", "gymnasium", "scipy", "numba", "matplotlib", "httpx", "fastapi", "uvicorn", "cv2"}


def test_the_help_of_the_learner_s_commands_imports_nothing_slow():
    lines = ["--help", "list", *(f"{name} {asked}" for name in COMMANDS for asked in ("--help", "--help-all"))]
    assert not modules_after_helps("from rl.cli import main", lines) & {*SLOW_TO_IMPORT, "numpy"}


def test_the_help_of_the_server_imports_nothing_slow():
    entry = "sys.argv[1:] = ['--help']; from servers.__main__ import main as serve; main = lambda _: serve()"
    assert not modules_after_helps(entry, ["--help"]) & SLOW_TO_IMPORT


def test_importing_the_learner_imports_nothing_heavy_and_says_what_it_has():
    assert not modules_after("import rl; dir(rl)") & {*HEAVY, "gymnasium", "numpy", "pydantic"}
    assert set(rl.__all__) <= set(dir(rl))
    assert {name: getattr(rl, name).__name__ for name in rl.__all__} == {name: name for name in rl.__all__}
    assert not hasattr(rl, "PPO")


def test_a_type_checker_sees_the_names_of_the_learner():
    tree = ast.parse((ROOT / "rl" / "__init__.py").read_text())
    seen = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(rl.__all__) <= seen


def test_the_learner_does_not_import_the_robot():
    assert not modules_after("import rl") & {"robotkit", "envs", "sims", "servers"}
