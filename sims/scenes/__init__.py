"""Scenes by name: the objects around the arm, in one file for each scene."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from robotkit.errors import InvalidConfiguration
from robotkit.schema import PluginConfig
from robotkit.validation import describe
from sims.models import ONLY_ARM
from sims.models.panda import HOME_RAD

_MODULES = {
    "bin-relocation": "bin_relocation",
    "cable-routing": "cable_routing",
    "egg-flip": "egg_flip",
    "object-handover": "object_handover",
    "pcb-insertion": "pcb_insertion",
    "peg-insertion": "peg_insertion",
    "pick-cube": "pick_cube",
    "ram-insertion": "ram_insertion",
    "usb-pickup-insertion": "usb_pickup_insertion",
}
_ORIGIN = np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


class SceneOptions(PluginConfig):
    """The options of a scene; a scene with options has its own subclass."""


@dataclass(frozen=True)
class Scene:
    """The facts of a scene that a world needs."""

    name: str
    add_to_spec: Callable[[Any, Any], None]
    """Adds everything around the arm to a spec, as the scene's options say."""
    object_homes_in_base: Mapping[str, np.ndarray]
    """Pose (7,) xyzw at a reset, by the name of a body with a free joint or of a mocap body, in the frame of the world,
    which is the base's where the scene has one arm."""
    held_in_tcp: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Pose (7,) in the tool frame of bodies that a reset puts between the closed fingers, unless it is told to put them
    elsewhere. For each there is a weld named `grip_name(body)`, which holds it until the fingers do."""
    home_rad: np.ndarray = field(default_factory=HOME_RAD.copy)
    """Joint positions (7,) of each arm at a reset."""
    bases_in_world: Mapping[str, np.ndarray] = field(default_factory=lambda: {ONLY_ARM: _ORIGIN})
    """Pose (7,) of each arm's base, by the arm's name. A scene of one arm names it "", at the origin of the world."""
    Options: type[SceneOptions] = SceneOptions

    def options(self, values: Mapping[str, Any]) -> SceneOptions:
        """Check what a user wrote.

        Raises:
            InvalidConfiguration: an option is unknown or out of range.
        """
        try:
            return self.Options.model_validate(dict(values))
        except ValidationError as error:
            raise InvalidConfiguration(
                f"world.scene_options of scene {self.name!r}: {describe(error, self.Options)}"
            ) from error


def grip_name(body: str) -> str:
    """Name of the weld between the gripper and a body that it holds at a reset."""
    return f"grip_{body}"


def find_scene(name: str) -> Scene:
    """Return the scene called `name`.

    Raises:
        InvalidConfiguration: there is no such scene.
    """
    if name not in _MODULES:
        raise InvalidConfiguration(f"there is no scene {name!r}. Known: {', '.join(sorted(_MODULES))}")
    scene: Scene = importlib.import_module(f"sims.scenes.{_MODULES[name]}").SCENE
    return scene
