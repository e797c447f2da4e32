"""A USB plug on the table and a port in a wall: HIL-SERL's USB pick-up and insertion, and its workcell."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from pydantic import Field

from robotkit.schema import PluginRef, WorkcellConfig
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, SLIPPERY, add_camera, add_room, add_wrist_cameras, set_contact_options
from sims.scenes.sockets import Hole, add_rectangular_hole

SHELL_HALF_SIZE_M = (0.006, 0.006, 0.00225)
"""The metal of a USB-A plug: 12 mm wide, 12 mm of it beyond the overmould, 4.5 mm high."""
OVERMOULD_HALF_SIZE_M = (0.008, 0.016, 0.01)
PLUG_MASS_KG = 0.012
PORT_HEIGHT_M = 0.04
"""Height of the port's axis above the table: 3 cm above the axis of a plug that lies there."""
PORT_DEPTH_M = 0.0125
CHAMFER_M = 0.001
_WALL_M = 0.008
_HUB_HALF_SIZE_M = (0.05, 0.02)
"""Half the width of the hub's face and half its depth behind the port."""
_ROUGH = (1.0, 0.005, 0.0001)
_STEEL, _BLACK, _GREY, _ORANGE = (0.75, 0.75, 0.78, 1), (0.13, 0.13, 0.15, 1), (0.3, 0.32, 0.36, 1), (0.85, 0.4, 0.1, 1)
_BOX = mujoco.mjtGeom.mjGEOM_BOX


class UsbOptions(SceneOptions):
    """Choices about plug and port."""

    clearance_m: float = Field(0.0003, ge=0.0001, le=0.001)
    """Gap between the plug's shell and the port on each side when the plug is centred."""


def add_to_spec(spec: Any, options: UsbOptions) -> None:
    """Add the room, the hub with the port and the plug on the table."""
    set_contact_options(spec)
    add_room(spec, lamp_over="plug")
    add_camera(spec.worldbody, "front", (0.72, 0.18, 0.2), (0.5, -0.02, 0.035), 34.0)
    add_wrist_cameras(spec)
    _add_hub(spec, options)
    _add_plug(spec)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-usb-pickup-insertion`: Panda with SERL's impedance law, a plug, a hub, four cameras."""
    return impedance_cell(
        "mujoco-usb-pickup-insertion",
        PluginRef(type="mujoco", options={"scene": "usb-pickup-insertion"}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"plug": "plug", "port": "port"},
    )


def _add_hub(spec: Any, options: UsbOptions) -> None:
    """Add the port, whose frame lies in the middle of its mouth, x across and z outwards, in the face of a hub."""
    port = spec.worldbody.add_body(name="port", mocap=True, pos=PORT_HOME[:3])
    hard = {"type": _BOX, "friction": SLIPPERY, "rgba": _GREY, **HARD}
    width_m, height_m = SHELL_HALF_SIZE_M[0] + options.clearance_m, SHELL_HALF_SIZE_M[2] + options.clearance_m
    add_rectangular_hole(port, Hole(height_m, PORT_DEPTH_M, CHAMFER_M, _WALL_M), width_m, _BLACK)
    outer_x_m, outer_y_m, depth_m = width_m + _WALL_M, height_m + _WALL_M, _HUB_HALF_SIZE_M[1]
    side_m, below_m = (_HUB_HALF_SIZE_M[0] - outer_x_m) / 2, (PORT_HEIGHT_M - outer_y_m) / 2
    behind_m = depth_m - PORT_DEPTH_M / 2
    # y points down in the port's frame.
    for size, position in (
        ((side_m, outer_y_m, depth_m), (outer_x_m + side_m, 0.0, -depth_m)),
        ((side_m, outer_y_m, depth_m), (-outer_x_m - side_m, 0.0, -depth_m)),
        ((outer_x_m, outer_y_m, behind_m), (0.0, 0.0, -PORT_DEPTH_M - behind_m)),
        ((_HUB_HALF_SIZE_M[0], below_m, depth_m), (0.0, outer_y_m + below_m, -depth_m)),
    ):
        port.add_geom(size=size, pos=position, **hard)


def _add_plug(spec: Any) -> None:
    """Add the plug, whose frame lies in the middle of its overmould, y away from the shell, z up where it lies flat."""
    plug = spec.worldbody.add_body(name="plug", pos=PLUG_HOME[:3])
    plug.add_freejoint(name="plug")
    plug.add_geom(name="plug", type=_BOX, size=OVERMOULD_HALF_SIZE_M, mass=PLUG_MASS_KG, rgba=_ORANGE, friction=_ROUGH,
                  **HARD)  # fmt: skip
    plug.add_geom(name="shell", type=_BOX, size=SHELL_HALF_SIZE_M, mass=0.003, rgba=_STEEL, friction=SLIPPERY,
                  pos=(0, -OVERMOULD_HALF_SIZE_M[1] - SHELL_HALF_SIZE_M[1], 0), **HARD)  # fmt: skip


_FACE_Y_M = -0.046
"""Where a plug in the port has its middle 3 cm before the middle of the table."""
_SIDEWAYS = (-np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))
PORT_HOME = np.array((0.5, _FACE_Y_M, PORT_HEIGHT_M, *_SIDEWAYS))
PLUG_HOME = np.array((0.5, 0.005, OVERMOULD_HALF_SIZE_M[2], 0.0, 0.0, 0.0, 1.0))
HOME_RAD = np.array((-0.0449, 0.162, 0.0439, -2.399, -0.0129, 2.5608, -0.7762))
"""The tool is at (0.5, 0, 0.1) m, turned by a quarter about the vertical."""
SCENE = Scene(
    name="usb-pickup-insertion",
    add_to_spec=add_to_spec,
    object_homes_in_base={"port": PORT_HOME, "plug": PLUG_HOME},
    home_rad=HOME_RAD,
    Options=UsbOptions,
)
