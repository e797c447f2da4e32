"""A pan at the gripper and a flat egg in it: HIL-SERL's egg flip, and the workcell around it."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
from pydantic import Field

from robotkit.schema import PluginRef, WorkcellConfig
from robotkit.spatial import compose, quaternion_from_rotation_vector, wxyz_from_xyzw
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, add_camera, add_room, set_contact_options

EGG_RADIUS_M, EGG_HALF_HEIGHT_M = 0.025, 0.004
EGG_MASS_KG = 0.02
FLOOR_X_M = (0.09, 0.27)
"""Where the pan's flat floor begins and ends, before the tool point."""
HALF_WIDTH_M = 0.07
LIP_RADIUS_M = 0.06
"""Radius of the pan's front end, which bends upwards, and over which the egg turns."""
LIP_ANGLE_RAD = 1.65
LIP_PARTS = 10
WALL_HEIGHT_M = 0.06
PAN_MASS_KG = 0.25
_SHEET_M = 0.003
"""Half the thickness of the pan's sheet."""
_IRON, _WHITE, _YELLOW = (0.2, 0.2, 0.22, 1.0), (0.97, 0.97, 0.93, 1.0), (0.98, 0.75, 0.1, 1.0)


class EggOptions(SceneOptions):
    """Choices about the pan."""

    friction: float = Field(0.1, ge=0.02, le=0.5)
    """Sliding friction between egg and pan."""


def add_to_spec(spec: Any, options: EggOptions) -> None:
    """Add the room, the pan at the gripper and the egg in it."""
    set_contact_options(spec)
    add_room(spec, lamp_over="egg")
    add_camera(spec.worldbody, "front", (0.95, 0.35, 0.8), (0.56, 0.0, 0.33), 45.0)
    add_camera(spec.worldbody, "side", (0.58, -0.75, 0.45), (0.58, 0.0, 0.33), 45.0)
    friction = (options.friction, 0.002, 0.0001)
    _add_pan(spec, friction)
    egg = spec.worldbody.add_body(name="egg", pos=EGG_HOME[:3])
    egg.add_freejoint(name="egg")
    egg.add_geom(name="egg", type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=(EGG_RADIUS_M, EGG_HALF_HEIGHT_M, 0),
                 mass=EGG_MASS_KG, rgba=_WHITE, friction=friction, **HARD)  # fmt: skip
    egg.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=(0.4 * EGG_RADIUS_M, 0.0005, 0), rgba=_YELLOW, mass=0,
                 pos=(0, 0, EGG_HALF_HEIGHT_M), contype=0, conaffinity=0)  # fmt: skip


def _add_pan(spec: Any, friction: tuple[float, float, float]) -> None:
    """A floor, three walls and a bent front end; its frame is the tool's, turned so that z points up."""
    pan = spec.body("base").add_body(name="pan", pos=(0, 0, 0.145), quat=(0, 1, 0, 0))
    add_camera(pan, "wrist_1", (0.0, 0.0, 0.2), (0.2, 0.0, 0.0), 60.0, (1.0, 0.0, 0.0))
    sheet = {"type": mujoco.mjtGeom.mjGEOM_BOX, "rgba": _IRON, "friction": friction, **HARD}
    (back_m, front_m), half_y, half_z = FLOOR_X_M, HALF_WIDTH_M, WALL_HEIGHT_M / 2
    middle_m, half_x = (back_m + front_m) / 2, (front_m - back_m) / 2
    side_x = (middle_m + LIP_RADIUS_M / 2, half_x + LIP_RADIUS_M / 2)
    plates: list[tuple[tuple[float, float, float], tuple[float, float, float]]] = [
        ((middle_m, 0.0, -_SHEET_M), (half_x, half_y, _SHEET_M)),
        ((back_m - _SHEET_M, 0.0, half_z), (_SHEET_M, half_y, half_z)),
        ((side_x[0], half_y + _SHEET_M, half_z), (side_x[1], _SHEET_M, half_z)),
        ((side_x[0], -half_y - _SHEET_M, half_z), (side_x[1], _SHEET_M, half_z)),
    ]
    for position, size in plates:
        pan.add_geom(pos=position, size=size, mass=PAN_MASS_KG / 8, **sheet)
    step_rad = LIP_ANGLE_RAD / LIP_PARTS
    radius_m = LIP_RADIUS_M + _SHEET_M
    for number in range(LIP_PARTS):
        angle = (number + 0.5) * step_rad
        position = (front_m + radius_m * math.sin(angle), 0.0, LIP_RADIUS_M - radius_m * math.cos(angle))
        quaternion = wxyz_from_xyzw(quaternion_from_rotation_vector(np.array((0.0, -angle, 0.0))))
        pan.add_geom(pos=position, quat=quaternion, size=(radius_m * math.tan(step_rad / 2), half_y, _SHEET_M),
                     mass=PAN_MASS_KG / 2 / LIP_PARTS, **sheet)  # fmt: skip
    pan.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, fromto=(0, 0, 0, back_m, 0, 0), size=(0.004, 0, 0), rgba=_IRON,
                 mass=0, contype=0, conaffinity=0)  # fmt: skip
    for body in spec.bodies:
        if body.name.endswith(("_pad", "_follower", "_driver", "_coupler", "_spring_link")):
            spec.add_exclude(bodyname1="pan", bodyname2=body.name)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-egg-flip`: Panda with SERL's impedance law, a pan at its gripper, an egg, four cameras.

    A throw takes longer steps than the other tasks: up to 0.18 m in 0.1 s.
    """
    cell = impedance_cell(
        "mujoco-egg-flip",
        PluginRef(type="mujoco", options={"scene": "egg-flip"}),
        cameras=("front", "side", "wrist_1"),
        trackers={"egg": "egg", "pan": "pan"},
    )
    return cell.model_copy(update={"limits": cell.limits.model_copy(update={"max_translation_step_m": 0.18})})


_EGG_IN_PAN = np.array(((FLOOR_X_M[0] + FLOOR_X_M[1]) / 2, 0.0, EGG_HALF_HEIGHT_M, 0.0, 0.0, 0.0, 1.0))
EGG_HOME = compose(np.array((0.4, 0.0, 0.3, 0.0, 0.0, 0.0, 1.0)), _EGG_IN_PAN)
HOME_RAD = np.array((0, -0.4674, 0, -2.498, 0, 2.0306, 0.7854))
"""The tool is at (0.4, 0, 0.3) m."""
SCENE = Scene(
    name="egg-flip",
    add_to_spec=add_to_spec,
    object_homes_in_base={"egg": EGG_HOME},
    home_rad=HOME_RAD,
    Options=EggOptions,
)
