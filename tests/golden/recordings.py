"""Finds the recordings of SERL's simulator; `$ROBOTKIT_GOLDEN_DIR/sim` replaces the copies in `data/sim`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import mujoco
import numpy as np

Arrays = dict[str, np.ndarray]


def directory() -> Path:
    override = os.environ.get("ROBOTKIT_GOLDEN_DIR")
    return (Path(override) if override else Path(__file__).parent / "data") / "sim"


def versions(kind: str) -> list[str]:
    """MuJoCo versions for which there are recordings of this kind."""
    found = sorted(path.stem.removeprefix(f"{kind}_mujoco") for path in directory().glob(f"{kind}_mujoco*.npz"))
    assert found, f"no {kind}_mujoco*.npz in {directory()}"
    return found


@cache
def load(kind: str, version: str) -> Arrays:
    with np.load(directory() / f"{kind}_mujoco{version}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def cases(version: str) -> list[str]:
    return sorted({key.split("/")[0] for key in load("pickcube_serl", version) if "/" in key})


def is_installed(version: str) -> bool:
    """True when the recording was made with the minor release of MuJoCo that runs the tests."""
    return version.split(".")[:2] == mujoco.__version__.split(".")[:2]
