"""A memory module in the gripper and a slot on a motherboard: HIL-SERL's RAM insertion, and its workcell."""

from __future__ import annotations

from typing import Any, Literal

import mujoco
import numpy as np
from pydantic import Field

from robotkit.schema import PluginRef, WorkcellConfig
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, SLIPPERY, add_camera, add_grip, add_room, add_wrist_cameras, set_contact_options
from sims.scenes.sockets import Hole, add_rectangular_hole

MODULE_HALF_LENGTH_M = 0.0667
"""Half of the 133.35 mm of a DDR4 module, which is 31 mm high."""
MODULE_HEIGHT_M = 0.031
EDGE_HALF_THICKNESS_M = 0.00065
EDGE_HEIGHT_M = 0.008
"""Height of the bare card below the heat spreader; the lower part of it goes into the slot."""
SPREADER_HALF_THICKNESS_M = 0.002
NOTCH_M = 0.009
"""Distance of the notch from the middle, along x: a module fits one way round."""
NOTCH_HALF_WIDTH_M = 0.002
MODULE_MASS_KG = 0.03
REACH_M = 0.027
"""Distance from the tool point to the module's lower edge."""
BOARD_HEIGHT_M = 0.03
"""Height of the slot's mouth above the table; the motherboard lies on a stand."""
SLOT_DEPTH_M = 0.005
CHAMFER_M = 0.001
_SLOT_WALL_M = 0.0025
_SLOT_FLOOR_M = 0.002
_RIB_BELOW_MOUTH_M = 0.0015
"""The rib begins below the chamfers, which centre the module first."""
_BOARD_HALF_SIZE_M = (0.1, 0.06)
_BLUE, _BLACK, _GOLD, _GREEN = (0.1, 0.2, 0.45, 1), (0.12, 0.12, 0.13, 1), (0.85, 0.65, 0.2, 1), (0.1, 0.35, 0.2, 1)
_LOOKS = {"contype": 0, "conaffinity": 0}
_BOX = mujoco.mjtGeom.mjGEOM_BOX


class RamOptions(SceneOptions):
    """Choices about module and slot."""

    clearance_m: float = Field(0.0003, ge=0.0001, le=0.001)
    """Gap between module and slot on each side, across and along, when the module is centred."""
    grasp: Literal["friction", "welded"] = "friction"
    """"friction": the fingers hold the module and can lose it. "welded": it is part of the gripper."""


