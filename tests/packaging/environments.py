"""Environments with the wheel of this checkout, made of what is installed here: nothing is downloaded."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
_HERE = Path(sysconfig.get_path("purelib"))


def build(kind: str, folder: Path, source: Path = ROOT) -> Path:
    """The project's "wheel" or "sdist", built into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (built,) = folder.iterdir()
    return built


def install(wheel: Path, folder: Path, *, base_only: bool) -> Path:
    """A new environment with the wheel.

    Args:
        wheel: to install.
        folder: of the environment.
        base_only: with the packages that the base installation needs, and no others; else with all that are here.

    Returns:
        The folder of its commands.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    if base_only:
        (info,) = packages.glob("robotkit-*.dist-info")
        for name in needed_by(Distribution.at(info), set()):
            _link(name, packages)
    else:
        (packages / "others.pth").write_text(f"{_HERE}\n")
    return python.parent


def needed_by(asking: Distribution, found: set[str]) -> set[str]:
    """What a distribution needs without its extras, and what that needs; added to `found`, which is returned."""
    for line in asking.requires or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in found:
            found.add(requirement.name)
            needed_by(distribution(requirement.name), found)
    return found


def _link(name: str, packages: Path) -> None:
    """Link what an installed distribution brought into another environment's folder."""
    tops = {file.parts[0] for file in distribution(name).files or ()} - {"..", "__pycache__"}
    for top in tops:
        link = packages / top
        if not link.exists():
            link.symlink_to(_HERE / top)
