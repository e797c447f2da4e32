"""A peg in the gripper and a socket with a tight hole: SERL's peg insertion, and the workcell around it."""

from __future__ import annotations

from typing import Any, Literal

import mujoco
import numpy as np
from pydantic import Field

from robotkit.schema import PluginRef, WorkcellConfig
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, SLIPPERY, add_camera, add_grip, add_room, add_wrist_cameras, set_contact_options
from sims.scenes.sockets import Hole, add_hole

PEG_HALF_WIDTH_M = 0.005
PEG_LENGTH_M = 0.08
PEG_REACH_M = 0.055
"""Distance from the tool point to the peg's tip."""
PEG_MASS_KG = 0.03
SOCKET_HEIGHT_M = 0.05
HOLE_DEPTH_M = 0.03
CHAMFER_M = 0.002
WALL_M = 0.02
ROUND_SIDES = 16


class PegOptions(SceneOptions):
    """Choices about peg and hole."""

    shape: Literal["square", "round"] = "square"
    clearance_m: float = Field(0.0005, ge=0.0001, le=0.005)
    """Gap between peg and wall on each side when the peg is centred."""
    grasp: Literal["friction", "welded"] = "friction"
    """"friction": the fingers hold the peg and can lose it. "welded": it is part of the gripper."""


def add_to_spec(spec: Any, options: PegOptions) -> None:
    """Add the room, the socket on the table and the peg in the gripper."""
    set_contact_options(spec)
    add_room(spec, lamp_over="socket")
    add_camera(spec.worldbody, "front", (1.0, 0.0, 0.35), (0.5, 0.0, 0.1), 45.0)
    add_wrist_cameras(spec)
    _add_socket(spec, options)
    _add_peg(spec, options)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-peg-insertion`: Panda with SERL's impedance law, a held peg, a socket, four cameras.

    The peg is held as fast as a gripper with tens of newtons holds it; the model's fingers have five, and lose it when
    a policy leans on it. `world.scene_options.grasp = "friction"` leaves it to them.
    """
    return impedance_cell(
        "mujoco-peg-insertion",
        PluginRef(type="mujoco", options={"scene": "peg-insertion", "scene_options": {"grasp": "welded"}}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"peg": "peg", "socket": "socket"},
    )


def _add_socket(spec: Any, options: PegOptions) -> None:
    socket = spec.worldbody.add_body(name="socket", mocap=True, pos=SOCKET_HOME[:3])
    sides = 4 if options.shape == "square" else ROUND_SIDES
    add_hole(socket, Hole(PEG_HALF_WIDTH_M + options.clearance_m, HOLE_DEPTH_M, CHAMFER_M, WALL_M, sides))
    half_width_m, half_base_m = PEG_HALF_WIDTH_M + WALL_M, (SOCKET_HEIGHT_M - HOLE_DEPTH_M) / 2
    socket.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(half_width_m, half_width_m, half_base_m),
                    pos=(0, 0, half_base_m - SOCKET_HEIGHT_M), rgba=(0.25, 0.4, 0.25, 1), friction=SLIPPERY,
                    **HARD)  # fmt: skip


def _add_peg(spec: Any, options: PegOptions) -> None:
    peg = spec.worldbody.add_body(name="peg", pos=PEG_HOME[:3])
    peg.add_freejoint(name="peg")
    is_square = options.shape == "square"
    half_m = PEG_LENGTH_M / 2
    peg.add_geom(name="peg", type=mujoco.mjtGeom.mjGEOM_BOX if is_square else mujoco.mjtGeom.mjGEOM_CYLINDER,
                 size=(PEG_HALF_WIDTH_M, PEG_HALF_WIDTH_M, half_m) if is_square else (PEG_HALF_WIDTH_M, half_m, 0),
                 pos=(0, 0, half_m), mass=PEG_MASS_KG, rgba=(0.9, 0.7, 0.1, 1), friction=SLIPPERY, **HARD)  # fmt: skip
    add_grip(spec, "peg", PEG_IN_TCP, stays=options.grasp == "welded")


SOCKET_HOME = np.array((0.5, 0.0, SOCKET_HEIGHT_M, 0.0, 0.0, 0.0, 1.0))
PEG_HOME = np.array((0.4, 0.2, PEG_HALF_WIDTH_M, 0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)))
PEG_IN_TCP = np.array((0.0, 0.0, PEG_REACH_M, 1.0, 0.0, 0.0, 0.0))
HOME_RAD = np.array((0.0, 0.0079, 0.0, -2.3616, 0.0, 2.3694, 0.7854))
"""The tool is at (0.5, 0, 0.175) m, the tip of the peg 7 cm above the hole."""
SCENE = Scene(
    name="peg-insertion",
    add_to_spec=add_to_spec,
    object_homes_in_base={"socket": SOCKET_HOME, "peg": PEG_HOME},
    held_in_tcp={"peg": PEG_IN_TCP},
    home_rad=HOME_RAD,
    Options=PegOptions,
)