def add_to_spec(spec: Any, options: RamOptions) -> None:
    """Add the room, the motherboard on the table and the module in the gripper."""
    set_contact_options(spec)
    add_room(spec, lamp_over="slot")
    add_camera(spec.worldbody, "front", (0.75, -0.14, 0.22), (0.5, 0.0, 0.04), 40.0)
    add_wrist_cameras(spec)
    _add_board(spec, options)
    _add_module(spec, options)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-ram-insertion`: Panda with SERL's impedance law, a held module, a motherboard, four cameras.

    The module is held as fast as a gripper with tens of newtons holds it, as in the cell `mujoco-peg-insertion`.
    """
    return impedance_cell(
        "mujoco-ram-insertion",
        PluginRef(type="mujoco", options={"scene": "ram-insertion", "scene_options": {"grasp": "welded"}}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"module": "module", "slot": "slot"},
    )


def _add_board(spec: Any, options: RamOptions) -> None:
    """Add the slot, whose frame lies in the middle of its mouth, x along it, with its rib, on a board."""
    slot = spec.worldbody.add_body(name="slot", mocap=True, pos=SLOT_HOME[:3])
    hard = {"type": _BOX, "friction": SLIPPERY, **HARD}
    half_width_m = EDGE_HALF_THICKNESS_M + options.clearance_m
    half_length_m = MODULE_HALF_LENGTH_M + options.clearance_m
    add_rectangular_hole(slot, Hole(half_width_m, SLOT_DEPTH_M, CHAMFER_M, _SLOT_WALL_M), half_length_m, _BLACK)
    rib_m = (SLOT_DEPTH_M - _RIB_BELOW_MOUTH_M) / 2
    slot.add_geom(size=(NOTCH_HALF_WIDTH_M - 1.5 * options.clearance_m, half_width_m, rib_m),
                  pos=(NOTCH_M, 0, -_RIB_BELOW_MOUTH_M - rib_m), rgba=_BLACK, **hard)  # fmt: skip
    foot_m = (half_length_m + _SLOT_WALL_M, half_width_m + _SLOT_WALL_M, _SLOT_FLOOR_M / 2)
    slot.add_geom(size=foot_m, pos=(0, 0, -SLOT_DEPTH_M - _SLOT_FLOOR_M / 2), rgba=_BLACK, **hard)
    top_m = -SLOT_DEPTH_M - _SLOT_FLOOR_M
    half_m = (BOARD_HEIGHT_M + top_m) / 2
    slot.add_geom(size=(*_BOARD_HALF_SIZE_M, half_m), pos=(0, 0, top_m - half_m), rgba=_GREEN, **hard)
    _add_looks(slot, top_m)


def _add_looks(slot: Any, top_m: float) -> None:
    """A second slot, a processor and a few capacitors, which nothing touches."""
    for size, position, colour in (
        ((MODULE_HALF_LENGTH_M + _SLOT_WALL_M, 0.0035, 0.003), (0.0, 0.02, top_m + 0.003), (0.2, 0.2, 0.22, 1)),
        ((0.022, 0.016, 0.002), (0.0, -0.035, top_m + 0.002), (0.35, 0.35, 0.38, 1)),
        *(((0.003, 0.003, 0.004), (x_m, -0.03, top_m + 0.004), _BLUE) for x_m in (-0.07, -0.055, 0.055, 0.07)),
    ):
        slot.add_geom(type=_BOX, size=size, pos=position, rgba=colour, **_LOOKS)


def _add_module(spec: Any, options: RamOptions) -> None:
    """Add the module, whose frame lies in the middle of its lower edge, z towards the fingers, x along it."""
    module = spec.worldbody.add_body(name="module", pos=MODULE_HOME[:3])
    module.add_freejoint(name="module")
    hard = {"type": _BOX, "friction": SLIPPERY, **HARD}
    half_m = (MODULE_HEIGHT_M - EDGE_HEIGHT_M) / 2
    module.add_geom(name="module", size=(MODULE_HALF_LENGTH_M, SPREADER_HALF_THICKNESS_M, half_m),
                    pos=(0, 0, EDGE_HEIGHT_M + half_m), mass=MODULE_MASS_KG, rgba=_BLUE, **hard)  # fmt: skip
    # Seen from below, x is turned round: the notch lies on the side of the slot's rib.
    for start_m, end_m in ((-MODULE_HALF_LENGTH_M, NOTCH_M - NOTCH_HALF_WIDTH_M),
                           (NOTCH_M + NOTCH_HALF_WIDTH_M, MODULE_HALF_LENGTH_M)):  # fmt: skip
        module.add_geom(size=((end_m - start_m) / 2, EDGE_HALF_THICKNESS_M, EDGE_HEIGHT_M / 2),
                        pos=((start_m + end_m) / 2, 0, EDGE_HEIGHT_M / 2), mass=0.001, rgba=_GOLD, **hard)  # fmt: skip
    add_grip(spec, "module", MODULE_IN_TCP, stays=options.grasp == "welded")


SLOT_HOME = np.array((0.5, 0.0, BOARD_HEIGHT_M, 0.0, 0.0, 0.0, 1.0))
MODULE_HOME = np.array((0.4, 0.22, SPREADER_HALF_THICKNESS_M, np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)))
MODULE_IN_TCP = np.array((0.0, 0.0, REACH_M, 1.0, 0.0, 0.0, 0.0))
HOME_RAD = np.array((0.0, 0.1573, 0.0, -2.3986, 0.0, 2.5559, 0.7854))
"""The tool is at (0.5, 0, 0.102) m, the module's edge 4.5 cm above the slot."""
SCENE = Scene(
    name="ram-insertion",
    add_to_spec=add_to_spec,
    object_homes_in_base={"slot": SLOT_HOME, "module": MODULE_HOME},
    held_in_tcp={"module": MODULE_IN_TCP},
    home_rad=HOME_RAD,
    Options=RamOptions,
)
