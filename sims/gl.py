"""The OpenGL backend of this machine, found without a call to OpenGL."""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import Any

from robotkit.errors import InvalidConfiguration

APT_LINE = "apt-get install -y --no-install-recommends libegl1 libopengl0 libgl1-mesa-dri"
"""Debian packages that give MuJoCo an off-screen OpenGL without a GPU."""


def import_mujoco() -> Any:
    """Import MuJoCo, which looks at MUJOCO_GL while it is imported.

    Raises:
        InvalidConfiguration: MUJOCO_GL names a backend that is unknown or does not work here.
    """
    try:
        return importlib.import_module("mujoco")
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        chosen = os.environ.get("MUJOCO_GL")
        if chosen is None or isinstance(error, ModuleNotFoundError):
            raise
        raise InvalidConfiguration(
            f"MUJOCO_GL={chosen!r} does not work on this machine ({error}). Allowed: egl, osmesa, glfw, disable. "
            f"Unset it and robotkit chooses what works, or install what it needs, for egl: {APT_LINE}"
        ) from error


def probe_backend() -> str | None:
    """Name the backend whose libraries are present: "egl", "osmesa", "glfw" (only with a display), or None."""
    if _loads("libEGL.so.1") and (_loads("libOpenGL.so.0") or _loads("libGL.so.1")):
        return "egl"
    if _loads("libOSMesa.so.8"):
        return "osmesa"
    return "glfw" if os.environ.get("DISPLAY") or os.name == "nt" or os.uname().sysname == "Darwin" else None


def context_class() -> type | None:
    """The class of an off-screen GL context that should work here; None when there is no OpenGL.

    MUJOCO_GL decides when it is set. It is never set from here: a wrong value would break `import mujoco` for
    everybody in the process.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    backend = chosen or probe_backend()
    if backend not in ("egl", "osmesa", "glfw"):
        return None
    try:
        context: type = importlib.import_module(f"mujoco.{backend}").GLContext
    except (AttributeError, ImportError, OSError, RuntimeError):
        # Libraries without a driver behind them (no libgl1-mesa-dri) are found out only here.
        return None
    return context


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
