"""A cable in the gripper and a clip on the table: SERL's cable routing, and the workcell around it."""

from __future__ import annotations

from typing import Any, Literal

import mujoco
import numpy as np
from pydantic import Field

from robotkit.schema import PluginRef, WorkcellConfig
from sims.models.joints import add_ball
from sims.scenes import Scene, SceneOptions
from sims.scenes.cells import impedance_cell
from sims.scenes.furniture import HARD, SLIPPERY, add_camera, add_grip, add_room, add_wrist_cameras, set_contact_options
from sims.scenes.sockets import Hole, add_slot

CABLE_RADIUS_M = 0.004
HELD_LENGTH_M = 0.024
"""Length of the first link, which the fingers hold."""
LINK_LENGTH_M = 0.012
LINKS = 16
LINK_MASS_KG = 0.0015
ROUTED_LINK = 2
"""The link that belongs into the clip, 3 cm before the tool point."""
REACH_M = HELD_LENGTH_M / 2 + (ROUTED_LINK - 0.5) * LINK_LENGTH_M
SEAT_M = 0.034
"""Height of a seated cable's axis; high enough for the fingertips, which reach 2 cm below it."""
SLOT_DEPTH_M = 0.014
"""Depth from the clip's mouth to the bottom of its slot."""
CHAMFER_M = 0.004
CLIP_HALF_LENGTH_M = 0.008
_WALL_M = 0.006
PLUG_RADIUS_M = 0.008
_PLUG_MASS_KG = 0.02
# The first two keep a link from swinging faster than a physics step of 2 ms can follow.
_ARMATURE, _DAMPING = 1e-5, 2e-3


class CableOptions(SceneOptions):
    """Choices about cable and clip."""

    stiffness_nm_rad: float = Field(0.3, ge=0.0, le=0.4)
    """Stiffness against bending and twisting, between two links of 12 mm."""
    clearance_m: float = Field(0.0005, ge=0.0001, le=0.003)
    """Gap between cable and wall on each side when the cable is centred."""
    grasp: Literal["friction", "welded"] = "friction"
    """"friction": the fingers hold the cable and can lose it. "welded": its first link is part of the gripper."""


def add_to_spec(spec: Any, options: CableOptions) -> None:
    """Add the room, the clip on the table and the cable in the gripper."""
    set_contact_options(spec)
    add_room(spec, lamp_over="clip")
    add_camera(spec.worldbody, "front", (0.95, 0.2, 0.3), (0.53, 0.0, 0.05), 45.0)
    add_wrist_cameras(spec)
    _add_clip(spec, options)
    _add_cable(spec, options)


def workcell_config() -> WorkcellConfig:
    """The cell `mujoco-cable-routing`: Panda with SERL's impedance law, a held cable, a clip, four cameras."""
    return impedance_cell(
        "mujoco-cable-routing",
        PluginRef(type="mujoco", options={"scene": "cable-routing"}),
        cameras=("front", "wrist_1", "wrist_2"),
        trackers={"cable": f"link_{ROUTED_LINK}", "clip": "clip"},
    )


def _add_clip(spec: Any, options: CableOptions) -> None:
    """Add the clip, whose frame lies in the middle of the mouth, x along the slot."""
    clip = spec.worldbody.add_body(name="clip", mocap=True, pos=CLIP_HOME[:3])
    colour = (0.2, 0.2, 0.25, 1.0)
    gap_m = CABLE_RADIUS_M + options.clearance_m
    add_slot(clip, Hole(gap_m, SLOT_DEPTH_M, CHAMFER_M, _WALL_M), CLIP_HALF_LENGTH_M, colour)
    half_foot_m = (CLIP_HOME[2] - SLOT_DEPTH_M) / 2
    clip.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(CLIP_HALF_LENGTH_M, gap_m + _WALL_M, half_foot_m),
                  pos=(0, 0, -SLOT_DEPTH_M - half_foot_m), rgba=colour, friction=SLIPPERY, **HARD)  # fmt: skip


def _add_cable(spec: Any, options: CableOptions) -> None:
    """A held link, a chain of links along its x axis, and a plug that weighs the other end down."""
    # Links collide with everything but each other: there is no room to tie a knot, and it would cost half the speed.
    capsule = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "rgba": (0.95, 0.55, 0.1, 1), "friction": SLIPPERY,
               "contype": 2, "conaffinity": 1, **HARD}  # fmt: skip
    body = spec.worldbody.add_body(name="cable", pos=CABLE_HOME[:3])
    body.add_freejoint(name="cable")
    half_m = HELD_LENGTH_M / 2
    body.add_geom(name="cable", fromto=(-half_m, 0, 0, half_m, 0, 0), size=(CABLE_RADIUS_M, 0, 0),
                  mass=2 * LINK_MASS_KG, **capsule)  # fmt: skip
    add_grip(spec, "cable", CABLE_IN_TCP, stays=options.grasp == "welded")
    for number in range(1, LINKS + 1):
        before_m, half_m = half_m, LINK_LENGTH_M / 2
        body = body.add_body(name=f"link_{number}", pos=(before_m + half_m, 0, 0))
        add_ball(body, f"link_{number}", (-half_m, 0, 0), damping=_DAMPING, stiffness=options.stiffness_nm_rad,
                 armature=_ARMATURE)  # fmt: skip
        body.add_geom(fromto=(-half_m, 0, 0, half_m, 0, 0), size=(CABLE_RADIUS_M, 0, 0), mass=LINK_MASS_KG, **capsule)
    # Its own friction counts, not the table's: a plug that sticks makes the cable arch upwards when it is pushed.
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(PLUG_RADIUS_M, 0, 0), pos=(half_m, 0, 0),
                  mass=_PLUG_MASS_KG, rgba=(0.1, 0.1, 0.1, 1), friction=SLIPPERY, priority=1, **HARD)  # fmt: skip


CLIP_HOME = np.array((0.5 + REACH_M, 0.0, SEAT_M - CABLE_RADIUS_M + SLOT_DEPTH_M, 0.0, 0.0, 0.0, 1.0))
CABLE_HOME = np.array((0.4, 0.25, CABLE_RADIUS_M, 0.0, 0.0, 0.0, 1.0))
CABLE_IN_TCP = np.array((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
HOME_RAD = np.array((0.0, 0.0872, 0.0, -2.388, 0.0, 2.4751, 0.7854))
"""The tool is at (0.5, 0, 0.134) m, the cable 10 cm above its seat."""
SCENE = Scene(
    name="cable-routing",
    add_to_spec=add_to_spec,
    object_homes_in_base={"clip": CLIP_HOME, "cable": CABLE_HOME},
    held_in_tcp={"cable": CABLE_IN_TCP},
    home_rad=HOME_RAD,
    Options=CableOptions,
)
