"""The guides: every command that they show exists and takes its options, and their Python runs."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import gymnasium
import pytest
import tyro

from rl.cli import main
from rl.cli.table import find_command, split_command
from robotkit.cli import Command
from servers.__main__ import Serve
from tests.end_to_end.runs import ROOT

REAL_FRANKA = ROOT / "docs" / "real_franka.md"
GUIDES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / "docs" / name for name in ("sim_quick_start.md", "control_pc.md", "new_robot.md", "calibration.md")),
    REAL_FRANKA,
]
READS_A_FILE = ("import serl", "convert", "export lerobot", "import lerobot")


def blocks(guide: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)


def whole_lines(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


def commands() -> list[str]:
    lines = [line for guide in GUIDES for block in blocks(guide, "bash") for line in whole_lines(block)]
    whole = {line.split("  #")[0].strip() for line in lines if line.strip()}
    return sorted({part for line in whole for part in line.split(" && ")})


OURS = ("robotkit-train", "examples/", "robotkit-serve", "robotkit ")


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith(OURS)])
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


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_files_that_a_guide_names_are_there(guide: Path):
    text = guide.read_text()
    named = re.findall(r"\]\(([\w./]+\.\w+)\)", text)
    assert all((guide.parent / name).exists() for name in named)
    paths = re.findall(r"`((?:examples|envs|tests|docs|robotkit|rl|sims|servers)/[\w./-]+)`", text)
    assert all((ROOT / path).exists() for path in paths)
