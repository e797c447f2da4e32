"""The base installation serves and examines a cell, as a control PC needs it, and says which extra brings more."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import robotkit as rk

ROOT = Path(__file__).parents[1]
MISSING = (
    "torch",
    "torchvision",
    "mujoco",
    "numba",
    "gymnasium",
    "matplotlib",
    "msgpack",
    "safetensors",
    "tensorboard",
)
"""Packages of the extras `sim` and `rl`."""

WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MISSING}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])
sys.meta_path.insert(0, Absent())
from importlib import metadata
versions = metadata.version
def version(name):
    if name in {MISSING}:
        raise metadata.PackageNotFoundError(name)
    return versions(name)
metadata.version = version
"""

SERVES = """
import httpx
import robotkit as rk
from servers import ServerSettings, create_app
from servers.runner import BackgroundServer

with BackgroundServer(create_app(rk.make_workcell("fake"), ServerSettings(port=0))) as server:
    with rk.make_workcell("remote", url=server.url) as cell:
        pose = cell.reset(seed=0).robot.tcp_pose_in_base
        cell.step(rk.PoseCommand(tcp_pose_in_base=pose), rk.GripperCommand(position=0.5), 0.02)
        name = next(iter(cell.cameras))
        for form in ("png", "jpeg"):
            httpx.get(f"{server.url}/v1/cameras/{name}/frame?format={form}", timeout=60.0).raise_for_status()
        cell.robot.stop()
"""


def run_without(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as if the packages of the extras were not installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def run_command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_without(f"from {module}.__main__ import main\nsys.exit(main())", *arguments)


def test_no_package_of_the_extras_is_in_the_base():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [line for line in project["dependencies"] if line.startswith(MISSING)]
    for package in MISSING:
        assert any(
            line.startswith(package) for extra in ("sim", "rl") for line in project["optional-dependencies"][extra]
        )


def test_a_cell_is_served_and_commanded():
    done = run_without(SERVES)
    assert done.returncode == 0, done.stderr


def test_the_doctor_finds_no_problem_and_says_which_extra_brings_what_is_missing():
    done = run_command("robotkit", "doctor", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "robotkit[sim]" in done.stdout
    assert "robotkit[rl]" in done.stdout


@pytest.mark.parametrize("arguments", [("list",), ("check", "fake")])
def test_commands_run(arguments: tuple[str, ...]):
    done = run_command("robotkit", *arguments)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1), done.stderr


def test_a_simulated_cell_names_its_extra():
    program = (
        "import robotkit as rk\ntry:\n    rk.make_workcell('mujoco-pick-cube')\nexcept rk.MissingExtra as error:\n"
    )
    done = run_without(f"{program}    print(error)")
    assert "pip install 'robotkit[sim]'" in done.stdout, done.stderr


def test_the_learner_names_its_extra():
    done = run_command("rl", "train")
    assert done.returncode == 2
    assert done.stderr.endswith("Try: pip install 'robotkit[rl]'\n"), done.stderr


def test_the_version_is_that_of_the_changelog():
    assert f"\n## [{rk.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
