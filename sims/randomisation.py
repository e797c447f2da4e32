"""Domain randomisation: what a reset draws anew, from a seed."""

from __future__ import annotations

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
"""From which a number is drawn evenly, to multiply a value of the scene."""


_FIELDS = ("geom_friction", "body_mass", "body_inertia", "eq_data", "cam_pos", "cam_quat", "light_diffuse")
"""What a draw changes in a model."""


class Randomisation(PluginConfig):
    """What varies from reset to reset; as it comes, nothing does.

    Ranges of positions and angles are half widths: 0.02 draws from -0.02 to 0.02.
    """

    friction: Factors = (1.0, 1.0)
    """Of every surface in the scene, the fingertips' included; one factor for all."""
    mass: Factors = (1.0, 1.0)
    """Of each movable object, with its inertia."""
    object_xy_m: float = Field(0.0, ge=0.0, le=0.2)
    """How far an object that a task does not place itself is moved from its home, along x and along y."""
    object_yaw_rad: float = Field(0.0, ge=0.0, le=np.pi)
    grip_m: float = Field(0.0, ge=0.0, le=0.02)
    """How far a held object is shifted between the fingers, along the tool's x and z axes."""
    camera_m: float = Field(0.0, ge=0.0, le=0.2)
    """How far each camera is moved, along each axis of what carries it."""
    camera_rad: float = Field(0.0, ge=0.0, le=0.5)
    """How far each camera is turned, about each axis."""
    light: Factors = (1.0, 1.0)
    """Brightness of each lamp; the ray caster, which stands in where there is no OpenGL, has a light of its own."""

    @property
    def is_on(self) -> bool:
        """True when anything varies."""
        return self != Randomisation()


class Randomiser:
    """Changes one compiled model in place, always starting from the values that it was compiled with.

    Args:
        model: compiled model of the scene.
        scene: says which bodies are objects, and which of them are held.
        ranges: how far.
    """

    def __init__(self, model: Any, scene: Scene, ranges: Randomisation) -> None:
        self._model, self._scene, self._ranges = model, scene, ranges
        self._nominal = {name: getattr(model, name).copy() for name in _FIELDS}
        self._scratch: Any = mujoco.MjData(model)

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Vary the model, and return the poses (7,) of the objects that stand elsewhere than at home.

        The order of the draws never depends on the ranges, so that one of them can be changed and the others' draws
        stay what they were.
        """
        model, ranges = self._model, self._ranges
        model.geom_friction[:] = self._nominal["geom_friction"] * rng.uniform(*ranges.friction)
        for name, factor in zip(self._movable(), rng.uniform(*ranges.mass, len(self._movable())), strict=True):
            self._scale_mass(model.body(name).id, factor)
        mujoco.mj_setConst(model, self._scratch)
        self._shift_grips(rng)
        self._move_cameras(rng)
        lamps = rng.uniform(*ranges.light, (model.nlight, 1))
        model.light_diffuse[:] = np.clip(self._nominal["light_diffuse"] * lamps, 0.0, 1.0)
        return self._object_poses(rng)

    def _movable(self) -> list[str]:
        names = self._scene.object_homes_in_base
        return [name for name in names if self._model.body_mocapid[self._model.body(name).id] < 0]

    def _scale_mass(self, body: int, factor: float) -> None:
        """The subtree's, so that an object of several bodies stays one."""
        parts = [i for i in range(self._model.nbody) if self._model.body_rootid[i] == body]
        self._model.body_mass[parts] = self._nominal["body_mass"][parts] * factor
        self._model.body_inertia[parts] = self._nominal["body_inertia"][parts] * factor

    def _shift_grips(self, rng: np.random.Generator) -> None:
        for name in self._scene.held_in_tcp:
            weld = self._model.equality(grip_name(name)).id
            shift = rng.uniform(-1.0, 1.0, 2) * self._ranges.grip_m
            self._model.eq_data[weld, 3:6] = self._nominal["eq_data"][weld, 3:6] + (shift[0], 0.0, shift[1])

    def _move_cameras(self, rng: np.random.Generator) -> None:
        model, count = self._model, self._model.ncam
        model.cam_pos[:] = self._nominal["cam_pos"] + rng.uniform(-1.0, 1.0, (count, 3)) * self._ranges.camera_m
        turns = Rotation.from_rotvec(rng.uniform(-1.0, 1.0, (count, 3)) * self._ranges.camera_rad)
        nominal = Rotation.from_quat(xyzw_from_wxyz(self._nominal["cam_quat"]))
        model.cam_quat[:] = wxyz_from_xyzw((turns * nominal).as_quat())

    def _object_poses(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        ranges, poses = self._ranges, {}
        for name, home in self._scene.object_homes_in_base.items():
            shift = rng.uniform(-1.0, 1.0, 3) * (ranges.object_xy_m, ranges.object_xy_m, ranges.object_yaw_rad)
            turn = Rotation.from_rotvec((0.0, 0.0, shift[2])) * Rotation.from_quat(home[3:])
            poses[name] = np.concatenate((home[:2] + shift[:2], home[2:3], turn.as_quat()))
        return poses
