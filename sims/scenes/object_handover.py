"""Two arms face to face, a bar to hand on and a tray: HIL-SERL's object handover, and the workcell of each arm."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from robotkit.schema import PluginRef, WorkcellConfig, WorkspaceBox
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, add_camera, add_room, add_walls, add_wrist_cameras, set_contact_options

LEFT, RIGHT = "left", "right"
"""The arms, as HIL-SERL names them: the right one gives, the left one takes."""
BASE_DISTANCE_M = 1.0
BAR_HALF_SIZE_M = (0.1, 0.015, 0.015)
BAR_MASS_KG = 0.04
TRAY_HALF_SIZE_M = (0.13, 0.05, 0.01)
"""Half the inner size, along x, y and z."""
REACH_MAX_M = 0.43
"""How far before its base an arm may send its tool: the tools stay 14 cm apart, which hands of 10 cm need."""
_TURN_MIN_RAD, _TURN_MAX_RAD = (-0.1, -0.4, -0.45), (0.1, 0.05, 0.45)
"""A hand may lean back, but hardly over the bar towards the other one."""
_ROUGH = (1.0, 0.005, 0.0001)
_RED, _WOOD = (0.8, 0.2, 0.25, 1.0), (0.7, 0.5, 0.3, 1.0)

WORKSPACE = WorkspaceBox(
    position_min_m=np.array((0.22, -0.3, 0.0)),
    position_max_m=np.array((REACH_MAX_M, 0.3, 0.5)),
    reference_quaternion_xyzw=np.array((1.0, 0.0, 0.0, 0.0)),
    rotation_vector_min_rad=np.array(_TURN_MIN_RAD),
    rotation_vector_max_rad=np.array(_TURN_MAX_RAD),
)
"""Where each arm may send its tool, in the frame of its own base; in the world, the two boxes do not overlap."""


def add_to_spec(spec: Any, options: SceneOptions) -> None:
    """Add the room, the tray on the table and the bar."""
    set_contact_options(spec)
    middle_m = BASE_DISTANCE_M / 2
    add_room(spec, lamp_over="object", centre_m=(middle_m, 0.0, 0.3), overview_from_m=(middle_m, -1.7, 1.1))
    add_camera(spec.worldbody, "side", (middle_m, -0.75, 0.45), (middle_m, 0.0, 0.13), 50.0)
    for arm in (LEFT, RIGHT):
        add_wrist_cameras(spec, arm)
    add_walls(spec.worldbody.add_body(name="tray", mocap=True, pos=_HOMES["tray"][:3]), TRAY_HALF_SIZE_M, _WOOD)
    bar = spec.worldbody.add_body(name="object", pos=_HOMES["object"][:3])
    bar.add_freejoint(name="object")
    bar.add_geom(name="object", type=mujoco.mjtGeom.mjGEOM_BOX, size=BAR_HALF_SIZE_M, mass=BAR_MASS_KG, rgba=_RED,
                 friction=_ROUGH, **HARD)  # fmt: skip


def left_workcell_config() -> WorkcellConfig:
    """The cell `mujoco-object-handover-left`: the arm that takes the bar and lays it into the tray."""
    return _workcell_config(LEFT, RIGHT)


def right_workcell_config() -> WorkcellConfig:
    """The cell `mujoco-object-handover-right`: the arm that picks the bar up and gives it."""
    return _workcell_config(RIGHT, LEFT)


def _workcell_config(arm: str, other: str) -> WorkcellConfig:
    """A Panda with SERL's impedance law; its trackers follow the bar, the tray and the other arm's fingers."""
    return impedance_cell(
        f"mujoco-object-handover-{arm}",
        PluginRef(type="mujoco", options={"scene": "object-handover", "arm": arm}),
        cameras={"wrist": f"{arm}/wrist_1", "side": "side"},
        trackers={
            "object": "object",
            "tray": "tray",
            "other_finger_1": f"{other}/right_pad",
            "other_finger_2": f"{other}/left_pad",
        },
        workspace=WORKSPACE,
    )


_HOMES = {
    "object": np.array((0.66, -0.1, BAR_HALF_SIZE_M[2], 0.0, 0.0, 0.0, 1.0)),
    "tray": np.array((0.36, 0.15, 0.0, 0.0, 0.0, 0.0, 1.0)),
}
HOME_RAD = np.array((0.0, -0.4801, 0.0, -2.6423, 0.0, 2.1621, 0.7854))
"""The tool is at (0.38, 0, 0.25) m before its base."""
SCENE = Scene(
    name="object-handover",
    add_to_spec=add_to_spec,
    object_homes_in_base=_HOMES,
    home_rad=HOME_RAD,
    bases_in_world={
        LEFT: np.array((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)),
        RIGHT: np.array((BASE_DISTANCE_M, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
    },
)
