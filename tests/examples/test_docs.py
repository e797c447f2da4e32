"""The guides: every command that they show exists and takes its options, and their Python runs."""

from __future__ import annotations

import ast
import builtins
import contextlib
import re
import shlex
from pathlib import Path

import gymnasium
import pytest
import tyro

from rl.cli import main
from rl.cli.table import find_command, split_command
from rl.errors import ConfigError
from robotkit.cli import Command
from servers.__main__ import Serve
from tests.docs.pages import PAGES, blocks, commands
from tests.end_to_end.runs import ROOT

REAL_FRANKA = ROOT / "docs" / "real_franka.md"
READS_A_FILE = ("import serl", "convert", "export lerobot", "import lerobot")
OURS = ("robotkit-train", "examples/", "robotkit-serve", "robotkit ")


@pytest.mark.parametrize(
    "command", sorted({line for page in PAGES for line in commands(page) if line.startswith(OURS)})
)
def test_a_command_of_the_guides_takes_its_options(command: str, capsys: pytest.CaptureFixture[str]):
    program, *words = shlex.split(command)
    if program.startswith("examples/"):
        assert (ROOT / program).stat().st_mode & 0o100
    elif program == "robotkit-serve":
        tyro.cli(Serve, args=words)
    elif program == "robotkit":
        tyro.cli(Command, args=words)
    else:
        assert program == "robotkit-train"
        if words[-1].startswith("--help") or words == ["list"]:
            with contextlib.suppress(SystemExit):
                main(words)
            assert capsys.readouterr().out
            return
        name, rest = split_command(words)
        if name in READS_A_FILE:
            with pytest.raises(SystemExit):
                main(words)
            assert re.match(f"error: .*{re.escape(rest[0])}", capsys.readouterr().err), "only the file is missing"
        elif "--config" in words:
            with pytest.raises(ConfigError, match=f"{re.escape(words[words.index('--config') + 1])} cannot be read"):
                find_command(name).parse(name, rest)
        else:
            find_command(name).parse(name, rest)


def test_the_task_of_one_s_own_lab_can_be_made():
    code, rewarded = blocks(REAL_FRANKA, "python")
    names: dict[str, object] = {}
    exec(compile(code + rewarded, "my_lab.py", "exec"), names)
    env = gymnasium.make("MyPegInsert-v0", cell="mujoco-peg-insertion")
    try:
        observation, info = env.reset(seed=0)
        assert env.action_space.shape == (6,)
        assert (observation["state"].shape, info["success"]) == ((19,), False)
    finally:
        env.close()
        del gymnasium.registry["MyPegInsert-v0"]


def _missing_names(page: Path) -> set[str]:
    """Names that the Python of a page reads, and that no block of the page so far has imported or made."""
    known, missing = set(dir(builtins)), set()
    for block in blocks(page, "python"):
        nodes = list(ast.walk(ast.parse(block)))
        for node in nodes:
            if isinstance(node, ast.alias):
                known.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                known.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.add(node.id)
        missing |= {node.id for node in nodes if isinstance(node, ast.Name)} - known
    return missing


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_of_a_page_names_nothing_that_the_page_has_not_imported_or_made(page: Path):
    assert not _missing_names(page)


@pytest.mark.parametrize("guide", PAGES, ids=lambda guide: guide.stem)
def test_files_that_a_guide_names_are_there(guide: Path):
    text = guide.read_text()
    named = re.findall(r"\]\(([\w./]+\.\w+)\)", text)
    assert all((guide.parent / name).exists() or name.startswith("reference/") for name in named)
    paths = re.findall(r"`((?:examples|envs|tests|docs|robotkit|rl|sims|servers)/[\w./-]+)`", text)
    assert all((ROOT / path).exists() or path.endswith(".parquet") for path in paths)
