"""Domain randomisation: the properties that each reset draws from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import mujoco
import numpy as np
from pydantic import AfterValidator, Field
from scipy.spatial.transform import Rotation

from robotkit.schema import PluginConfig
from robotkit.spatial import wxyz_from_xyzw, xyzw_from_wxyz
from sims.scenes import Scene, grip_name


def _ordered(factors: tuple[float, float]) -> tuple[float, float]:
    low, high = factors
    if not 0.0 < low <= high <= 10.0:
        raise ValueError(f"a range of factors is (low, high) with 0 < low <= high <= 10, got ({low}, {high})")
    return factors


Factors = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Range from which a number is drawn evenly, to multiply a value of the scene."""


_FIELDS = ("geom_friction", "body_mass", "body_inertia", "eq_data", "cam_pos", "cam_quat", "light_diffuse")
"""Fields of a model that a draw changes."""


class Randomisation(PluginConfig):
    """The properties that vary from reset to reset; by default none does.

    Ranges of positions and angles are half widths: 0.02 draws from -0.02 to 0.02.
    """

    friction: Factors = (1.0, 1.0)
    """Factors of the friction of every surface in the scene, the fingertips' included; one factor for all."""
    mass: Factors = (1.0, 1.0)
    """Factors of the mass of each movable object, with its inertia."""
    object_xy_m: float = Field(0.0, ge=0.0, le=0.2)
    """How far an object that a task does not place itself is moved from its home, along x and along y."""
    object_yaw_rad: float = Field(0.0, ge=0.0, le=np.pi)
    grip_m: float = Field(0.0, ge=0.0, le=0.02)
    """How far a held object is shifted between the fingers, along the tool's x and z axes."""
    camera_m: float = Field(0.0, ge=0.0, le=0.2)
    """How far each camera but `overview` is moved, along each axis of what carries it."""
    camera_rad: float = Field(0.0, ge=0.0, le=0.5)
    """How far each of them is turned, about each axis."""
    light: Factors = (1.0, 1.0)
    """Brightness of each lamp; the ray caster, which stands in where there is no OpenGL, has a light of its own."""

    @property
    def is_on(self) -> bool:
        """True when anything varies."""
        return self != Randomisation()


@dataclass(frozen=True)
class Draw:
    """The values that one reset has drawn."""

    fields: Mapping[str, np.ndarray]
    """Arrays of the model by name."""
    poses_in_base: Mapping[str, np.ndarray]
    """Poses (7,) of the objects that stand elsewhere than at home."""


class Randomiser:
    """Draws values for one compiled model, always starting from those that it was compiled with.

    Args:
        model: compiled model of the scene.
        scene: says which bodies are objects, and which of them are held.
        ranges: how far.
    """

    def __init__(self, model: Any, scene: Scene, ranges: Randomisation) -> None:
        self._model, self._scene, self._ranges = model, scene, ranges
        self._nominal = {name: getattr(model, name).copy() for name in _FIELDS}
        self._scratch: Any = mujoco.MjData(model)
        self.nominal = Draw(self._nominal, {})
        """The scene as it was compiled, with every object at home."""

    def draw(self, rng: np.random.Generator) -> Draw:
        """Draw a variation; the model stays as it is until `apply`.

        The order of the draws never depends on the ranges, so that one of them can be changed and the others' draws
        stay what they were.
        """
        ranges = self._ranges
        fields = {name: values.copy() for name, values in self._nominal.items()}
        fields["geom_friction"] *= rng.uniform(*ranges.friction)
        for name, factor in zip(self._movable(), rng.uniform(*ranges.mass, len(self._movable())), strict=True):
            parts = self._parts(name)
            fields["body_mass"][parts] *= factor
            fields["body_inertia"][parts] *= factor
        self._shift_grips(fields, rng)
        self._move_cameras(fields, rng)
        lamps = rng.uniform(*ranges.light, (self._model.nlight, 1))
        fields["light_diffuse"] = np.clip(fields["light_diffuse"] * lamps, 0.0, 1.0)
        return Draw(fields, self._object_poses(rng))

    def apply(self, draw: Draw) -> None:
        """Write the drawn values, and what MuJoCo derives from them, into the model."""
        for name, values in draw.fields.items():
            getattr(self._model, name)[:] = values
        mujoco.mj_setConst(self._model, self._scratch)

    def _movable(self) -> list[str]:
        names = self._scene.object_homes_in_base
        return [name for name in names if self._model.body_mocapid[self._model.body(name).id] < 0]

    def _parts(self, name: str) -> list[int]:
        """The bodies of the subtree, so that an object of several bodies stays one."""
        root = self._model.body(name).id
        return [i for i in range(self._model.nbody) if self._model.body_rootid[i] == root]

    def _shift_grips(self, fields: dict[str, np.ndarray], rng: np.random.Generator) -> None:
        for name in self._scene.held_in_tcp:
            weld = self._model.equality(grip_name(name)).id
            shift = rng.uniform(-1.0, 1.0, 2) * self._ranges.grip_m
            fields["eq_data"][weld, 3:6] += (shift[0], 0.0, shift[1])

    def _move_cameras(self, fields: dict[str, np.ndarray], rng: np.random.Generator) -> None:
        model = self._model
        moved = [camera for camera in range(model.ncam) if model.camera(camera).name != "overview"]
        fields["cam_pos"][moved] += rng.uniform(-1.0, 1.0, (len(moved), 3)) * self._ranges.camera_m
        turns = Rotation.from_rotvec(rng.uniform(-1.0, 1.0, (len(moved), 3)) * self._ranges.camera_rad)
        nominal = Rotation.from_quat(xyzw_from_wxyz(fields["cam_quat"][moved]))
        fields["cam_quat"][moved] = wxyz_from_xyzw((turns * nominal).as_quat())

    def _object_poses(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        ranges, poses = self._ranges, {}
        for name, home in self._scene.object_homes_in_base.items():
            shift = rng.uniform(-1.0, 1.0, 3) * (ranges.object_xy_m, ranges.object_xy_m, ranges.object_yaw_rad)
            turn = Rotation.from_rotvec((0.0, 0.0, shift[2])) * Rotation.from_quat(home[3:])
            poses[name] = np.concatenate((home[:2] + shift[:2], home[2:3], turn.as_quat()))
        return poses
