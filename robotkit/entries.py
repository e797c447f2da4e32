"""Loads what an entry point or a "module:attribute" text names, or gives a sentence that says why this fails."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

from robotkit.errors import ConfigurationError, InvalidConfiguration, MissingExtra

Entry = type | str | EntryPoint

EXTRA_OF_MODULE: Mapping[str, str] = {
    "mujoco": "sim",
    "numba": "sim",
    "gymnasium": "sim",
    "torch": "rl",
    "franky": "franka",
    "pymodbus": "robotiq",
    "pyrealsense2": "realsense",
    "cv2": "vision",
    "tomlkit": "calibration",
    "pyspacemouse": "spacemouse",
    "evdev": "gamepad",
    "mujoco_menagerie": "menagerie",
    "wandb": "wandb",
}
"""The extra of robotkit that installs an optional module."""


def load_entry(kind: str, name: str, entry: Entry) -> Any:
    """Import what `entry` names.

    Args:
        kind: of what is registered ("robot", "workcell"), for errors.
        name: under which it is registered.
        entry: of a module, or the class itself.

    Raises:
        MissingExtra: its vendor package is not installed.
        InvalidConfiguration: it cannot be imported, or is not in its module.
    """
    if isinstance(entry, type):
        return entry
    try:
        if isinstance(entry, EntryPoint):
            return entry.load()
        module, _, attribute = entry.partition(":")
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise _not_loadable(kind, name, entry, error) from error
    except ConfigurationError:  # a plugin says itself what it lacks
        raise
    except Exception as error:  # a plugin is somebody else's code: whatever it raises is translated here, once
        raise InvalidConfiguration(
            f"{kind} {name!r} ({target_of(entry)}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def target_of(entry: Entry) -> str:
    """The target of `entry`, as "module:attribute"."""
    if isinstance(entry, EntryPoint):
        return entry.value
    return entry if isinstance(entry, str) else f"{entry.__module__}:{entry.__qualname__}"


def _not_loadable(kind: str, name: str, entry: Entry, error: ModuleNotFoundError) -> ConfigurationError:
    missing = error.name or ""
    if (target_of(entry).partition(":")[0] + ".").startswith(missing + "."):
        return InvalidConfiguration(
            f"{kind} {name!r} is registered as {target_of(entry)}, but there is no module {missing!r}; "
            f"{_remedy(missing)}"
        )
    module = missing.partition(".")[0]
    wanted = f"'robotkit[{EXTRA_OF_MODULE[module]}]'" if module in EXTRA_OF_MODULE else module
    return MissingExtra(
        f"{kind} {name!r} needs the package {module!r}, which is not installed. Try: pip install {wanted}"
    )


def _remedy(missing: str) -> str:
    package = missing.partition(".")[0]
    folders = list(getattr(sys.modules.get(package), "__path__", ()))
    if package == missing or not folders:
        return "install the package that brings it, or correct its entry point"
    return (
        f"Python found the package {package!r} in {folders[0]}: if that folder hides the installed package, start from "
        "another folder, or rename it"
    )
