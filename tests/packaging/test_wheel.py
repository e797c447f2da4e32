"""A wheel holds what its commands need and no tests, and the README's commands run from it in an empty folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import httpx
import pytest

import robotkit as rk
from tests.packaging.environments import ROOT, build, install
from tests.support.waiting import wait_until

PACKAGES = ("robotkit", "servers", "sims", "envs", "rl")
COMMANDS = ("robotkit", "robotkit-serve", "robotkit-train")
LEFT_OUT = ("torch", "mujoco", "numba", "gymnasium", "matplotlib")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def sources() -> set[str]:
    """The files of the packages, as they are in this checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources()
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    templates = (ROOT / "robotkit" / "cli" / "templates").iterdir()
    assert {f"robotkit/cli/templates/{path.name}" for path in templates} <= names
    assert {"servers/dashboard.html", "servers/dashboard.css"} <= names


def test_the_wheel_has_the_version_the_commands_and_the_licence(wheel: Path):
    assert wheel.name == f"robotkit-{rk.__version__}-py3-none-any.whl"
    info = f"robotkit-{rk.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        points = ConfigParser(delimiters="=")
        points.read_string(archive.read(f"{info}/entry_points.txt").decode())
        names = archive.namelist()
    assert set(points["console_scripts"]) == set(COMMANDS)
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= set(names)


def test_the_source_archive_holds_the_packages_and_no_tests(tmp_path: Path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        files = {PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix() for member in archive.getmembers()}
    assert sources() <= files
    others = {name for name in files - sources() if "/" in name}
    assert not others
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE", "CITATION.cff"} <= files


def run(bin_folder: Path, cwd: Path, *words: str) -> str:
    """Run a command of an environment in a folder; what it printed."""
    done = subprocess.run(
        [bin_folder / words[0], *words[1:]], cwd=cwd, env=plain_environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plain_environment() -> dict[str, str]:
    """Without the variables that lead to this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def serve(bin_folder: Path, cwd: Path, cell: str) -> None:
    """Serve a cell until its state was read once, and end the server by SIGTERM."""
    log = cwd / "served.log"
    with log.open("w") as output:
        command = [bin_folder / "robotkit-serve", "--cell", cell, "--port", "0"]
        server = subprocess.Popen(command, cwd=cwd, env=plain_environment(), stdout=output, stderr=output)
    try:
        wait_until(lambda: server.poll() is not None or re.search(r"http://\S+:\d+", log.read_text()) is not None, 60.0)
        found = re.search(r"http://[^\s/]+:\d+", log.read_text())
        assert found, log.read_text()
        wait_until(lambda: answers(found[0]), 60.0)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30.0) in (0, -signal.SIGTERM), log.read_text()
    finally:
        server.kill()
        server.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/state", timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_the_base_serves_a_cell_with_nothing_but_its_own_packages(wheel: Path, tmp_path: Path):
    commands, empty = install(wheel, tmp_path / "environment", base_only=True), tmp_path / "empty"
    empty.mkdir()
    for package in LEFT_OUT:
        assert subprocess.run([commands / "python", "-c", f"import {package}"], capture_output=True).returncode
    run(commands, empty, "robotkit", "list")
    run(commands, empty, "robotkit", "init", "my_lab.toml", "--template", "franka-hand")
    assert (empty / "my_lab.toml").exists()
    serve(commands, empty, "fake")


@pytest.mark.slow
def test_the_readme_runs_from_a_wheel_of_a_clean_checkout(tmp_path: Path):
    checkout, empty = tmp_path / "checkout", tmp_path / "empty"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(checkout)], check=True)
    commands = install(build("wheel", tmp_path / "wheel", checkout), tmp_path / "environment", base_only=False)
    empty.mkdir()
    where = run(commands, empty, "python", "-c", "import robotkit, rl; print(robotkit.__file__, rl.__file__)")
    assert str(ROOT) not in where
    assert "mujoco-pick-cube" in run(commands, empty, "robotkit", "list")
    assert "demo" in run(commands, empty, "robotkit-train", "list")
    run(commands, empty, "robotkit", "init", "my_lab.toml", "--template", "simulation")
    run(commands, empty, "robotkit", "check", "mujoco-pick-cube")
    serve(commands, empty, "mujoco-pick-cube")
    few = ("--demonstrations", "2", "--episodes", "1", "--steps", "600")
    printed = run(commands, empty, "robotkit-train", "demo", "--out", "run", *few)
    assert "success" in printed
    for name in ("learning_curve.png", "best_episode.mp4", "config.json"):
        assert (empty / "run" / name).stat().st_size
    run(commands, empty, "robotkit-train", "evaluate", "--out", "run", "--cell", "mujoco-pick-cube", "--episodes", "1")
