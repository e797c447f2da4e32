"""Checks of Python, its packages and the graphics library.

A check that could crash or hang runs in a separate process, so that a broken driver or a wrong MUJOCO_GL ends that
process and not the doctor.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from robotkit.cli.finding import Finding
from robotkit.entries import EXTRA_OF_MODULE

_GL_BACKENDS = ("egl", "glfw", "osmesa")
_TIMEOUT_S = 60.0
_TORCH_PROBE = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
_MUJOCO_PROBE = "import mujoco; mujoco.MjModel.from_xml_string('<mujoco/>')"
_GL_PROBE = """
import warnings
from robotkit import make_workcell
with warnings.catch_warnings(record=True) as caught, make_workcell("mujoco-pick-cube") as cell:
    warnings.simplefilter("always")
    picture = cell.cameras["front"].read().rgb
casts_rays = [warning.message for warning in caught if warning.category.__name__ == "NoOpenGL"]
assert not casts_rays, casts_rays[0]
assert picture.any(), "the picture is black"
"""
"""A picture as the simulator takes it, which chooses a backend by itself when MUJOCO_GL is not set."""


def findings() -> Iterator[Finding]:
    """Return all findings of this file."""
    yield python()
    yield torch()
    yield simulator()
    if _version("mujoco") is not None:
        yield graphics()
    yield from vendor_packages()


def python() -> Finding:
    """Check which Python this is: one older than 3.11 cannot have installed robotkit."""
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def torch() -> Finding:
    """Check whether torch loads and sees a GPU."""
    installed = _version("torch")
    if installed is None:
        return Finding("torch", "warning", "not installed: nothing can be learned here", "pip install 'robotkit[rl]'")
    error, output = probe(_TORCH_PROBE)
    if error:
        return Finding("torch", "warning", f"{installed} does not load: {error}", "pip install --force-reinstall torch")
    if not output:
        return Finding("torch", "ok", f"{installed}, on the CPU: no CUDA device was found")
    return Finding("torch", "ok", f"{installed}, CUDA on {output}")


def simulator() -> Finding:
    """Check whether MuJoCo loads and compiles a model."""
    installed = _version("mujoco")
    if installed is None:
        found = "not installed: nothing can be simulated here"
        return Finding("MuJoCo", "warning", found, "pip install 'robotkit[sim]'")
    if installed == "4.0.0":
        return Finding("MuJoCo", "problem", "4.0.0 is not supported", "pip install 'mujoco>=3.3,!=4.0.0'")
    error, _ = probe(_MUJOCO_PROBE)
    if not error:
        return Finding("MuJoCo", "ok", installed)
    backend = os.environ.get("MUJOCO_GL")
    if backend and not probe(_MUJOCO_PROBE, {"MUJOCO_GL": ""})[0]:
        fix = "unset MUJOCO_GL, or set it to one of: " + ", ".join(_GL_BACKENDS)
        return Finding("MuJoCo", "problem", f"{installed} does not load with MUJOCO_GL={backend}: {error}", fix)
    return Finding("MuJoCo", "problem", f"{installed} does not load: {error}", "pip install --force-reinstall mujoco")


def graphics() -> Finding:
    """Check whether images can be rendered. Without a graphics library cameras cast rays instead."""
    backend = os.environ.get("MUJOCO_GL")
    chosen = f"MUJOCO_GL={backend}" if backend else "the backend that the simulator chooses"
    if not probe(_GL_PROBE)[0]:
        return Finding("GL", "ok", f"simulated cameras render with {chosen}")
    if backend and not probe(_GL_PROBE, {"MUJOCO_GL": ""})[0]:
        found = f"MuJoCo cannot render with {chosen}, but it can when nothing is set"
        return Finding("GL", "warning", found, "unset MUJOCO_GL")
    for other in _GL_BACKENDS:
        if not probe(_GL_PROBE, {"MUJOCO_GL": other})[0]:
            found = f"MuJoCo cannot render with {chosen}, but it can with {other}"
            return Finding("GL", "warning", found, f"export MUJOCO_GL={other}")
    return Finding(
        "GL",
        "warning",
        "MuJoCo cannot render here; simulated cameras cast rays, which is slower and plainer",
        "install a GL library (Debian: apt install libegl1 libgl1-mesa-dri, or libosmesa6), then export MUJOCO_GL=egl "
        "or osmesa",
    )


def vendor_packages() -> Iterator[Finding]:
    """Check which optional packages are installed."""
    for module, extra in EXTRA_OF_MODULE.items():
        if extra in ("sim", "rl"):  # `simulator` and `torch` look at these
            continue
        if importlib.util.find_spec(module) is None:
            found = f"{module} is not installed"
            yield Finding(f"extra [{extra}]", "warning", found, f"pip install 'robotkit[{extra}]', if you need it")
        else:
            yield Finding(f"extra [{extra}]", "ok", f"{module} is installed")


def probe(program: str, environment: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run a Python program in a process of its own, in which no folder of the current one hides a package.

    Returns:
        The last line of what went wrong ("" when nothing did), and what the program printed.
    """
    # A checkout that is not installed is found in the current folder alone.
    safe_path = () if Path(__file__).parents[2] == Path.cwd() else ("-P",)
    try:
        done = subprocess.run(
            [sys.executable, *safe_path, "-c", program],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            env=os.environ | (environment or {}),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIMEOUT_S:.0f} s", ""
    lines = done.stderr.strip().splitlines()
    if done.returncode == 0:
        return "", done.stdout.strip()
    return (lines[-1] if lines else f"it ended with code {done.returncode}"), ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
