"""Two bins side by side and an object in one of them: SERL's bin relocation, and the workcell around it."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from robotkit.schema import PluginRef, WorkcellConfig
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, add_camera, add_room, add_walls, add_wrist_cameras, set_contact_options

BIN_HALF_SIZE_M = (0.13, 0.05, 0.02)
"""Half the inner size, along x, y and z; the gripper stands across, its fingers open along x."""
BIN_OFFSET_M = 0.085
"""Offset of each bin's middle from the middle between them, along y."""
OBJECT_HALF_SIZE_M = 0.015
OBJECT_MASS_KG = 0.05
_CENTRE_XY_M = (0.5, 0.0)
_ROUGH = (1.0, 0.005, 0.0001)


def add_to_spec(spec: Any, options: SceneOptions) -> None:
    """Add the room, two bins on the table and the object."""
    set_contact_options(spec)
    add_room(spec, lamp_over="object")
    add_camera(spec.worldbody, "front", (1.05, 0.0, 0.45), (0.5, 0.0, 0.03), 45.0)
    add_wrist_cameras(spec)
    for name, colour in (("bin_0", (0.3, 0.45, 0.7, 1.0)), ("bin_1", (0.7, 0.45, 0.3, 1.0))):
        add_walls(spec.worldbody.add_body(name=name, mocap=True, pos=_HOMES[name][:3]), BIN_HALF_SIZE_M, colour)
    thing = spec.worldbody.add_body(name="object", pos=OBJECT_HOME[:3])
    thing.add_freejoint(name="object")
    thing.add_geom(name="object", type=mujoco.mjtGeom.mjGEOM_BOX, size=(OBJECT_HALF_SIZE_M,) * 3,
                   mass=OBJECT_MASS_KG, rgba=(0.8, 0.2, 0.25, 1), friction=_ROUGH, **HARD)  # fmt: skip


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-bin-relocation`: Panda with SERL's impedance law, two bins, an object, four cameras."""
    return impedance_cell(
        "mujoco-bin-relocation",
        PluginRef(type="mujoco", options={"scene": "bin-relocation"}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"object": "object", "bin_0": "bin_0", "bin_1": "bin_1"},
    )


def _pose(y_m: float, z_m: float) -> np.ndarray:
    return np.array((_CENTRE_XY_M[0], _CENTRE_XY_M[1] + y_m, z_m, 0.0, 0.0, 0.0, 1.0))


OBJECT_HOME = _pose(BIN_OFFSET_M, OBJECT_HALF_SIZE_M)
_HOMES = {"bin_0": _pose(BIN_OFFSET_M, 0.0), "bin_1": _pose(-BIN_OFFSET_M, 0.0), "object": OBJECT_HOME}
HOME_RAD = np.array((-0.0466, 0.0549, 0.0466, -2.3791, -0.0039, 2.434, -0.7826))
"""The tool is at (0.5, 0, 0.15) m, turned by a quarter about the vertical."""
SCENE = Scene(
    name="bin-relocation",
    add_to_spec=add_to_spec,
    object_homes_in_base=_HOMES,
    home_rad=HOME_RAD,
)
