"""SERL's cable routing: a cable in the gripper, a clip that it is to be pressed into, sparse reward."""

from __future__ import annotations

import math
from dataclasses import replace

from envs.tasks.insertion import GRIPPER_DOWN, InsertionConfig, box_over
from robotkit.schema import ComplianceParams

_X_M, _Y_M, _SEAT_M, _MOUTH_M, _REACH_M = 0.5, 0.0, 0.034, 0.044, 0.03
"""The tool over its target, the height of a seated cable's axis and of the clip's mouth, and the clip's distance."""
_XY_M, _RZ_RAD, _TILT_RAD = 0.1, math.pi / 6, 0.01

CABLE_VISION = InsertionConfig(
    target_pose_in_base=(_X_M, _Y_M, _SEAT_M, *GRIPPER_DOWN),
    reset_pose_in_base=(_X_M, _Y_M, _SEAT_M + 0.1, *GRIPPER_DOWN),
    workspace=box_over((_X_M, _Y_M, _SEAT_M), _XY_M, below_m=0.001, above_m=0.1, tilt_rad=_TILT_RAD, turn_rad=_RZ_RAD),
    # SERL's 1 cm in height is the depth of the slot: a cable on top of the clip would count. Its twist means nothing.
    threshold_m=(0.01, 0.01, 0.005),
    threshold_rad=(math.pi, 0.3, 0.2),
    translation_scale_m=0.05,
    rotation_scale_rad=0.3,
    lead_m=0.05,
    lead_rad=0.3,
    reset_xy_m=_XY_M,
    reset_rz_rad=_RZ_RAD,
    lift_m=0.05,
    compliance=ComplianceParams(),
    part="cable",
    socket="clip",
    part_in_socket=(0.0, 0.0, _SEAT_M - _MOUTH_M, 0.0, 0.0, 0.0, 1.0),
    socket_pose_in_base=(_X_M + _REACH_M, _Y_M, _MOUTH_M, 0.0, 0.0, 0.0, 1.0),
)
"""SERL's numbers (`cable_env/config.py`), about the clip of the cell `mujoco-cable-routing`."""
CABLE = replace(CABLE_VISION, image_keys=(), observes_goal=True)
"""The cable task without cameras: where the cable belongs is measured instead."""
