"""Scenes by name: what stands around the arm, a file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robotkit.errors import InvalidConfiguration


@dataclass(frozen=True)
class Scene:
    """What a world needs to know of a scene."""

    name: str
    furnish: Callable[[Any], None]
    """Adds everything around the arm to a spec."""
    object_homes_in_base: Mapping[str, np.ndarray]
    """Pose (7,) xyzw at a reset, by the name of a body with a free joint."""


def find_scene(name: str) -> Scene:
    """Return the scene called `name`.

    Raises:
        InvalidConfiguration: there is no such scene.
    """
    from sims.scenes import pick_cube

    known = {scene.name: scene for scene in (pick_cube.SCENE,)}
    if name not in known:
        raise InvalidConfiguration(f"there is no scene {name!r}. Known: {', '.join(sorted(known))}")
    return known[name]
