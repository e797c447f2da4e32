"""A component with three pins in the gripper and a board with three holes: SERL's PCB insertion, and its workcell."""

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

PIN_HALF_WIDTH_M = 0.001
PIN_LENGTH_M = 0.006
PIN_PITCH_M = 0.01
PINS_X_M = (-PIN_PITCH_M, 0.0, PIN_PITCH_M)
BODY_HALF_SIZE_M = (0.014, 0.006, 0.01)
COMPONENT_MASS_KG = 0.01
REACH_M = 0.027
"""Distance from the tool point to the tips of the pins."""
BOARD_HEIGHT_M = 0.02
BOARD_HALF_WIDTH_M = 0.04
HOLE_DEPTH_M = 0.008
CHAMFER_M = 0.0008
_GREEN, _TIN = (0.1, 0.45, 0.2, 1.0), (0.75, 0.75, 0.78, 1.0)


class PcbOptions(SceneOptions):
    """Choices about pins and holes."""

    clearance_m: float = Field(0.0005, ge=0.0001, le=0.002)
    """Gap between each pin and its hole on each side when the component is centred."""
    grasp: Literal["friction", "welded"] = "friction"
    """"friction": the fingers hold the component and can lose it. "welded": it is part of the gripper."""


def add_to_spec(spec: Any, options: PcbOptions) -> None:
    """Add the room, the board on the table and the component in the gripper."""
    set_contact_options(spec)
    add_room(spec, lamp_over="board")
    add_camera(spec.worldbody, "front", (0.85, 0.0, 0.25), (0.5, 0.0, 0.05), 45.0)
    add_wrist_cameras(spec)
    _add_board(spec, options)
    _add_component(spec, options)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-pcb-insertion`: Panda with SERL's impedance law, a held component, a board, four cameras."""
    return impedance_cell(
        "mujoco-pcb-insertion",
        PluginRef(type="mujoco", options={"scene": "pcb-insertion"}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"component": "component", "board": "board"},
    )


def _add_board(spec: Any, options: PcbOptions) -> None:
    """A row of square cells with a hole each, a frame around the row, and a plate below."""
    board = spec.worldbody.add_body(name="board", mocap=True, pos=BOARD_HOME[:3])
    cell, width, depth = PIN_PITCH_M / 2, BOARD_HALF_WIDTH_M, HOLE_DEPTH_M / 2
    apothem_m = PIN_HALF_WIDTH_M + options.clearance_m
    for x_m in PINS_X_M:
        add_hole(board, Hole(apothem_m, HOLE_DEPTH_M, CHAMFER_M, cell - apothem_m), (x_m, 0.0), _GREEN)
    row = len(PINS_X_M) * cell
    rest = (BOARD_HEIGHT_M - HOLE_DEPTH_M) / 2
    for position, size in (
        ((0.0, (cell + width) / 2, -depth), (row, (width - cell) / 2, depth)),
        ((0.0, -(cell + width) / 2, -depth), (row, (width - cell) / 2, depth)),
        (((row + width) / 2, 0.0, -depth), ((width - row) / 2, width, depth)),
        ((-(row + width) / 2, 0.0, -depth), ((width - row) / 2, width, depth)),
        ((0.0, 0.0, -HOLE_DEPTH_M - rest), (width, width, rest)),
    ):
        board.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, rgba=_GREEN, friction=SLIPPERY,
                       **HARD)  # fmt: skip


def _add_component(spec: Any, options: PcbOptions) -> None:
    """Add the component, whose frame lies at the tips of the pins, z towards its body."""
    component = spec.worldbody.add_body(name="component", pos=COMPONENT_HOME[:3])
    component.add_freejoint(name="component")
    box = {"type": mujoco.mjtGeom.mjGEOM_BOX, "friction": SLIPPERY, **HARD}
    component.add_geom(name="component", size=BODY_HALF_SIZE_M, pos=(0, 0, PIN_LENGTH_M + BODY_HALF_SIZE_M[2]),
                       mass=COMPONENT_MASS_KG, rgba=(0.15, 0.15, 0.5, 1), **box)  # fmt: skip
    for x_m in PINS_X_M:
        component.add_geom(size=(PIN_HALF_WIDTH_M, PIN_HALF_WIDTH_M, PIN_LENGTH_M / 2), pos=(x_m, 0, PIN_LENGTH_M / 2),
                           mass=0.0002, rgba=_TIN, **box)  # fmt: skip
    add_grip(spec, "component", COMPONENT_IN_TCP, stays=options.grasp == "welded")


BOARD_HOME = np.array((0.5, 0.0, BOARD_HEIGHT_M, 0.0, 0.0, 0.0, 1.0))
COMPONENT_HOME = np.array((0.4, 0.2, BODY_HALF_SIZE_M[1], np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)))
COMPONENT_IN_TCP = np.array((0.0, 0.0, REACH_M, 1.0, 0.0, 0.0, 0.0))
HOME_RAD = np.array((0.0, 0.1851, 0.0, -2.4005, 0.0, 2.5856, 0.7854))
"""The tool is at (0.5, 0, 0.09) m, the pins 4.3 cm above the board."""
SCENE = Scene(
    name="pcb-insertion",
    add_to_spec=add_to_spec,
    object_homes_in_base={"board": BOARD_HOME, "component": COMPONENT_HOME},
    held_in_tcp={"component": COMPONENT_IN_TCP},
    home_rad=HOME_RAD,
    Options=PcbOptions,
)
